"""One suite for the TCP servers: the same service, whoever waits for whom."""

from __future__ import annotations

import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from queue import SimpleQueue
from threading import Thread

import psutil
import pytest

from dslab.echo import server_processes, server_threads
from dslab.echo.__main__ import TCP_MODELS, affordable_connections
from dslab.echo.client import Connection, connect
from dslab.echo.messages import Framing, frame
from dslab.echo.server import Options, accept, listen
from dslab.kit.address import Address
from dslab.kit.errors import PeerClosed, PeerError, PeerSilent

MIB = 1024 * 1024

each_model = pytest.mark.parametrize("model", TCP_MODELS)
each_concurrent_model = pytest.mark.parametrize(
    "model", [model for model in TCP_MODELS if model != "iterative"]
)


@dataclass
class Server:
    """A running server, as students meet it: a subprocess."""

    address: Address
    popen: subprocess.Popen[str]

    def processes(self) -> list[psutil.Process]:
        process = psutil.Process(self.popen.pid)
        return [process, *process.children()]

    def memory_bytes(self) -> int:
        total = 0
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                total += process.memory_info().rss
        return total

    def connect(self, timeout_s: float = 10.0, framing: Framing = "length") -> Connection:
        return connect(self.address, timeout_s=timeout_s, framing=framing)

    def stop(self, number: int = signal.SIGTERM) -> str:
        """Stop it cleanly: gives what it wrote to stderr."""
        self.popen.send_signal(number)
        stdout, stderr = self.popen.communicate(timeout=10)
        assert (self.popen.returncode, stdout) == (0, "")
        assert "Traceback" not in stderr
        return stderr


StartServer = Callable[..., Server]


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start servers; each must stop cleanly after the test."""
    servers: list[Server] = []

    def start(model: str, *options: str) -> Server:
        command = [sys.executable, "-m", "dslab.echo", "server", "--model", model, *options]
        popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        servers.append(Server(Address("", 0), popen))
        assert popen.stdout is not None
        line = popen.stdout.readline()
        assert line.startswith("listening on ")
        servers[-1].address = Address.parse(line.split()[-1])
        return servers[-1]

    yield start
    for server in servers:
        if server.popen.returncode is None:
            server.stop()


def eventually(condition: Callable[[], bool], patience_s: float = 10.0) -> bool:
    deadline_s = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


@each_model
def test_messages_come_back_with_a_mark(model: str, start_server: StartServer) -> None:
    server = start_server(model)
    with server.connect() as connection:
        for message in (b"Hello World", b"", b"\x00\xff" * 1000, bytes(5 * MIB)):
            assert connection.request(message) == message + b"*"
        connection.finish()
        assert connection.at_end()
        assert not connection.was_reset


@each_model
def test_raw_pieces_come_back_with_a_mark(model: str, start_server: StartServer) -> None:
    server = start_server(model, "--framing", "raw")
    with server.connect(framing="raw") as connection:
        assert connection.request(b"Hello World") == b"Hello World*"
        assert connection.request(b"again") == b"again*"
        connection.finish()
        assert connection.receive_some() == b""


@each_model
def test_pieces_of_one_byte_and_messages_joined_together(model: str, start_server: StartServer) -> None:
    with start_server(model).connect() as connection:
        for byte in frame(b"in pieces"):
            connection.send(bytes([byte]))
        assert connection.receive_message() == b"in pieces*"
        connection.send(frame(b"one") + frame(b"two") + frame(b"three")[:-1])
        assert [connection.receive_message() for _ in range(2)] == [b"one*", b"two*"]
        connection.send(b"e")
        assert connection.receive_message() == b"three*"


@each_model
def test_half_closed_client_gets_every_reply(model: str, start_server: StartServer) -> None:
    message = bytes(20_000)
    with start_server(model).connect() as connection:
        connection.send(frame(message) * 100)
        connection.finish()
        for _ in range(100):
            assert connection.receive_message() == message + b"*"
        assert connection.at_end()
        assert not connection.was_reset


@each_model
def test_stream_that_ends_inside_a_message(model: str, start_server: StartServer) -> None:
    server = start_server(model)
    with server.connect() as connection:
        connection.send(frame(b"whole") + frame(b"broken off")[:-3])
        connection.finish()
        assert connection.receive_message() == b"whole*"
        assert connection.at_end()
    assert "3 bytes before the end of a message" in server.stop()


@each_model
def test_resets_hurt_nobody_else(model: str, start_server: StartServer) -> None:
    server = start_server(model)
    for _ in range(5):
        connection = server.connect()
        connection.send(frame(bytes(1000))[:500])
        connection.reset()
    with server.connect() as connection:
        assert connection.request(b"still there?") == b"still there?*"


@each_model
def test_huge_length_ends_the_connection_at_once(model: str, start_server: StartServer) -> None:
    server = start_server(model)
    for prefix in (struct.pack("!I", 2**31), b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 1000):
        with server.connect() as connection:
            assert connection.request(b"a good one") == b"a good one*"
            before_bytes = server.memory_bytes()
            connection.send(frame(b"the last good one") + prefix)
            assert connection.receive_message() == b"the last good one*"
            assert connection.at_end()
            assert server.memory_bytes() - before_bytes < 4 * MIB
    with server.connect() as connection:
        assert connection.request(b"still there?") == b"still there?*"
    assert "bytes is announced; at most" in server.stop()


@each_model
def test_longest_message_is_an_option(model: str, start_server: StartServer) -> None:
    server = start_server(model, "--max-message", "10")
    with server.connect() as connection:
        assert connection.request(b"x" * 10) == b"x" * 10 + b"*"
        connection.send(frame(b"x" * 11))
        assert connection.at_end()


@each_concurrent_model
def test_silent_clients_make_nobody_wait(model: str, start_server: StartServer) -> None:
    server = start_server(model)
    with ExitStack() as stack:
        crowd = [stack.enter_context(server.connect()) for _ in range(50)]
        for connection in crowd:
            connection.send(frame(b"half of it")[:7])
        with server.connect() as quick:
            assert quick.request(b"quick") == b"quick*"
        for connection in crowd:
            connection.send(frame(b"half of it")[7:])
            assert connection.receive_message() == b"half of it*"


def test_with_the_iterative_server_they_do(start_server: StartServer) -> None:
    server = start_server("iterative")
    with server.connect() as first, server.connect() as second:
        first.request(b"I stay")
        second.timeout_s = 0.2
        with pytest.raises(PeerSilent, match=r"waited 0\.2 s in vain for a message"):
            second.request(b"and I?")
        first.close()
        second.timeout_s = 10.0
        assert second.receive_message() == b"and I?*"


def send_until_blocked(connection: socket.socket, most_bytes: int) -> int:
    """Send zeros and read nothing, until the peer takes no more: how many it took."""
    sent = 0
    poller = select.poll()
    poller.register(connection, select.POLLOUT)
    while sent < most_bytes and poller.poll(1000):  # a peer that has no turn for a while reads on afterwards
        sent += connection.send(bytes(64 * 1024))
    return sent


@each_model
def test_peer_that_never_reads_is_not_read_from(model: str, start_server: StartServer) -> None:
    server = start_server(model, "--framing", "raw")
    with socket.create_connection(server.address.pair) as greedy:
        greedy.setblocking(False)
        before_bytes = server.memory_bytes()
        sent = send_until_blocked(greedy, 100 * MIB)
        assert sent < 100 * MIB
        grown_bytes = server.memory_bytes() - before_bytes
        assert grown_bytes < (
            30 * MIB if model == "processes" else 4 * MIB
        )  # a child is a process of its own
        if model != "iterative":
            with server.connect(framing="raw") as other:
                assert other.request(b"quick") == b"quick*"
        greedy.settimeout(10)
        greedy.shutdown(socket.SHUT_WR)
        answered = 0
        while piece := greedy.recv(MIB):
            answered += piece.count(0)
        assert answered == sent


@each_model
def test_500_connections_in_a_row_leave_nothing_behind(model: str, start_server: StartServer) -> None:
    server = start_server(model)

    def possessions() -> tuple[int, int, int]:
        first, *others = server.processes()
        return first.num_fds(), first.num_threads(), len(others)

    def has_only_its_listener() -> bool:
        return len(psutil.Process(server.popen.pid).net_connections("tcp")) == 1 and possessions()[1:] == (
            1,
            0,
        )

    with server.connect() as connection:
        connection.request(b"warm")
    assert eventually(has_only_its_listener)
    before = possessions()
    for count in range(500):
        with server.connect() as connection:
            assert connection.request(b"%d" % count) == b"%d*" % count

    def nothing_is_left() -> bool:  # of the first one's child, what watches it may have been there before
        return all(now <= then for now, then in zip(possessions(), before, strict=True))

    assert eventually(nothing_is_left), (before, possessions())


@each_model
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_cleanly_with_clients_connected(model: str, number: int, start_server: StartServer) -> None:
    server = start_server(model)
    with server.connect() as busy, server.connect() as waiting:
        busy.request(b"Hello")
        waiting.send(frame(b"Hello")[:3])
        family = server.processes()
        assert len(family) <= (3 if model == "processes" else 1)
        server.stop(number)
        assert not any(process.is_running() for process in family)
        with pytest.raises(PeerClosed):
            busy.request(b"Hello?")


@pytest.mark.parametrize("model", [*TCP_MODELS, "udp"])
def test_stops_at_any_moment(model: str, start_server: StartServer) -> None:
    for number in (signal.SIGTERM, signal.SIGINT) * 2:
        server = start_server(model)
        server.popen.send_signal(number)  # a second signal, in the middle of its way out
        server.stop(number)


@each_model
def test_stops_while_clients_arrive(model: str, start_server: StartServer) -> None:
    server = start_server(model)
    with ExitStack() as stack:

        def arrive() -> None:
            with suppress(PeerError):
                while True:
                    stack.enter_context(server.connect()).request(b"Hello")

        arriving = Thread(target=arrive)
        stack.callback(arriving.join, 10)
        arriving.start()
        server.connect().close()
        server.stop()


@each_model
def test_idle_clients_are_dropped_where_asked_for(model: str, start_server: StartServer) -> None:
    server = start_server(model, "--idle-timeout", "0.1")
    with server.connect() as connection:
        connection.send(frame(b"Hello")[:3])
        assert connection.at_end()
    assert "idle for too long" in server.stop()


STOPPED_WHILE_SOMETHING_GOES = """
import os, signal, sys, threading, weakref
from multiprocessing.context import ForkProcess
from dslab.echo.__main__ import main

def stop(parent):
    if os.getpid() == parent:
        os.kill(parent, signal.SIGTERM)

def begun(self, start):
    weakref.finalize(self, stop, os.getpid())  # as this goes, a signal meets code that nobody called
    start(self)

for kind in (ForkProcess, threading.Thread):
    kind.start = lambda self, start=kind.start: begun(self, start)
sys.exit(main(["server", "--bind", "127.0.0.1:0", "--model", sys.argv[1]]))
"""


@pytest.mark.parametrize("model", ["threads", "processes"])
def test_a_signal_is_not_lost_while_a_thread_or_a_process_goes(model: str) -> None:
    command = [sys.executable, "-c", STOPPED_WHILE_SOMETHING_GOES, model]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as popen:
        try:
            assert popen.stdout is not None
            server = Server(Address.parse(popen.stdout.readline().split()[-1]), popen)
            deadline_s = time.monotonic() + 10
            while popen.poll() is None:  # a thread goes when another client comes after its end
                assert time.monotonic() < deadline_s
                with suppress(PeerError), server.connect() as connection:
                    connection.request(b"Hello")
            _, stderr = popen.communicate()
            assert (popen.returncode, "ignored" in stderr) == (0, False)
        finally:
            popen.kill()


@each_concurrent_model
def test_more_clients_than_places_wait(model: str, start_server: StartServer) -> None:
    server = start_server(model, "--max-connections", "2")
    with server.connect() as first, server.connect() as second, server.connect() as third:
        first.request(b"one")
        second.request(b"two")
        third.send_message(b"three")
        assert second.request(b"two again") == b"two again*"  # the server has had its turn
        third.timeout_s = 0.1
        with pytest.raises(PeerSilent):
            third.receive_message()
        first.close()
        third.timeout_s = 10.0
        assert third.receive_message() == b"three*"
        assert second.request(b"and again") == b"and again*"


def address_of(listener: socket.socket) -> Address:
    return Address(*listener.getsockname()[:2])


def test_without_another_thread_a_client_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", fail)
    places: SimpleQueue[None] = SimpleQueue()
    with listen(Address("127.0.0.1", 0)) as listener, connect(address_of(listener)) as connection:
        server_threads.start(Thread(), accept(listener), places)
        assert connection.at_end()
    assert places.qsize() == 1
    assert "can't start new thread" in capsys.readouterr().err


def test_without_another_process_a_client_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: ForkProcess) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(ForkProcess, "start", fail)
    children: dict[int, ForkProcess] = {}
    with listen(Address("127.0.0.1", 0)) as listener, connect(address_of(listener)) as connection:
        server_processes.start_child(children, listener, Options())
        assert connection.at_end()
    assert children == {}
    assert "Resource temporarily unavailable" in capsys.readouterr().err


def test_places_never_exceed_the_descriptors() -> None:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert affordable_connections(10) == 10
    assert affordable_connections(10**9) * 3 < allowed


def run_server(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dslab.echo", "server", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("model", ["selectors", "udp"])
def test_address_in_use(model: str, start_server: StartServer) -> None:
    server = start_server(model)
    completed = run_server("--model", model, "--bind", str(server.address))
    assert completed.returncode == 3
    sentence, remedy = completed.stderr.split(". ", 1)
    assert sentence == f"Cannot listen on {server.address}: Address already in use"
    assert remedy == "Take another port, or port 0 for any free one.\n"


@pytest.mark.parametrize(
    "options", [("--bind", "nowhere"), ("--bind", "1.2.3.4:x"), ("--model", "magic"), ("--idle-timeout", "0")]
)
def test_wrong_options(options: tuple[str, str]) -> None:
    completed = run_server(*options)
    assert (completed.returncode, completed.stdout) == (2, "")
    assert options[1] in completed.stderr
    assert "Traceback" not in completed.stderr


def test_ipv6(start_server: StartServer) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    server = start_server("asyncio", "--bind", "[::1]:0")
    assert str(server.address).startswith("[::1]:")
    with server.connect() as connection:
        assert connection.request(b"six") == b"six*"
