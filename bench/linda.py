"""What the tuple space costs, and how that depends on how many tuples there are.

Side by side in one run: every round measures every server once, in turn, so that whatever else the machine
does hits all of them alike. Shown are medians over the rounds, and ratios of medians.

All processes, ours and the peers', share one CPU (``--spread`` lets them have all). Then a round trip lasts
as long as the work in it, of client, kernel and server together. On two CPUs it also takes two wake-ups of a
CPU that has gone to sleep, which cost a virtual machine up to 50 microseconds each, more than the work, and
come or not as the scheduler happens to place the processes. Where the system can do so, all get their memory
at the same addresses every time (``setarch -R``): with random ones, one process in eight is slower by a third
for all its life.

==========  ==============================================================================================
linda       `dslab.linda`, the server a process of its own, its blocking client
scan        the same server with a list for a store: every search looks at tuple after tuple
redis       Redis lists through redis-py: no matching at all, a floor (needs redis-server and ``redis``)
rinda       Ruby's tuple space over DRb, its own client (needs ruby with rinda)
echo        no server at all: what comes goes back, from uvloop to a blocking socket, unread by either. The
            floor of ours: what it takes is the kernel's and the event loop's
==========  ==============================================================================================

All stores hold 3-tuples ``("task", i, "value-i")``. ``first`` reads any, ``key`` by the middle field,
``value`` by the last, ``miss`` looks for a key that is not there. A hand-over is half a ping-pong between
two processes which both block; its floor is two echoes, the round trips of ``out`` and of ``in``. Memory is
the growth of the server's resident set.

Run it as ``python bench/linda.py``; it prints tables and writes ``bench/results/linda.json``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import psutil
import uvloop
from rich.console import Console
from rich.table import Table

import dslab.linda.rendezvous
from dslab.kit.address import Address
from dslab.linda.client import Client, connect
from dslab.linda.messages import UNIVERSE, In, Out, encode
from dslab.linda.server import Options, serve
from dslab.linda.store import Store
from dslab.linda.table import Table as TupleTable

RESULTS = Path(__file__).parent / "results" / "linda.json"
SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
MAX_SCAN, MAX_RINDA = 10_000, 100_000
TRIPS = 600
SMALL = 100
ADDR_NO_RANDOMIZE = 0x0040000  # <linux/personality.h>
BLOCKED = 10_000
PIPELINED = 20_000
HAND_OVERS = 500
RECEIVE_BYTES = 64 * 1024
ECHOED = encode(Out(1_000, UNIVERSE, ("task", 1_000, "value-1000")))
OPERATIONS = ("out", "take", "first", "key", "value", "miss")

RINDA_SERVER = """
require 'drb/drb'; require 'rinda/tuplespace'
space = Rinda::TupleSpace.new
ARGV[0].to_i.times { |i| space.write(["task", i, "value-#{i}"]) }
DRb.start_service('druby://127.0.0.1:0', space)
puts DRb.uri; STDOUT.flush; DRb.thread.join
"""

RINDA_READS = """
require 'drb/drb'; require 'rinda/rinda'
DRb.start_service
space, n, trips = DRbObject.new_with_uri(ARGV[0]), ARGV[1].to_i, ARGV[2].to_i
times = trips.times.map do |t|
  key = (t * 7919) % n
  start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  space.read(["task", key, nil])
  Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
end
puts times.sort[times.size / 2]
"""

RINDA_PING = """
require 'drb/drb'; require 'rinda/rinda'
DRb.start_service
space, trips, first = DRbObject.new_with_uri(ARGV[0]), ARGV[1].to_i, ARGV[2] == "ping"
times = trips.times.map do |t|
  start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  if first
    space.write(["ping", t]); space.take(["pong", t])
  else
    space.take(["ping", t]); space.write(["pong", t])
  end
  Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
end
puts times.sort[trips / 2] / 2
"""


class ScanStore(Store):
    """A store that finds a tuple by looking at all of them."""

    def find(self, space: int, pattern: Any) -> tuple[TupleTable, int] | None:
        """Look at tuple after tuple."""
        for table in self.tables(space, pattern):
            for number, fields in table.rows.items():
                if pattern.accepts(fields):
                    return table, number
        return None


# ---- servers


def _begin(command: list[str], **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


@contextlib.contextmanager
def _linda(role: str = "linda") -> Iterator[tuple[Client, psutil.Process]]:
    with _begin([sys.executable, __file__, "--peer", role]) as process:
        assert process.stdout is not None
        try:
            address = Address.parse(process.stdout.readline().split()[-1])
            with connect(address, timeout_s=120) as client:
                yield client, psutil.Process(process.pid)
        finally:
            process.kill()


@contextlib.contextmanager
def _echo() -> Iterator[socket.socket]:
    """A connection to a server that gives back what it gets."""
    with _begin([sys.executable, __file__, "--peer", "echo"]) as process:
        assert process.stdout is not None
        try:
            address = Address.parse(process.stdout.readline().split()[-1])
            with socket.create_connection(address.pair) as connected:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                yield connected
        finally:
            process.kill()


@contextlib.contextmanager
def _redis() -> Iterator[Any]:
    """A Redis client; None where Redis is not installed."""
    if not (find_spec("redis") and shutil.which("redis-server")):
        yield None
        return
    import redis

    port = 20_000 + os.getpid() % 10_000
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with _begin([*command, "--logfile", os.devnull]) as process:
        try:
            client = redis.Redis(port=port)
            for _ in range(500):
                with contextlib.suppress(redis.ConnectionError):
                    client.ping()
                    break
                time.sleep(0.01)
            yield client
            client.close()
        finally:
            process.kill()


@contextlib.contextmanager
def _rinda(size: int) -> Iterator[str]:
    """The address of a Rinda space with so many tuples; empty where Ruby is not installed."""
    if not _has_rinda():
        yield ""
        return
    command = ["ruby", "-e", RINDA_SERVER, str(size)]
    with _begin(command) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _has_rinda() -> bool:
    return (
        bool(shutil.which("ruby"))
        and not subprocess.run(
            ["ruby", "-e", "require 'rinda/tuplespace'"], capture_output=True, check=False
        ).returncode
    )


# ---- measurements


def _p50_s(operation: Callable[[int], object], trips: int = TRIPS) -> float:
    times_s = []
    for trip in range(trips):
        start_s = time.perf_counter()
        operation(trip)
        times_s.append(time.perf_counter() - start_s)
    return statistics.median(times_s)


def _operations(client: Client, size: int, trips: int = TRIPS) -> dict[str, float]:
    """The median time of each operation."""
    space = client.universe
    keys = [trip * 7919 % size for trip in range(trips)]
    return {
        "first": _p50_s(lambda _: space.rd((str, int, str)), trips),
        "key": _p50_s(lambda trip: space.rd(("task", keys[trip], str)), trips),
        "value": _p50_s(lambda trip: space.rd((str, int, f"value-{keys[trip]}")), trips),
        "miss": _p50_s(lambda _: space.rdp(("task", -1, str)), trips),
        "out": _p50_s(lambda trip: space.out(("task", size + trip, f"value-{size + trip}")), trips),
        "take": _p50_s(lambda trip: space.in_(("task", size + trip, str)), trips),
    }


def _read_key(client: Client, size: int, trip: int) -> None:
    client.universe.rd(("task", trip * 7919 % size, str))


def _put(client: Client, trip: int) -> None:
    client.universe.out(("task", trip, "x"))


def _exchange(connected: socket.socket) -> None:
    connected.sendall(ECHOED)
    connected.recv(RECEIVE_BYTES)


def _pipelined(client: Client) -> float:
    """Operations per second with 64 requests under way."""
    start_s = time.perf_counter()
    client.universe.out_all(("bulk", number, "x") for number in range(PIPELINED))
    rate = PIPELINED / (time.perf_counter() - start_s)
    client.universe.move(client.new_space(), ("bulk", int, str))
    return rate


def _hand_over(command: list[str], ping: Callable[[int], object]) -> float:
    """Seconds from ``out`` in one process to the end of ``in`` in another."""
    with _begin([sys.executable, __file__, *command]) as other:
        ping(0)  # the other has started
        p50_s = _p50_s(lambda trip: ping(trip + 1), HAND_OVERS - 1)
        other.wait()
    return p50_s / 2


def _hand_over_linda(client: Client) -> float:
    def ping(trip: int) -> None:
        client.universe.out(("ping", trip))
        client.universe.in_(("pong", trip))

    return _hand_over(["--pong", str(client.address)], ping)


def _hand_over_redis(client: Any) -> float:
    def ping(trip: int) -> None:
        client.rpush("ping", trip)
        client.blpop("pong")

    return _hand_over(["--pong-redis", str(client.connection_pool.connection_kwargs["port"])], ping)


def _hand_over_rinda(uri: str) -> float:
    command = ["ruby", "-e", RINDA_PING, uri, str(HAND_OVERS)]
    with _begin([*command, "pong"]), _begin([*command, "ping"]) as ping:
        said, _ = ping.communicate()
    return float(said)


def _key_rinda(uri: str, size: int) -> float:
    trips = max(10, min(TRIPS, 200_000 // size))
    command = ["ruby", "-e", RINDA_READS, uri, str(size), str(trips)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _block(client: Client) -> Client:
    """Let 10,000 takers wait for what nobody puts, on a connection of their own."""
    crowd = client.again()
    crowd.send(b"".join(encode(In(9 + n, 0, ("never", n, "x"))) for n in range(BLOCKED)))
    crowd.universe.count(("never",))  # answered after all of them have been heard
    return crowd


@dataclass
class Measured:
    """All that was measured, a list entry per round."""

    linda: dict[int, dict[str, list[float]]] = field(default_factory=dict)
    scan: dict[int, list[float]] = field(default_factory=dict)
    rinda: dict[int, list[float]] = field(default_factory=dict)
    redis: dict[str, list[float]] = field(default_factory=dict)
    read: list[float] = field(default_factory=list)
    echo: list[float] = field(default_factory=list)
    hand_over: dict[str, list[float]] = field(default_factory=dict)
    blocked: dict[str, list[float]] = field(default_factory=dict)
    pipelined: list[float] = field(default_factory=list)
    bytes_per_tuple: float = 0.0


def _add(to: dict[Any, list[float]], key: Any, value: float, number: int) -> None:
    if number:  # the first round warms up
        to.setdefault(key, []).append(value)


def _measure(sizes: list[int], rounds: int) -> Measured:
    measured = Measured()
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        filled = {size: enter(_linda()) for size in sizes}
        for size, (client, process) in filled.items():
            before = process.memory_info().rss
            client.universe.out_all(("task", number, f"value-{number}") for number in range(size))
            measured.bytes_per_tuple = (process.memory_info().rss - before) / size
        scans = {size: enter(_linda("scan"))[0] for size in sizes if size <= MAX_SCAN}
        for size, client in scans.items():
            client.universe.out_all(("task", number, f"value-{number}") for number in range(size))
        rindas = {size: enter(_rinda(size)) for size in sizes if size <= MAX_RINDA}
        for number in range(rounds + 1):
            for size, (client, _) in filled.items():
                for operation, p50_s in _operations(client, size).items():
                    _add(measured.linda.setdefault(size, {}), operation, p50_s, number)
            for size, client in scans.items():
                keyed = _p50_s(partial(_read_key, client, size), 100)
                _add(measured.scan, size, keyed, number)
            for size, uri in rindas.items():
                if uri:
                    _add(measured.rinda, size, _key_rinda(uri, size), number)
            _measure_pairs(measured, number)
            if rindas and (uri := next(iter(rindas.values()))):
                _add(measured.hand_over, "rinda", _hand_over_rinda(uri), number)
    return measured


def _measure_pairs(measured: Measured, number: int) -> None:
    """What is compared within a round, with new servers."""
    with _linda() as (free, _), _linda() as (crowded, _), _redis() as redis, _echo() as echo, _block(crowded):
        for name, client in (("free", free), ("blocked", crowded)):
            put_s = _p50_s(partial(_put, client))
            client.universe.move(client.new_space(), ("task", int, str))
            _add(measured.blocked, name, put_s, number)
        free.universe.out_all(("task", key, f"value-{key}") for key in range(SMALL))
        read_s = _p50_s(partial(_read_key, free, SMALL))
        echo_s = _p50_s(lambda _: _exchange(echo))
        _add(measured.hand_over, "linda", _hand_over_linda(free), number)
        if number:
            measured.read.append(read_s)
            measured.echo.append(echo_s)
            measured.pipelined.append(_pipelined(free))
        if redis is not None:
            _add(measured.redis, "out", _p50_s(lambda trip: redis.rpush("list", trip)), number)
            _add(measured.redis, "rd", _p50_s(lambda _: redis.lindex("list", 0)), number)
            redis.delete("list")
            _add(measured.hand_over, "redis", _hand_over_redis(redis), number)


# ---- the report


def _figures(measured: Measured) -> dict[str, float]:
    """The figures that the project promises; a peer that is not there has none."""
    m = statistics.median
    small, large = min(measured.linda), max(measured.linda)
    at = {
        operation: (m(measured.linda[small][operation]), m(measured.linda[large][operation]))
        for operation in OPERATIONS
    }
    figures = {f"{operation}_growth": last / first for operation, (first, last) in at.items()}
    figures |= {
        f"scan_{size}": m(times) / m(measured.linda[size]["key"]) for size, times in measured.scan.items()
    }
    figures |= {
        f"rinda_{size}": m(times) / m(measured.linda[size]["key"]) for size, times in measured.rinda.items()
    }
    if measured.redis:
        figures["out_of_redis"] = m(measured.blocked["free"]) / m(measured.redis["out"])
        figures["rd_of_redis"] = m(measured.read) / m(measured.redis["rd"])
        figures["hand_over_of_redis"] = m(measured.hand_over["linda"]) / m(measured.hand_over["redis"])
    if "rinda" in measured.hand_over:
        figures["rinda_hand_over"] = m(measured.hand_over["rinda"]) / m(measured.hand_over["linda"])
    figures["blocked_takers"] = m(measured.blocked["blocked"]) / m(measured.blocked["free"])
    figures["pipelined_per_s"] = m(measured.pipelined)
    figures["bytes_per_tuple"] = measured.bytes_per_tuple
    return figures


def _by_size(measured: Measured) -> Table:
    table = Table(title="p50 of a round trip, microseconds (medians over the rounds)")
    table.add_column("N")
    for heading in (*OPERATIONS, "scan: key", "rinda: key"):
        table.add_column(heading, justify="right")
    for size, times in measured.linda.items():
        cells = [f"{statistics.median(times[operation]) * 1e6:.0f}" for operation in OPERATIONS]
        for peer in (measured.scan, measured.rinda):
            absent = "-" if peer else "not installed"
            cells.append(f"{statistics.median(peer[size]) * 1e6:,.0f}" if size in peer else absent)
        table.add_row(f"{size:,}", *cells)
    return table


def _beside(measured: Measured) -> Table:
    table = Table(title="Beside its peers, microseconds (p50, medians over the rounds)")
    table.add_column("")
    for heading in ("out", "rd", "hand-over"):
        table.add_column(heading, justify="right")
    linda = {"out": measured.blocked["free"], "rd": measured.read}
    times = {"linda": linda, "redis": measured.redis, "rinda": {}}
    for name in measured.hand_over:
        cells = [times[name].get("out"), times[name].get("rd"), measured.hand_over[name]]
        table.add_row(name, *[f"{statistics.median(cell) * 1e6:.0f}" if cell else "-" for cell in cells])
    echo_us = statistics.median(measured.echo) * 1e6
    table.add_row("echo, the floor", f"{echo_us:.0f}", f"{echo_us:.0f}", f"{2 * echo_us:.0f}")
    return table


def _goals(figures: dict[str, float]) -> Table:
    table = Table(title="What is promised")
    for heading in ("figure", "measured", "goal"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    growth = max(figures[f"{operation}_growth"] for operation in OPERATIONS)
    table.add_row("slowest growth of an operation, most to fewest tuples", f"{growth:.2f}", "at most 1.15")
    for name, figure, form, goal in (
        ("rinda's keyed rd to ours, 1e4", "rinda_10000", ",.0f", "at least 500"),
        ("rinda's keyed rd to ours, 1e5", "rinda_100000", ",.0f", "at least 5,000"),
        ("out to redis-py's rpush", "out_of_redis", ".2f", "at most 0.57"),
        ("rd to redis-py's lindex", "rd_of_redis", ".2f", "at most 0.57"),
        ("hand-over to redis-py's BLPOP", "hand_over_of_redis", ".2f", "at most 0.40"),
        ("rinda's hand-over to ours", "rinda_hand_over", ".1f", "at least 11"),
        ("bytes a stored 3-tuple", "bytes_per_tuple", ",.0f", "at most 400"),
        ("out with 10,000 blocked takers to out with none", "blocked_takers", ".2f", "at most 1.15"),
        ("out per second, 64 in flight", "pipelined_per_s", ",.0f", "at least 40,000"),
    ):
        measured = format(figures[figure], form) if figure in figures else "peer not installed"
        table.add_row(name, measured, goal)
    return table


def _report(measured: Measured, rounds: int) -> None:
    figures = _figures(measured)
    console = Console()
    console.print(_by_size(measured))
    console.print(_beside(measured))
    console.print(_goals(figures))
    machine = {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "used": len(psutil.Process().cpu_affinity()) if hasattr(os, "sched_setaffinity") else None,
        "load": os.getloadavg(),
    }
    report = {"machine": machine, "rounds": rounds, "figures": figures, "measured": vars(measured)}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


# ---- the other processes of the measurement


def _serve(role: str) -> None:
    if role == "scan":
        dslab.linda.rendezvous.Store = ScanStore  # type: ignore[attr-defined]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_echo() if role == "echo" else serve(Address("127.0.0.1", 0), Options()))


class _Echo(asyncio.BufferedProtocol):
    """Gives back what it gets."""

    def __init__(self) -> None:
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._transport.write(bytes(self._buffer[:nbytes]))


async def _serve_echo() -> None:
    server = await asyncio.get_running_loop().create_server(_Echo, "127.0.0.1", 0)
    print("listening on", Address(*server.sockets[0].getsockname()), flush=True)
    await server.serve_forever()


def _pong(address: str) -> None:
    with connect(address) as client:
        for trip in range(HAND_OVERS):
            client.universe.in_(("ping", trip))
            client.universe.out(("pong", trip))


def _pong_redis(port: int) -> None:
    import redis

    client = redis.Redis(port=port)
    for trip in range(HAND_OVERS):
        client.blpop("ping")
        client.rpush("pong", trip)
    client.close()


def _use_the_same_addresses() -> None:
    """Begin again without random addresses, where the system can do so; children inherit that too."""
    personality = Path("/proc/self/personality")
    if not personality.exists() or int(personality.read_text(), 16) & ADDR_NO_RANDOMIZE:
        return
    again = ["setarch", "-R", sys.executable, *sys.argv]
    if shutil.which("setarch") and not subprocess.run(["setarch", "-R", "true"], check=False).returncode:
        os.execvp(again[0], again)


def main() -> None:
    """Measure and report; or be a peer of the measurement."""
    parser = argparse.ArgumentParser(description="What the tuple space costs.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--spread", action="store_true", help="let the processes have all CPUs")
    parser.add_argument("--most", type=int, default=max(SIZES), help="the most tuples")
    parser.add_argument("--peer", choices=["linda", "scan", "echo"], help=argparse.SUPPRESS)
    parser.add_argument("--pong", help=argparse.SUPPRESS)
    parser.add_argument("--pong-redis", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        _serve(options.peer)
    elif options.pong:
        _pong(options.pong)
    elif options.pong_redis:
        _pong_redis(options.pong_redis)
    else:
        _use_the_same_addresses()
        if hasattr(os, "sched_setaffinity") and not options.spread:
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # children inherit it
        measured = _measure([size for size in SIZES if size <= options.most], options.rounds)
        _report(measured, options.rounds)


if __name__ == "__main__":
    main()
