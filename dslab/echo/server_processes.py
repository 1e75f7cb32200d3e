"""A process per connection: each client has a server of its own.

What it costs: a fork per client, some milliseconds and megabytes; nothing is shared, so results have to
travel. What it buys: all cores, and a crash, a leak or an endless loop that hurts one client only.

The start method is fork: the child is a copy of this program and inherits the open connection. "Spawn", the
default of Python on macOS, would start a new interpreter for every client. What makes fork unsafe there is a
parent with threads of its own or of the system's frameworks; this one has neither.

Source: ch. 3, Threads in distributed systems (processes and threads; multiprocess servers).
"""

from __future__ import annotations

import multiprocessing
import signal
import socket
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess

from dslab.echo.server import GLANCE_S, STOPS, Options, accept, complain, converse, name_of_peer, stops_held


def serve(listener: socket.socket, options: Options) -> None:
    """Serve each client in a child process; reap each child as it ends."""
    children: dict[int, ForkProcess] = {}  # by sentinel: a descriptor, readable once the child has ended
    try:
        while True:
            place_is_free = len(children) < options.max_connections
            for ready in wait([*children, *([listener] if place_is_free else [])], GLANCE_S):
                if isinstance(ready, int):
                    with stops_held():
                        reap(children.pop(ready))
                else:
                    start_child(children, listener, options)
    finally:
        for child in children.values():
            child.kill()  # it has nothing to tidy up
            reap(child)


def reap(child: ForkProcess) -> None:
    """Take a child's exit status from the kernel, which keeps a zombie for it until then."""
    child.join()
    child.close()


def start_child(children: dict[int, ForkProcess], listener: socket.socket, options: Options) -> None:
    """Accept a client and fork a child for it. Without room for a child the client is hung up on.

    A signal between the fork and the note of it would leave a child that nobody knows of.
    """
    with accept(listener) as connection, stops_held():  # leaving closes the parent's copy of the connection
        fork = multiprocessing.get_context("fork")
        child = fork.Process(target=converse_in_child, args=(listener, connection, options), daemon=True)
        try:
            child.start()
        except OSError as error:  # too many processes
            complain(name_of_peer(connection), error)
        else:
            children[child.sentinel] = child


def converse_in_child(listener: socket.socket, connection: socket.socket, options: Options) -> None:
    """Serve one client: the child's whole life."""
    for stop in STOPS:
        signal.signal(stop, signal.SIG_DFL)  # the parent's way to end is not the child's
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
    listener.close()
    converse(connection, options)
