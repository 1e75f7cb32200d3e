"""What a remote call costs, beside what others take for one.

Every row has an echo server and a client, each a process of its own, and the client drives the server
(`bench.rpc_peers` says how each does it, and what the floors leave out):

==========================  ========  ===================================================================
row                         driven    what it is
==========================  ========  ===================================================================
dslab.rpc                   windows   the blocking client, and the server with a thread per connection
dslab.rpc: asyncio server   windows   the blocking client, and the server on asyncio
dslab.rpc: uvloop server    windows   the blocking client, and the same server on uvloop
+ deadlines                 windows   on asyncio; each call tells its deadline
+ at-most-once              windows   on asyncio; each call is numbered, each reply kept
dslab.rpc: asyncio          tasks     the asyncio client, and the server on asyncio
bare socket                 blocking  a floor: bytes to and fro, nothing read in them
bare asyncio server         windows   a floor: asyncio and msgpack, a dozen lines; our blocking client
bare asyncio                tasks     the same server, driven by a client of two dozen lines
Pyro5                       blocking  with msgpack
rpyc                        blocking
grpcio                      blocking
grpc.aio                    tasks
xmlrpc                      blocking
managers                    blocking  of multiprocessing
==========================  ========  ===================================================================

Sequential latency is the median of calls that wait for each other, with client and server on one CPU (on
Linux): only one of them has work at a time, and on two, most of what would be measured is how long a virtual
machine takes to wake the other, which is the same for all rows, and changes from round to round. They are
measured in slices, row after row and again. In flight are small calls, on all CPUs. Server CPU is the user
and system time of the server's processes for one call, driven as the row says.

Run it as ``python bench/rpc.py`` (four minutes; ``--short``: two); it prints tables, and writes
``bench/results/rpc.json`` and ``rpc.svg``.
What is not installed is left out; ``pip install -e '.[bench]'`` installs it all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from bench.harness import peers
from bench.harness.command import Benchmark, main
from bench.harness.goals import Goal, ratio
from bench.harness.machine import cpu_s, cpus, keep_on
from bench.harness.peers import NOTHING, Needs
from bench.harness.report import Block, Column
from bench.harness.rounds import Probe
from bench.rpc_peers import floors, ours, with_grpc, with_pyro5, with_rpyc, with_stdlib
from bench.rpc_peers.drive import IN_FLIGHT, VALUES, Driver, blocking, tasks, windows
from dslab.kit.address import Address
from dslab.kit.errors import MachineError

OURS, LOOP, UVLOOP = "dslab.rpc", "dslab.rpc: asyncio server", "dslab.rpc: uvloop server"
DEADLINES, AT_MOST_ONCE = "+ deadlines", "+ at-most-once"
BARE = "bare asyncio server"
SLICES = 5
Drive = Callable[[Address], Callable[[ExitStack, Callable[[], float]], Driver]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A row.

    Attributes:
        serve: Its server.
        drive: Its client.
        needs: What it cannot do without.
        in_flight: Is it measured with several calls under way?
    """

    serve: Callable[[], None]
    drive: Drive
    needs: Needs = NOTHING
    in_flight: bool = True


def _windows(**options: object) -> Drive:
    return lambda address: windows(partial(ours.client, address, **options))


MSGPACK = Needs(("msgpack",))
PEERS: dict[str, Peer] = {
    OURS: Peer(ours.serve_threads, _windows()),
    LOOP: Peer(ours.serve, _windows()),
    UVLOOP: Peer(ours.serve_uvloop, _windows()),
    DEADLINES: Peer(ours.serve, _windows(deadlines=True)),
    AT_MOST_ONCE: Peer(ours.serve, _windows(semantics="at-most-once")),
    "dslab.rpc: asyncio": Peer(ours.serve, lambda at: tasks(partial(ours.asyncio_client, at))),
    "bare socket": Peer(
        floors.serve_socket, lambda at: blocking(partial(floors.socket_client, at)), in_flight=False
    ),
    BARE: Peer(floors.serve_asyncio, _windows(), MSGPACK),
    "bare asyncio": Peer(floors.serve_asyncio, lambda at: tasks(partial(floors.asyncio_client, at)), MSGPACK),
    "Pyro5": Peer(
        with_pyro5.serve, lambda at: blocking(partial(with_pyro5.client, at)), Needs(("Pyro5", "msgpack"))
    ),
    "rpyc": Peer(with_rpyc.serve, lambda at: blocking(partial(with_rpyc.client, at)), Needs(("rpyc",))),
    "grpcio": Peer(
        with_grpc.serve_threads, lambda at: blocking(partial(with_grpc.client, at)), Needs(("grpc",))
    ),
    "grpc.aio": Peer(
        with_grpc.serve_asyncio, lambda at: tasks(partial(with_grpc.asyncio_client, at)), Needs(("grpc",))
    ),
    "xmlrpc": Peer(with_stdlib.serve_xmlrpc, lambda at: blocking(partial(with_stdlib.xmlrpc_client, at))),
    "managers": Peer(with_stdlib.serve_manager, lambda at: blocking(partial(with_stdlib.manager_client, at))),
}

MS = 1e-3
BLOCKS = [
    Block(
        f"One call after another, {size}",
        (Column(f"{size}, p50_us", unit, scale), Column(f"{size}, cpu_us", "CPU, us")),
        OURS,
    )
    for size, unit, scale in (("small", "p50, us", 1), ("1 KiB", "p50, us", 1), ("1 MiB", "p50, ms", MS))
] + [
    Block(
        f"{count} in flight" if count > 1 else "1 in flight",
        (Column(f"{count}, per_s", "calls per s"), Column(f"{count}, cpu_us", "CPU, us")),
        OURS,
    )
    for count in IN_FLIGHT
]

# Beside some goals stands what can be had at most.
GOALS = [
    Goal("p50, small: to the bare socket's", ratio(OURS, "bare socket", "small, p50_us"), 1.25),
    Goal("p50, small: to Pyro5's", ratio(OURS, "Pyro5", "small, p50_us"), 0.33),
    Goal("... the bare socket's itself", ratio("bare socket", "Pyro5", "small, p50_us")),
    Goal("p50, small: to grpcio's", ratio(OURS, "grpcio", "small, p50_us"), 0.065),
    Goal("p50, 1 MiB: to Pyro5's", ratio(OURS, "Pyro5", "1 MiB, p50_us"), 0.6),
    Goal("64 in flight: to Pyro5's", ratio(LOOP, "Pyro5", "64, per_s"), at_least=30),
    Goal("64 in flight: to grpc.aio's", ratio(LOOP, "grpc.aio", "64, per_s"), at_least=50),
    Goal("CPU, 64 in flight: to Pyro5's", ratio(LOOP, "Pyro5", "64, cpu_us"), 1 / 80),
    Goal("... on uvloop", ratio(UVLOOP, "Pyro5", "64, cpu_us"), 1 / 80),
    Goal("CPU, small, deadlines: to bare asyncio", ratio(DEADLINES, BARE, "small, cpu_us"), 1.2),
    Goal("CPU, 64 in flight, deadlines: to bare", ratio(DEADLINES, BARE, "64, cpu_us"), 1.2),
    Goal("p50, small, at-most-once: to off", ratio(AT_MOST_ONCE, LOOP, "small, p50_us"), 1.3),
    Goal("64 in flight: off to at-most-once", ratio(LOOP, AT_MOST_ONCE, "64, per_s"), 1.3),
]


# ---- the processes of the measurement


def be_server(words: Sequence[str]) -> None:
    """Be a row's server."""
    peers.end_with_parent()
    PEERS[words[0]].serve()


def be_client(words: Sequence[str]) -> None:
    """Be a row's client: reads what to measure, line by line, and answers with figures."""
    row, address, pid = words
    everywhere = cpus()
    with ExitStack() as stack:
        driver = PEERS[row].drive(Address.parse(address))(stack, partial(cpu_s, int(pid)))
        for line in sys.stdin:
            what = line.strip()
            for side in (os.getpid(), int(pid)):
                keep_on(side, sorted(everywhere)[:1] if what in VALUES else everywhere)
            figures = driver.latency(VALUES[what]) if what in VALUES else driver.throughput(int(what))
            print(json.dumps(figures), flush=True)


@contextmanager
def _client(row: str, server: peers.Server) -> Iterator[Callable[[str], Mapping[str, float]]]:
    command = peers.role(__file__, "client", row, str(server.address), str(server.pid))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def ask(what: str) -> Mapping[str, float]:
            stdin.write(f"{what}\n")
            stdin.flush()
            answer = stdout.readline()
            if not answer:
                raise MachineError(f"The client of {row} ended while it measured {what}.")
            return {f"{what}, {name}": value for name, value in json.loads(answer).items()}

        yield ask
        stdin.close()


@contextmanager
def probes() -> Iterator[tuple[list[Probe], dict[str, str]]]:
    """Start all servers and clients that can be had."""
    left_out = {row: missing for row, peer in PEERS.items() if (missing := peer.needs.missing())}
    with ExitStack() as stack:
        clients = {}
        for row in PEERS:
            if row not in left_out:
                server = stack.enter_context(peers.server(peers.role(__file__, "server", row)))
                clients[row] = stack.enter_context(_client(row, server))
        yield (
            [
                Probe(row, partial(ask, what), SLICES if what in VALUES else 1)
                for what in (*VALUES, *map(str, IN_FLIGHT))
                for row, ask in clients.items()
                if what in VALUES or PEERS[row].in_flight
            ],
            left_out,
        )


BENCHMARK = Benchmark(
    name="rpc",
    title="What a remote call costs",
    blocks=BLOCKS,
    goals=GOALS,
    probes=probes,
    roles={"server": be_server, "client": be_client},
)

if __name__ == "__main__":
    main(BENCHMARK)
