"""What has come on one connection and is not a message yet. Bytes in, messages out; no I/O.

The shell receives right into the inbox's buffer (``recv_into``), which saves a copy, and the buffer is made
as large as the message that is coming, which saves a second one for each time that it would have to grow. A
peer that announces a long message does not get the memory for it before it has sent a fair part: the buffer
grows fourfold at most with each step beyond `TRUSTED_BYTES`.

Mostly one message comes in one piece, whole: it is decoded where it lies, without looking for its end first.
Or several come, whole: then all behind the first are decoded as one. Elsewhere each one's end is looked for.

Source: ch. 4, Sockets (a stream keeps no borders between messages).
"""

from __future__ import annotations

from dslab.rpc.messages import DEFAULT_MAX_MESSAGE_BYTES, Codec, MalformedMessage, Message

PIECE_BYTES = 64 * 1024
TRUSTED_BYTES = 2 * 1024 * 1024


class Inbox:
    """The receiving end of one connection.

    Args:
        codec: How messages are written.
        max_message_bytes: The longest that is taken.

    Attributes:
        failure: Why nothing more can be read from this connection; None as long as it can.
    """

    def __init__(self, codec: Codec, max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES) -> None:
        self.failure: MalformedMessage | None = None
        self._codec = codec
        self._scanner = codec.scanner(max_message_bytes)
        self._most_bytes = max_message_bytes
        self._alone = True  # was the last piece one message, whole? Then the next one probably is, too
        self._buffer = bytearray(PIECE_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0  # what has come and is not read yet

    @property
    def waiting_bytes(self) -> int:
        """How many bytes of an unfinished message are there."""
        return self._end - self._start

    def get_buffer(self) -> memoryview:
        """Give the place for the next piece."""
        return self._view[self._end :] if self._end else self._view

    def received(self, count: int) -> list[Message]:
        """Take note of so many bytes in the buffer that was given: the messages that are whole now.

        What can be read comes out; what cannot is `failure`.
        """
        if self._alone and not self._end and count <= self._most_bytes:
            message = self._codec.decode_alone(self._view[:count])
            if message is not None:
                if len(self._buffer) > PIECE_BYTES:
                    self._make_room_for_another(count)
                return [message]
        self._end += count
        if self._end - self._start < self._scanner.needed or self.failure:
            self._make_room()
            return []
        messages: list[Message] = []
        try:
            self._cut(messages)
        except MalformedMessage as error:
            self.failure = error
        self._alone = len(messages) == 1 and self._start == self._end
        self._make_room()
        return messages

    def finish(self) -> list[Message]:
        """Take the end of the stream: a last line may lack its newline."""
        rest, self._start, self._end = self._view[self._start : self._end], 0, 0
        if not bytes(rest).strip() or self.failure:
            return []
        try:
            return [self._codec.decode(rest)]
        except MalformedMessage as error:
            self.failure = error
            return []

    def _take_run(self, messages: list[Message]) -> bool:
        """Read the rest as several messages: False if that is not what it is, or cannot be told so.

        A full buffer hardly ends where a message ends: then it is not tried.
        """
        if self._end == len(self._buffer) or self._end - self._start > self._most_bytes:
            return False
        run = self._codec.decode_run(self._buffer[self._start : self._end])
        if run is None:
            return False
        messages += run
        self._start = self._end
        return True

    def _cut(self, messages: list[Message]) -> None:
        """Read the whole messages from the front of the buffer: one, then the others at once if possible."""
        tried = False
        while self._start < self._end:
            length = self._scanner.find_end(self._buffer, self._start, self._end)
            if not length:
                return
            end = self._start + length
            messages.append(self._codec.decode(self._view[self._start : end]))
            self._start = end
            if not tried and end < self._end:
                tried = True
                if self._take_run(messages):
                    return

    def _make_room(self) -> None:
        """See to it that the next piece finds a place, and a message that lies in one piece.

        A buffer that was made for a long message stays for the next one, until a short one comes.
        """
        waiting, needed = self._end - self._start, self._scanner.needed
        if not waiting:
            self._make_room_for_another(self._end)
        elif self._start + needed > len(self._buffer):
            wanted = needed if needed > waiting + 1 else 2 * waiting  # its length may not be known yet
            self._move(max(PIECE_BYTES, min(wanted, max(TRUSTED_BYTES, 4 * waiting))))

    def _make_room_for_another(self, last_bytes: int) -> None:
        """Begin at the front again: everything has been read."""
        self._start = self._end = 0
        if last_bytes <= PIECE_BYTES < len(self._buffer):
            self._move(PIECE_BYTES)

    def _move(self, size: int) -> None:
        """Change to a buffer of another size: the old one may still be lent to who receives into it."""
        waiting = self._view[self._start : self._end]
        self._buffer = bytearray(size)
        self._view = memoryview(self._buffer)
        self._start, self._end = 0, len(waiting)
        self._view[: self._end] = waiting
