"""Multicast RPC: all, a majority, the first; silent and dead servers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerClosed, PeerRefused, PeerSilent, UsageError
from dslab.rpc import aclient
from dslab.rpc.errors import DoesNotTravel
from dslab.rpc.multicast import ALL, MAJORITY, AsyncGroup, NotEnough, multicast, needed


class Replica:
    def __init__(self, number: int, silent: bool = False) -> None:
        self.number = number
        self.release = threading.Event()
        self.calls = 0
        if not silent:
            self.release.set()

    def read(self) -> int:
        self.calls += 1
        self.release.wait(60)
        return self.number

    def fail(self) -> None:
        raise ValueError(self.number)


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    replicas = [Replica(number, silent=number == 4) for number in range(5)]
    yield replicas
    for replica in replicas:
        replica.release.set()


@pytest.fixture
def servers(serve: Any, replicas: list[Replica]) -> list[Address]:
    return [serve(replica, workers=1) for replica in replicas]


def test_all_answer(servers: list[Address]) -> None:
    with multicast(servers[:4], timeout_s=60) as group:
        replies = group.call("read")
    assert replies.results == dict(zip(servers, range(4), strict=False))
    assert (replies.failures, replies.late) == ({}, [])


@pytest.mark.parametrize("wanted", [1, MAJORITY, 4])
def test_enough_do_not_wait_for_the_silent_one(servers: list[Address], wanted: Any) -> None:
    with multicast(servers, timeout_s=600) as group:
        replies = group.call("read", wanted=wanted)
    assert len(replies.results) >= needed(wanted, 5)
    assert servers[4] in replies.late
    assert all(servers.index(server) == number for server, number in replies.results.items())


def test_all_wait_for_the_silent_one_until_the_deadline(servers: list[Address]) -> None:
    with multicast(servers, timeout_s=3.0) as group, pytest.raises(NotEnough, match="3 s") as raised:
        group.call("read", wanted=ALL)
    replies = raised.value.replies
    assert isinstance(replies.failures[servers[4]], PeerSilent)
    assert len(replies.results) == 4


def test_a_server_that_is_named_twice_counts_once(servers: list[Address], replicas: list[Replica]) -> None:
    with multicast([servers[0], str(servers[0]), servers[1]], timeout_s=60) as group:
        assert group.addresses == servers[:2]
        for wanted in (ALL, MAJORITY):
            assert group.call("read", wanted=wanted).results == {servers[0]: 0, servers[1]: 1}
        with pytest.raises(UsageError, match="Of 2 servers"):
            group.call("read", wanted=3)
    assert (replicas[0].calls, replicas[1].calls) == (2, 2)


def test_a_dead_server_did_not_execute_it(servers: list[Address]) -> None:
    with multicast([*servers[:2], "127.0.0.1:1"], timeout_s=60) as group:
        replies = group.call("read", wanted=MAJORITY)
        with pytest.raises(NotEnough) as raised:
            group.call("read")
    assert set(replies.results) <= set(servers[:2])
    (error,) = raised.value.replies.failures.values()
    assert isinstance(error, PeerRefused)
    assert error.happened is Happened.NO


def test_it_returns_as_soon_as_enough_have_failed(servers: list[Address]) -> None:
    with multicast([*servers[3:], "127.0.0.1:1", "127.0.0.1:2"], timeout_s=600) as group:
        with pytest.raises(NotEnough):
            group.call("read", wanted=3)  # the silent one is not waited for: it could not help any more
        with pytest.raises(NotEnough):
            group.call("fail", wanted=2)


def test_every_server_got_the_call(servers: list[Address], replicas: list[Replica]) -> None:
    async def run() -> None:
        async with AsyncGroup(servers[:4], {"timeout_s": 60}) as group:
            await asyncio.gather(*(group.call("read") for _ in range(10)))

    asyncio.run(run())
    assert [replica.calls for replica in replicas] == [10, 10, 10, 10, 0]


@pytest.mark.parametrize(
    ("wanted", "servers", "count"), [("all", 5, 5), ("majority", 5, 3), ("majority", 4, 3), (2, 3, 2)]
)
def test_how_many_are_needed(wanted: Any, servers: int, count: int) -> None:
    assert needed(wanted, servers) == count


@pytest.mark.parametrize("wanted", [0, 4, -1, "most"])
def test_what_cannot_be_waited_for(wanted: Any) -> None:
    with pytest.raises(UsageError):
        needed(wanted, 3)


def test_who_calls_beside_the_end_of_the_group_returns(
    servers: list[Address], monkeypatch: pytest.MonkeyPatch
) -> None:
    connects = threading.Event()
    connect = aclient.connect

    async def hang(address: Any, **options: Any) -> Any:
        if address == servers[0]:
            connects.set()
            await asyncio.Event().wait()
        return await connect(address, **options)

    monkeypatch.setattr(aclient, "connect", hang)
    with ThreadPoolExecutor() as pool:
        group = multicast([servers[0], servers[4]], timeout_s=600)
        call = pool.submit(group.call, "read")
        assert connects.wait(30)
        group.close()
        with pytest.raises(NotEnough) as raised:
            call.result(30)
    assert raised.value.replies.failures
    assert all(isinstance(error, PeerClosed) for error in raised.value.replies.failures.values())
    group.close()
    with pytest.raises(PeerClosed, match="read: this client is closed"):
        group.call("read")


def test_an_argument_that_does_not_travel_is_no_servers_failure(servers: list[Address]) -> None:
    with multicast(servers[:4], timeout_s=60) as group, pytest.raises(DoesNotTravel):
        group.call("read", object())
