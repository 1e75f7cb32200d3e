"""What runs first in a node's container: the keeper of `dslab.kit.topology.keeper`, as the container's process 1.

The container is the host, the service a program on it. So a service that is killed leaves its host behind, whose
kernel refuses connections at once, as on any machine; and it is started, stopped, watched and killed by the same
code as a local process. The control channel is the container's stdin and stdout; at its end process 1 ends, and
with it the container.

Beyond the keeper's own requests it answers these:

=============  ===========  =========================================================================
``do``         fields       answer
=============  ===========  =========================================================================
``listening``               ``listeners``: list of ``[host, port, transport]``, of all processes here
``usage``                   ``usage``: what all processes here hold, as `usage.to_json` writes it
=============  ===========  =========================================================================

Paths and current folders in requests are the grader's; here there is one place for each.
"""

from __future__ import annotations

import os
import sys
from typing import Any, cast

from dslab.kit.topology import processes
from dslab.kit.topology.keeper import Keeper, Node, Request

OUTPUT = "/run/dslab"  # where the files for the node's output are mounted, by their suffixes
STREAMS = ("out", "err")


class StandardStreams:
    """Stdin and stdout, in the form of a socket."""

    def fileno(self) -> int:
        """What to wait for."""
        return 0

    def recv(self, max_bytes: int) -> bytes:
        """What has come in."""
        return os.read(0, max_bytes)

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        while data:
            data = data[os.write(1, data) :]


class ContainerKeeper(Keeper):
    """The keeper of a container, in which every process but the keeper belongs to the node."""

    def _answer(self, request: Request) -> dict[str, Any]:
        match request["do"]:
            case "listening":
                return {"listeners": self._listeners()}
            case "usage":
                return {"usage": self._usage()}
        return super()._answer(request)

    def _spawn(self, request: Request) -> int:
        files = {stream: f"{OUTPUT}/{os.path.basename(request[stream])}" for stream in STREAMS}
        return super()._spawn(request | files | {"cwd": os.getcwd(), "env": {**os.environ, **request["env"]}})

    def _members(self, node: Node) -> set[int]:
        """A health command is one family among others; the service is all the rest."""
        table = processes.process_table()
        health = {pid for pid, other in ((one.pid, one) for one in self._nodes.values()) if other is not node}
        if node.mark.endswith(".health"):
            return super()._members(node)
        return set(table) - processes.family(health, table) - {self._pid}

    def _others(self) -> list[int]:
        return [pid for pid in processes.process_table() if pid != self._pid]

    def _listeners(self) -> list[tuple[str, int, str]]:
        from dslab.kit.topology.listening import listeners

        found = listeners(self._others())
        return [(one.address.host, one.address.port, one.transport) for one in found]

    def _usage(self) -> str:
        from dslab.kit.topology import usage

        return usage.to_json(usage.of_everything_else())


def main() -> None:
    """``docker_inside RUN``: serve stdin and stdout."""
    ContainerKeeper(cast("Any", StandardStreams()), run_id=sys.argv[1]).run()


if __name__ == "__main__":
    main()
