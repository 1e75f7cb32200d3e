"""What the tuple space costs, and how that depends on how many tuples there are.

=======================  ====================================================================================
dslab.linda among N      `dslab.linda`, the server a process of its own, its blocking client
+ 10,000 blocked takers  the same among 100, while so many wait for what nobody puts
scan among N             the same server with a list for a store: every search looks at tuple after tuple
Rinda among N            Ruby's tuple space over DRb, its own client
redis-py                 Redis lists (``RPUSH``, ``LINDEX``, ``BLPOP``) through redis-py: no matching at all
echo                     a floor: no server at all; what comes goes back, from uvloop to a blocking socket,
                         unread by either. What it takes is the kernel's and the event loop's
=======================  ====================================================================================

All stores hold 3-tuples ``("task", i, "value-i")``. ``rd`` reads any of them, or one by its key, the middle
field, or by its value, the last; or it looks for a key that is not there. A hand-over is half a ping-pong
between two processes which both block; its floor is two echoes, the round trips of ``out`` and of ``in``.
Memory is the growth of the server's resident set while it is filled.

All processes, ours and the peers', share one CPU (on Linux). Then a round trip lasts as long as the work in
it, of client, kernel and server together. On two CPUs it also takes two wake-ups of a CPU that has gone to
sleep, which cost a virtual machine up to 50 microseconds each, more than the work, and come or not as the
scheduler happens to place the processes. What is short is measured in slices, row after row and again. Where
the system can do so, all get their memory at the same addresses every time (``setarch -R``): with random
ones, one process in eight is slower by a third for all its life.

Run it as ``python bench/linda.py``; it prints tables, and writes ``bench/results/linda.json`` and
``linda.svg``. What is not installed is left out: Redis needs ``redis-server`` and the module ``redis``, Rinda
needs Ruby.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from bench.harness import peers
from bench.harness.command import Benchmark, main
from bench.harness.goals import Goal, figure, ratio
from bench.harness.machine import cpus, keep_on
from bench.harness.peers import NOTHING, Needs
from bench.harness.report import Block, Column
from bench.harness.rounds import Probe
from bench.linda_peers import echo, ours, with_redis, with_rinda
from dslab.kit.address import Address
from dslab.linda.client import Client
from dslab.linda.messages import UNIVERSE, Out, encode

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
MAX_SCAN, MAX_RINDA = 10_000, 100_000
BLOCKED = 10_000
SLICES = 5
TRIPS, SCAN_TRIPS, HAND_OVERS = 120, 100, 100  # in a slice
PIPELINED = 20_000
ECHOED = encode(Out(1_000, UNIVERSE, ours.stored(1_000)))

OURS, SCAN, RINDA, REDIS, ECHO = "dslab.linda", "scan", "Rinda", "redis-py", "echo"
CROWDED = f"+ {BLOCKED:,} blocked takers"

OUT, IN, ANY, KEY, VALUE, NONE = "out", "in", "rd of any", "rd by key", "rd by value", "rd of none"
OPERATIONS = (OUT, IN, ANY, KEY, VALUE, NONE)
HAND_OVER = "hand-over"
PER_S = "out per second, 64 in flight"
BYTES = "bytes a stored 3-tuple"

Figures = dict[str, float]
Argument = TypeVar("Argument")


def among(who: str, size: int) -> str:
    """What the row of a store with so many tuples is called."""
    return f"{who} among {size:,}"


FEWEST, MOST = among(OURS, min(SIZES)), among(OURS, max(SIZES))


# ---- measurements: each gives figures by their names


def _p50_us(operation: Callable[[Argument], object], arguments: Iterable[Argument]) -> float:
    times_s = []
    for argument in arguments:
        start_s = time.perf_counter()
        operation(argument)
        times_s.append(time.perf_counter() - start_s)
    return statistics.median(times_s) * 1e6


def _keys(size: int, trips: int) -> list[int]:
    """Keys of tuples all over a store."""
    return [trip * 7919 % size for trip in range(trips)]


def operations(client: Client, size: int) -> Figures:
    """Measure each operation. What is put is taken again: there are as many tuples as before."""
    space, keys = client.universe, _keys(size, TRIPS)
    new = range(size, size + TRIPS)
    return {
        ANY: _p50_us(space.rd, [(str, int, str)] * TRIPS),
        KEY: _p50_us(space.rd, [("task", key, str) for key in keys]),
        VALUE: _p50_us(space.rd, [(str, int, f"value-{key}") for key in keys]),
        NONE: _p50_us(space.rdp, [("task", -1, str)] * TRIPS),
        OUT: _p50_us(space.out, [ours.stored(key) for key in new]),
        IN: _p50_us(space.in_, [("task", key, str) for key in new]),
    }


def scan(client: Client, size: int) -> Figures:
    """Measure how long it takes to look at tuple after tuple."""
    return {KEY: _p50_us(client.universe.rd, [("task", key, str) for key in _keys(size, SCAN_TRIPS)])}


def rinda(address: Address, size: int) -> Figures:
    """Measure Rinda, the less often the longer it takes."""
    trips = max(10, min(SLICES * TRIPS, 200_000 // size))
    return {KEY: with_rinda.read_s(address, size, trips) * 1e6}


def redis(client: Any) -> Figures:
    """Measure what Redis has instead of the operations."""
    measured = {
        OUT: _p50_us(partial(client.rpush, "list"), range(TRIPS)),
        KEY: _p50_us(partial(client.lindex, "list"), [0] * TRIPS),
    }
    client.delete("list")
    return measured


def floor(exchange: Callable[[bytes], object]) -> Figures:
    """Measure an echo: it is the floor of every operation, and two of them that of a hand-over."""
    echo_us = _p50_us(exchange, [ECHOED] * TRIPS)
    return dict.fromkeys(OPERATIONS, echo_us) | {HAND_OVER: 2 * echo_us}


def hand_over(ping: Callable[[int], object], pong: str, address: Address) -> Figures:
    """Measure from ``out`` in one process to the end of ``in`` in another."""
    command = peers.role(__file__, pong, str(address), str(HAND_OVERS))
    with subprocess.Popen(command, stdin=subprocess.PIPE):  # it ends when that is closed, at the latest
        ping(0)  # it has started
        return {HAND_OVER: _p50_us(ping, range(1, HAND_OVERS)) / 2}


def in_flight() -> Figures:
    """Measure a new server, whose tuples end with it."""
    with ours.running() as (client, _):
        start_s = time.perf_counter()
        client.universe.out_all(("bulk", number, "x") for number in range(PIPELINED))
        return {PER_S: PIPELINED / (time.perf_counter() - start_s)}


# ---- who is measured: each starts servers, fills them, and gives the probes


def _ours(stack: ExitStack) -> list[Probe]:
    spaces = {size: stack.enter_context(ours.running()) for size in SIZES}
    bytes_each = {size: _fill(*space, size) for size, space in spaces.items()}
    few, (client, _) = min(spaces.items())
    crowded, server = stack.enter_context(ours.running())
    _fill(crowded, server, few)
    stack.enter_context(ours.crowd(crowded, BLOCKED))
    return [
        Probe(OURS, lambda: {BYTES: bytes_each[max(SIZES)]}),
        Probe(OURS, in_flight),
        *[
            Probe(among(OURS, size), partial(operations, each, size), SLICES)
            for size, (each, _) in spaces.items()
        ],
        Probe(CROWDED, partial(operations, crowded, few), SLICES),
        Probe(among(OURS, few), partial(hand_over, ours.ping(client), "pong", client.address), SLICES),
    ]


def _fill(client: Client, server: peers.Server, size: int) -> float:
    """Put so many tuples: gives the bytes that each takes."""
    before = server.rss_bytes()
    client.universe.out_all(map(ours.stored, range(size)))
    return (server.rss_bytes() - before) / size


def _redis(stack: ExitStack) -> list[Probe]:
    client, address = stack.enter_context(with_redis.running())
    return [
        Probe(REDIS, partial(redis, client), SLICES),
        Probe(REDIS, partial(hand_over, with_redis.ping(client), "redis_pong", address), SLICES),
    ]


def _rinda(stack: ExitStack) -> list[Probe]:
    sizes = [size for size in SIZES if size <= MAX_RINDA]
    spaces = {size: stack.enter_context(with_rinda.running(size)) for size in sizes}
    few, address = min(spaces.items())
    return [
        Probe(
            among(RINDA, few), lambda: {HAND_OVER: with_rinda.hand_over_s(address, SLICES * HAND_OVERS) * 1e6}
        ),
        *[Probe(among(RINDA, size), partial(rinda, each, size)) for size, each in spaces.items()],
    ]


def _scan(stack: ExitStack) -> list[Probe]:
    made = []
    for size in (size for size in SIZES if size <= MAX_SCAN):
        client, server = stack.enter_context(ours.running(peers.role(__file__, "scan")))
        _fill(client, server, size)
        made.append(Probe(among(SCAN, size), partial(scan, client, size)))
    return made


def _echo(stack: ExitStack) -> list[Probe]:
    exchange = stack.enter_context(echo.running(peers.role(__file__, "echo")))
    return [Probe(ECHO, partial(floor, exchange), SLICES)]


@dataclass(frozen=True, slots=True)
class Peer:
    """Rows that belong together.

    Attributes:
        probes: Starts the servers.
        needs: What they cannot do without.
    """

    probes: Callable[[ExitStack], list[Probe]]
    needs: Needs = NOTHING


PEERS: dict[str, Peer] = {
    OURS: Peer(_ours),
    REDIS: Peer(_redis, with_redis.NEEDS),
    RINDA: Peer(_rinda, with_rinda.NEEDS),
    SCAN: Peer(_scan),
    ECHO: Peer(_echo),
}


@contextmanager
def probes() -> Iterator[tuple[list[Probe], dict[str, str]]]:
    """Start all that can be had, on one CPU."""
    left_out = {who: missing for who, peer in PEERS.items() if (missing := peer.needs.missing())}
    with ExitStack() as stack:
        stack.callback(keep_on, os.getpid(), cpus())
        keep_on(os.getpid(), sorted(cpus())[:1])  # what is started from here on inherits it
        made = [probe for who, peer in PEERS.items() if who not in left_out for probe in peer.probes(stack)]
        yield made, left_out


BLOCKS = [
    *[Block(name, (Column(name, "p50, us"),), FEWEST) for name in (*OPERATIONS, HAND_OVER)],
    Block("out, 64 in flight", (Column(PER_S, "per s"),), OURS),
    Block(f"Memory, {max(SIZES):,} 3-tuples", (Column(BYTES, "bytes each"),), OURS),
]


def _beside_rinda(size: int, bound: float) -> list[Goal]:
    scan = among(RINDA, size)
    return [
        Goal(
            f"Rinda's keyed rd to ours, {size:,} tuples", ratio(scan, among(OURS, size), KEY), at_least=bound
        ),
        Goal("... to an echo", ratio(scan, ECHO, KEY)),
    ]


# Beside some goals stands what can be had at most: by a server that sends back what it is sent.
GOALS = [
    *[
        Goal(f"growth of {operation}, most to fewest tuples", ratio(MOST, FEWEST, operation), at_most=1.15)
        for operation in OPERATIONS
    ],
    *[goal for size, bound in ((10_000, 500), (100_000, 5_000)) for goal in _beside_rinda(size, bound)],
    Goal("out to redis-py's rpush", ratio(FEWEST, REDIS, OUT), at_most=0.57),
    Goal("... an echo itself", ratio(ECHO, REDIS, OUT)),
    Goal("rd to redis-py's lindex", ratio(FEWEST, REDIS, KEY), at_most=0.57),
    Goal("... an echo itself", ratio(ECHO, REDIS, KEY)),
    Goal("hand-over to redis-py's BLPOP", ratio(FEWEST, REDIS, HAND_OVER), at_most=0.40),
    Goal("... two echoes themselves", ratio(ECHO, REDIS, HAND_OVER)),
    Goal("Rinda's hand-over to ours", ratio(among(RINDA, min(SIZES)), FEWEST, HAND_OVER), at_least=11),
    Goal("... to two echoes", ratio(among(RINDA, min(SIZES)), ECHO, HAND_OVER)),
    Goal("bytes a stored 3-tuple", figure(OURS, BYTES), at_most=400),
    Goal("out with 10,000 blocked takers to out with none", ratio(CROWDED, FEWEST, OUT), at_most=1.15),
    Goal("out per second, 64 in flight", figure(OURS, PER_S), at_least=40_000),
]

BENCHMARK = Benchmark(
    name="linda",
    title="What a tuple space costs",
    blocks=BLOCKS,
    goals=GOALS,
    probes=probes,
    roles={
        "scan": ours.be_scan,
        "echo": echo.be_server,
        "pong": ours.be_pong,
        "redis_pong": with_redis.be_pong,
    },
    fixed_addresses=True,
)

if __name__ == "__main__":
    main(BENCHMARK)
