"""The ten steps of a remote procedure call, told live.

::

     1  the client calls the client stub, as it would a local procedure
     2  the client stub builds a message, and calls the operating system
     3  the client's operating system sends the message
     4  the server's operating system gives the message to the server stub
     5  the server stub unpacks the arguments, and calls the procedure
     6  the procedure does its work, and returns the result to the server stub
     7  the server stub packs the result into a message, and calls the operating system
     8  the server's operating system sends the message
     9  the client's operating system gives the message to the client stub
    10  the client stub unpacks the result, and returns it to the client

Steps 1 and 10, 5 and 6 are told by an interceptor, the others by a codec around the codec: the stubs know
nothing of it, and who does not ask for it pays nothing.

Source: ch. 4, Remote procedure call (basic operation).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec

from dslab.rpc.interceptors import Interceptor, Invocation, Proceed
from dslab.rpc.messages import Buffer, Codec, Message, Scanner

Side: TypeAlias = Literal["client", "server"]
Write: TypeAlias = Callable[[str], Any]

SHOWN_BYTES = 32


class ExplainingCodec(Codec):
    """Tells of every message that it writes and reads."""

    name: ClassVar[str] = "explained"

    def __init__(self, codec: Codec, side: Side, write: Write) -> None:
        self._codec = codec
        self._side = side
        self._write = write

    def encode(self, message: Message) -> bytes:
        """Marshal: steps 2 and 3, or 7 and 8."""
        data = self._codec.encode(message)
        built, sent = (2, 3) if self._side == "client" else (7, 8)
        self._write(f"{built:>2}  the {self._side} stub builds a message of {len(data)} bytes: {_show(data)}")
        self._write(f"{sent:>2}  the {self._side}'s operating system sends it")
        return data

    def decode(self, data: Buffer) -> Message:
        """Unmarshal: step 4, or 9."""
        number = 9 if self._side == "client" else 4
        side = self._side
        self._write(f"{number:>2}  the {side}'s operating system gives {len(data)} bytes to the {side} stub")
        return self._codec.decode(data)

    def scanner(self, max_message_bytes: int) -> Scanner:
        """Give the codec's own."""
        return self._codec.scanner(max_message_bytes)

    def freeze(self, value: Any) -> msgspec.Raw:
        """Let the codec do it."""
        return self._codec.freeze(value)


def explaining(side: Side, write: Write) -> Interceptor:
    """Tell of steps 1 and 10, or of 5 and 6."""
    first, last = (1, 10) if side == "client" else (5, 6)

    def intercept(invocation: Invocation, proceed: Proceed) -> Any:
        called = _call(invocation)
        if side == "client":
            write(f"{first:>2}  the client calls the client stub: {called}")
        else:
            write(f"{first:>2}  the server stub unpacks the arguments, and calls {called}")
        result = proceed(invocation)
        if side == "client":
            write(f"{last:>2}  the client stub unpacks the result, and returns {result!r:.60}")
        else:
            write(f"{last:>2}  {invocation.method} returns {result!r:.60} to the server stub")
        return result

    return intercept


def _call(invocation: Invocation) -> str:
    params = invocation.params
    if isinstance(params, dict):
        arguments = ", ".join(f"{name}={value!r:.40}" for name, value in params.items())
    else:
        arguments = ", ".join(f"{value!r:.40}" for value in params)
    return f"{invocation.method}({arguments})"


def _show(data: bytes) -> str:
    more = "..." if len(data) > SHOWN_BYTES else ""
    head = data[:SHOWN_BYTES]
    return (head.decode().strip() if head.isascii() and head[:1] == b"{" else head.hex(" ")) + more
