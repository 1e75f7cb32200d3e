"""What all servers share, whatever moves their bytes: from a message that came to the replies to be sent.

::

    receive   the stub decides: execute, answer from the cache, ignore        steps 5 and 6 of an RPC
    execute   the procedure is found and called                              step 7
    finish    the reply is kept, if need be, and addressed                   step 8

A shell calls these three, in this order, and sends what comes out (`Sender.send`). They may be called from
several threads; only the stub's bookkeeping is done under a lock, never a procedure.

Source: ch. 4, Remote procedure call (basic operation); ch. 3, Servers.
"""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import CoroutineType
from typing import Any, Protocol, TypeAlias

from dslab.rpc.errors import DoesNotTravel, ReplyUnfit, TooLate, inner, shown
from dslab.rpc.messages import (
    DEFAULT_MAX_MESSAGE_BYTES,
    HELLO,
    Batch,
    Codec,
    Message,
    Notification,
    Request,
    Response,
)
from dslab.rpc.objects import RAISED, Objects
from dslab.rpc.protocol import Order, ServerStub, size_of
from dslab.rpc.reply_cache import (
    DEFAULT_MAX_BYTES,
    DEFAULT_MAX_SESSIONS,
    DEFAULT_WINDOW,
    ReplyCache,
)
from dslab.rpc.reply_log import ReplyLog

PART_BYTES = 40
"""What stands around the id and the result of a reply in a batch."""

MAX_REFUSAL_BYTES = 512

UNFIT_BYTES = 200
"""What a reply in a batch takes for which there is no room left."""

Running: TypeAlias = Coroutine[Any, Any, Any]


class Sender(Hashable, Protocol):
    """Who has sent a message: a connection, a datagram, an HTTP exchange, or a part of a batch."""

    @property
    def peer(self) -> Any:
        """Whose instances its calls are on."""

    @property
    def most_bytes(self) -> int:
        """How long a reply may be."""

    def send(self, message: Response | Batch) -> None:
        """Send a reply, or drop it if nobody is there any more."""

    def skip(self) -> None:
        """Take note that there will be no reply."""

    def began(self) -> None:
        """Take note that a call is under way."""

    def ended(self) -> None:
        """Take note that it is not any more; its reply was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a server takes upon itself.

    Attributes:
        max_message_bytes: The longest message, in either direction.
        max_connections: Clients at once; further ones are hung up on.
        max_in_flight: Calls of one connection that are being executed, one-way calls too; then it is not
            read from. Likewise of one batch; then its other parts wait.
        window: Unacknowledged calls of a session.
        max_sessions: Sessions that are remembered.
        max_reply_bytes: What all remembered replies take.
    """

    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    max_connections: int = 4_096
    max_in_flight: int = 1_024
    window: int = DEFAULT_WINDOW
    max_sessions: int = DEFAULT_MAX_SESSIONS
    max_reply_bytes: int = DEFAULT_MAX_BYTES


class Service:
    """A set of procedures, ready to be called by messages.

    Args:
        codec: How messages are written.
        first_session: A random number (see `ReplyCache`).
        limits: How much it takes upon itself.
        log: The file of a durable reply cache, which survives this process; None for none.

    Attributes:
        objects: The procedures. Register yours there.
    """

    def __init__(
        self, codec: Codec, first_session: int, limits: Limits | None = None, log: Path | None = None
    ) -> None:
        self.codec = codec
        self.limits = limits or Limits()
        self.objects = Objects()
        cache = ReplyCache(
            first_session,
            window=self.limits.window,
            max_sessions=self.limits.max_sessions,
            max_bytes=self.limits.max_reply_bytes,
        )
        self._log = ReplyLog(log, cache) if log else None
        self.stub = ServerStub(cache, codec.freeze, durable=log is not None)
        self._lock = Lock()
        self.objects.offer(HELLO, self._hello)

    def receive(self, sender: Sender, message: Message) -> Order:
        """Decide about a message (`ServerStub.receive`)."""
        if type(message) is Request and message.context is None:
            return message  # what needs no bookkeeping needs no lock
        with self._lock:
            order = self.stub.receive(sender, message)
            if self._log is not None and not self._write_down(self._log) and type(order) is Request:
                return self.stub.refuse(order, "It cannot be written down that the call begins")
            return order

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    def execute(self, peer: Any, request: Request, waited_s: float) -> Response | Running:
        """Call the procedure: gives its reply, or, of a coroutine function, what is to be awaited.

        Args:
            peer: Whose instances it is called on.
            request: What to call.
            waited_s: How long the request has been here.
        """
        context = request.context
        if context is not None and context.timeout_s is not None and waited_s >= context.timeout_s:
            return Response(request.id, TooLate(f"Its turn came after {waited_s:.3f} s").to_fault())
        return self.objects.execute(peer, request)

    def finish(self, sender: Sender, request: Request, response: Response) -> Iterable[tuple[Any, Response]]:
        """Take the reply to a request: gives what is to be sent to whom."""
        if request.context is None:
            return ((sender, response),)
        with self._lock:
            replies = self.stub.finish(sender, request, response)
            if self._log is not None:
                self._write_down(self._log)
            return replies

    def notice(self, peer: Any, notification: Notification) -> Running | None:
        """Call what a one-way call names. Whatever comes of it, nobody is told; an error is logged."""
        try:
            result = self.objects.call(peer, notification)
        except RAISED as error:
            complain(f"one-way {notification.method}", error)
            return None
        return result if type(result) is CoroutineType else None

    def write(self, message: Response | Batch, buffer: bytearray) -> None:
        """Marshal a reply at the end of a buffer, as `encode` does."""
        before = len(buffer)
        try:
            self.codec.write(message, buffer)
        except DoesNotTravel as error:
            buffer += self._encode_unfit(message, str(error))
        if len(buffer) - before > self.limits.max_message_bytes:
            why = f"The result takes {len(buffer) - before:,} bytes"
            buffer[before:] = self._encode_unfit(message, why)

    def encode(self, message: Response | Batch, most_bytes: int | None = None) -> bytes:
        """Marshal a reply; in place of one that does not travel, or is too long, an error that says so.

        The longest is a message of the service's, unless told otherwise.
        """
        try:
            data = self.codec.encode(message)
        except DoesNotTravel as error:
            return self._encode_unfit(message, str(error))
        if len(data) > (most_bytes or self.limits.max_message_bytes):
            return self._encode_unfit(message, f"The result takes {len(data):,} bytes")
        return data

    def fit(self, response: Response, room_bytes: int, most_bytes: int) -> tuple[Response, int]:
        """Marshal what a reply says that shares a message with others: gives it, and how many bytes it takes.

        In place of one for which there is no room, it gives an error that says so. Only one that says in few
        words that the call was not executed stays what it is.
        """
        reply = self.stub.frozen(response)
        around_bytes = PART_BYTES + memoryview(self.codec.freeze(reply.id)).nbytes
        size = size_of(reply)
        if size + around_bytes > room_bytes and (reply.error is None or size > MAX_REFUSAL_BYTES):
            why = f"The results of the batch take more than {most_bytes:,} bytes"
            reply = self.stub.frozen(Response(reply.id, ReplyUnfit(why).to_fault()))
            size = size_of(reply)
        return reply, size + around_bytes

    def _encode_unfit(self, message: Response | Batch, why: str) -> bytes:
        fault = ReplyUnfit(why).to_fault()
        if isinstance(message, Response):
            return self.codec.encode(Response(message.id, fault))
        parts = [part for part in message.messages if isinstance(part, Response)]
        return self.codec.encode(
            Batch([Response(part.id, fault if part.error is None else part.error) for part in parts])
        )

    def _hello(self) -> list[int]:
        with self._lock:
            greeting = self.stub.hello()
            if self._log is not None:
                self._write_down(self._log)
            return greeting

    def _write_down(self, log: ReplyLog) -> bool:
        """Write down what has changed: False if that is not possible.

        Nothing is executed before the log knows of it. Of a reply that it does not know, the next life of
        the server says that the call was begun, and no more. That is true.
        """
        try:
            log.write(self.stub.changes())
        except OSError as error:
            complain("the reply log", error)
            return False
        return True


def complain(who: str, why: BaseException | str) -> None:
    """Say on stderr what became of a client, or of a call that nobody waits for."""
    if isinstance(why, BaseException):
        why = inner(why)
        why = f"{type(why).__name__}: {shown(why)}"
    sys.stderr.write(f"{who}: {why}\n")
