"""A node of a third party's image: its container runs the image's own program, and no keeper.

Everything is asked of the engine: the container is killed and paused as a whole, its output is what the
engine hands on, and whether it is ready is seen by a look into its kernel's tables (``cat``, run beside the
program) or by its healthcheck. Each start is a container of its own, with the same address.

The tables of Linux, one socket a line, the port and the state in hexadecimal::

    sl  local_address rem_address   st ...
     0: 00000000:1628 00000000:0000 0A ...        port 5672; state 0A: a TCP socket that listens, 07: UDP

Source: proc_net_tcp in the kernel's documentation.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from dslab.kit.address import Address
from dslab.kit.errors import KitError, MachineError
from dslab.kit.topology.backend import Launch, Report, Stream, Tell
from dslab.kit.topology.docker_engine import REFUSED, STDOUT, Engine, frames, reason
from dslab.kit.topology.docker_entry import LIMITED, NO_LOG, Entry, bind, entry_of
from dslab.kit.topology.docker_run import DockerRun
from dslab.kit.topology.pump import CUT, MAX_FILE_BYTES
from dslab.kit.topology.spec import SCRATCH, Port, Transport
from dslab.kit.topology.usage import Usage

T = TypeVar("T")

TABLES: dict[str, tuple[Transport, str]] = {
    "/proc/net/tcp": ("tcp", "0A"),
    "/proc/net/tcp6": ("tcp", "0A"),
    "/proc/net/udp": ("udp", "07"),
    "/proc/net/udp6": ("udp", "07"),
}
LOOK_EVERY_S = 0.3  # a look costs the engine some 50 ms
END_S = 10.0


def plain_entry(launch: Launch, image: str, scratch: Path) -> Entry:
    """What the container of one start is like."""
    base: Entry = {
        **LIMITED,
        "image": image,
        "hostname": launch.node,
        "environment": dict(launch.environment),
        "volumes": [bind(scratch, SCRATCH)],
    }
    if launch.command:
        base["command"] = list(launch.command)
    if "working_dir" in launch.service.docker_only:
        base["working_dir"] = launch.service.docker_only["working_dir"]
    return entry_of(launch.service, base)


def listening_ports(table: str, transport: Transport, state: str) -> Iterator[Port]:
    """The ports in one of the kernel's tables on which sockets listen."""
    for row in (line.split() for line in table.splitlines()[1:]):
        if row[3] == state:
            yield Port(int(row[1].rpartition(":")[2], 16), transport)


class PlainProcess:
    """One start, in a container of its own: a `dslab.kit.topology.backend.Process`.

    Args:
        engine: The engine.
        container: The container, created.
        launch: What it is a start of.
        folder: The check's folder, for the output.
        tell: To call when it has exited.
    """

    def __init__(self, engine: Engine, container: str, launch: Launch, folder: Path, tell: Tell) -> None:
        self._engine = engine
        self._container = container
        self._launch = launch
        self._files: dict[Stream, Path] = {
            "out": folder / f"{launch.node}.out",
            "err": folder / f"{launch.node}.err",
        }
        self._tell = tell
        self._status: int | None = None
        self._lost = False
        self._paused = False
        self._ended = threading.Event()
        self._health: str | None = None
        self._ready = False
        self._next_look_s = 0.0
        self._connection = engine.attach(container)
        engine.start(container)
        self._reader = threading.Thread(target=self._read, name=f"docker {launch.node}", daemon=True)
        self._reader.start()

    @property
    def exit_status(self) -> int | None:
        """None while it runs.

        Raises:
            KitError: Nobody knows: the container, or the engine, was gone before it was asked.
        """
        if self._lost:
            raise KitError(f"The container of {self._launch.node} is gone: something removed it.")
        return self._status

    def is_ready(self) -> bool:
        """Whether it listens on its ports, or else its healthcheck has passed."""
        if not self._ready and time.monotonic() >= self._next_look_s and not self._ended.is_set():
            look = self._listens if self._wanted() else self._is_healthy
            self._ready = self._while_it_runs(look, False)
            self._next_look_s = time.monotonic() + LOOK_EVERY_S
        return self._ready

    def doubt(self) -> str:
        """Why it is not ready."""
        missing = ", ".join(str(port) for port in self._wanted())
        return f"it does not listen on {missing}" if missing else "its healthcheck has not passed"

    def terminate(self) -> None:
        """SIGTERM to its first process."""
        self._signal("SIGTERM")

    def kill(self) -> None:
        """SIGKILL to the whole container."""
        self._signal("SIGKILL")
        self._ended.wait(END_S)

    def pause(self) -> None:
        """Freeze the whole container."""
        if not self._ended.is_set() and not self._paused:
            self._while_it_runs(lambda: self._engine.api.pause(self._container), None)
            self._paused = not self._ended.is_set()

    def resume(self) -> None:
        """Thaw it."""
        if not self._ended.is_set() and self._paused:
            self._while_it_runs(lambda: self._engine.api.unpause(self._container), None)
            self._paused = False

    def wait(self, timeout_s: float) -> int | None:
        """Its exit status, or None after that time."""
        self._ended.wait(timeout_s)
        return self.exit_status

    def usage(self) -> Usage:
        """Memory and processes, as its control group counts them. Descriptors nobody counts there."""
        if self._ended.is_set():
            return Usage()
        return self._while_it_runs(self._usage, Usage())

    def _usage(self) -> Usage:
        found = self._engine.api.stats(self._container, stream=False, one_shot=True)
        held = found["pids_stats"].get("current", 0)
        return Usage(memory_bytes=found["memory_stats"].get("usage", 0), threads=held, processes=held)

    def output(self, stream: Stream) -> str:
        """What the engine has handed on so far."""
        file = self._files[stream]
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def _while_it_runs(self, ask: Callable[[], T], otherwise: T) -> T:
        """Ask the engine for something that it refuses for a container which has just ended.

        Raises:
            MachineError: It refuses, and the container goes on.
        """
        try:
            return ask()
        except REFUSED as error:
            if self._ended.wait(END_S):
                return otherwise
            raise MachineError(f"The Docker engine failed: {reason(error)}.") from error

    def _wanted(self) -> list[Port]:
        return [bind.port for bind in self._launch.service.binds]

    def _listens(self) -> bool:
        found: set[Port] = set()
        for table, (transport, state) in TABLES.items():
            text = self._engine.run(self._container, ["cat", table])
            found.update(listening_ports(text, transport, state))
        return found.issuperset(self._wanted())

    def _is_healthy(self) -> bool:
        if not self._launch.health:
            return True
        if self._health is None:
            self._health = self._engine.begin(self._container, self._launch.health)
        status = self._engine.ended(self._health)
        if status is not None and status != 0:
            self._health = None
        return status == 0

    def _signal(self, name: str) -> None:
        if not self._ended.is_set():
            self.resume()  # a frozen container takes no signals
            self._engine.signal(self._container, name)

    def _read(self) -> None:
        try:
            with self._connection:
                for stream, data in frames(self._connection):
                    self._keep("out" if stream == STDOUT else "err", data)
            self._status = self._engine.wait(self._container)
        except (OSError, *REFUSED):
            self._lost = True
        else:
            self._tell(self._launch.node, Report.EXITED, str(self._status), time.time())
        self._ended.set()

    def _keep(self, stream: Stream, data: bytes) -> None:
        # The disk may be full: the service is not to blame, and goes on.
        with suppress(OSError), self._files[stream].open("ab") as file:
            room = MAX_FILE_BYTES - file.tell()
            if room > 0:
                file.write(data[:room] + (CUT if len(data) >= room else b""))


class PlainNode:
    """The containers of a node, one after the other.

    Args:
        docker: The run's part of the engine.
        name: What the run calls them.
        address: The node's address in the run's network.
        labels: Labels beside the run's.
        image: The image.
        scratch: The node's own folder.
        folder: The check's folder.
    """

    def __init__(
        self,
        docker: DockerRun,
        name: str,
        *,
        address: str,
        labels: dict[str, str],
        image: str,
        scratch: Path,
        folder: Path,
    ) -> None:
        self._docker = docker
        self._name = name
        self._settings: dict[str, Any] = {
            "address": address,
            "labels": labels,
            "host": {"log_config": NO_LOG},
        }
        self._image = image
        self._scratch = scratch
        self._folder = folder
        self._container: str | None = None

    def launch(self, launch: Launch, listens: Mapping[Port, Address], tell: Tell) -> PlainProcess:
        """Start the image's program in a new container. Where it listens is for the image to know."""
        del listens
        self.close()
        docker = self._docker
        self._container = docker.create(
            self._name, plain_entry(launch, self._image, self._scratch), **self._settings
        )
        return PlainProcess(docker.engine, self._container, launch, self._folder, tell)

    def hang_up(self) -> None:
        """Nothing to say to it."""

    def close(self) -> None:
        """Remove its container."""
        container, self._container = self._container, None
        if container is not None:
            self._docker.engine.remove_container(container)
