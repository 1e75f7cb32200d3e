"""Process 1 of a node's container: the keeper of `dslab.kit.topology.keeper`.

The container is the host, the service a program on it. So a service that is killed leaves its host behind,
whose kernel refuses connections at once, as on any machine; and it is started, stopped, watched and killed
by the same code as a local process. The control channel is the container's stdin and stdout; at its end
process 1 ends, and with it the container.

Beyond the keeper's own requests it answers these:

=============  ===========  =========================================================================
``do``         fields       answer
=============  ===========  =========================================================================
``listening``               ``listeners``: list of ``[host, port, transport]``, of all processes here
``usage``                   ``usage``: what all processes here hold, as `usage.to_json` writes it
=============  ===========  =========================================================================

Paths and current folders in requests are the grader's; here there is one place for each.

The service has the keeper's user, yet must not speak for it: process 1 lets nobody look into it (prctl,
PR_SET_DUMPABLE), so that its channel cannot be opened through /proc; and signals that a container's first
process does not handle never reach it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path, PurePosixPath
from typing import Any, cast

from dslab.kit.topology import processes
from dslab.kit.topology.keeper import HEALTH, Keeper, Node, Request

OUTPUT = "/run/dslab"  # where the files for the node's output are mounted, by their suffixes
STREAMS = ("out", "err")
PR_SET_DUMPABLE = 4


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
    """The keeper of a container, in which every process but the keeper belongs to the node.

    Args:
        run_id: With what the marks of this run begin.
    """

    def __init__(self, run_id: str) -> None:
        super().__init__(cast("Any", StandardStreams()), run_id)
        self._prctl(PR_SET_DUMPABLE, 0)

    def _watch_children(self) -> None:
        super()._watch_children()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _answer(self, request: Request) -> dict[str, Any]:
        match request["do"]:
            case "listening":
                return {"listeners": self._listeners()}
            case "usage":
                return {"usage": self._usage()}
        return super()._answer(request)

    def _spawn(self, request: Request) -> int:
        files = {stream: f"{OUTPUT}/{PurePosixPath(request[stream]).name}" for stream in STREAMS}
        return super()._spawn(
            request | files | {"cwd": str(Path.cwd()), "env": {**os.environ, **request["env"]}}
        )

    def _members(self, node: Node) -> set[int]:
        """A health command is a family of its own; all else here is the service, whatever it has tried."""
        if node.mark.endswith(HEALTH):
            return super()._members(node)
        table = processes.process_table()
        health = [one.pid for one in self._nodes.values() if one.mark.endswith(HEALTH)]
        return set(table) - processes.family(health, table) - {self._pid}

    def _listeners(self) -> list[tuple[str, int, str]]:
        from dslab.kit.topology.listening import listeners

        found = listeners(pid for pid in processes.process_table() if pid != self._pid)
        return [(one.address.host, one.address.port, one.transport) for one in found]

    def _usage(self) -> str:
        from dslab.kit.topology import usage

        return usage.to_json(usage.of_everything_else())


def main() -> None:
    """``docker_inside RUN``: serve stdin and stdout."""
    ContainerKeeper(run_id=sys.argv[1]).run()


if __name__ == "__main__":
    main()
