"""The sockets of this machine that wait for a peer, as Linux tells them: its socket diagnosis, over netlink.

/proc/net/tcp has them too, but there the kernel walks through its whole table of connections to tell of the
few that listen: 75 ms a look on a machine with 24 GiB of memory, however few connections there are. Here it
is asked for those that listen, and takes 0.2 ms.

A request, and each answer to it, is a netlink message (native byte order, but for ports and addresses):

    ==========  ==============  ====================================================================
    offset      struct          what
    ==========  ==============  ====================================================================
    0           =I H H I I      length, type, flags, sequence number, sender
    16          =B B B x I 48x  request: family, protocol, extensions, wanted states as a bit set
    16          =B B            answer: family, state
    20          !H              answer: port
    24          4 or 16 bytes   answer: host
    84          =I              answer: inode, by which /proc/PID/fd names the socket
    ==========  ==============  ====================================================================

Source: the Linux manual, sock_diag(7) and netlink(7).
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

SOCK_DIAG = 4  # the netlink protocol
DIAG_BY_FAMILY = 20  # message types
DONE = 3
ERROR = 2
REQUEST_AND_DUMP = 0x301  # flags

CLOSED = 7  # states; that of a UDP socket without a peer
LISTEN = 10

HEADER = struct.Struct("=IHHII")
REQUEST = struct.Struct("=BBBxI48x")
INODE = struct.Struct("=I")
PORT = struct.Struct("!H")

_WAITING = ((socket.IPPROTO_TCP, LISTEN), (socket.IPPROTO_UDP, CLOSED))
_LINK = "socket:["


class WaitingSocket(NamedTuple):
    """A TCP socket in LISTEN, or a UDP socket without a peer."""

    host: str
    port: int
    is_tcp: bool
    inode: int


def waiting_sockets() -> list[WaitingSocket]:
    """All of this machine, or of this container.

    Raises:
        OSError: The system has no socket diagnosis.
    """
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError("only Linux has netlink")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, SOCK_DIAG) as kernel:
        return [
            found
            for family in (socket.AF_INET, socket.AF_INET6)
            for protocol, state in _WAITING
            for found in _ask(kernel, family, protocol, state)
        ]


def inodes(pid: int) -> set[int]:
    """The sockets that a process holds; none if it has ended, or is not ours to look at."""
    found = set()
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 - this is done often
            with suppress(OSError):  # closed since
                target = os.readlink(f"/proc/{pid}/fd/{name}")  # noqa: PTH115
                if target.startswith(_LINK):
                    found.add(int(target[len(_LINK) : -1]))
    return found


def _ask(kernel: socket.socket, family: int, protocol: int, state: int) -> Iterator[WaitingSocket]:
    body = REQUEST.pack(family, protocol, 0, 1 << state)
    kernel.send(HEADER.pack(HEADER.size + len(body), DIAG_BY_FAMILY, REQUEST_AND_DUMP, 1, 0) + body)
    while True:
        data = kernel.recv(1 << 16)
        while data:
            length, kind, *_ = HEADER.unpack_from(data)
            if kind == DONE:
                return
            if kind == ERROR:
                raise OSError("the kernel has no socket diagnosis")
            yield _read(family, protocol, data)
            data = data[(length + 3) & ~3 :]


def _read(family: int, protocol: int, message: bytes) -> WaitingSocket:
    host = message[24:28] if family == socket.AF_INET else message[24:40]
    return WaitingSocket(
        socket.inet_ntop(family, host),
        PORT.unpack_from(message, 20)[0],
        protocol == socket.IPPROTO_TCP,
        INODE.unpack_from(message, 84)[0],
    )
