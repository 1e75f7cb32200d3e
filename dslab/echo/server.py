"""What the TCP servers share: their options, the listening socket, and a blocking conversation.

Every server module has one function, ``serve(listener, options)``. It runs until an exception ends it:
`KeyboardInterrupt`, which Ctrl-C raises and ``__main__`` makes SIGTERM raise too. On its way out it ends its
connections, threads and children.

What no client may do to a server, whatever its model:

- Make it grow: a message has a longest length, and a peer that does not read its replies is not read from.
- Take its descriptors: beyond ``max_connections`` clients it accepts no more. Those wait in the listen
  backlog, where the kernel has already completed their connections, until a place is free.
- End it: a reset, a broken length or the end of the stream inside a message ends that connection alone.

A client that half-closes still gets every reply: the end of its stream is read after all that came before it.

Source: ch. 3, Servers (general design issues); ch. 4, Sockets.
"""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from dslab.echo.messages import DEFAULT_MAX_MESSAGE_BYTES, Framing
from dslab.echo.protocol import EchoConversation
from dslab.kit.address import Address
from dslab.kit.errors import MachineError, PeerError

PIECE_BYTES = 64 * 1024
"""The most that is read at once."""

GLANCE_S = 0.5
"""How often a waiting server looks up. Python acts on a signal between two calls; one that comes in the
instant before a call blocks would otherwise wait with it for the next client."""

IDLE = "idle for too long"

STOPS = (signal.SIGTERM, signal.SIGINT)
"""The signals that end a server."""

BACKLOG = 1024
"""How many clients may wait for ``accept``; the kernel may lower it."""


class Options(NamedTuple):
    """How a server serves.

    Attributes:
        framing: ``length`` answers each message, ``raw`` each piece.
        max_message_bytes: The longest message that is taken.
        idle_timeout_s: A client that sends nothing, or does not take a reply, for so long is dropped. None
            for never.
        max_connections: How many clients are served at once; more wait.
    """

    framing: Framing = "length"
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    idle_timeout_s: float | None = None
    max_connections: int = 256


def listen(address: Address) -> socket.socket:
    """Open a listening socket. Port 0 takes any free one.

    Raises:
        MachineError: The address is in use, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server(address.pair, family=family, backlog=BACKLOG)
    except OSError as error:
        raise cannot_listen(address, error) from error
    listener.settimeout(GLANCE_S)
    return listener


def cannot_listen(address: Address, error: OSError) -> MachineError:
    """Say why a socket could not be bound."""
    remedy = "Take another port, or port 0 for any free one."
    reason, _, _ = str(error.strerror).partition(" (")  # create_server adds the address in its own words
    return MachineError(f"Cannot listen on {address}: {reason}.", remedy=remedy)


def accept(listener: socket.socket) -> socket.socket:
    """Take the next client from the backlog."""
    while True:
        try:
            connection, _ = listener.accept()
        except (TimeoutError, ConnectionAbortedError):  # nobody; or one who left before his turn (BSD, macOS)
            continue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a reply waits for no companions
        return connection


def converse(connection: socket.socket, options: Options) -> None:
    """Answer one client until it has said all, then close.

    The iterative, the thread and the process server run this. ``sendall`` blocks while the client does not
    read, and nobody reads from the client meanwhile: back-pressure for free.
    """
    conversation = EchoConversation(options.framing, options.max_message_bytes)
    with connection, outliving(connection):
        connection.settimeout(options.idle_timeout_s)
        while piece := connection.recv(PIECE_BYTES):
            for reply in conversation.receive_data(piece):
                connection.sendall(reply)
        conversation.receive_end()


@contextmanager
def stops_held() -> Iterator[None]:
    """Hold back the signals that end a server, around what must not be left half done.

    And around what drops the last reference to a thread or a process: when such an object goes, Python code
    runs that keeps account of them, and an exception in there is printed and lost, a signal's too.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


@contextmanager
def outliving(connection: socket.socket) -> Iterator[None]:
    """Let what a peer does end its own conversation only, with one line on stderr."""
    peer = name_of_peer(connection)  # asked now: a socket that was reset no longer knows it
    try:
        yield
    except TimeoutError:
        complain(peer, IDLE)
    except (PeerError, OSError) as error:
        complain(peer, error)


def name_of_peer(connection: socket.socket) -> str:
    """Who is at the other end."""
    try:
        return str(Address(*connection.getpeername()[:2]))
    except OSError:
        return "a client that has left"


def complain(peer: str, reason: Exception | str) -> None:
    """Say on stderr why a client was dropped."""
    sys.stderr.write(f"{peer}: {reason}\n")
