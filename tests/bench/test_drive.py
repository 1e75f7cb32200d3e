from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bench import rpc
from bench.harness import peers
from bench.harness.peers import Server
from bench.harness.rounds import Samples
from bench.rpc_peers import drive
from bench.rpc_peers.drive import SMALL, Blocking, Echo

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


def test_every_row_can_be_had_or_says_what_is_missing() -> None:
    for row, peer in rpc.PEERS.items():
        assert "install" in (peer.needs.missing() or "install"), row


def test_goals_are_about_rows_and_figures_that_are_measured() -> None:
    figures = {column.figure for block in rpc.BLOCKS for column in block.columns}
    samples = rpc_samples(figures)
    assert [goal.text for goal in rpc.GOALS if goal.measured(samples) is None] == []


def rpc_samples(figures: set[str]) -> Samples:
    return Samples({row: {figure: [1.0, 1.0] for figure in figures} for row in rpc.PEERS})
