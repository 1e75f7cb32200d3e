"""One thread for all: a finite-state machine per connection, driven by what the kernel says is ready.

No call blocks but ``select``, so where a conversation stands cannot be kept on a stack; it is a state::

    state      event                       action                     next state
    RECEIVING  a piece has come            work out its replies       REPLYING, or RECEIVING if there are none
    RECEIVING  end of the stream                                      CLOSED
    REPLYING   the peer can take bytes     send as many as it takes   RECEIVING once all are sent
    either     reset, violation, idle                                 CLOSED

In REPLYING nothing is read. A peer that does not take its replies finds that its own requests are no longer
taken: that is the back-pressure, and the reason why it cannot make the server grow.

What it costs: the program is turned inside out, and one slow computation makes everybody wait. What it buys:
thousands of idle clients for a few kilobytes each, and nothing to lock.

Source: ch. 3, Threads in distributed systems (single-threaded server as a finite-state machine, with
non-blocking calls).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from enum import Enum
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector

from dslab.echo.protocol import EchoConversation
from dslab.echo.server import GLANCE_S, IDLE, PIECE_BYTES, Options, accept, complain, name_of_peer, outliving


class State(Enum):
    """Where a conversation stands."""

    RECEIVING = "receiving"
    REPLYING = "replying"
    CLOSED = "closed"


WAITS_FOR = {State.RECEIVING: EVENT_READ, State.REPLYING: EVENT_WRITE}


class Conversation:
    """One client's state machine."""

    def __init__(self, connection: socket.socket, options: Options) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.state = State.RECEIVING
        self._protocol = EchoConversation(options.framing, options.max_message_bytes)
        self._replies: Iterator[bytes] = iter(())  # worked out one by one, as the peer takes them
        self._unsent = memoryview(b"")

    def step(self) -> None:
        """Do what the state asks for, now that it can be done without waiting."""
        following = State.CLOSED
        with outliving(self.connection):
            try:
                following = self._receive() if self.state is State.RECEIVING else self._reply()
            except BlockingIOError:
                following = self.state
        self.state = following

    def _receive(self) -> State:
        piece = self.connection.recv(PIECE_BYTES)
        if not piece:
            self._protocol.receive_end()
            return State.CLOSED
        self._replies = self._protocol.receive_data(piece)
        self.state = State.REPLYING
        return self._reply()  # most peers can take a reply at once: this saves a turn of the loop

    def _reply(self) -> State:
        while True:
            while self._unsent:
                self._unsent = self._unsent[self.connection.send(self._unsent) :]
            reply = next(self._replies, None)
            if reply is None:
                return State.RECEIVING
            self._unsent = memoryview(reply)


class SelectorServer:
    """The loop: waits for all connections at once, and lets each that is ready take a step."""

    def __init__(self, listener: socket.socket, options: Options, selector: DefaultSelector) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._options = options
        self._selector = selector
        self._deadlines_s: dict[Conversation, float] = {}  # a step moves its conversation to the end
        selector.register(listener, EVENT_READ)

    def turn(self) -> None:
        """Wait for something to happen, and do what follows."""
        for key, _ in self._selector.select(self._patience_s()):
            if key.data is None:
                self._admit()
            else:
                self._step(key.data)
        self._drop_idle(time.monotonic())

    def close(self) -> None:
        """Hang up on everybody."""
        for conversation in self._deadlines_s:
            conversation.connection.close()

    def _admit(self) -> None:
        try:
            connection = accept(self._listener)
        except BlockingIOError:  # it left before its turn came
            return
        conversation = Conversation(connection, self._options)
        self._selector.register(connection, EVENT_READ, conversation)
        self._postpone(conversation)
        if len(self._deadlines_s) == self._options.max_connections:
            self._selector.unregister(self._listener)

    def _step(self, conversation: Conversation) -> None:
        before = conversation.state
        conversation.step()
        if conversation.state is State.CLOSED:
            self._dismiss(conversation)
            return
        self._postpone(conversation)
        if conversation.state is not before:
            self._selector.modify(conversation.connection, WAITS_FOR[conversation.state], conversation)

    def _dismiss(self, conversation: Conversation) -> None:
        if len(self._deadlines_s) == self._options.max_connections:
            self._selector.register(self._listener, EVENT_READ)
        del self._deadlines_s[conversation]
        self._selector.unregister(conversation.connection)
        conversation.connection.close()

    def _postpone(self, conversation: Conversation) -> None:
        self._deadlines_s.pop(conversation, None)
        self._deadlines_s[conversation] = time.monotonic() + (self._options.idle_timeout_s or 0.0)

    def _patience_s(self) -> float:
        if self._options.idle_timeout_s is None or not self._deadlines_s:
            return GLANCE_S
        return min(GLANCE_S, max(0.0, next(iter(self._deadlines_s.values())) - time.monotonic()))

    def _drop_idle(self, now_s: float) -> None:
        while self._options.idle_timeout_s is not None and self._deadlines_s:
            conversation, deadline_s = next(iter(self._deadlines_s.items()))
            if deadline_s > now_s:
                return
            complain(name_of_peer(conversation.connection), IDLE)
            self._dismiss(conversation)


def serve(listener: socket.socket, options: Options) -> None:
    """Serve all clients in this one thread."""
    with DefaultSelector() as selector:
        server = SelectorServer(listener, options, selector)
        try:
            while True:
                server.turn()
        finally:
            server.close()
