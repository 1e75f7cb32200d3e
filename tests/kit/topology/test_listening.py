from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from dslab.kit.address import Address
from dslab.kit.topology import listening, processes, sockdiag
from dslab.kit.topology.listening import Listener, everybody, listeners

BOUND = [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]


@pytest.fixture(
    params=[pytest.param(True, marks=pytest.mark.skipif(not processes.LINUX, reason="no netlink")), False],
    ids=["sockdiag", "psutil"],
)
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once as Linux tells it, once as a system without socket diagnosis does."""
    if not request.param:
        monkeypatch.delattr(socket, "AF_NETLINK", raising=False)


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize(("host", "family"), BOUND, ids=["IPv4", "IPv6"])
def test_who_waits_for_a_peer(host: str, family: int, sockets: ExitStack) -> None:
    tcp, udp = (
        sockets.enter_context(socket.socket(family, kind)) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    )
    for one in (tcp, udp):
        one.bind((host, 0))
    address = {one: Address(host, one.getsockname()[1]) for one in (tcp, udp)}
    assert listeners([os.getpid()]) & {Listener(address[tcp], "tcp"), Listener(address[udp], "udp")} == {
        Listener(address[udp], "udp")
    }
    tcp.listen()
    for found in (listeners([os.getpid()]), everybody()):
        assert found is not None
        assert {Listener(address[tcp], "tcp"), Listener(address[udp], "udp")} <= found


@pytest.mark.usefixtures("source")
def test_who_talks_with_a_peer_waits_for_nobody(sockets: ExitStack) -> None:
    server = sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
    client = sockets.enter_context(socket.create_connection(server.getsockname()))
    connected = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    connected.connect(("127.0.0.1", 9))
    own = {Listener(Address(*one.getsockname()), "tcp") for one in (client, server)}
    own |= {Listener(Address(*connected.getsockname()), "udp")}
    assert listeners([os.getpid()]) & own == {Listener(Address(*server.getsockname()), "tcp")}


@pytest.mark.usefixtures("source")
def test_only_of_those_who_are_asked(sockets: ExitStack) -> None:
    server = sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
    own = Listener(Address(*server.getsockname()), "tcp")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert own not in listeners([other.pid])
        assert own in listeners([other.pid, os.getpid()])
        other.communicate(b"\n")
    assert listeners([other.pid]) == set()


@pytest.mark.usefixtures("source")
def test_many_listeners(sockets: ExitStack) -> None:
    """More than one netlink message can tell of."""
    many = [sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(700)]
    wanted = {Listener(Address(*one.getsockname()), "tcp") for one in many}
    assert wanted <= listeners([os.getpid()])


def test_the_healthcheck(sockets: ExitStack) -> None:
    server = sockets.enter_context(socket.socket())
    server.bind(("", 0))  # at every address: nobody else of this machine can listen there
    port = server.getsockname()[1]
    assert listening.main([str(port)]) == 1
    server.listen()
    assert listening.main([str(port)]) == 0
    assert listening.main([f"{port}/tcp"]) == 0


@pytest.mark.skipif(not processes.LINUX, reason="no netlink")
def test_a_kernel_that_does_not_know_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockdiag, "DIAG_BY_FAMILY", 999)
    with pytest.raises(OSError, match="no socket diagnosis"):
        sockdiag.waiting_sockets()
    assert everybody() is not None
