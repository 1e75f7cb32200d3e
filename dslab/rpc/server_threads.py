"""The server with a thread for each connection.

Each client waits only for itself, and a call takes the shortest way there is: receive, call, send, with no
event loop between. For one client with one call at a time it is the quickest server here; for many it is not,
since the threads of Python take turns, and each costs a stack.

The calls of one connection are executed one after the other. Those of different connections overlap: what
their procedures share, they must lock.

Source: ch. 3, Threads in distributed systems (multithreaded servers).
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from dslab.kit.address import Address
from dslab.kit.stopping import STOPS
from dslab.rpc.dispatch import BatchReply, logged
from dslab.rpc.inbox import Inbox
from dslab.rpc.messages import Batch, Message, Notification, Request, Response
from dslab.rpc.objects import finished
from dslab.rpc.server import BACKLOG, cannot_listen
from dslab.rpc.service import Sender, Service, complain

SWITCH_INTERVAL_S = 0.0005
"""How long a thread may keep the others waiting. Python's own 5 ms would be the latency of every call."""

Serving = Callable[[Address, Service], AbstractContextManager[Address]]


class _Connection:
    """One client, and the thread that serves it."""

    def __init__(self, connected: socket.socket, service: Service, name: str) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.thread = threading.Thread(target=self._run, name=f"client {name}")
        self._socket = connected
        self._service = service
        self._name = name
        self._inbox = Inbox(service.codec, service.limits.max_message_bytes)
        self.most_bytes = service.limits.max_message_bytes
        self._sending = threading.Lock()  # a reply may also come from the thread of another connection
        self._owed = 0  # replies that will come from there
        self._ending = False  # it has said all

    # ---- what the service calls

    @property
    def peer(self) -> _Connection:
        """Whose instances its calls are on."""
        return self

    def send(self, message: Response | Batch) -> None:
        """Send a reply. Blocks while the client does not read: nobody reads from it meanwhile either."""
        data = self._service.encode(message, self.most_bytes)
        try:
            with self._sending:
                self._socket.sendall(data)
        except OSError:
            pass  # it has gone: the next receive tells

    def skip(self) -> None:
        """On a stream, no reply is simply none."""

    def began(self) -> None:
        """Of the calls under way, only those are counted that another connection's thread executes."""
        with self._sending:
            self._owed += 1

    def ended(self) -> None:
        """The last reply to a client that has said all ends its connection."""
        with self._sending:
            self._owed -= 1
            if self._ending and not self._owed:
                self._socket.close()

    def hang_up(self) -> None:
        """Wake the thread from the call that it is blocked in."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    # ---- inside

    def _run(self) -> None:
        try:
            self._converse()
        except OSError:
            pass  # reset: nobody is there to be told
        finally:
            with self._sending:
                self._ending = True
                if not self._owed:
                    self._socket.close()
            self._service.objects.forget(self)

    def _converse(self) -> None:
        execute = self._service.objects.execute
        while count := self._socket.recv_into(self._inbox.get_buffer()):
            messages = self._inbox.received(count)
            now_s = time.monotonic()
            for message in messages:
                if type(message) is Request and message.context is None:
                    # no bookkeeping, no deadline: as `_take` would, of most calls, in fewer steps
                    outcome = execute(self, message)
                    if not isinstance(outcome, Response):
                        outcome = asyncio.run(finished(message, outcome))
                    self.send(outcome)
                else:
                    self._take(self, message, now_s)
            if self._inbox.failure is not None:
                complain(self._name, str(self._inbox.failure))
                return
        for message in self._inbox.finish():
            self._take(self, message, time.monotonic())

    def _take(self, sender: Sender, message: Message, now_s: float) -> None:
        if type(message) is Batch:
            BatchReply(
                sender, self._service, message, lambda reply, part: self._take(reply, part, now_s)
            ).begin()
            return
        order = self._service.receive(sender, message)
        if type(order) is Request:
            self._execute(sender, order, now_s)
        elif type(order) is Response:
            sender.send(order)
        elif type(order) is Notification:
            if (running := self._service.notice(self, order)) is not None:
                asyncio.run(logged(order, running))
            sender.skip()
        elif order is None:
            sender.skip()
        else:  # a copy of a call that another connection's thread executes: it ends with that
            self.began()

    def _execute(self, sender: Sender, request: Request, now_s: float) -> None:
        outcome = self._service.execute(self, request, time.monotonic() - now_s)
        response = outcome if isinstance(outcome, Response) else asyncio.run(finished(request, outcome))
        if request.context is None:
            sender.send(response)
            return
        for place, (who, reply) in enumerate(self._service.finish(sender, request, response)):
            who.send(reply)
            if place:  # it had sent a copy; the part of a batch is its connection's
                who.peer.ended()


class ThreadServer:
    """Accepts connections, in a thread of its own."""

    def __init__(self, listener: socket.socket, service: Service) -> None:
        self._listener = listener
        self._service = service
        self._connections: set[_Connection] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._accept_all, name="acceptor")
        self._thread.start()

    def close(self) -> None:
        """Accept nobody any more, hang up on everybody, wait for their threads."""
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for connection in self._connections:
            connection.hang_up()
        for connection in self._connections:
            connection.thread.join()

    def _accept_all(self) -> None:
        while not self._closed:
            try:
                connected, peer = self._listener.accept()
            except OSError:
                time.sleep(0 if self._closed else 0.01)  # no descriptor left, or the end
                continue
            self._connections = {each for each in self._connections if each.thread.is_alive()}
            if len(self._connections) >= self._service.limits.max_connections:
                connected.close()
                continue
            name = str(Address(*peer[:2]))
            connection = _Connection(connected, self._service, name)
            try:
                connection.thread.start()
            except RuntimeError as error:  # no thread left
                complain(name, error)
                connected.close()
            else:
                self._connections.add(connection)


@contextmanager
def serving(address: Address, service: Service) -> Iterator[Address]:
    """Serve at an address (port 0 takes any free one) until the block ends: gives the real address.

    Raises:
        MachineError: The address is not to be had.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listener = socket.create_server(address.pair, family=family, backlog=BACKLOG)
    except OSError as error:
        raise cannot_listen(address, error) from error
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    bound = Address(*listener.getsockname()[:2])
    server = ThreadServer(listener, service)
    try:
        yield bound
    finally:
        server.close()
        sys.setswitchinterval(usual_s)


def serve(address: Address, service: Service, by: Serving = serving) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    with stops() as stopped, by(address, service) as bound:
        print(f"listening on {bound}", flush=True)  # noqa: T201
        wait_for_stop(stopped)


def wait_for_stop(stopped: socket.socket) -> None:
    """Wait for SIGTERM or Ctrl-C: any signal for which the program has a handler comes out of the socket."""
    while stopped.recv(1)[0] not in STOPS:
        pass


@contextmanager
def stops() -> Iterator[socket.socket]:
    """Give what the numbers of signals come out of; SIGTERM and Ctrl-C do nothing else meanwhile.

    Whichever thread gets the signal, the main thread is woken. To block them in all threads would be simpler,
    but programs that procedures start would inherit that, and could not be ended.
    """
    stopped, wakes = socket.socketpair()
    with stopped, wakes:
        wakes.setblocking(False)
        usual_fd = signal.set_wakeup_fd(wakes.fileno())  # first: else one that comes between were lost
        usual = {stop: signal.signal(stop, lambda *_: None) for stop in STOPS}
        try:
            yield stopped
        finally:
            signal.set_wakeup_fd(usual_fd)
            for stop, handler in usual.items():
                signal.signal(stop, handler or signal.SIG_DFL)
