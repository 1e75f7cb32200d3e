"""Every server alike: good calls, bad input, bounds."""

from __future__ import annotations

import asyncio
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerClosed, PeerSilent, UsageError
from dslab.rpc import aclient, server_threads
from dslab.rpc.client import connect
from dslab.rpc.codecs import codec_named
from dslab.rpc.dispatch import Dispatcher
from dslab.rpc.errors import ReplyUnfit, TooLate
from dslab.rpc.messages import Batch, Context, Notification, Request, Response
from dslab.rpc.msgpack_rpc import MsgpackCodec
from dslab.rpc.server import serving
from dslab.rpc.service import Service

PATIENCE_S = 30.0
GOOD = b"\x94\x00\x01\xa3add\x92\x01\x02"  # [0, 1, "add", [1, 2]]
GOOD_REPLY = b"\x94\x01\x01\xc0\x03"


class Served:
    def __init__(self) -> None:
        self.total = 0
        self.made = 0
        self.began = threading.Semaphore(0)
        self.release = threading.Event()

    def add(self, a: int, b: int) -> int:
        return a + b

    def count(self) -> int:
        self.total += 1
        return self.total

    def big(self, size: int) -> bytes:
        self.made += 1
        return b"x" * size

    def wait(self) -> str:
        self.began.release()
        self.release.wait(60)
        return "waited"


@pytest.fixture
def served() -> Any:
    served = Served()
    yield served
    served.release.set()


SERVERS: list[dict[str, Any]] = [
    {},
    {"workers": 4},
    {"transport": "threads"},
    {"transport": "udp"},
    {"transport": "udp", "workers": 4},
    {"codec": "json"},
    {"codec": "json", "transport": "udp"},
    {"codec": "json", "transport": "threads"},
    {"codec": "json-http"},
    {"codec": "json-http", "workers": 4},
]


def client_options(server: dict[str, Any]) -> dict[str, Any]:
    udp = server.get("transport") == "udp"
    return {"codec": server.get("codec", "msgpack"), "transport": "udp" if udp else "tcp", "timeout_s": 60.0}


@pytest.mark.parametrize("server", SERVERS, ids=str)
@pytest.mark.parametrize("semantics", ["maybe", "at-least-once", "at-most-once"])
def test_every_server_serves_every_semantics(
    serve: Any, served: Served, server: dict[str, Any], semantics: Any
) -> None:
    address = serve(served, **server)
    options = {**client_options(server), "retry_s": 60.0}  # what is sent again may count again
    with connect(address, semantics=semantics, **options) as client:
        assert client.call("add", 1, 2) == 3
        assert [client.call("count") for _ in range(20)] == list(range(1, 21))
        later = [client.begin("add", number, 1) for number in range(20)]
        assert [each.result() for each in later] == list(range(1, 21))


@pytest.mark.parametrize("server", [{"workers": 2}, {"transport": "threads"}], ids=str)
def test_a_slow_procedure_holds_up_nobody_else(serve: Any, served: Served, server: dict[str, Any]) -> None:
    address = serve(served, **server)
    with connect(address, timeout_s=60) as slow, connect(address, timeout_s=60) as quick:
        waiting = slow.begin("wait")
        assert served.began.acquire(timeout=PATIENCE_S)
        assert quick.call("add", 1, 2) == 3
        assert not waiting.done()
        served.release.set()
        assert waiting.result() == "waited"


def test_a_call_whose_deadline_has_passed_is_not_begun(
    serve: Any, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = threading.Event()
    take = Dispatcher.take

    def take_and_tell(dispatcher: Dispatcher, sender: Any, message: Any, now_s: float) -> None:
        take(dispatcher, sender, message, now_s)
        if message.method == "count":
            came.set()

    monkeypatch.setattr(Dispatcher, "take", take_and_tell)
    address = serve(served, workers=1)
    with connect(address, timeout_s=60) as slow, connect(address, timeout_s=60, deadlines=True) as hasty:
        assert hasty.call("add", 1, 2) == 3
        waiting = slow.begin("wait")
        assert served.began.acquire(timeout=PATIENCE_S)
        hasty.timeout_s = 0.2
        late = hasty.begin("count")
        with pytest.raises(PeerSilent):
            late.result()
        assert came.wait(PATIENCE_S)
        time.sleep(0.3)  # its time at the server began when that had read it
        served.release.set()
        waiting.result()
        hasty.timeout_s = 60.0
        assert hasty.call("count") == 1  # the late one did not count
        assert hasty.stub.discarded == 1  # its answer came late, too: TooLate
    assert TooLate.happened is Happened.NO


# ---- bad input


BAD = {
    "not MessagePack": b"\xc1" * 10,
    "no message": b"\x93\x01\x02\x03",
    "a map": b"\x81\xa1a\x01",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "nested to death": b"\x91" * 100_000,
    "nested to death in a request": b"\x94\x00\x01\xa3add" + b"\x91" * 100_000 + b"\xc0",
    "an array of four billion": b"\xdd\xff\xff\xff\xff" * 10,
    "text of four gigabytes": b"\x94\x00\x01\xdb\xff\xff\xff\xff",
    "an id of another type": b"\x94\x00\xc3\xa3add\x92\x01\x02",
    "invalid UTF-8": b"\x94\x00\x01\xa2\xff\xff\x90",
}


@pytest.mark.parametrize("server", [{}, {"transport": "threads"}], ids=str)
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_bytes_end_their_own_connection_after_the_last_good_reply(
    serve: Any, served: Served, server: dict[str, Any], bad: bytes
) -> None:
    address = serve(served, max_message_bytes=1_000_000, **server)
    with socket.create_connection(address.pair, timeout=PATIENCE_S) as connection:
        connection.sendall(GOOD + bad)
        received = b""
        with suppress(OSError):  # ENOTCONN where the reset was quicker
            connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):  # what it had not read yet is thrown away with the connection
            while piece := connection.recv(65_536):
                received += piece
        assert received.startswith(GOOD_REPLY)
    with connect(address, timeout_s=60) as client:
        assert client.call("add", 1, 2) == 3


def test_a_request_that_is_wrong_but_for_its_id_is_answered(serve: Any, served: Served) -> None:
    address = serve(served)
    with socket.create_connection(address.pair, timeout=PATIENCE_S) as connection:
        connection.sendall(b"\x94\x00\x07\x01\x90" + GOOD)  # [0, 7, 1, []]: a method is no number
        received = b""
        while GOOD_REPLY not in received:
            received += connection.recv(65_536)
    assert MsgpackCodec().decode(received[: -len(GOOD_REPLY)]).error[0] == -32600  # type: ignore[union-attr]


@pytest.mark.parametrize("bad", [b"", b"\xc1", b"\x94", b"\x93\x01\x02\x03", b"\xff" * 2_000], ids=str)
def test_a_bad_datagram_is_dropped(serve: Any, served: Served, bad: bytes) -> None:
    address = serve(served, transport="udp")
    with connect(address, transport="udp", semantics="at-least-once", timeout_s=60) as client:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(bad, address.pair)
        assert client.call("add", 1, 2) == 3


def test_one_byte_at_a_time(serve: Any, served: Served) -> None:
    address = serve(served)
    with socket.create_connection(address.pair, timeout=PATIENCE_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in GOOD:
            connection.sendall(bytes([byte]))
        assert connection.recv(65_536) == GOOD_REPLY


def test_an_event_loop_may_be_uvloop(served: Served) -> None:
    async def call_over_uvloop() -> int:
        service = Service(codec_named("msgpack"), random.getrandbits(62))
        service.objects.register(served)
        async with serving(Address("127.0.0.1", 0), service) as bound, await aclient.connect(bound) as client:
            return int(await client.call("add", 3, 4))

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(call_over_uvloop()) == 7


def test_a_reset_ends_nobody_else(serve: Any, served: Served) -> None:
    address = serve(served, workers=1)
    with connect(address, timeout_s=60) as client:
        with socket.create_connection(address.pair) as connection:
            connection.sendall(GOOD[:5])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert client.call("add", 1, 2) == 3


@pytest.mark.parametrize("server", [{}, {"transport": "threads"}], ids=str)
def test_who_does_not_read_his_replies_is_not_read_from(
    serve: Any, served: Served, server: dict[str, Any]
) -> None:
    """Were he served on, 100,000 replies of 100 kB would fill the memory: 10 GB."""
    address = serve(served, **server)
    request = b"\x94\x00\x01\xa3big\x91\xce" + struct.pack(">I", 100_000)
    with socket.create_connection(address.pair) as connection:
        connection.setblocking(False)
        connection.send(request * 100_000)
        executed, began_s = 0, time.monotonic()
        still_s = began_s
        while time.monotonic() - still_s < 1.0 or (not executed and time.monotonic() - began_s < PATIENCE_S):
            if served.made != executed:
                executed, still_s = served.made, time.monotonic()
            time.sleep(0.02)
        assert 1 <= executed <= 1_000  # what fits into the buffers of two kernels' sockets
        with connect(address, timeout_s=60) as other:
            assert other.call("add", 1, 2) == 3
        assert served.made <= 1_000


def test_a_client_that_only_sends_gets_all_replies_in_the_end(serve: Any, served: Served) -> None:
    """2,000 replies of 10 kB fill every buffer between: the client must take them while it sends."""
    address = serve(served)
    with connect(address, timeout_s=60) as client:
        later = [client.begin("big", 10_000) for _ in range(2_000)]
        argument = client.begin("add", b"x" * 3_000_000, b"y")
        assert all(len(each.result()) == 10_000 for each in later)
        assert len(argument.result()) == 3_000_001


def test_calls_under_way_are_bounded_on_each_connection(serve: Any, served: Served) -> None:
    address = serve(served, workers=2, max_in_flight=10)
    with connect(address, timeout_s=60) as client:
        waiting = [client.begin("wait") for _ in range(30)]
        assert served.began.acquire(timeout=PATIENCE_S)
        served.release.set()
        assert [each.result() for each in waiting] == ["waited"] * 30


class Later:
    def __init__(self) -> None:
        self.begun = self.most = self.done = 0
        self.release = threading.Event()

    async def wait(self) -> str:
        self.begun += 1
        self.most = max(self.most, self.begun - self.done)
        while not self.release.is_set():
            await asyncio.sleep(0.001)
        self.done += 1
        return "waited"

    def wait_in_thread(self) -> str:
        self.release.wait(60)
        self.done += 1
        return "waited"


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_one_way_calls_under_way_are_bounded_too(serve: Any) -> None:
    later = Later()
    address = serve(later, max_in_flight=10)
    with socket.create_connection(address.pair) as connection:
        connection.sendall(b"\x93\x02\xa4wait\x90" * 1_000)
        until(lambda: later.begun == 10)
        with connect(address, timeout_s=60) as other:
            waiting = [other.begin("wait") for _ in range(3)]
            until(lambda: later.begun == 13)
            later.release.set()
            assert [each.result() for each in waiting] == ["waited"] * 3
        until(lambda: later.done == 1_003)
    assert later.most <= 13


def test_one_way_calls_that_wait_for_a_worker_are_bounded_too(serve: Any) -> None:
    later = Later()
    address = serve(later, max_in_flight=10, workers=2)
    with socket.create_connection(address.pair) as connection:
        one = b"\x93\x02\xaewait_in_thread\x90"
        connection.setblocking(False)
        sent = 0
        still_s = time.monotonic()
        while sent < 50_000_000 and time.monotonic() - still_s < 1.0:
            with suppress(BlockingIOError):
                sent += connection.send(one * 50_000)
                still_s = time.monotonic()
            time.sleep(0.001)
        assert sent < 50_000_000  # it is not read any more
        later.release.set()
        until(lambda: later.done >= 1_000)


@pytest.mark.parametrize(
    "server", [{"codec": "json"}, {"codec": "json-http"}, {"codec": "json", "transport": "udp"}], ids=str
)
def test_calls_under_way_are_bounded_within_a_batch(serve: Any, server: dict[str, Any]) -> None:
    later = Later()
    address = serve(later, max_in_flight=10, **server)
    with connect(address, **client_options(server)) as client:
        with client.batch():
            waiting = [client.begin("wait") for _ in range(100)]
        until(lambda: later.begun == 10)
        later.release.set()
        assert [each.result() for each in waiting] == ["waited"] * 100
    assert later.most == 10


@pytest.mark.parametrize("server", [{}, {"transport": "threads"}, {"workers": 2}], ids=str)
def test_of_a_batch_whose_results_are_too_long_together_the_first_ones_come(
    serve: Any, served: Served, server: dict[str, Any]
) -> None:
    address = serve(served, codec="json", max_message_bytes=100_000, **server)
    with connect(address, codec="json", timeout_s=60) as client:
        with client.batch():
            later = [client.begin("big", 30_000) for _ in range(10)]  # 40,000 in Base64
        came = 0
        for each in later:
            with suppress(ReplyUnfit):
                came += len(each.result()) == 40_000
        assert came == 2
        assert client.call("add", 1, 2) == 3


@pytest.mark.parametrize(
    "server", [{}, {"transport": "threads"}, {"workers": 1}, {"workers": 1, "max_in_flight": 1}], ids=str
)
def test_what_waits_behind_its_own_clients_calls_is_too_late_one_day(
    serve: Any, server: dict[str, Any]
) -> None:
    turns: list[int] = []

    def take_turn(number: int) -> int:
        turns.append(number)
        time.sleep(0.3)
        return number

    address = serve(take_turn, **server)
    codec = MsgpackCodec()
    calls = [Request(n, "take_turn", [n], Context(timeout_s=60.0 if n < 2 else 0.2)) for n in range(5)]
    with socket.create_connection(address.pair, timeout=PATIENCE_S) as connection:
        connection.sendall(b"".join(map(codec.encode, calls)))
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answers:
            replies = answers.read()
    assert turns == [0, 1]
    assert replies.count(b"deadline") == 3


@pytest.mark.parametrize("transport", ["tcp", "threads"])
def test_a_copy_whose_client_half_closes_is_answered_all_the_same(
    run_service: Any, served: Served, transport: str
) -> None:
    service = Service(MsgpackCodec(), 1)
    service.objects.register(served)
    codec = MsgpackCodec()
    with ExitStack() as stack:
        address = (
            stack.enter_context(server_threads.serving(Address("127.0.0.1", 0), service))
            if transport == "threads"
            else run_service(service, workers=2)
        )
        with connect(address, semantics="at-most-once", timeout_s=60) as client:
            assert client.call("add", 1, 2) == 3
            session = client.stub.session
        copy = codec.encode(Request(7, "wait", [], Context(session, 2, 2)))
        one, other = (
            stack.enter_context(socket.create_connection(address.pair, timeout=PATIENCE_S)) for _ in range(2)
        )
        one.sendall(copy)
        assert served.began.acquire(timeout=PATIENCE_S)
        other.sendall(copy)
        other.shutdown(socket.SHUT_WR)
        until(lambda: len(service.stub._waiting[session, 2]) == 2)
        served.release.set()
        with other.makefile("rb") as answers:
            assert codec.decode(answers.read()) == Response(7, None, "waited")
        assert codec.decode(one.recv(1_000)) == Response(7, None, "waited")


def test_a_thread_that_cannot_be_started_ends_its_own_connection(
    serve: Any, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[str] = []
    start = threading.Thread.start

    def start_later(thread: threading.Thread) -> None:
        if thread.name.startswith("client ") and not failed:
            failed.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_later)
    address = serve(served, transport="threads")
    with connect(address, timeout_s=60) as client, pytest.raises(PeerClosed):
        client.call("add", 1, 2)
    with connect(address, timeout_s=60) as client:
        assert client.call("add", 1, 2) == 3
    assert len(failed) == 1


def test_a_batch_over_udp_is_answered_within_a_datagram(serve: Any, served: Served) -> None:
    address = serve(served, codec="json", transport="udp")
    with connect(address, codec="json", transport="udp", timeout_s=60) as client:
        with client.batch():
            failing = [client.begin("add", 1, "x" * number) for number in range(120)]
            small = [client.begin("add", 1, number) for number in range(120)]
        unfit = 0
        for each in failing:
            with pytest.raises((TypeError, ReplyUnfit)) as raised:
                each.result()
            unfit += raised.type is ReplyUnfit
        assert 0 < unfit < 120
        assert [each.result() for each in small] == list(range(1, 121))


def test_too_many_clients_are_hung_up_on(serve: Any, served: Served) -> None:
    address = serve(served, max_connections=2)
    with connect(address) as one, connect(address) as two:
        assert (one.call("add", 1, 2), two.call("add", 1, 2)) == (3, 3)
        with connect(address) as three, pytest.raises(PeerClosed):
            three.call("add", 1, 2)
        assert one.call("add", 1, 2) == 3


def test_what_does_not_fit_a_datagram_is_said(serve: Any, served: Served) -> None:
    address = serve(served, transport="udp")
    with connect(address, transport="udp", timeout_s=60, semantics="at-least-once") as client:
        with pytest.raises(UsageError, match="datagram"):
            client.call("add", "x" * 70_000, "")
        with pytest.raises(ReplyUnfit) as raised:
            client.call("big", 70_000)
        assert raised.value.happened is Happened.YES
        assert len(client.call("big", 60_000)) == 60_000


def test_a_result_that_is_too_long_is_said(serve: Any, served: Served) -> None:
    address = serve(served, max_message_bytes=10_000)
    with connect(address) as client:
        with pytest.raises(ReplyUnfit, match="bytes"):
            client.call("big", 20_000)
        assert len(client.call("big", 5_000)) == 5_000


# ---- as programs


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--workers", "2"),
        ("--model", "threads"),
        ("--udp",),
        ("--codec", "json"),
        ("--codec", "json-http"),
    ],
    ids=" ".join,
)
def test_a_server_ends_cleanly_on_sigterm(
    serve_process: Any, source: Callable[[str], Path], options: tuple[str, ...]
) -> None:
    path = source("class Calculator:\n    def add(self, a, b):\n        return a + b\n")
    address, process = serve_process("--object", f"{path}:Calculator", *options)
    codec = options[1] if "--codec" in options else "msgpack"
    with connect(
        address, codec=codec, transport="udp" if "--udp" in options else "tcp", timeout_s=60
    ) as client:
        assert client.call("add", 1, 2) == 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("model", ["asyncio", "threads"])
def test_a_program_that_a_procedure_starts_can_be_ended(
    serve_process: Any, source: Callable[[str], Path], model: str
) -> None:
    path = source("""
        import subprocess, sys

        def run():
            command = [sys.executable, "-c", "print(flush=True); input()"]
            program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            program.stdout.readline()
            program.terminate()
            try:
                return program.wait(20)
            finally:
                program.kill()
                program.communicate()
    """)
    address, _ = serve_process("--object", f"{path}:run", "--model", model)
    with connect(address, timeout_s=30) as client:
        assert client.call("run") == -signal.SIGTERM


def test_a_signal_of_another_kind_does_not_end_a_server_with_threads() -> None:
    usual = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with server_threads.stops() as stopped:
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGTERM)
            server_threads.wait_for_stop(stopped)
            assert not select.select([stopped], [], [], 0)[0]
    finally:
        signal.signal(signal.SIGUSR1, usual)


def test_a_call_from_the_command_line(serve_process: Any, source: Callable[[str], Path]) -> None:
    address, _ = serve_process("--object", f"{source('def add(a, b): return a + b')}:add")
    command = [sys.executable, "-m", "dslab.rpc", "client", "--server", address]
    called = subprocess.run([*command, "add", "[1]", "[2]"], capture_output=True, text=True, check=False)
    assert (called.returncode, called.stdout) == (0, "[1, 2]\n")
    called = subprocess.run([*command, "nothing"], capture_output=True, text=True, check=False)
    assert called.returncode == 1
    assert "Method not found" in called.stderr


def test_nothing_to_serve_is_said(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dslab.rpc", "server", "--object", f"{tmp_path}/nothing.py:X"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert "names no file" in finished.stderr


def test_a_port_in_use_is_said(serve: Any, served: Served, source: Callable[[str], Path]) -> None:
    address: Address = serve(served)
    path = source("def add(a, b): return a + b")
    command = [sys.executable, "-m", "dslab.rpc", "server", "--bind", str(address), "--object", f"{path}:add"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 3
    assert "Cannot listen" in finished.stderr


class Nobody:
    """A sender whose replies nobody wants."""

    peer: Any = "nobody"
    most_bytes = 1_000

    def send(self, message: Response | Batch) -> None:
        raise AssertionError(message)

    def skip(self) -> None: ...

    def began(self) -> None: ...

    def ended(self) -> None: ...


def test_a_call_that_has_just_come_when_its_server_ends_is_given_up_in_good_order() -> None:
    given_up = []

    async def later() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.append("later")

    async def end_at_once() -> None:
        service = Service(codec_named("msgpack"), 1)
        service.objects.register(later)
        dispatcher = Dispatcher(service, 0)
        dispatcher.take(Nobody(), Request(1, "later", []), asyncio.get_running_loop().time())
        await dispatcher.close()

    asyncio.run(end_at_once())
    assert given_up == ["later"]


@pytest.mark.parametrize("workers", [0, 1])
def test_who_calls_a_server_that_ends_is_not_served_any_more(workers: int) -> None:
    called = []

    async def end_and_call() -> None:
        service = Service(codec_named("msgpack"), 1)
        service.objects.register(lambda: called.append(1), "call")
        dispatcher = Dispatcher(service, workers)
        await dispatcher.close()
        dispatcher.take(Nobody(), Request(1, "call", []), asyncio.get_running_loop().time())
        dispatcher.take(Nobody(), Notification("call", []), asyncio.get_running_loop().time())
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(end_and_call())
    assert called == []
