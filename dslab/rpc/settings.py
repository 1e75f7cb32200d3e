"""How a client calls: what the blocking, the threaded and the asyncio client are all told.

Source: ch. 4, Remote procedure call; ch. 8, RPC semantics in the presence of failures.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from dslab.kit.address import Address
from dslab.kit.errors import UsageError
from dslab.rpc.messages import DEFAULT_MAX_MESSAGE_BYTES
from dslab.rpc.protocol import DEFAULT_RETRY_S, ClientStub, Semantics

Transport: TypeAlias = Literal["tcp", "udp"]

DEFAULT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a client calls.

    Attributes:
        codec: ``msgpack`` or ``json``, as the server's.
        transport: ``tcp``, or ``udp``: a message is a datagram, which may be lost.
        timeout_s: How long to wait for the connection, and then for each call.
        semantics: What may happen to a call whose reply is missing (`protocol`).
        retry_s: How long to wait for a reply before the request is sent again; then twice as long, and so on.
        deadlines: Tell the server how long the caller waits, so that it begins nothing in vain. Under
            at-most-once it is always told.
        exceptions: Types, beside the built-in ones, in which exceptions shall come back.
        session: Go on with a session of an earlier life of this client ...
        first_number: ... from this call number. The call of that number, made again, is the same call.
        max_message_bytes: The longest reply that is taken.
        explain: Tell the steps of each call to this: ``print``.
    """

    codec: str = "msgpack"
    transport: Transport = "tcp"
    timeout_s: float = DEFAULT_TIMEOUT_S
    semantics: Semantics = "maybe"
    retry_s: float = DEFAULT_RETRY_S
    deadlines: bool = False
    exceptions: Iterable[type[Exception]] = ()
    session: int = 0
    first_number: int = 1
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    explain: Callable[[str], Any] | None = None

    def __post_init__(self) -> None:
        """Refuse what would quietly be taken for something else.

        Raises:
            UsageError: There is no such transport, semantics or time, or HTTP is to be had over UDP.
        """
        for what, known in ((self.transport, Transport), (self.semantics, Semantics)):
            if what not in get_args(known):
                raise UsageError(f"There is no {what!r}.", remedy=f"There are {', '.join(get_args(known))}.")
        if self.transport == "udp" and self.codec == "json-http":
            raise UsageError("HTTP runs over TCP.", remedy="Take the codec json.")
        for name, wait_s in (("timeout_s", self.timeout_s), ("retry_s", self.retry_s)):
            if not wait_s > 0:  # nor is NaN
                raise UsageError(f"{name} is {wait_s}.", remedy="Give seconds, more than none.")

    def stub(self, freeze: Callable[[Any], Any]) -> ClientStub:
        """Give a client stub that calls so. Over UDP its ids are not those of the socket's last owner.

        Args:
            freeze: The codec's.
        """
        return ClientStub(
            random.getrandbits(31) + 1 if self.transport == "udp" else 1,
            freeze=freeze,
            semantics=self.semantics,
            retry_s=self.retry_s,
            deadlines=self.deadlines,
            session=self.session,
            first_number=self.first_number,
        )


class Options(TypedDict, total=False):
    """`Settings`, as keyword arguments."""

    codec: str
    transport: Transport
    timeout_s: float
    semantics: Semantics
    retry_s: float
    deadlines: bool
    exceptions: Iterable[type[Exception]]
    session: int
    first_number: int
    max_message_bytes: int
    explain: Callable[[str], Any] | None


def where(address: Address | str) -> Address:
    """Read an address, if it is not one yet."""
    return Address.parse(address) if isinstance(address, str) else address
