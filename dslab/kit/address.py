"""Addresses: where a service listens or is reached.

Written ``host:port`` everywhere (compose files, command lines, logs); an IPv6 host stands in brackets,
``[::1]:7000``, as in RFC 3986, section 3.2.2.
"""

from __future__ import annotations

from typing import NamedTuple

from dslab.kit.errors import UsageError

MAX_PORT = 65_535


class Address(NamedTuple):
    """A host (a name or a number) and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``host:port``.

        Raises:
            UsageError: The text is not of that form, or the port is not between 0 and 65535.
        """
        host, colon, port = text.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        bracketed = host.startswith("[") and host.endswith("]")
        if not colon or not _may_be_host(bare) or (":" in bare and not bracketed):
            raise UsageError(
                f"{text!r} is not an address.", remedy="Write it as host:port, e.g. 127.0.0.1:7000."
            )
        if not _is_port(port):
            raise UsageError(
                f"{port!r} in {text!r} is not a port.", remedy=f"A port is a number from 0 to {MAX_PORT}."
            )
        return cls(bare, int(port))

    @property
    def pair(self) -> tuple[str, int]:
        """The form that the socket module takes."""
        return (self.host, self.port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PORT)) and int(text) <= MAX_PORT


def _may_be_host(name: str) -> bool:
    """Will the socket module look for it at all? Of a name like ``a..b`` it raises a UnicodeError."""
    if name.isascii():
        return "\0" not in name and all(0 < len(label) < 64 for label in name.removesuffix(".").split("."))
    try:
        return bool(name.encode("idna"))
    except UnicodeError:
        return False
