"""A node's container, and one start of its service there: `DockerNode`, `ContainerProcess`.

The container's first process is a keeper (`docker_inside`). The engine's ``attach`` carries its control
channel, on the container's stdin and stdout; its stderr is a log.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from dslab.kit.address import Address
from dslab.kit.topology import processes, usage
from dslab.kit.topology.backend import Launch, Place, Tell
from dslab.kit.topology.docker_engine import STDOUT, frames
from dslab.kit.topology.docker_entry import (
    CONFINED,
    NO_LOG,
    Entry,
    bind,
    code_volumes,
    entry_of,
    lab_volumes,
    working_dir,
)
from dslab.kit.topology.docker_host import Host
from dslab.kit.topology.docker_inside import OUTPUT
from dslab.kit.topology.docker_run import DockerRun
from dslab.kit.topology.keeper_client import Channel
from dslab.kit.topology.listening import Listener
from dslab.kit.topology.local_process import LocalProcess
from dslab.kit.topology.spec import SCRATCH, Port, ServiceSpec
from dslab.kit.topology.usage import Usage

END_S = 5.0
KEEPER = ("python", "-P", "-m", "dslab.kit.topology.docker_inside")


class Attached(Channel):
    """The control channel of a keeper in a container.

    Args:
        connection: The engine's, from ``attach``.
        log: Where the keeper's stderr goes.
    """

    def __init__(self, connection: socket.socket, log: Path) -> None:
        self._log = log
        super().__init__(connection)

    def _lines(self) -> Iterator[bytes]:
        begun = b""
        for stream, data in frames(self._ours):
            if stream == STDOUT:
                *lines, begun = (begun + data).split(b"\n")
                yield from lines
            else:
                with self._log.open("ab") as log:
                    log.write(data)

    def hang_up(self) -> None:
        """Send the end of the channel, and go on reading."""
        with suppress(OSError):
            self._ours.shutdown(socket.SHUT_WR)

    def ended(self, timeout_s: float) -> bool:
        """Whether the container has ended, after that time at the latest."""
        self._reader.join(timeout_s)
        return not self._reader.is_alive()


def node_entry(
    service: ServiceSpec, node: str, image: str, *, docker: DockerRun, place: Place, scratch: Path
) -> Entry:
    """What the container of a node of the course image is like."""
    files = [bind(place.folder.resolve() / name, f"{OUTPUT}/{name}") for name in output_files(node)]
    base = {
        **CONFINED,
        "image": image,
        "command": [*KEEPER, place.run.run_id],
        "user": docker.user,
        "working_dir": working_dir(service),
        "environment": {"HOME": SCRATCH},
        "stdin_open": True,
        "volumes": [
            *lab_volumes(service, place.work.resolve()),
            bind(scratch, SCRATCH),
            *code_volumes(),
            bind(docker.resolver, "/etc/resolv.conf", read_only=True),
            *files,
        ],
    }
    entry = entry_of(service, base)
    entry.pop("hostname", None)  # it is its host's
    return entry


def output_files(node: str) -> tuple[str, str, str]:
    """The files that the output of a node and of its health command goes to."""
    return (f"{node}.out", f"{node}.err", f"{node}.health")


class DockerNode:
    """A running container with a keeper in it. It stays while the service is started again and again.

    Args:
        docker: The run's part of the engine.
        name: What the run calls the container.
        entry: What it is like.
        host: Whose network it enters.
        labels: Labels beside the run's.
        place: Where the topology runs.
        mark: The node's mark.
    """

    def __init__(
        self,
        docker: DockerRun,
        name: str,
        entry: Entry,
        *,
        host: Host,
        labels: dict[str, str],
        place: Place,
        mark: str,
    ) -> None:
        self._engine = docker.engine
        self._place = place
        self._mark = mark
        inside = {**entry, "network_mode": f"container:{host.container()}"}
        given = {"log_config": NO_LOG, "auto_remove": True}
        self._container = docker.create(name, inside, labels=labels, host=given)
        self._keeper = Attached(self._engine.attach(self._container), place.folder / "keeper.log")
        self._engine.start(self._container)

    def launch(self, launch: Launch, listens: Mapping[Port, Address], tell: Tell) -> ContainerProcess:
        """Have the keeper start the service, which is told to listen there."""
        return ContainerProcess(
            self._keeper,
            self._mark,
            launch,
            environment={**launch.environment, processes.MARK: self._mark},
            place=self._place,
            listens=listens,
            tell=tell,
        )

    def hang_up(self) -> None:
        """End the control channel, and so the keeper, and so the container."""
        self._keeper.hang_up()

    def close(self) -> None:
        """Wait for the end of every process in it. The engine then removes it by itself."""
        if not self._keeper.ended(END_S):
            self._engine.remove_container(self._container)


class ContainerProcess(LocalProcess):
    """A start of a service in its container. Like a local one, but for what only the container can see."""

    def usage(self) -> Usage:
        """What it and whatever it started hold now."""
        if self._ended.is_set():
            return Usage()
        return usage.from_json(self._keeper.ask("usage")["usage"])

    def _may_be_heard(self) -> bool:
        return True  # only its container sees who listens there

    def _heard(self) -> set[Listener]:
        found = self._keeper.ask("listening")["listeners"]
        return {Listener(Address(host, port), transport) for host, port, transport in found}


def make_output_files(folder: Path, node: str) -> None:
    """Make the files that the container writes into, whoever its user is."""
    for name in output_files(node):
        (folder / name).touch()
        (folder / name).chmod(0o666)
