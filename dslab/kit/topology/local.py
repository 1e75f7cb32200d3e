"""The local backend: every node is a family of processes with a loopback address of its own.

What a service finds: the work folder as its current folder; as ``python`` the one that runs dslab; a small
environment (`BASE`, what the compose file says, and the mark), and nothing of the grader's: no seed, no path.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dslab.kit.address import Address
from dslab.kit.errors import ConfigError, KitError
from dslab.kit.links import LinksClient, LinksThread
from dslab.kit.topology import processes
from dslab.kit.topology.addresses import LOOPBACK, Addresses
from dslab.kit.topology.backend import Launch, Place, Scratch, Tell
from dslab.kit.topology.keeper_client import Keeper
from dslab.kit.topology.local_process import LocalProcess
from dslab.kit.topology.runfolder import RunFolder, is_alive
from dslab.kit.topology.spec import CommandLine, Port, ServiceSpec, TopologySpec

BASE = {
    "LANG": "C.UTF-8",
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}


class LocalBackend:
    """Runs the nodes of one topology as processes: a `dslab.kit.topology.backend.Backend`.

    Args:
        spec: What the compose file says.
        place: Where the topology runs.
    """

    def __init__(self, spec: TopologySpec, place: Place) -> None:
        self._spec = spec
        self._place = place
        self._prefix = f"{place.run.run_id}/{place.serial}/"
        self._addresses = place.run.shared(Addresses, Addresses)
        self._hosts: dict[str, str] = {}
        self._own: dict[tuple[str, Port], Address] = {}
        self._thread: LinksThread | None = None
        self._client: LinksClient | None = None
        self._keeper: Keeper | None = None

    @property
    def links(self) -> LinksClient:
        """The client of the links program, which is a thread of this process."""
        assert self._client is not None, "open() comes first"
        return self._client

    def open(self) -> None:
        """Start the keeper, if the run has none yet, and the links program."""
        run = self._place.run
        self._keeper = run.shared(Keeper, lambda: _start_keeper(run))
        run.note(pids=[os.getpid(), self._keeper.pid])
        self._thread = LinksThread(self._place.seed)
        self._client = self._thread.client()

    def listen_at(self, source: str, target: str, port: Port) -> Address:
        """An address of the link's own, so that it looks like the target's: same port, other host."""
        host = self._host(f"{source}->{target}")
        return Address(host, 0 if host == LOOPBACK else port.number)

    def dial(self, source: str, listening: Address) -> Address:
        """The same for everybody on this machine."""
        del source
        return listening

    def reach_node(self, node: str, port: Port) -> Address:
        """Where the node listens, if it does as it is told."""
        return self.own_address(node, port)

    def own_address(self, node: str, port: Port) -> Address:
        """That port of the node's own host."""
        key = (node, port)
        if key not in self._own:
            self._own[key] = self._addresses.at(self._host(node), port.number)
        return self._own[key]

    def scratch(self, node: str) -> Scratch:
        """A folder in the check's folder."""
        folder = (self._place.folder / "scratch" / node).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return Scratch(str(folder), folder)

    def command(self, service: ServiceSpec) -> CommandLine | None:
        """What stands in for its image, else its command."""
        return service.local or service.command

    def launch(self, launch: Launch, tell: Tell) -> LocalProcess:
        """Have the keeper start it.

        Raises:
            ConfigError: Only its image knows what it runs; or nobody does.
        """
        if not launch.command and self.command(launch.service) is not None:
            raise ConfigError(f"{launch.node}: its command is empty, now that its variables are filled in.")
        if not launch.command:
            raise ConfigError(
                f"{launch.node} has no command, and images run in Docker only.",
                remedy="Write x-dslab: {local: ...}, or take --backend docker.",
            )
        assert self._keeper is not None, "open() comes first"
        mark = self._prefix + launch.node
        home = self.scratch(launch.node).inside
        return LocalProcess(
            self._keeper,
            mark,
            launch,
            environment={**BASE, "HOME": home, **launch.environment, processes.MARK: mark},
            place=self._place,
            listens={bind.port: self.own_address(launch.node, bind.port) for bind in launch.service.binds},
            tell=tell,
        )

    def close(self) -> None:
        """End every process of this topology, then the links."""
        left = []
        try:
            if self._keeper is not None and self._keeper.alive:
                left = self._keeper.ask("end", prefix=self._prefix)["left"]
        finally:
            if self._client is not None:
                self._client.disconnect()
            if self._thread is not None:
                self._thread.close()
        if left:
            raise KitError(f"These processes could not be ended: {', '.join(map(str, left))}.")

    def _host(self, owner: str) -> str:
        if owner not in self._hosts:
            self._hosts[owner] = self._addresses.fresh_host()
        return self._hosts[owner]


def end_leftovers(runs: Path) -> None:
    """End what is left of earlier runs: of one whose grader and keeper were killed at the same moment."""

    def is_left(mark: str) -> bool:
        folder = runs / mark.partition("/")[0]
        return bool(mark) and folder.is_dir() and not is_alive(folder)

    def find() -> set[int]:
        return {pid for pid in processes.process_table() if is_left(processes.mark_of(pid))}

    processes.end(find, is_left)


def _start_keeper(run: RunFolder) -> Keeper:
    end_leftovers(run.path.parent)
    return Keeper(run.run_id, run.path / "keeper.log")
