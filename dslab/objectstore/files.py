"""Sending a file: from its pages in the kernel to the socket, through no buffer of ours (``sendfile``).

ASGI has a message for that, ``http.response.zerocopysend``, which uvicorn does not know. `FileSender` adds it
to a connection. It writes to a second descriptor of the same socket, for the first one is the event loop's:
it waits until the loop has written all that it has, and then the file follows.

Source: the ASGI specification, Extensions, Zero Copy Send; ch. 3, Servers; sendfile(2).
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl

from dslab.objectstore.errors import ClientGone

EXTENSION = "http.response.zerocopysend"
MOST_BYTES = 4 * 1024 * 1024
"""So much at a time: then it is another client's turn."""


class FileSender:
    """Sends files to one client.

    Attributes:
        is_busy: Whether a file is under way.
        sent_bytes: How much has been sent so far.
    """

    def __init__(self, transport: Any, flow: FlowControl) -> None:
        self.is_busy = False
        self.sent_bytes = 0
        self._transport = transport
        self._flow = flow
        self._waiting: asyncio.Future[None] | None = None

    async def send(self, file: int, start: int, end: int) -> None:
        """Send a range of a file.

        Args:
            file: Its descriptor.
            start: The first byte.
            end: After the last byte.

        Raises:
            ClientGone: The client hung up.
        """
        await self._flushed()
        if self._transport.is_closing():
            raise ClientGone("The client hung up in the middle of an answer.")
        to = os.dup(self._transport.get_extra_info("socket").fileno())
        self.is_busy = True
        try:
            while start < end:
                start += await self._some(to, file, start, end)
        except ConnectionError as error:
            raise ClientGone("The client hung up in the middle of an answer.") from error
        finally:
            self.is_busy = False
            os.close(to)

    def lost(self) -> None:
        """The connection is gone: nobody need wait for it."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError())

    async def _some(self, to: int, file: int, start: int, end: int) -> int:
        try:
            sent = os.sendfile(to, file, start, min(MOST_BYTES, end - start))
        except BlockingIOError:
            await self._writable(to)
            return 0
        if not sent:
            raise OSError("A file of the store has been cut short.")
        self.sent_bytes += sent
        return sent

    async def _flushed(self) -> None:
        """Wait until the loop has written what it has."""
        self._transport.set_write_buffer_limits(0)
        await self._flow.drain()
        self._transport.set_write_buffer_limits()

    async def _writable(self, to: int) -> None:
        loop = asyncio.get_running_loop()
        self._waiting = waiting = loop.create_future()
        loop.add_writer(to, _wake, waiting)
        try:
            await waiting
        finally:
            loop.remove_writer(to)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
