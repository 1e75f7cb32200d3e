"""Many connections, many bytes and peers that behave badly: a links program stays as small as it was.

It runs as a process of its own, so that what it uses can be measured.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from dslab.kit.address import Address
from dslab.kit.links import LinksClient, LinkSpec

CONNECTIONS = 10_000
GIGABYTE = 1_000_000_000
BLOCK = bytes(256 * 1024)
MAX_GROWTH_BYTES = 24 * 1024 * 1024
TIMEOUT_S = 60.0


@dataclass
class Measured:
    """A links program in a process of its own."""

    links: LinksClient
    process: psutil.Process

    def open(self, target: socket.socket) -> Address:
        """Open a link to that listener."""
        upstreams = (Address(*target.getsockname()),)
        return self.links.open(LinkSpec("a->b", "a", "b", Address("127.0.0.1", 0), upstreams))

    @property
    def memory_bytes(self) -> int:
        """What it has resident."""
        return int(self.process.memory_info().rss)

    def wait_until_idle(self) -> None:
        """Until it has no connection open."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.links.stats("a->b").open_connections:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[Measured]:
    """A links program that records."""
    command = [sys.executable, "-m", "dslab.kit.links", "--control", "127.0.0.1:0", "--token", "t"]
    with ExitStack() as stack:
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(process.kill)
        assert process.stdout is not None
        control = Address.parse(process.stdout.readline().split()[-1])
        client = stack.enter_context(LinksClient(control, "t", timeout_s=TIMEOUT_S))
        client.begin(tmp_path / "trace.jsonl", time.time())
        yield Measured(client, psutil.Process(process.pid))


@pytest.fixture
def target() -> Iterator[socket.socket]:
    """Where the link leads."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        listener.settimeout(TIMEOUT_S)
        yield listener


async def visit(address: Address, count: int) -> None:
    for number in range(count):
        reader, writer = await asyncio.open_connection(*address.pair)
        writer.write(b"%d" % number)
        writer.write_eof()
        assert await reader.read() == b"%d" % number
        writer.close()
        await writer.wait_closed()


async def many_visits(target: socket.socket, address: Address, count: int) -> None:
    answering: set[asyncio.Task[None]] = set()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        answering.add(task)
        writer.write(await reader.read())
        writer.close()
        await writer.wait_closed()
        answering.discard(task)

    server = await asyncio.start_server(echo, sock=target.dup())
    async with server:
        await asyncio.gather(*(visit(address, count // 10) for _ in range(10)))
        while answering:
            await asyncio.wait(set(answering))


def test_ten_thousand_connections(measured: Measured, target: socket.socket) -> None:
    address = measured.open(target)
    asyncio.run(many_visits(target, address, 1_000))
    measured.wait_until_idle()
    memory_bytes, files = measured.memory_bytes, measured.process.num_fds()
    asyncio.run(many_visits(target, address, CONNECTIONS - 1_000))
    measured.wait_until_idle()
    assert measured.links.stats("a->b").connections == CONNECTIONS
    assert measured.memory_bytes - memory_bytes < MAX_GROWTH_BYTES
    assert measured.process.num_fds() == files


def drain(target: socket.socket, received: list[int]) -> None:
    connection, _ = target.accept()
    with connection:
        connection.settimeout(TIMEOUT_S)
        buffer, total = bytearray(len(BLOCK)), 0
        while size := connection.recv_into(buffer):
            total += size
        received.append(total)


def test_a_gigabyte(measured: Measured, target: socket.socket) -> None:
    address, received = measured.open(target), list[int]()
    receiver = threading.Thread(target=drain, args=[target, received])
    receiver.start()
    with socket.create_connection(address.pair, TIMEOUT_S) as sender:
        sender.sendall(BLOCK)
        memory_bytes = measured.memory_bytes
        peak_bytes, sent = memory_bytes, len(BLOCK)
        while sent < GIGABYTE:
            sender.sendall(BLOCK)
            sent += len(BLOCK)
            if sent % (100 * len(BLOCK)) == 0:
                peak_bytes = max(peak_bytes, measured.memory_bytes)
    receiver.join()
    assert received == [sent]
    assert measured.links.stats("a->b").forward_bytes == sent
    assert max(peak_bytes, measured.memory_bytes) - memory_bytes < MAX_GROWTH_BYTES


def test_peers_that_never_read(measured: Measured, target: socket.socket) -> None:
    address = measured.open(target)
    with ExitStack() as stack:
        memory_bytes = measured.memory_bytes
        for _ in range(8):
            sender = stack.enter_context(socket.create_connection(address.pair, TIMEOUT_S))
            stack.enter_context(target.accept()[0])
            sender.settimeout(0.2)
            with pytest.raises(TimeoutError):
                while True:
                    sender.send(BLOCK)
        taken = measured.links.stats("a->b").forward_bytes
        assert measured.memory_bytes - memory_bytes < MAX_GROWTH_BYTES
    measured.wait_until_idle()
    assert taken > 8 * len(BLOCK)


@pytest.mark.parametrize("who", ["sender", "receiver"])
def test_killed_in_the_middle_of_a_transfer(measured: Measured, target: socket.socket, who: str) -> None:
    address = measured.open(target)
    sending = "import socket,sys\ns = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
    sending += "while True: s.sendall(bytes(100_000))"
    command = [sys.executable, "-c", sending, address.host, str(address.port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as sender:
        receiver, _ = target.accept()
        with receiver:
            receiver.settimeout(TIMEOUT_S)
            for _ in range(100):
                assert receiver.recv(65_536)
            if who == "sender":
                sender.kill()
                while receiver.recv(1 << 20):
                    pass
        assert sender.wait(TIMEOUT_S) != 0
    measured.wait_until_idle()
