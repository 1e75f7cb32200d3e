"""Listening sockets are found in the kernel's tables, without a connection to anybody."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import closing

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import UsageError
from dslab.kit.topology import listening

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1B58 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1
   1: 00000000:1B59 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12346 1
   2: 0100007F:1B5A 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 12347 1
   3: 0B00007F:9C40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12348 1
"""

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc/net")
needs_little_endian = pytest.mark.skipif(
    sys.byteorder != "little", reason="the table is of a little-endian machine"
)


@needs_little_endian
def test_listening_sockets_of_a_table() -> None:
    found = listening.parse_table(TABLE, "tcp")
    assert found == [Address("127.0.0.1", 7000), Address("0.0.0.0", 7001)]


@needs_little_endian
@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("00000000000000000000000000000000:1B58", Address("::", 7000)),
        ("00000000000000000000000001000000:1B58", Address("::1", 7000)),
        ("0000000000000000FFFF00000100007F:1B58", Address("127.0.0.1", 7000)),
    ],
)
def test_addresses_of_ipv6_sockets(text: str, address: Address) -> None:
    assert listening.parse_address(text) == address


@pytest.mark.parametrize(
    ("seen", "wanted", "is_covered"),
    [
        ("0.0.0.0:7000", "0.0.0.0:7000", True),
        ("[::]:7000", "0.0.0.0:7000", True),
        ("0.0.0.0:7000", "127.0.0.1:7000", True),
        ("172.18.0.3:7000", "0.0.0.0:7000", True),
        ("127.0.0.1:7000", "0.0.0.0:7000", False),
        ("0.0.0.0:7001", "0.0.0.0:7000", False),
    ],
)
def test_what_an_address_covers(seen: str, wanted: str, is_covered: bool) -> None:
    assert listening.covers([Address.parse(seen)], Address.parse(wanted)) is is_covered


@needs_linux
def test_tcp_listener_is_seen_and_not_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = Address(*server.getsockname())
        assert address in listening.listening("tcp")
        assert listening.main([str(address)]) == 0
        with pytest.raises(BlockingIOError):
            server.accept()
    assert listening.main([str(address)]) == 1


@needs_linux
def test_bound_udp_socket_is_seen() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server:
        server.bind(("127.0.0.1", 0))
        address = Address(*server.getsockname())
        assert listening.main(["--udp", str(address)]) == 0
        assert listening.main([str(address)]) == 1


@needs_linux
def test_as_a_program() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = str(Address(*server.getsockname()))
        program = [sys.executable, "-m", "dslab.kit.topology.listening", address]
        assert subprocess.run(program, check=False).returncode == 0
    assert subprocess.run(program, check=False).returncode == 1


def test_without_an_address() -> None:
    with pytest.raises(UsageError, match="Which address"):
        listening.main([])
