"""What a link costs: the same traffic without it, through it, and through it while it records.

================  ==========================================================================
row               what it is
================  ==========================================================================
sockets           a blocking client and a blocking server, connected directly
blocking client   a blocking client and an asyncio server, connected directly
asyncio           an asyncio client and an asyncio server, connected directly
link              the same asyncio pair through a link (a thread of this process, as of the grader's)
link, recording   the same, with a trace
link, process     the same as link, but the links program is a process of its own
check             a whole check: an echo server is started, and 10 connections make 20 requests of
                  1,000 bytes each through a link, with framing and labels
check, recording  the same, with a trace
================  ==========================================================================

Round trips are made by a blocking client in this process, as checks make them; only ``asyncio`` has its
asyncio client. A round's figure is the median of 1,000. Streams are sent by a process of their own, as
services send them.

Run it as ``python bench/links.py``; it prints tables, and writes ``bench/results/links.json`` and
``links.svg``.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.harness import peers
from bench.harness.command import Benchmark, main
from bench.harness.goals import Goal, difference, ratio
from bench.harness.report import Block, Column
from bench.harness.rounds import Probe
from dslab.echo.client import connect
from dslab.kit.address import Address
from dslab.kit.links import LinksClient, LinkSpec, LinksThread

MESSAGE = b"m" * 64
BLOCK = bytes(64 * 1024)
STREAM_BYTES = 300_000_000
TRIPS = 1_000
CHECKS_PER_ROUND = 3
CHECK_CONNECTIONS, CHECK_REQUESTS, CHECK_BYTES = 10, 20, 1_000

BLOCKS = [
    Block("A round trip of 64 bytes", (Column("trip_us", "us"),), "blocking client"),
    Block("A stream", (Column("mb_per_s", "MB per s"),), "asyncio"),
    Block("A check", (Column("check_ms", "ms"),), "check"),
]
GOALS = [
    Goal("a link, per round trip, us", difference("link", "blocking client", "trip_us"), at_most=150),
    Goal("a link's rate: to the asyncio pair's", ratio("link", "asyncio", "mb_per_s"), at_least=0.40),
    Goal("a check that records: to one that does not", ratio("check, recording", "check", "check_ms"), 1.05),
]


# ---- the peers: echo answers every piece, sink counts bytes and tells how many at the end, source sends them


class AsyncioPeer(asyncio.Protocol):
    """An asyncio server that does one of these."""

    def __init__(self, role: str) -> None:
        self._role = role
        self._received_bytes = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """A piece has come."""
        assert self._transport is not None
        if self._role == "echo":
            self._transport.write(data)
        else:
            self._received_bytes += len(data)

    def eof_received(self) -> bool:
        """The client has sent everything."""
        assert self._transport is not None
        if self._role == "sink":
            self._transport.write(self._received_bytes.to_bytes(8, "big"))
        self._transport.close()
        return True


async def _serve_asyncio(role: str) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: AsyncioPeer(role), "127.0.0.1", 0)
    print(f"listening on {Address(*server.sockets[0].getsockname())}", flush=True)
    await server.serve_forever()


def _serve_blocking(role: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening on {Address(*listener.getsockname())}", flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            received_bytes = 0
            while piece := connection.recv(256 * 1024):
                received_bytes += len(piece)
                if role == "echo":
                    connection.sendall(piece)
            if role == "sink":
                connection.sendall(received_bytes.to_bytes(8, "big"))


def be_peer(words: Sequence[str]) -> None:
    """Be one of the peers; a source needs an address to send to."""
    match words:
        case ["blocking", "source", address]:
            print(_send_blocking(Address.parse(address), STREAM_BYTES))
        case [_, "source", address]:
            print(asyncio.run(_send_asyncio(Address.parse(address), STREAM_BYTES)))
        case [model, role]:
            peers.end_with_parent()
            _serve_blocking(role) if model == "blocking" else asyncio.run(_serve_asyncio(role))
        case _:
            raise ValueError(f"no such peer: {words}")


# ---- the clients


def _trip_blocking(address: Address) -> float:
    """Seconds of the median round trip."""
    times_s = []
    with socket.create_connection(address.pair) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(TRIPS):
            start_s = time.perf_counter()
            connection.sendall(MESSAGE)
            missing = len(MESSAGE)
            while missing:
                missing -= len(connection.recv(missing))
            times_s.append(time.perf_counter() - start_s)
    return statistics.median(times_s)


def _trip_asyncio(address: Address) -> float:
    async def trips() -> float:
        times_s = []
        reader, writer = await asyncio.open_connection(*address.pair)
        for _ in range(TRIPS):
            start_s = time.perf_counter()
            writer.write(MESSAGE)
            await reader.readexactly(len(MESSAGE))
            times_s.append(time.perf_counter() - start_s)
        writer.close()
        await writer.wait_closed()
        return statistics.median(times_s)

    return asyncio.run(trips())


def _send_blocking(address: Address, size: int) -> float:
    """Bytes per second, until the sink says that it has them all."""
    with socket.create_connection(address.pair) as connection:
        start_s = time.perf_counter()
        for _ in range(size // len(BLOCK)):
            connection.sendall(BLOCK)
        connection.shutdown(socket.SHUT_WR)
        said = connection.recv(8, socket.MSG_WAITALL)
        return int.from_bytes(said, "big") / (time.perf_counter() - start_s)


async def _send_asyncio(address: Address, size: int) -> float:
    reader, writer = await asyncio.open_connection(*address.pair)
    start_s = time.perf_counter()
    for _ in range(size // len(BLOCK)):
        writer.write(BLOCK)
        await writer.drain()
    writer.write_eof()
    said = await reader.readexactly(8)
    end_s = time.perf_counter()
    writer.close()
    await writer.wait_closed()
    return int.from_bytes(said, "big") / (end_s - start_s)


def _rate(model: str, address: Address) -> float:
    command = peers.role(__file__, "peer", model, "source", str(address))
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _check_s(links: LinksClient) -> float:
    start_s = time.perf_counter()
    command = [sys.executable, "-m", "dslab.echo", "server", "--model", "threads", "--bind", "127.0.0.1:0"]
    with peers.server(command) as server:
        wire = "dslab.echo.messages"
        spec = LinkSpec("check->server", "check", "server", Address("127.0.0.1", 0), (server.address,))
        address = links.open(replace(spec, framing=f"{wire}:frames", describe=f"{wire}:describe_message"))
        for _ in range(CHECK_CONNECTIONS):
            with connect(address) as connection:
                for _ in range(CHECK_REQUESTS):
                    connection.request(bytes(CHECK_BYTES))
    links.close(spec.name)
    return time.perf_counter() - start_s


# ---- the measurement


Figures = Mapping[str, float]


@contextlib.contextmanager
def probes() -> Iterator[tuple[list[Probe], dict[str, str]]]:
    """Start the peers and the links."""
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        folder = Path(enter(tempfile.TemporaryDirectory()))
        blocking, plain = enter(_pair("blocking")), enter(_pair("asyncio"))
        links = enter(LinksThread(1)).client()
        near = _through(stack, links, plain)
        far = _through(stack, enter(_links_process()), plain)
        checks = enter(enter(LinksThread(1)).client())
        yield (
            [
                Probe("sockets", lambda: _traffic("blocking", blocking)),
                Probe("blocking client", lambda: {"trip_us": _trip_blocking(plain[0]) * 1e6}),
                Probe("asyncio", lambda: _traffic("asyncio", plain, _trip_asyncio)),
                Probe("link", lambda: _traffic("asyncio", near)),
                Probe("link, recording", _recorded(links, folder, lambda: _traffic("asyncio", near))),
                Probe("link, process", lambda: _traffic("asyncio", far)),
                Probe("check", lambda: _check(checks)),
                Probe("check, recording", _recorded(checks, folder, lambda: _check(checks))),
            ],
            {},
        )


Pair = tuple[Address, Address]
"""An echo and a sink."""


def _traffic(model: str, pair: Pair, trip: Callable[[Address], float] = _trip_blocking) -> Figures:
    echo, sink = pair
    return {"trip_us": trip(echo) * 1e6, "mb_per_s": _rate(model, sink) / 1e6}


def _check(links: LinksClient) -> Figures:
    return {"check_ms": statistics.median(_check_s(links) for _ in range(CHECKS_PER_ROUND)) * 1e3}


@contextlib.contextmanager
def _pair(model: str) -> Iterator[Pair]:
    with (
        peers.server(peers.role(__file__, "peer", model, "echo")) as echo,
        peers.server(peers.role(__file__, "peer", model, "sink")) as sink,
    ):
        yield echo.address, sink.address


def _through(stack: contextlib.ExitStack, links: LinksClient, upstreams: Pair) -> Pair:
    """Lead a pair through links."""
    listen = Address("127.0.0.1", 0)
    echo, sink = (
        links.open(LinkSpec(f"bench->{role}", "bench", role, listen, (upstream,)))
        for role, upstream in zip(("echo", "sink"), upstreams, strict=True)
    )
    stack.callback(links.disconnect)
    return echo, sink


def _recorded(links: LinksClient, folder: Path, measure: Callable[[], Figures]) -> Callable[[], Figures]:
    def measured() -> Figures:
        links.begin(folder / "trace.jsonl", time.time())
        try:
            return measure()
        finally:
            links.end()
            (folder / "trace.jsonl").unlink()

    return measured


@contextlib.contextmanager
def _links_process() -> Iterator[LinksClient]:
    command = [sys.executable, "-m", "dslab.kit.links", "--control", "127.0.0.1:0", "--token", "bench"]
    with peers.server(command) as server:
        yield LinksClient(server.address, "bench", timeout_s=60)


if __name__ == "__main__":
    main(Benchmark("links", "What a link costs", BLOCKS, GOALS, probes, {"peer": be_peer}))
