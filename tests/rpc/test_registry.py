"""The binder."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.rpc.client import connect
from dslab.rpc.registry import NoSuchService, Registration, Registry, connect_by_name, lookup


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_lease_ends_unless_it_is_renewed() -> None:
    clock = Clock()
    registry = Registry(clock)
    registry.register("bank", "10.0.0.1:7000", 10.0)
    registry.register("bank", "10.0.0.2:7000", 20.0)
    registry.register("shop", "10.0.0.3:7000", 20.0)
    clock.now_s = 9.0
    assert registry.lookup("bank") == ["10.0.0.1:7000", "10.0.0.2:7000"]
    registry.register("bank", "10.0.0.1:7000", 5.0)
    clock.now_s = 13.9
    assert registry.lookup("bank") == ["10.0.0.1:7000", "10.0.0.2:7000"]
    clock.now_s = 14.0
    assert registry.lookup("bank") == ["10.0.0.2:7000"]
    assert registry.names() == ["bank", "shop"]
    assert registry.unregister("bank", "10.0.0.2:7000")
    assert not registry.unregister("bank", "10.0.0.2:7000")
    assert registry.lookup("bank") == []


def test_a_client_finds_a_server_by_name(serve: Any) -> None:
    registry = serve(Registry(time.monotonic))
    server = serve(len)
    with Registration(registry, "length", server):
        assert lookup(registry, "length") == [server]
        with connect_by_name(registry, "length") as client:
            assert client.call("len", [1, 2]) == 2
    assert lookup(registry, "length") == []
    with pytest.raises(NoSuchService):
        connect_by_name(registry, "length")


def test_a_dead_server_is_passed_over(serve: Any) -> None:
    registry = serve(Registry(time.monotonic))
    server = serve(len)
    with connect(registry) as client:
        client.call("register", "length", "127.0.0.1:1")
        client.call("register", "length", str(server))
        with pytest.raises(Exception, match="not an address"):
            client.call("register", "length", "nonsense")
    with connect_by_name(registry, "length") as client:
        assert client.address == server


def test_a_registration_renews_itself(serve: Any) -> None:
    renewed = []

    class Counting(Registry):
        def register(self, name: str, address: str, lease_s: float = 1.0) -> float:
            renewed.append(name)
            return super().register(name, address, lease_s)

    registry = serve(Counting(time.monotonic))
    with Registration(registry, "x", Address("127.0.0.1", 7), lease_s=0.3):
        deadline_s = time.monotonic() + 30
        while len(renewed) < 3 and time.monotonic() < deadline_s:
            time.sleep(0.01)
    assert len(renewed) >= 3
