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

Steps 5 and 6 are told by an interceptor, the others by a codec around the codec: the stubs know nothing of
it, and who does not ask for it pays nothing. A request that is sent again is step 2 again, and not step 1. Of
what the protocol says to itself (``rpc.hello``, ``rpc.renew``) only the messages are told.

In the picture of a lab's run they are labels, too: of arrows, if the compose file's describer is
``dslab.rpc.wire:describe_steps`` (3 and 8), and of a service's line, if that writes them on stderr behind the
word ``dslab:mark``: ``connect(..., explain=lambda step: print("dslab:mark", step, file=sys.stderr))``.
``python -m dslab.rpc demo`` draws one call so.

Source: ch. 4, Remote procedure call (basic operation).
"""

from __future__ import annotations

from collections.abc import Callable
from types import CoroutineType
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec

from dslab.rpc.errors import NotExecuted, as_fault, inner
from dslab.rpc.interceptors import Interceptor, Invocation, Proceed
from dslab.rpc.messages import (
    Batch,
    Buffer,
    Codec,
    Id,
    Message,
    Notification,
    Params,
    Request,
    Response,
    Scanner,
)

Side: TypeAlias = Literal["client", "server"]
Write: TypeAlias = Callable[[str], Any]

SHOWN_BYTES = 32


class ExplainingCodec(Codec):
    """Tells of every message that it writes and reads; at a client also of the calls that they are."""

    name: ClassVar[str] = "explained"

    def __init__(self, codec: Codec, side: Side, write: Write) -> None:
        self._codec = codec
        self._side = side
        self._write = write
        self._under_way: set[Id] = set()

    def encode(self, message: Message) -> bytes:
        """Marshal: steps 1 to 3, or 7 and 8."""
        if self._side == "client":
            self._begin(message)
        data = self._codec.encode(message)
        built, sent = (2, 3) if self._side == "client" else (7, 8)
        self._write(f"{built:>2}  the {self._side} stub builds a message of {len(data)} bytes: {_show(data)}")
        self._write(f"{sent:>2}  the {self._side}'s operating system sends it")
        return data

    def decode(self, data: Buffer) -> Message:
        """Unmarshal: step 4, or 9 and 10."""
        number = 9 if self._side == "client" else 4
        side = self._side
        self._write(f"{number:>2}  the {side}'s operating system gives {len(data)} bytes to the {side} stub")
        message = self._codec.decode(data)
        if self._side == "client":
            self._end(message)
        return message

    def scanner(self, max_message_bytes: int) -> Scanner:
        """Give the codec's own."""
        return self._codec.scanner(max_message_bytes)

    def freeze(self, value: Any) -> msgspec.Raw:
        """Let the codec do it."""
        return self._codec.freeze(value)

    def _begin(self, message: Message) -> None:
        """Tell of the calls in a message, each when it is sent for the first time."""
        match message:
            case Batch(messages=parts):
                for part in parts:
                    self._begin(part)
            case Request(id=number, method=method, params=params):
                if number not in self._under_way and not method.startswith("rpc."):
                    self._under_way.add(number)
                    self._write(f" 1  the client calls the client stub: {_call(method, params)}")
            case Notification(method=method, params=params):
                self._write(f" 1  the client calls the client stub, one-way: {_call(method, params)}")

    def _end(self, message: Message) -> None:
        """Tell of the replies in a message, but of none that has come before."""
        match message:
            case Batch(messages=parts):
                for part in parts:
                    self._end(part)
            case Response(id=number, error=error, result=result) if number in self._under_way:
                self._under_way.discard(number)
                what = (
                    f"result, and returns {result!r:.60}"
                    if error is None
                    else f"error, and raises {_told(error)}"
                )
                self._write(f"10  the client stub unpacks the {what}")


def explaining(write: Write) -> Interceptor:
    """Tell of steps 5 and 6, at a server."""

    def intercept(invocation: Invocation, proceed: Proceed) -> Any:
        if invocation.method.startswith("rpc."):
            return proceed(invocation)
        called = _call(invocation.method, invocation.params)
        write(f" 5  the server stub unpacks the arguments, and calls {called}")
        try:
            result = proceed(invocation)
        except Exception as error:
            failed(invocation, error)
            raise
        return awaited(invocation, result) if type(result) is CoroutineType else ended(invocation, result)

    async def awaited(invocation: Invocation, running: CoroutineType[Any, Any, Any]) -> Any:
        try:
            result = await running
        except Exception as error:
            failed(invocation, error)
            raise
        return ended(invocation, result)

    def ended(invocation: Invocation, result: Any) -> Any:
        write(f" 6  {invocation.method} returns {result!r:.60} to the server stub")
        return result

    def failed(invocation: Invocation, error: Exception) -> None:
        if isinstance(error, NotExecuted):
            write(f" 6  {invocation.method} is not executed: {error}")
        else:
            raised = inner(error)
            write(f" 6  {invocation.method} raises {type(raised).__name__}: {raised}")

    return intercept


def _call(method: str, params: Params | msgspec.Raw) -> str:
    if isinstance(params, msgspec.Raw):  # marshalled already: JSON, or what it cannot begin with
        decode = msgspec.json.decode if bytes(params)[:1] in (b"[", b"{") else msgspec.msgpack.decode
        params = decode(params)
    if isinstance(params, dict):
        arguments = ", ".join(f"{name}={value!r:.40}" for name, value in params.items())
    else:
        arguments = ", ".join(f"{value!r:.40}" for value in params)
    return f"{method}({arguments})"


def _told(error: Any) -> str:
    """Say in one line what an error says."""
    fault = as_fault(error)
    match fault.data:
        case {"type": str(name)}:
            return f"{name}: {fault.message}"
        case {"dslab.error": str(detail)} | str(detail):
            return f"{fault.message}: {detail}"
        case _:
            return fault.message


def _show(data: bytes) -> str:
    more = "..." if len(data) > SHOWN_BYTES else ""
    head = data[:SHOWN_BYTES]
    return (head.decode().strip() if head.isascii() and head[:1] == b"{" else head.hex(" ")) + more
