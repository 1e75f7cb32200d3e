"""The state machines: framing over a byte stream, request-reply over datagrams. Bytes and time in, bytes out.

- `Framer`: one end of a framed TCP connection. Bytes become messages, messages become bytes.
- `EchoConversation`: what a server has to say on one TCP connection.
- `Requester`: the client's side of request-reply over UDP. It sends again, and pairs replies with requests.
- `Responder`: the server's side of it, with an optional reply cache.

Nothing here opens a socket, reads a clock or draws a random number. The shells around it (``server_*.py``,
``udp.py``, ``client.py``) do, and pass the results in.

Source: ch. 4, Layered protocols and Sockets; ch. 8, Reliable client-server communication, for what a lost
reply means.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator

from dslab.echo.messages import (
    DEFAULT_MAX_MESSAGE_BYTES,
    LENGTH,
    MARK,
    Framing,
    MalformedDatagram,
    MessageTooLong,
    Reply,
    Request,
    StreamTruncated,
    decode_datagram,
    encode_datagram,
    frame,
)
from dslab.kit.errors import PeerSilent, PeerViolation, UsageError


def echo(message: bytes) -> bytes:
    """The service itself."""
    return message + MARK


class Framer:
    """One end of a framed connection.

    It never holds more than one message of ``max_message_bytes`` and the piece that was just received: a
    prefix that announces more is an error at once, before a byte of that message is kept.
    """

    def __init__(self, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self.max_message_bytes = max_message_bytes
        self._buffer = bytearray()
        self._end = LENGTH.size  # of the part that is being received: the prefix, then the whole message

    @property
    def missing_bytes(self) -> int:
        """How many bytes are still missing to the end of the prefix, or then of the message."""
        return self._end - len(self._buffer)

    @property
    def in_message(self) -> bool:
        """A part of a message has come, or of its prefix, and not the whole."""
        return bool(self._buffer)

    def receive_data(self, data: bytes) -> Iterator[bytes]:
        """Take a piece of the stream and give the messages that it completes, in order.

        Iterate to the end before the next call.

        Raises:
            MessageTooLong: While iterating, after the good messages before it. There is no next message then.
        """
        self._buffer += data
        return self._messages() if len(self._buffer) >= self._end else iter(())

    def receive_end(self) -> None:
        """Take the end of the stream.

        Raises:
            StreamTruncated: It ended inside a message.
        """
        if self.in_message:
            part = "message" if len(self._buffer) >= LENGTH.size else "length prefix"
            raise StreamTruncated(f"The stream ended {self.missing_bytes} bytes before the end of a {part}.")

    def send(self, message: bytes) -> bytes:
        """Give the bytes that carry a message."""
        return frame(message)

    def _messages(self) -> Iterator[bytes]:
        while len(self._buffer) >= self._end:
            if self._end == LENGTH.size and (length := self._announced_bytes()):
                self._end += length
                continue
            message = bytes(self._buffer[LENGTH.size : self._end])
            del self._buffer[: self._end]  # moves no bytes: a bytearray drops its front by moving its start
            self._end = LENGTH.size
            yield message

    def _announced_bytes(self) -> int:
        (length,) = LENGTH.unpack_from(self._buffer)
        if length > self.max_message_bytes:
            most = self.max_message_bytes
            raise MessageTooLong(f"A message of {length} bytes is announced; at most {most} are taken.")
        return int(length)


class EchoConversation:
    """What a server has to say on one connection: pieces of the stream in, replies out, ready to be sent.

    Args:
        framing: ``length`` answers each message, ``raw`` each piece (the textbook's service).
        max_message_bytes: The longest message that is taken.
    """

    def __init__(self, framing: Framing, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self._framer = Framer(max_message_bytes) if framing == "length" else None

    def receive_data(self, piece: bytes) -> Iterator[bytes]:
        """Answer what a piece completes. Raises as `Framer.receive_data` does."""
        if self._framer is None:
            yield echo(piece)
            return
        for message in self._framer.receive_data(piece):
            yield self._framer.send(echo(message))

    def receive_end(self) -> None:
        """Take the end of the stream. Raises as `Framer.receive_end` does."""
        if self._framer is not None:
            self._framer.receive_end()


class Requester:
    """The client's side of request-reply over datagrams: one request at a time (stop-and-wait).

    A request is sent again, under its old id, each time ``timeout_s`` passes without its reply. A reply to an
    earlier request, or to somebody else's, is dropped: without the id, the late answer to one question would
    pass for the answer to the next.

    Args:
        first_request_id: Where ids start. Random, so that a client does not take a reply to its predecessor
            on the same port for its own.
        timeout_s: How long to wait for a reply to each transmission.
        retries: How often to send again before giving up.
    """

    def __init__(self, first_request_id: int, *, timeout_s: float, retries: int) -> None:
        self.timeout_s = timeout_s
        self.retries = retries
        self.deadline_s = float("inf")
        self.discarded = 0
        self._next_id = first_request_id
        self._waiting_for: Request | None = None
        self._transmissions = 0

    def request(self, payload: bytes, now_s: float) -> bytes:
        """Begin a request: gives the datagram to send. An earlier request that is still open is given up."""
        request = Request(self._next_id % 2**64, payload)
        datagram = encode_datagram(request)
        self._next_id += 1
        self._waiting_for = request
        self._transmissions = 1
        self.deadline_s = now_s + self.timeout_s
        return datagram

    def receive_datagram(self, data: bytes) -> bytes | None:
        """Take a datagram: gives the payload of the reply that is waited for, or None for anything else."""
        try:
            datagram = decode_datagram(data)
        except MalformedDatagram:
            datagram = None
        if isinstance(datagram, Reply) and datagram.request_id == self._open_request_id():
            self._close_request()
            return datagram.payload
        self.discarded += 1
        return None

    def receive_timeout(self, now_s: float) -> bytes | None:
        """Take the passing of time: gives the datagram to send again, or None while there is time left.

        Raises:
            PeerSilent: Every transmission stayed without a reply. Whether the request was executed is
                unknown: it or its reply may have been lost.
        """
        if self._waiting_for is None or now_s < self.deadline_s:
            return None
        if self._transmissions > self.retries:
            self._close_request()
            raise PeerSilent(f"No reply to {self._transmissions} transmissions, {self.timeout_s:g} s apart.")
        self._transmissions += 1
        self.deadline_s = now_s + self.timeout_s
        return encode_datagram(self._waiting_for)

    def _open_request_id(self) -> int | None:
        return self._waiting_for.request_id if self._waiting_for else None

    def _close_request(self) -> None:
        self._waiting_for = None
        self.deadline_s = float("inf")


class Responder:
    """The server's side of request-reply over datagrams.

    Without a cache a retransmitted request is executed again: at-least-once. With one, the old reply is sent
    again, for as long as it is remembered: at-most-once. Echo is idempotent and needs no cache; a withdrawal
    from an account does.

    Args:
        execute: The service.
        cached_replies: How many replies are remembered, the oldest forgotten first; 0 for none.
    """

    def __init__(self, execute: Callable[[bytes], bytes] = echo, *, cached_replies: int = 0) -> None:
        self.executed = 0
        self._execute = execute
        self._cached_replies = cached_replies
        self._cache: OrderedDict[tuple[Hashable, int], bytes] = OrderedDict()

    def receive_datagram(self, data: bytes, sender: Hashable) -> bytes:
        """Take a request: gives the datagram that answers it.

        Raises:
            PeerViolation: It is no request, or none that can be answered. A server drops it.
        """
        request = decode_datagram(data)
        if not isinstance(request, Request):
            raise MalformedDatagram("A reply was sent to a server.")
        key = (sender, request.request_id)  # two clients may have chosen the same id
        reply = self._cache.get(key)
        if reply is None:
            reply = self._execute_request(request)
            self._remember(key, reply)
        return reply

    def _execute_request(self, request: Request) -> bytes:
        self.executed += 1
        try:
            return encode_datagram(Reply(request.request_id, self._execute(request.payload)))
        except UsageError as error:
            size = len(request.payload)
            raise PeerViolation(f"The answer to a request of {size} bytes fits no datagram.") from error

    def _remember(self, key: tuple[Hashable, int], reply: bytes) -> None:
        self._cache[key] = reply
        if len(self._cache) > self._cached_replies:
            self._cache.popitem(last=False)
