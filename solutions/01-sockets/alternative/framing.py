"""Steps 1.3 and 1.5, as a state machine that knows no socket: pieces in, messages out."""

import struct

PREFIX = struct.Struct("!L")
LIMIT = 8_000_000


class Splitter:
    """Finds the messages in the pieces of a stream."""

    def __init__(self) -> None:
        self.rest = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """Take a piece; give the messages that it completes. Raises ValueError for one that is too long."""
        self.rest += piece
        messages = []
        while len(self.rest) >= PREFIX.size:
            (size,) = PREFIX.unpack_from(self.rest)
            if size > LIMIT:
                raise ValueError("too long")
            if len(self.rest) < PREFIX.size + size:
                break
            messages.append(bytes(self.rest[PREFIX.size : PREFIX.size + size]))
            del self.rest[: PREFIX.size + size]
        return messages


def pack(message: bytes) -> bytes:
    """The message as it goes over the wire."""
    return PREFIX.pack(len(message)) + message
