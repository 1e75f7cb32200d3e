"""One thread for all again, written as if it blocked: a coroutine per connection.

It is the blocking conversation with an ``await`` at each place that waits. There the event loop turns to
another connection; so the state of a conversation is kept where a programmer would look for it, in the
coroutine.

What it costs: every call on the way must be awaitable, and one that computes for long, or blocks after all,
stops everybody.

Source: ch. 3, Threads in distributed systems; coroutines are user-level threads whose switches are written
down.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from asyncio import wait_for
from contextlib import suppress

from dslab.echo.protocol import EchoConversation
from dslab.echo.server import PIECE_BYTES, STOPS, Options, outliving


def serve(listener: socket.socket, options: Options) -> None:
    """Serve each client in a coroutine of its own."""
    listener.setblocking(False)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # they wait until there is a task to cancel
    with suppress(asyncio.CancelledError):
        asyncio.run(accept_clients(listener, options))


async def accept_clients(listener: socket.socket, options: Options) -> None:
    """Accept clients while there are places. Cancelled by a signal, it cancels every conversation."""
    places = asyncio.Semaphore(options.max_connections)
    async with asyncio.TaskGroup() as conversations:
        cancel_on_signal(asyncio.get_running_loop())
        while True:
            await places.acquire()
            connection = await accept(listener)
            conversation = conversations.create_task(converse(connection, options))
            conversation.add_done_callback(lambda _: places.release())


def cancel_on_signal(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the calling task on SIGTERM and Ctrl-C. An exception from a handler would hit the loop."""
    task = asyncio.current_task()
    assert task is not None

    def cancel() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # a second one does not disturb us on our way out
        task.cancel()

    for stop in STOPS:
        loop.add_signal_handler(stop, cancel)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


async def accept(listener: socket.socket) -> socket.socket:
    """Take the next client from the backlog."""
    while True:
        with suppress(BlockingIOError, ConnectionAbortedError):
            connection, _ = listener.accept()
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        await readable(listener)


async def readable(listener: socket.socket) -> None:
    """Wait until a client is in the backlog.

    In place of ``loop.sock_accept``, which complains when it is cancelled in the very turn of the loop in
    which a client comes (CPython 3.11).
    """
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(listener, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(listener)


async def converse(connection: socket.socket, options: Options) -> None:
    """Answer one client until it has said all, then close."""
    loop = asyncio.get_running_loop()
    conversation = EchoConversation(options.framing, options.max_message_bytes)
    with connection, outliving(connection):
        while piece := await wait_for(loop.sock_recv(connection, PIECE_BYTES), options.idle_timeout_s):
            for reply in conversation.receive_data(piece):
                await wait_for(loop.sock_sendall(connection, reply), options.idle_timeout_s)
            await asyncio.sleep(0)  # the calls above yield only where they must wait: a fast client would not
        conversation.receive_end()
