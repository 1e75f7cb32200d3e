from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import MachineError
from dslab.kit.topology import addresses as under_test
from dslab.kit.topology.addresses import HOSTS_PER_BLOCK, Addresses

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127/8")


@pytest.fixture
def two() -> Iterator[tuple[Addresses, Addresses]]:
    with ExitStack() as closing:
        first, second = Addresses(), Addresses()
        closing.callback(first.close)
        closing.callback(second.close)
        yield first, second


@needs_linux
def test_no_host_is_given_twice(two: tuple[Addresses, Addresses]) -> None:
    first, second = two
    hosts = [first.fresh_host() for _ in range(2 * HOSTS_PER_BLOCK)] + [
        second.fresh_host() for _ in range(10)
    ]
    assert len(set(hosts)) == len(hosts)
    assert not [host for host in hosts if host.startswith("127.0.") or host.endswith((".0", ".255"))]


@needs_linux
def test_a_host_of_its_own_has_any_port(two: tuple[Addresses, Addresses]) -> None:
    host = two[0].fresh_host()
    assert two[0].at(host, 7000) == Address(host, 7000)


def test_elsewhere_ports_differ() -> None:
    addresses = Addresses(all_of_127=False)
    found = [addresses.at(addresses.fresh_host(), 7000) for _ in range(20)]
    assert {address.host for address in found} == {"127.0.0.1"}
    assert len({address.port for address in found}) == 20


def test_elsewhere_a_port_is_none_that_the_system_gives_to_others() -> None:
    addresses = Addresses(all_of_127=False)
    given = [addresses.at(addresses.fresh_host(), 7000).port for _ in range(20)]
    assert max(given) < 32_768


def test_elsewhere_a_port_that_is_taken_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(under_test, "PORTS", [taken.getsockname()[1]])
        addresses = Addresses(all_of_127=False)
        with pytest.raises(MachineError, match="No ports are free"):
            addresses.at(addresses.fresh_host(), 7000)
