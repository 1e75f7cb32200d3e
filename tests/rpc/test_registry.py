"""The binder."""

from __future__ import annotations

import errno
import socket
import time
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import PeerRefused, UsageError
from dslab.rpc import registry as registry_module
from dslab.rpc.client import connect
from dslab.rpc.registry import NoSuchService, Registration, Registry, connect_by_name, lookup, seen_from


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


@pytest.mark.parametrize(
    "entry",
    [
        (5, "127.0.0.1:1", 10.0),
        ("bank", 7, 10.0),
        ("bank", "nowhere", 10.0),
        ("bank", "127.0.0.1:1", float("nan")),
        ("bank", "127.0.0.1:1", float("inf")),
        ("bank", "127.0.0.1:1", -1.0),
        ("bank", "127.0.0.1:1", "long"),
    ],
)
def test_what_is_no_entry_is_refused(entry: Any) -> None:
    registry = Registry(Clock())
    with pytest.raises((TypeError, ValueError, UsageError)):
        registry.register(*entry)
    registry.register("shop", "127.0.0.1:2")
    assert registry.names() == ["shop"]


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


def test_a_registry_that_answers_late_is_waited_for_however_short_the_lease(serve: Any) -> None:
    class Late(Registry):
        def register(self, name: str, address: str, lease_s: float = 1.0) -> float:
            time.sleep(0.3)
            return super().register(name, address, lease_s)

    with Registration(serve(Late(time.monotonic)), "x", Address("127.0.0.1", 7), lease_s=0.1) as registration:
        assert registration.address == Address("127.0.0.1", 7)


def test_no_error_ends_the_renewing(
    serve: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    registry = serve(Registry(time.monotonic))
    errors: list[Exception] = [
        OSError(errno.EMFILE, "Too many open files"),
        PeerRefused("gone"),
        MemoryError(),
    ]

    def failing_at_first(*arguments: Any, **options: Any) -> Any:
        if errors:
            raise errors.pop()
        return connect(*arguments, **options)

    with Registration(registry, "x", Address("127.0.0.1", 7), lease_s=0.3):
        monkeypatch.setattr(registry_module, "connect", failing_at_first)
        deadline_s = time.monotonic() + 30
        while errors or not (found := lookup(registry, "x")):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        assert found == [Address("127.0.0.1", 7)]
        errors.append(OSError(errno.EMFILE, "Too many open files"))  # it cannot say goodbye either
    assert "registration of x: OSError: [Errno 24] Too many open files" in capfd.readouterr().err


def test_who_listens_everywhere_registers_what_the_registry_sees(serve: Any) -> None:
    registry = serve(Registry(time.monotonic))
    with Registration(registry, "x", Address("0.0.0.0", 7)) as registration:
        assert lookup(registry, "x") == [registration.address] == [Address("127.0.0.1", 7)]
    assert seen_from(registry, Address("192.0.2.1", 7)) == Address("192.0.2.1", 7)
    with pytest.raises(PeerRefused, match="--advertise"):
        seen_from(Address("127.0.0.1", 7100), Address("::", 7))


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_who_listens_everywhere_by_ipv6_likewise() -> None:
    try:
        assert seen_from(Address("::1", 7100), Address("::", 7)) == Address("::1", 7)
    except PeerRefused:
        pytest.skip("no IPv6 here")
