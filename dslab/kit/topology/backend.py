"""What a place to run services in must offer: the one interface of the local and of the Docker backend.

The division of labour: `dslab.kit.topology.running` and `service` decide *what* happens (which order, which
link, which variable has which value, how long to wait, what to tell the student), the same for both
backends. A backend knows *how*: where a node can listen, how a process or a container starts, stops, and is
looked at.

A service of the file has one or more *nodes*: its instances. A service that is not replicated has one node of
its own name; ``server`` with three replicas has ``server-1`` to ``server-3``.

Life of one topology, in calls::

    backend = LocalBackend(spec, place)         or DockerBackend: nothing runs yet
    backend.open()                              networks, links program, keeper, containers created
    backend.links.open(LinkSpec(listen=backend.listen_at("client", "server", port),
                                upstreams=(backend.reach_node("server", port),), ...))  -> listening
    backend.dial("client", listening)           what stands in the place of ${SERVER_ADDR:-server:7000}
    backend.own_address("server", port)         what stands in the place of ${SERVER_BIND:-0.0.0.0:7000}
    backend.scratch("server").inside            what stands in the place of ${DATA:-/scratch}
    process = backend.launch(Launch(node="server", command=(...), environment={...}), tell)
    process.is_ready() ...                      polled until true, process.exit_status is set, or time is up
    backend.close()                             always; nothing of this topology is left afterwards
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from dslab.kit.address import Address
from dslab.kit.links.control import LinksClient
from dslab.kit.topology import pump
from dslab.kit.topology.runfolder import RunFolder
from dslab.kit.topology.spec import CommandLine, Port, ServiceSpec
from dslab.kit.topology.usage import Usage

BackendName = Literal["local", "docker"]
Stream = Literal["out", "err"]

# A line of stderr that starts so becomes a MARK event, labelled with the rest of the line.
MARK_PREFIX = pump.MARK_PREFIX.decode()
# What is kept of each of a node's two output streams. The rest is read and thrown away: a service that prints
# for ever must neither fill the disk nor be stopped by it.
MAX_OUTPUT_BYTES = pump.MAX_FILE_BYTES


@dataclass(frozen=True, slots=True)
class Place:
    """Where one topology runs.

    Attributes:
        run: The run that it belongs to. What a backend needs once per run it gets from `RunFolder.shared`.
        folder: ``<run>/<check>``, already made: for ``<node>.out``, ``<node>.err`` and anything else.
        work: The folder with the student's and the lab's files: every node's current folder, already made.
        seed: The seed of every random choice.
        serial: A number that no other topology of this run has; with `RunFolder.run_id`, a unique name.
    """

    run: RunFolder
    folder: Path
    work: Path
    seed: int
    serial: int


@dataclass(frozen=True, slots=True)
class Scratch:
    """A node's own writable folder: its path as the node sees it, and as the grader sees it."""

    inside: str
    outside: Path


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of one node.

    Attributes:
        node: The node's name.
        service: The service that it is an instance of.
        command: The program and its arguments, variables filled in; empty if only the image knows (Docker).
        environment: What the compose file says, variables filled in. The backend adds its own base to it.
        health: The healthcheck's command, variables filled in; empty if readiness is to be seen by listening.
    """

    node: str
    service: ServiceSpec
    command: tuple[str, ...]
    environment: Mapping[str, str]
    health: tuple[str, ...] = ()


class Report(StrEnum):
    """What a backend tells without being asked."""

    EXITED = "exited"  # by itself, or because it was stopped; detail: its exit status
    MARK = "mark"  # a line on stderr with MARK_PREFIX; detail: the rest of the line


# (node, report, detail, time.time() of when it happened); called from any thread, must return fast.
Tell = Callable[[str, Report, str, float], None]


class Process(Protocol):
    """One start of one node: a process tree, or a container. Its methods are safe from any thread.

    Once it has ended, `kill`, `terminate`, `pause` and `resume` do nothing.
    """

    @property
    def exit_status(self) -> int | None:
        """None while it runs; then as a shell has it in ``$?``: 128 + n if signal n ended it."""

    def is_ready(self) -> bool:
        """Whether it listens on every bind of its service, or its health command exits with 0.

        Never connects to it. Called again and again; must return within some 50 ms (a health command runs on
        between calls). True at once for a service with neither.
        """

    def doubt(self) -> str:
        """Why `is_ready` is false, for an error message: ``it listens on 0.0.0.0:8000, not on port 7000``."""

    def terminate(self) -> None:
        """Ask it to end: SIGTERM."""

    def kill(self) -> None:
        """SIGKILL to it and to whatever it started; returns when all of it is gone."""

    def pause(self) -> None:
        """Freeze it and whatever it started (SIGSTOP); returns when it is frozen."""

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""

    def wait(self, timeout_s: float) -> int | None:
        """Wait for its end. The exit status, or None if it still runs after that time.

        When it returns a status, `output` is complete, and whatever the process started is gone.
        """

    def usage(self) -> Usage:
        """What it and whatever it started hold at this moment; nothing, once it has ended."""

    def output(self, stream: Stream) -> str:
        """All that it has written so far to stdout or stderr, starts of the same node before it included.

        What the node wrote before it did anything that the caller knows of (an answer on a socket, its exit)
        is in it. Undecodable bytes are replaced. Beyond `MAX_OUTPUT_BYTES` it says that it was cut.
        """


class Backend(Protocol):
    """A place where the nodes of one topology run. `open` before anything else, `close` whatever happens."""

    @property
    def links(self) -> LinksClient:
        """The control channel of the links program that carries this topology's connections."""

    def open(self) -> None:
        """Make ready whatever all nodes need. If it raises, or is interrupted, `close` is still called.

        Raises:
            MachineError: The machine lacks something; the remedy says what to do.
        """

    def listen_at(self, source: str, target: str, port: Port) -> Address:
        """Where the proxy of that link should listen, as the links program sees it (port 0: any)."""

    def dial(self, source: str, listening: Address) -> Address:
        """The address by which a node, or `GRADER`, reaches a proxy that listens there."""

    def reach_node(self, node: str, port: Port) -> Address:
        """The address by which the links program reaches that port of that node. Known before it starts."""

    def own_address(self, node: str, port: Port) -> Address:
        """What the node is told to listen on for a bind to that port. The same after a restart."""

    def scratch(self, node: str) -> Scratch:
        """The node's own writable folder, empty at its first start and kept over restarts."""

    def command(self, service: ServiceSpec) -> CommandLine | None:
        """What of the service runs here: its ``command``, or what ``x-dslab`` has in its place."""

    def launch(self, launch: Launch, tell: Tell) -> Process:
        """Start a node. At most one process per node runs at a time.

        Returns as soon as it has been started, without waiting for anything. A program that cannot be run (no
        such file) is a process that ends with status 127 and says so on stderr, as from a shell.

        Args:
            launch: What to start.
            tell: To call when it has exited, and for each mark.
        """

    def close(self) -> None:
        """End every node, and remove what `open` made, folders excepted. Harmless when repeated or early.

        Raises:
            KitError: Something could not be removed; the message names it.
        """
