"""What no client may do to the server: make it grow, end it, hold up the others, take a tuple with it.

For how many seconds a thousand clients are kept at work is DSLAB_MEMORY_S (a moment unless told).
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import psutil
import pytest
import uvloop

from dslab.kit.address import Address
from dslab.linda.calls import NoTuple
from dslab.linda.client import connect
from dslab.linda.messages import (
    LENGTH,
    Done,
    Found,
    Hello,
    In,
    Nothing,
    Notify,
    Out,
    Rd,
    Refused,
    decode_reply,
    encode,
)
from dslab.linda.server import MAX_UNSENT_BYTES, Options, Server
from dslab.linda.values import to_wire

LIMIT_S = 20
MEMORY_S = float(os.environ.get("DSLAB_MEMORY_S", "0"))
CLIENTS = 1_000
ROUNDS = 16


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Any:
    """Whatever runs the server."""
    return request.param


def until(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.005)


def raw(address: Address) -> socket.socket:
    """A connection that has said hello."""
    connection = socket.create_connection(address.pair, LIMIT_S)
    connection.sendall(encode(Hello(1, 1, "")))
    assert connection.recv(100)
    return connection


def reply_to(connection: socket.socket) -> Any:
    """The next reply."""
    (length,) = LENGTH.unpack(connection.recv(LENGTH.size, socket.MSG_WAITALL))
    return decode_reply(connection.recv(length, socket.MSG_WAITALL))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x05hello",
        encode(Hello(1, 1, "")) + b"\0\0\0\x01\xc1",
        encode(Hello(1, 1, "")) + LENGTH.pack(100_004) + b"\x94\x02\x01\x00" + b"\x91" * 100_000,
        encode(Hello(1, 9, "")),
        encode(Out(1, 0, ("a",))),
    ],
)
def test_malformed_bytes_end_their_connection_alone(address: Address, data: bytes) -> None:
    with connect(address) as bystander:
        with socket.create_connection(address.pair, LIMIT_S) as connection:
            connection.sendall(data)
            while connection.recv(1000):
                pass
        bystander.universe.out(("a",))
        assert bystander.universe.count(("a",)) == 1


def test_a_message_in_pieces_of_a_byte(address: Address) -> None:
    with raw(address) as connection:
        data = encode(Out(2, 0, ("a", "b" * 100))) + encode(Rd(3, 0, ("c",), 0.0))
        for byte in data:
            connection.sendall(bytes([byte]))
        received = b""
        while len(received) < 15:
            received += connection.recv(100)
        assert decode_reply(received[-3:]) == Nothing(3)


def test_a_short_wait_ends_while_a_long_lease_goes_on(address: Address) -> None:
    with connect(address) as linda:
        linda.universe.out(("a",), lease_s=1_000.0)
        with pytest.raises(NoTuple):
            linda.universe.in_(("never",), timeout_s=0.01)


def test_a_deadline_that_is_there_at_once_does_not_hinder_the_next(new_loop: Any) -> None:
    async def two_deadlines() -> None:
        server = Server(Options())
        server._set_timer(0.0)
        server._set_timer(asyncio.get_running_loop().time() + 60)
        server.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(two_deadlines())


def test_many_takers_block_on_one_connection_and_vanish(address: Address) -> None:
    template = to_wire(("never", int, int), template=True)
    with connect(address, timeout_s=LIMIT_S) as linda:
        crowd = raw(address)
        crowd.sendall(b"".join(encode(In(n, 0, ("never", n, template[2]))) for n in range(10_000)))
        until(lambda: len(linda.waiting()) == 200, "they do not wait")  # no more are reported
        linda.universe.out(("a",))
        crowd.close()
        until(lambda: not linda.waiting(), "they still wait")
        linda.universe.out(("never", 1, 2))
        assert linda.universe.in_(("never", 1, int)) == ("never", 1, 2)


def test_a_reader_that_does_not_read_is_not_read_from(address: Address) -> None:
    """100 MB of replies are asked for in 4 kB: they wait in nobody's memory, and come once they are read."""
    count, size = 100, 1_000_000
    with connect(address, timeout_s=LIMIT_S) as linda, raw(address) as slow:
        linda.universe.out(("big", b"x" * size))
        template = to_wire(("big", bytes), template=True)
        before = psutil.Process().memory_info().rss
        slow.sendall(b"".join(encode(Rd(n, 0, template)) for n in range(count)))
        for _ in range(20):
            linda.universe.out(("a",))
        assert psutil.Process().memory_info().rss - before < 50_000_000
        missing = sum(len(encode(Found(n, ("big", b"x" * size)))) for n in range(count))
        while missing and (piece := slow.recv(1_000_000)):
            missing -= len(piece)
        assert missing == 0


def test_a_subscriber_that_does_not_read_is_dropped(address: Address) -> None:
    count = 4 * MAX_UNSENT_BYTES // 1_000_000
    with connect(address, timeout_s=LIMIT_S) as linda, raw(address) as slow:
        slow.sendall(encode(Notify(2, 0, to_wire(("big", bytes), template=True))))
        until(lambda: linda.universe.count(("a",)) == 0, "")
        for _ in range(count):
            linda.universe.out(("big", b"x" * 1_000_000))
            linda.universe.in_(("big", bytes))
        received_bytes = 0
        while piece := slow.recv(1_000_000):  # what the kernel had room for, then the end
            received_bytes += len(piece)
        assert received_bytes < count * 1_000_000


def test_a_million_fields_are_refused_and_the_connection_goes_on(address: Address) -> None:
    with raw(address) as connection:
        connection.sendall(encode(Out(2, 0, (None,) * 1_000_000)))
        assert reply_to(connection) == Refused(
            2, "A tuple of 1,000,000 fields is too wide: at most 1,000 travel."
        )
        connection.sendall(encode(In(3, 0, ("a",), 0.0)))
        assert reply_to(connection) == Nothing(3)


# ---- a thousand clients


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Some systems allow a process no more than 256 until it asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CLIENTS if hard == resource.RLIM_INFINITY else min(hard, 2 * CLIENTS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
@pytest.mark.timeout(120 + MEMORY_S)
def test_memory_is_flat_with_a_thousand_clients_and_a_slow_reader(
    serve_process: Callable[..., tuple[str, Any]],
) -> None:
    """Everybody puts a tuple and takes it, again and again; one asks for far more than it reads."""
    name, process = serve_process()
    address, server = Address.parse(name), psutil.Process(process.pid)
    ends_s = time.monotonic() + MEMORY_S
    with ExitStack() as stack:
        crowd = [stack.enter_context(raw(address)) for _ in range(CLIENTS)]
        slow = stack.enter_context(raw(address))
        slow.sendall(encode(Out(1, 0, ("big", b"x" * 10_000))))
        slow.setblocking(False)
        rounds, asked_bytes, early_bytes = 0, 0, 0
        while rounds < ROUNDS or time.monotonic() < ends_s:
            for number, client in enumerate(crowd):
                client.sendall(encode(Out(2, 0, ("n", number))) + encode(In(3, 0, ("n", number))))
            asked_bytes = ask_for_much(slow, asked_bytes)
            for number, client in enumerate(crowd):
                assert [reply_to(client), reply_to(client)] == [Done(2), Found(3, ("n", number))]
            rounds += 1
            if rounds == ROUNDS // 2:
                early_bytes = server.memory_info().rss
        assert asked_bytes > 100_000, "the slow reader was not slow"  # for which it is owed 40 MB
        assert server.memory_info().rss - early_bytes < 2_000_000


def ask_for_much(slow: socket.socket, asked_bytes: int) -> int:
    """Ask for as much as the socket takes, and read a little: gives how many bytes have gone out."""
    request = encode(Rd(7, 0, to_wire(("big", bytes), template=True), 0.0))
    with suppress(BlockingIOError):
        assert slow.recv(1_000), "the slow reader was dropped"
    with suppress(BlockingIOError):
        for _ in range(20):
            begun_bytes = asked_bytes % len(request)
            asked_bytes += slow.send((request * 1_000)[begun_bytes:])
    return asked_bytes
