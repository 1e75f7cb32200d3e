"""What the blocking and the asyncio client share: how replies are read. No I/O.

Source: ch. 4, Remote procedure call (client stubs).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerError, PeerSilent, PeerViolation, UsageError
from dslab.linda.messages import DEFAULT_ADDRESS, Done, Found, FromServer, Nothing, Refused
from dslab.linda.values import Fields, Handle, from_wire, show, to_wire

DEFAULT_TIMEOUT_S = 10.0
MAX_REPLY_BYTES = 64 * 1024 * 1024


class RefusedError(PeerError):
    """The server will not do it: no such space, a wrong token. The message has its words."""

    happened = Happened.NO


class NoTuple(PeerSilent):
    """No tuple matched in the time given."""

    happened = Happened.NO


def where(address: Address | str | None) -> Address:
    """Give the server's address: the one given, else LINDA_ADDR's, else the default."""
    if isinstance(address, Address):
        return address
    return Address.parse(address or os.environ.get("LINDA_ADDR") or DEFAULT_ADDRESS)


def token_or_default(token: str | None) -> str:
    """Give the token: the one given, else what the file LINDA_TOKEN_FILE holds, else none."""
    if token is not None:
        return token
    path = os.environ.get("LINDA_TOKEN_FILE")
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"LINDA_TOKEN_FILE names {path}: {error.strerror}.") from error


def number_of(reply: FromServer) -> int:
    """Read the reply to anything but a look for a tuple."""
    match reply:
        case Done():
            return reply.number
        case Refused(reason=reason):
            raise RefusedError(reason)
        case _:
            raise unexpected(reply)


def fields_of(reply: FromServer, space: Callable[[int], Handle]) -> Fields | None:
    """Read the reply to a look for a tuple: None for nothing.

    Args:
        reply: The reply.
        space: Makes the tuple spaces in it usable.
    """
    match reply:
        case Found():
            fields = from_wire(reply.fields)
            if fields is reply.fields:  # nothing in it that is made of parts
                return fields
            return tuple([with_spaces(field, space) for field in fields])
        case Nothing():
            return None
        case Refused(reason=reason):
            raise RefusedError(reason)
        case _:
            raise unexpected(reply)


def with_spaces(value: Any, space: Callable[[int], Handle]) -> Any:
    """Replace every handle in a value by a space that can be used."""
    kind = type(value)
    if kind is Handle:
        return space(value.number)
    if kind is tuple or kind is list:
        return kind([with_spaces(part, space) for part in value])
    return value


def no_tuple(template: Fields, timeout_s: float | None) -> NoReturn:
    """Say that nothing matched in the time given."""
    wanted = show(from_wire(to_wire(template, template=True), template=True))
    raise NoTuple(f"No tuple matched {wanted} within {timeout_s or 0:g} s.")


def unexpected(reply: FromServer) -> PeerViolation:
    """A reply that does not answer the request."""
    return PeerViolation(f"The server answered with {type(reply).__name__}, which is no answer to that.")
