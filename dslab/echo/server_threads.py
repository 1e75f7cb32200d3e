"""A thread per connection: each client waits only for itself.

The program stays as simple as the iterative one, because a thread may block. What it costs: a stack and a
place in the scheduler per client, idle ones included; a limit on their number; and, in Python, threads that
take turns on one core. What threads would share, they would have to lock. An echo shares nothing.

Source: ch. 3, Threads in distributed systems (multithreaded servers).
"""

from __future__ import annotations

import socket
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread

from dslab.echo.server import Options, accept, complain, converse, name_of_peer, stops_held


def serve(listener: socket.socket, options: Options) -> None:
    """Serve each client in a thread of its own. At the end hang up, and wait for every thread."""
    places: SimpleQueue[None] = SimpleQueue()  # a semaphore, but one that a signal cannot leave locked
    for _ in range(options.max_connections):
        places.put(None)
    conversations: dict[Thread, socket.socket] = {}
    try:
        while True:
            places.get()
            connection = accept(listener)
            with stops_held():
                conversations = {one: client for one, client in conversations.items() if one.is_alive()}
                thread = Thread(target=converse_and_leave, args=(connection, options, places))
                conversations[thread] = connection
            start(thread, connection, places)
    finally:
        hang_up(conversations)


def start(thread: Thread, connection: socket.socket, places: SimpleQueue[None]) -> None:
    """Start a thread. Where the system has none left, the client is hung up on.

    The thread inherits that signals are held: so they go to the main thread, the one that they have to wake.
    """
    try:
        with stops_held():
            thread.start()
    except RuntimeError as error:
        complain(name_of_peer(connection), error)
        connection.close()
        places.put(None)


def converse_and_leave(connection: socket.socket, options: Options, places: SimpleQueue[None]) -> None:
    """Serve one client: the thread's whole life."""
    try:
        converse(connection, options)
    finally:
        places.put(None)


def hang_up(conversations: dict[Thread, socket.socket]) -> None:
    """Wake every thread from the call that it is blocked in, and wait for its end."""
    for connection in conversations.values():
        with suppress(OSError):  # closed already
            connection.shutdown(socket.SHUT_RDWR)
    for thread in conversations:
        if thread.is_alive():
            thread.join()
