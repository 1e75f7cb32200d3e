from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench import rpc
from bench.harness import machine, peers
from bench.harness.peers import Server
from bench.harness.rounds import Samples
from bench.rpc_peers import drive
from bench.rpc_peers.drive import SMALL, Blocking, Echo, EchoAll, Windows

FILE = str(Path(rpc.__file__))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "SECONDS", 0.01)


@contextmanager
def driven(row: str) -> Iterator[tuple[drive.Driver, Server]]:
    peer = rpc.PEERS[row]
    with peers.server(peers.role(FILE, "server", row)) as server, ExitStack() as stack:
        yield peer.drive(server.address)(stack, server.cpu_s), server


@pytest.mark.parametrize("row", [rpc.OURS, "dslab.rpc: asyncio", "xmlrpc"])
def test_each_way_of_driving_gives_times_rates_and_cpu_time(row: str) -> None:
    with driven(row) as (driver, server):
        before_s = server.cpu_s()
        latency, throughput = driver.latency(SMALL), driver.throughput(3)
        used_us = (server.cpu_s() - before_s) * 1e6
    assert set(latency) == {"p50_us", "cpu_us"}
    assert set(throughput) == {"per_s", "cpu_us"}
    assert all(value > 0 for value in (*latency.values(), *throughput.values()))
    assert max(latency["cpu_us"], throughput["cpu_us"]) < used_us


def test_an_echo_that_is_none_is_noticed() -> None:
    with pytest.raises(ValueError, match="came back as"):
        drive.one_by_one(lambda value: value[1:], SMALL, lambda: 0.0)


def test_a_thread_that_fails_lets_nobody_wait() -> None:
    connections = 0

    @contextmanager
    def connect() -> Iterator[Echo]:
        nonlocal connections
        connections += 1
        if connections == 3:
            raise ConnectionRefusedError
        yield lambda value: value

    with ExitStack() as stack, pytest.raises(threading.BrokenBarrierError):
        Blocking(stack, connect, lambda: 0.0).throughput(4)


@pytest.mark.parametrize("in_flight", drive.IN_FLIGHT)
def test_windows_keep_as_many_under_way_as_they_are_asked_for(in_flight: int) -> None:
    under_way, most = 0, 0

    @contextmanager
    def connect() -> Iterator[tuple[Echo, EchoAll]]:
        def echo_all(values: Sequence[Any]) -> Callable[[], object]:
            nonlocal under_way, most
            under_way += len(values)
            most = max(most, under_way)
            return lambda: fetch(len(values))

        yield (lambda value: value), echo_all

    def fetch(count: int) -> None:
        nonlocal under_way
        under_way -= count

    with ExitStack() as stack:
        Windows(stack, connect, lambda: 0.0).throughput(in_flight)
    assert (most, under_way) == (in_flight, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only there a process can be kept on a CPU")
def test_all_threads_of_a_server_are_kept_on_a_cpu_and_let_go_again() -> None:
    everywhere = machine.cpus()
    with driven(rpc.OURS) as (driver, server):
        driver.latency(SMALL)  # the client's thread has begun
        threads = [each.id for each in psutil.Process(server.pid).threads()]
        assert len(threads) > 2
        for allowed in ({min(everywhere)}, everywhere):
            machine.keep_on(server.pid, allowed)
            assert [os.sched_getaffinity(thread) for thread in threads] == [allowed] * len(threads)


def test_every_row_can_be_had_or_says_what_is_missing() -> None:
    for row, peer in rpc.PEERS.items():
        assert "install" in (peer.needs.missing() or "install"), row


def test_goals_are_about_rows_and_figures_that_are_measured() -> None:
    figures = {column.figure for block in rpc.BLOCKS for column in block.columns}
    samples = rpc_samples(figures)
    assert [goal.text for goal in rpc.GOALS if goal.measured(samples) is None] == []


def rpc_samples(figures: set[str]) -> Samples:
    return Samples({row: {figure: [1.0, 1.0] for figure in figures} for row in rpc.PEERS})
