"""What a link costs: the same traffic without it, through it, and through it while it records.

Side by side in one run: every round measures each way once, in turn, so that whatever else the machine does
hits all of them alike. A round's figure for the round trip is the median of 1,000. Shown are medians over the
rounds with their quartiles, and ratios of medians.

================  ==========================================================================
sockets           a blocking client and a blocking server, connected directly
asyncio           an asyncio client and an asyncio server, connected directly
link              the same asyncio pair through a link (a thread of this process, as of the grader's)
link, recording   the same, with a trace
link, process     the same as link, but the links program is a process of its own
================  ==========================================================================

The round trips are made by a blocking client in this process, as checks make them; only ``asyncio`` has its
asyncio client. The streams are sent by a process of their own, as services send them.
Beside that, a whole check, with and without a trace: an echo server is started, and 10 connections make 20
requests of 1,000 bytes each, with framing and labels.

Run it as ``python bench/links.py``; it prints a table and writes ``bench/results/links.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dslab.echo.client import connect
from dslab.kit.address import Address
from dslab.kit.links import LinksClient, LinkSpec, LinksThread

RESULTS = Path(__file__).parent / "results" / "links.json"
MESSAGE = b"m" * 64
BLOCK = bytes(64 * 1024)
TRIPS = 1_000
CHECKS_PER_ROUND = 3
CHECK_CONNECTIONS, CHECK_REQUESTS, CHECK_BYTES = 10, 20, 1_000
MAX_LINK_COST_S = 0.000_15
MIN_LINK_SHARE = 0.40
MAX_RECORDING_COST = 0.05


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
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _serve_blocking(role: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
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


@contextlib.contextmanager
def _peer(model: str, role: str) -> Iterator[Address]:
    command = [sys.executable, __file__, "--peer", model, "--role", role]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Address("127.0.0.1", int(process.stdout.readline()))
        finally:
            process.kill()


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


def _rate(model: str, address: Address, size: int) -> float:
    command = [sys.executable, __file__, "--peer", model, "--role", "source"]
    command += ["--to", str(address), "--megabytes", str(size // 1_000_000)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


# ---- the measurement


@dataclass
class Way:
    """One way from a client to its peer, and what was measured on it."""

    name: str
    trip: Callable[[], float]
    rate: Callable[[], float]
    trips_s: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)


@dataclass
class Checks:
    """How long a check takes, without a trace and with one."""

    plain_s: list[float] = field(default_factory=list)
    recorded_s: list[float] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """The share that recording adds: of each pair, one after the other, the median difference."""
        pairs = zip(self.plain_s, self.recorded_s, strict=True)
        added_s = statistics.median(recorded_s - plain_s for plain_s, recorded_s in pairs)
        return added_s / statistics.median(self.plain_s)


def _check_s(links: LinksClient) -> float:
    start_s = time.perf_counter()
    command = [sys.executable, "-m", "dslab.echo", "server", "--model", "threads", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        upstream = Address.parse(process.stdout.readline().split()[-1])
        wire = "dslab.echo.messages"
        spec = LinkSpec("check->server", "check", "server", Address("127.0.0.1", 0), (upstream,))
        address = links.open(replace(spec, framing=f"{wire}:frames", describe=f"{wire}:describe_message"))
        for _ in range(CHECK_CONNECTIONS):
            with connect(address) as connection:
                for _ in range(CHECK_REQUESTS):
                    connection.request(bytes(CHECK_BYTES))
        process.kill()
    links.close(spec.name)
    return time.perf_counter() - start_s


def _measure_checks(rounds: int) -> Checks:
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder, LinksThread(1) as thread, thread.client() as links:
        recorded = _recorded(links, Path(folder), lambda: _check_s(links))
        _check_s(links)
        for _ in range(rounds):
            checks.plain_s.append(_check_s(links))
            checks.recorded_s.append(recorded())
    return checks


def _measure(ways: list[Way], rounds: int) -> None:
    for number in range(rounds + 1):
        for way in ways:
            trip_s, rate = way.trip(), way.rate()
            if number:  # the first round warms up
                way.trips_s.append(trip_s)
                way.rates.append(rate)


def _through(
    stack: contextlib.ExitStack, links: LinksClient, upstreams: tuple[Address, Address], size: int
) -> tuple[Callable[[], float], Callable[[], float]]:
    listen = Address("127.0.0.1", 0)
    echo, sink = (
        links.open(LinkSpec(f"bench->{role}", "bench", role, listen, (upstream,)))
        for role, upstream in zip(("echo", "sink"), upstreams, strict=True)
    )
    stack.callback(links.disconnect)
    return (lambda: _trip_blocking(echo)), (lambda: _rate("asyncio", sink, size))


def _recorded(links: LinksClient, folder: Path, measure: Callable[[], float]) -> Callable[[], float]:
    def measured() -> float:
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
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = Address.parse(process.stdout.readline().split()[-1])
            yield LinksClient(address, "bench", timeout_s=60)
        finally:
            process.terminate()


@contextlib.contextmanager
def _all_ways(size: int) -> Iterator[list[Way]]:
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        folder = Path(enter(tempfile.TemporaryDirectory()))
        blocking = enter(_peer("blocking", "echo")), enter(_peer("blocking", "sink"))
        plain = enter(_peer("asyncio", "echo")), enter(_peer("asyncio", "sink"))
        links = enter(LinksThread(1)).client()
        trip, rate = _through(stack, links, plain, size)
        far_trip, far_rate = _through(stack, enter(_links_process()), plain, size)
        yield [
            Way("sockets", lambda: _trip_blocking(blocking[0]), lambda: _rate("blocking", blocking[1], size)),
            Way(
                "sockets to asyncio",
                lambda: _trip_blocking(plain[0]),
                lambda: _rate("blocking", plain[1], size),
            ),
            Way("asyncio", lambda: _trip_asyncio(plain[0]), lambda: _rate("asyncio", plain[1], size)),
            Way("link", trip, rate),
            Way("link, recording", _recorded(links, folder, trip), _recorded(links, folder, rate)),
            Way("link, process", far_trip, far_rate),
        ]


# ---- the report


def _spread(values: list[float]) -> tuple[float, float, float]:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _table(ways: list[Way]) -> Table:
    table = Table(title="What a link costs (median, quartiles)")
    for heading in ("way", "round trip, ms", "rate, MB/s"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    for way in ways:
        trips, rates = _spread(way.trips_s), _spread(way.rates)
        table.add_row(
            way.name,
            f"{trips[1] * 1e3:.3f}  ({trips[0] * 1e3:.3f} to {trips[2] * 1e3:.3f})",
            f"{rates[1] / 1e6:,.0f}  ({rates[0] / 1e6:,.0f} to {rates[2] / 1e6:,.0f})",
        )
    return table


def _verdicts(ways: list[Way]) -> dict[str, float]:
    """The figures that the project promises."""
    named = {way.name: way for way in ways}

    def trip(name: str) -> float:
        return statistics.median(named[name].trips_s)

    def rate(name: str) -> float:
        return statistics.median(named[name].rates)

    return {
        "link_cost_s": trip("link") - trip("sockets to asyncio"),
        "link_share": rate("link") / rate("asyncio"),
        "link_process_cost_s": trip("link, process") - trip("sockets to asyncio"),
        "link_process_share": rate("link, process") / rate("asyncio"),
        "recording_trip_cost": trip("link, recording") / trip("link") - 1,
        "recording_rate_cost": 1 - rate("link, recording") / rate("link"),
    }


def _report(ways: list[Way], checks: Checks, rounds: int, size: int) -> None:
    figures = {**_verdicts(ways), "recording_check_cost": checks.cost}
    console = Console()
    console.print(_table(ways))
    console.print(
        f"A link costs {figures['link_cost_s'] * 1e3:.3f} ms per round trip "
        f"(at most {MAX_LINK_COST_S * 1e3:g}) and carries {figures['link_share']:.0%} of the asyncio pair "
        f"(at least {MIN_LINK_SHARE:.0%}). "
        f"Recording makes a check of {statistics.median(checks.plain_s):.2f} s "
        f"{figures['recording_check_cost']:.1%} longer (at most {MAX_RECORDING_COST:.0%}), a bare round trip "
        f"{figures['recording_trip_cost']:.1%}, and takes {figures['recording_rate_cost']:.1%} of the rate.",
        highlight=False,
    )
    machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "load": os.getloadavg()}
    checked = {"plain_s": checks.plain_s, "recorded_s": checks.recorded_s}
    measured = {way.name: {"trips_s": way.trips_s, "bytes_per_s": way.rates} for way in ways}
    report = {"machine": machine, "rounds": rounds, "bytes": size, "figures": figures}
    report |= {"ways": measured, "checks": checked}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _be_peer(options: argparse.Namespace, size: int) -> None:
    match options.peer, options.role:
        case "blocking", "source":
            print(_send_blocking(Address.parse(options.to), size))
        case "asyncio", "source":
            print(asyncio.run(_send_asyncio(Address.parse(options.to), size)))
        case "blocking", role:
            _serve_blocking(role)
        case _, role:
            asyncio.run(_serve_asyncio(role))


def main() -> None:
    """Measure and report; or be a peer of the measurement."""
    parser = argparse.ArgumentParser(description="What a link costs.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--megabytes", type=int, default=300, help="how much to send for the rate")
    parser.add_argument("--peer", choices=["blocking", "asyncio"], help=argparse.SUPPRESS)
    parser.add_argument("--role", choices=["echo", "sink", "source"], help=argparse.SUPPRESS)
    parser.add_argument("--to", help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = options.megabytes * 1_000_000
    if options.peer:
        _be_peer(options, size)
        return
    with _all_ways(size) as ways:
        _measure(ways, options.rounds)
    _report(ways, _measure_checks(options.rounds * CHECKS_PER_ROUND), options.rounds, size)


if __name__ == "__main__":
    main()
