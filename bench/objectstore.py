"""What the object store costs, and how that depends on sizes and on how many keys there are.

====================  =======================================================================================
dslab.objectstore     unsigned requests, written aside and renamed, not waiting for the disk
+ fsync               the same, waiting for the disk before every answer, as it does unless told otherwise
+ Signature V4        every request signed: the work of both sides
moto                  moto's server, of which S3's clients are fond in tests; it keeps objects in memory
nginx                 nginx with WebDAV, one worker: files and nothing else, a floor
bare uvicorn          another floor: an ASGI application with one answer to everything, with S3's headers
bare FastAPI          the same as a route of FastAPI's, which ours has too: a floor of memory
MD5 alone             no server: an ETag is an MD5, so no S3 server takes less for a PUT
====================  =======================================================================================

The client is a bare socket (`bench.objectstore_peers.lean`), so that what is measured is the server; beside
it there is boto3, whose own work is most of what it takes. "After a write" is a GET, or a list, straight
after another key was put: then nothing that was remembered counts. Lists are of 1,000 keys, in buckets of
more and more. Memory is what a server has after eight clients at once have put and got 64 MiB each.

What goes to and fro in small pieces has client and server on one CPU (on Linux), as in `bench.rpc`, for the
same reason: only one of them has work at a time, and on two, a GET lasts 48 or 105 microseconds, depending
on which of them the kernel wakes the other on. It is measured in slices, server after server and again. Large
objects, and eight clients at once, have all CPUs.

Run it as ``python bench/objectstore.py``; it prints tables, and writes ``bench/results/objectstore.json`` and
``objectstore.svg``. What is not installed is left out: nginx is a package of the system, and moto is found by
its ``moto_server`` in PATH (``pip install 'moto[server]'``, in an environment of its own).
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import boto3
from botocore.config import Config

from bench.harness.command import Benchmark, main
from bench.harness.goals import Goal, Value, ratio
from bench.harness.machine import cpus, keep_on
from bench.harness.peers import NOTHING, Needs, Server
from bench.harness.report import Block, Column
from bench.harness.rounds import Probe
from bench.harness.spread import ratios
from bench.objectstore_peers import servers
from bench.objectstore_peers.lean import ACCESS_KEY, SECRET, Headers, Lean, no_headers, signed, unchecked
from dslab.objectstore import buckets, versions
from dslab.objectstore.messages import Content, Meta
from dslab.objectstore.store import Store

OURS, DURABLE, SIGNED = "dslab.objectstore", "+ fsync", "+ Signature V4"
MOTO, NGINX, BARE, FASTAPI, MD5 = "moto", "nginx", "bare uvicorn", "bare FastAPI", "MD5 alone"

KIB, MIB = 1024, 1024**2
CLIENTS = 8
LISTS = 5
SLICES = 8
BOTO3_TRIPS = 5
AFTER_A_WRITE = " after a write"
KEY_COUNTS = (1_000, 10_000, 100_000, 1_000_000)
MOTO_COUNTS = (1_000, 100_000)
Measure = Callable[[], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A row.

    Attributes:
        serve: Starts its server, given a folder.
        headers: What its requests have.
        needs: What it cannot do without.
        stores: Does it keep what is put?
        is_s3: Does it have buckets?
        trips: How many small requests a slice has, or one of the eight clients makes.
    """

    serve: Callable[[Path], AbstractContextManager[Server]]
    headers: Headers = no_headers
    needs: Needs = NOTHING
    stores: bool = True
    is_s3: bool = True
    trips: int = 50


OPEN = ("--anonymous", "write")
PEERS: dict[str, Peer] = {
    OURS: Peer(lambda folder: servers.ours(folder, "--no-sync", *OPEN)),
    DURABLE: Peer(lambda folder: servers.ours(folder, *OPEN), trips=12),
    SIGNED: Peer(lambda folder: servers.ours(folder, "--no-sync"), signed),
    MOTO: Peer(
        servers.moto, unchecked,
        Needs(programs=("moto_server",), install="pip install 'moto[server]', and have it in PATH"), trips=8,
    ),
    NGINX: Peer(servers.nginx, needs=Needs(programs=("nginx",), install="install nginx"), is_s3=False),
    BARE: Peer(lambda folder: servers.bare("bare"), stores=False, is_s3=False),
    FASTAPI: Peer(lambda folder: servers.bare("bare_fastapi"), stores=False, is_s3=False),
}  # fmt: skip


# ---- measurements: each gives figures by their names


def _p50_s(operation: Callable[[], object], trips: int) -> float:
    times_s = []
    for _ in range(trips):
        start_s = time.perf_counter()
        operation()
        times_s.append(time.perf_counter() - start_s)
    return statistics.median(times_s)


def small(peer: Peer, server: Server, client: Lean) -> dict[str, float]:
    """Measure 1 KiB objects, one request after another."""
    measured = {}
    path, body = "/bucket/small", os.urandom(KIB)
    for method in ("PUT", "GET", "HEAD"):
        cpu_s = server.cpu_s()
        operation = partial(client.request, method, path, body if method == "PUT" else b"")
        measured[f"{method} 1 KiB, us"] = _p50_s(operation, peer.trips) * 1e6
        measured[f"{method} 1 KiB, cpu_us"] = (server.cpu_s() - cpu_s) / peer.trips * 1e6
    return measured


def after_write(peer: Peer, client: Lean) -> dict[str, float]:
    """Measure a GET that follows a PUT of another key."""
    times_s = []
    for _ in range(max(2, peer.trips // 4)):
        client.request("PUT", "/bucket/other", b"x")
        start_s = time.perf_counter()
        client.request("GET", "/bucket/small")
        times_s.append(time.perf_counter() - start_s)
    return {"GET 1 KiB after a write, us": statistics.median(times_s) * 1e6}


def large(client: Lean) -> dict[str, float]:
    """Measure 1 MiB and 64 MiB objects."""
    measured = {}
    for name, size, trips in (("1 MiB", MIB, 10), ("64 MiB", 64 * MIB, 2)):
        put = partial(client.request, "PUT", f"/bucket/{size}", os.urandom(size))
        measured[f"PUT {name}, ms"] = _p50_s(put, trips) * 1e3
        measured[f"GET {name}, ms"] = _p50_s(partial(client.request, "GET", f"/bucket/{size}"), trips) * 1e3
    return measured


def at_once(clients: Sequence[Lean], method: str, trips: int, body: bytes = b"") -> float:
    """Let all clients work at the same time: gives the seconds per request of all together."""

    def work(client: Lean, number: int) -> None:
        for _ in range(trips):
            client.request(method, f"/bucket/crowd-{number}", body)

    threads = [threading.Thread(target=work, args=each) for each in zip(clients, count(), strict=False)]
    start_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - start_s) / (trips * len(clients))


def crowd(peer: Peer, clients: Sequence[Lean]) -> dict[str, float]:
    """Measure eight clients with 1 KiB objects."""
    put_s = at_once(clients, "PUT", peer.trips, os.urandom(KIB))
    return {
        "PUT 1 KiB by 8, us": put_s * 1e6,
        "GET 1 KiB by 8, us": at_once(clients, "GET", peer.trips) * 1e6,
    }


def by_boto3(server: Server) -> Measure:
    """Measure 1 KiB objects through boto3. Who stores nothing shows what boto3 takes by itself."""
    client = boto3.client(
        "s3", endpoint_url=f"http://{server.address}", region_name="us-east-1", aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET, config=Config(proxies={}, retries={"total_max_attempts": 1}),
    )  # fmt: skip
    body = os.urandom(KIB)

    def get() -> bytes:
        body: bytes = client.get_object(Bucket="bucket", Key="boto3")["Body"].read()
        return body

    def measure() -> dict[str, float]:
        put = partial(client.put_object, Bucket="bucket", Key="boto3", Body=body)
        put_s = _p50_s(put, BOTO3_TRIPS)
        return {"boto3 PUT 1 KiB, ms": put_s * 1e3, "boto3 GET 1 KiB, ms": _p50_s(get, BOTO3_TRIPS) * 1e3}

    return measure


def etag() -> dict[str, float]:
    """Measure what the ETag of a large object takes by itself."""
    body = bytes(64 * MIB)
    return {"PUT 64 MiB, ms": _p50_s(lambda: hashlib.md5(body, usedforsecurity=False), 1) * 1e3}


def lists(client: Lean, counts: Sequence[int]) -> dict[str, float]:
    """Measure a list of 1,000 keys: first after a write, then again."""
    measured = {}
    for n in counts:
        operation = partial(client.request, "GET", f"/keys-{n}?list-type=2")
        first_s = []
        for _ in range(LISTS):
            client.request("PUT", "/bucket/other", b"x")
            first_s.append(_p50_s(operation, 1))
        measured[_list(n, AFTER_A_WRITE)] = statistics.median(first_s) * 1e3
        measured[_list(n)] = _p50_s(operation, LISTS) * 1e3
    return measured


def _list(n: int, when: str = "") -> str:
    """What the figure of a list from so many keys is called."""
    return f"list of 1,000 of {n:,}{when}, ms"


def fill(folder: Path) -> None:
    """Put keys straight into the index of our store: they all are the same file."""
    with closing(Store(folder, sync=False)) as store:
        for number in KEY_COUNTS:
            store.create_bucket(f"keys-{number}")
            store.index.write(partial(_fill, bucket=f"keys-{number}", number=number))


def _fill(db: sqlite3.Connection, *, bucket: str, number: int) -> None:
    where = buckets.get(db, bucket)
    content, meta = Content(1, "9dd4e461268c8034f5c8564e155c67a6"), Meta()
    for each in range(number):
        versions.put(db, where, f"{each:07}", content, meta, time.time(), "")


# ---- all of it


@contextmanager
def probes() -> Iterator[tuple[list[Probe], dict[str, str]]]:
    """Start all servers that can be had, and fill their buckets."""
    left_out = {row: missing for row, peer in PEERS.items() if (missing := peer.needs.missing())}
    made: list[Probe] = []
    with ExitStack() as stack:
        for row in (row for row in PEERS if row not in left_out):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            made += _probes_of(row, folder, stack)
            if row == OURS:
                fill(folder)
        if MOTO not in left_out:
            # Another one: the first one's memory is measured, and these keys would be in it.
            server = stack.enter_context(servers.moto(Path(), *MOTO_COUNTS))
            client = stack.enter_context(closing(Lean(server.address, unchecked)))
            client.request("PUT", "/bucket")
            made.append(_probe(MOTO, server, [client], partial(lists, client, MOTO_COUNTS)))
        made.append(Probe(MD5, etag))
        yield made, left_out


def _probes_of(row: str, folder: Path, stack: ExitStack) -> list[Probe]:
    peer = PEERS[row]
    server = stack.enter_context(peer.serve(folder))
    clients = [stack.enter_context(closing(Lean(server.address, peer.headers))) for _ in range(CLIENTS)]
    client = clients[0]
    in_slices: list[Measure] = [partial(small, peer, server, client)]
    on_one_cpu: list[Measure] = []
    on_all_cpus: list[Measure] = [lambda: {"memory, MiB": server.rss_bytes() / MIB}]
    if peer.is_s3:
        client.request("PUT", "/bucket")
    if peer.stores:
        in_slices.append(partial(after_write, peer, client))
        on_all_cpus += [partial(large, client), partial(crowd, peer, clients)]
        at_once(clients, "PUT", 1, os.urandom(64 * MIB))
        at_once(clients, "GET", 1)
    if row in (OURS, MOTO, BARE):
        in_slices.append(by_boto3(server))
    if row == OURS:
        on_one_cpu.append(partial(lists, client, KEY_COUNTS))
    return [
        *[_probe(row, server, clients, measure, slices=SLICES) for measure in in_slices],
        *[_probe(row, server, clients, measure) for measure in on_one_cpu],
        *[_probe(row, server, clients, measure, all_cpus=True) for measure in on_all_cpus],
    ]


def _probe(
    row: str,
    server: Server,
    clients: Sequence[Lean],
    measure: Measure,
    *,
    slices: int = 1,
    all_cpus: bool = False,
) -> Probe:
    """Make a probe that calls anew first; all processes share one CPU meanwhile, or have all of them."""
    everywhere = cpus()

    def measured() -> Mapping[str, float]:
        for each in clients:
            each.renew()
        sides = (os.getpid(), server.pid)
        try:
            if not all_cpus:
                for side in sides:
                    keep_on(side, sorted(everywhere)[:1])
            return measure()
        finally:
            for side in sides:
                keep_on(side, everywhere)

    return Probe(row, measured, slices)


def times(figure_name: str) -> Value:
    """How many times longer moto takes than we."""
    return ratio(MOTO, OURS, figure_name)


def of_nginx(figure_name: str) -> Value:
    """Our speed, of nginx's."""
    return ratio(NGINX, OURS, figure_name)


def flat(when: str = "") -> Value:
    """How much longer a list takes in the largest bucket than in the smallest."""
    few, *_, many = (_list(n, when) for n in KEY_COUNTS)
    return lambda samples: ratios(samples.of(OURS, many), samples.of(OURS, few))


# Beside some goals stands what can be had at most: by who only serves files, or does nothing.
GOALS = [
    Goal("GET 1 KiB: times moto's speed", times("GET 1 KiB, us"), at_least=15),
    Goal("GET 1 KiB: of nginx's speed", of_nginx("GET 1 KiB, us"), at_least=0.8),
    Goal("PUT 1 KiB: times moto's speed", times("PUT 1 KiB, us"), at_least=3.5),
    Goal("CPU per GET 1 KiB: moto's to ours", times("GET 1 KiB, cpu_us"), at_least=24),
    Goal("GET 64 MiB: times moto's speed", times("GET 64 MiB, ms"), at_least=3.5),
    Goal("... nginx itself", ratio(MOTO, NGINX, "GET 64 MiB, ms")),
    Goal("GET 64 MiB: of nginx's speed", of_nginx("GET 64 MiB, ms"), at_least=0.65),
    Goal("PUT 64 MiB: times moto's speed", times("PUT 64 MiB, ms"), at_least=2.6),
    Goal("... nginx itself", ratio(MOTO, NGINX, "PUT 64 MiB, ms")),
    Goal("... MD5 alone", ratio(MOTO, MD5, "PUT 64 MiB, ms")),
    *[
        Goal(f"list of 1,000 of {n:,}: times moto's speed", times(_list(n)), at_least=230)
        for n in MOTO_COUNTS
    ],
    *[Goal(f"... of {n:,}, after a write", times(_list(n, AFTER_A_WRITE))) for n in MOTO_COUNTS],
    Goal("list of 1,000: of 1,000,000 to of 1,000", flat(), at_most=1.25),
    Goal("... after a write", flat(AFTER_A_WRITE), at_most=1.25),
    Goal("memory: moto's to ours", times("memory, MiB"), at_least=9),
    Goal("... bare FastAPI itself", ratio(MOTO, FASTAPI, "memory, MiB")),
    Goal("boto3 GET 1 KiB: times moto's speed", times("boto3 GET 1 KiB, ms"), at_least=4.3),
    Goal("... bare uvicorn itself", ratio(MOTO, BARE, "boto3 GET 1 KiB, ms")),
    Goal("boto3 PUT 1 KiB: times moto's speed", times("boto3 PUT 1 KiB, ms"), at_least=2.8),
    Goal("... bare uvicorn itself", ratio(MOTO, BARE, "boto3 PUT 1 KiB, ms")),
]


def _columns(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, name) for name in names)


BLOCKS = [
    Block("GET 1 KiB", _columns("GET 1 KiB, us", "GET 1 KiB, cpu_us"), OURS),
    Block("PUT 1 KiB", _columns("PUT 1 KiB, us", "PUT 1 KiB, cpu_us"), OURS),
    Block("Other small ones", _columns("HEAD 1 KiB, us", "GET 1 KiB after a write, us"), OURS),
    Block("Eight clients at once, 1 KiB", _columns("GET 1 KiB by 8, us", "PUT 1 KiB by 8, us"), OURS),
    Block("1 MiB", _columns("GET 1 MiB, ms", "PUT 1 MiB, ms"), OURS),
    Block("64 MiB", _columns("GET 64 MiB, ms", "PUT 64 MiB, ms"), OURS),
    Block("Through boto3", _columns("boto3 GET 1 KiB, ms", "boto3 PUT 1 KiB, ms"), OURS),
    *[
        Block(f"List of 1,000 of {n:,} keys", _columns(_list(n), _list(n, AFTER_A_WRITE)), OURS)
        for n in KEY_COUNTS
    ],
    Block("Memory after 64 MiB objects", _columns("memory, MiB"), OURS),
]

BENCHMARK = Benchmark(
    name="objectstore",
    title="What an object store costs",
    blocks=BLOCKS,
    goals=GOALS,
    probes=probes,
    roles={},
    rounds=5,
)

if __name__ == "__main__":
    main(BENCHMARK)
