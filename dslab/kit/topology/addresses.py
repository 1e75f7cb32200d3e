"""Addresses for the nodes of a run that no other run on this machine uses.

On Linux every address of 127/8 is the machine itself. A run reserves blocks 127.A.B.0/24 and gives each node,
and each link, an address of its own: five nodes can all listen on port 7000, as five hosts would. None is
given twice in a run, so nothing that is left of one check (a connection in TIME_WAIT, a late datagram) meets
the next. Elsewhere only 127.0.0.1 exists, and each gets a free port.

A block is reserved by holding a socket with the block's name in Linux's abstract namespace: it is the whole
machine's, whoever the user, and the kernel lets go of it with the process.
"""

from __future__ import annotations

import random
import socket
import sys
from contextlib import ExitStack, suppress

from dslab.kit.address import Address
from dslab.kit.errors import MachineError

HOSTS_PER_BLOCK = 254
ATTEMPTS = 1000
# Below those that a system gives to whoever asks for any (Linux from 32768 on, others from 49152): somebody
# would have got it before the node listens.
PORTS = range(20_000, 32_768)
LOOPBACK = "127.0.0.1"


class Addresses:
    """The addresses of one run.

    Args:
        all_of_127: Whether this machine has all of 127/8.
    """

    def __init__(self, *, all_of_127: bool = sys.platform == "linux") -> None:
        self._all_of_127 = all_of_127
        self._held = ExitStack()
        self._block = ""
        self._used = HOSTS_PER_BLOCK
        self._ports: set[int] = set()
        self.alive = True

    def fresh_host(self) -> str:
        """A host that nothing in this run has had; 127.0.0.1 where there is no other."""
        if not self._all_of_127:
            return LOOPBACK
        if self._used == HOSTS_PER_BLOCK:
            self._block, self._used = self._reserve_block(), 0
        self._used += 1
        return f"{self._block}.{self._used}"

    def at(self, host: str, port: int) -> Address:
        """That port of a host of its own; a free port instead of it, where hosts are shared."""
        return Address(host, self._free_port() if host == LOOPBACK else port)

    def close(self) -> None:
        """Let others have the addresses."""
        self.alive = False
        self._held.close()

    def _reserve_block(self) -> str:
        chance = random.SystemRandom()
        for _ in range(ATTEMPTS):
            # Not 127.0.x.x: 127.0.0.1 is everybody's, 127.0.0.53 and 127.0.1.1 are some systems' own.
            block = f"127.{chance.randrange(1, 255)}.{chance.randrange(256)}"
            holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            with suppress(OSError):
                holder.bind(f"\0dslab {block}")
                self._held.callback(holder.close)
                return block
            holder.close()
        raise MachineError("No loopback addresses are free.", remedy="End some of the runs of dslab.")

    def _free_port(self) -> int:
        chance = random.SystemRandom()
        for _ in range(ATTEMPTS):
            port = chance.choice(PORTS)
            with suppress(OSError), socket.socket() as probe:
                probe.bind((LOOPBACK, port))
                if port not in self._ports:
                    self._ports.add(port)
                    return port
        raise MachineError("No ports are free.", remedy="End some of the runs of dslab.")
