"""Messages out of a stream of bytes, with a framing function that the lab's compose file names. Pure.

A framing function says how long the first whole message at the start of a buffer is, or None while it is not
whole. It raises ValueError for what can never be a message; from there on that stream is but bytes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from dslab.kit.errors import ConfigError

# A longer message is passed on as bytes, so that a false length prefix cannot fill the memory.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024

FramingFunction = Callable[[memoryview], int | None]


class Splitter:
    """Cuts one direction of one connection into messages.

    Attributes:
        failure: Why there are no more messages to be found; empty as long as there are.
    """

    def __init__(self, frames: FramingFunction, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self.failure = ""
        self._frames = frames
        self._max_message_bytes = max_message_bytes
        self._buffer = bytearray()

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """Take in what was read.

        Returns:
            The messages that are whole now. What belongs to none waits here (see `take`).
        """
        self._buffer += data
        messages = []
        while (size := self._first()) is not None:
            messages.append(bytes(self._buffer[:size]))
            del self._buffer[:size]
        return messages

    def peek(self, start: int) -> bytes:
        """The incomplete message, from its byte ``start`` on."""
        return bytes(self._buffer[start:])

    def take(self) -> bytes:
        """Hand out the incomplete message, and forget it."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        return rest

    def _first(self) -> int | None:
        if not self._buffer or self.failure:
            return None
        try:
            size = self._ask()
        except Exception as error:  # noqa: BLE001 - whatever breaks a framing function, the bytes go on
            self._buffer = bytearray(self._buffer)
            self.failure = f"no framing: {error}"
            return None
        if size is None and len(self._buffer) > self._max_message_bytes:
            self.failure = f"no framing: more than {self._max_message_bytes:,} bytes in one message"
        return size

    def _ask(self) -> int | None:
        with memoryview(self._buffer).toreadonly() as view:
            size = self._frames(view)
        # A buffer of which somebody keeps a view cannot grow: BufferError here, not in the middle of `feed`.
        self._buffer.append(0)
        self._buffer.pop()
        if size is None or (isinstance(size, int) and size > len(self._buffer)):
            return None
        if not isinstance(size, int) or size <= 0:
            raise ValueError(f"a message of {size!r} bytes")
        return size


def load_framing(name: str) -> FramingFunction:
    """The framing function called ``module:function``.

    Raises:
        ConfigError: There is none.
    """
    module, _, function = name.partition(":")
    try:
        return cast("FramingFunction", getattr(importlib.import_module(module), function))
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"The framing {name!r} cannot be loaded: {error}.",
            remedy="Write module:function, a function from a buffer to the length of its first message.",
        ) from error
