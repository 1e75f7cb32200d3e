"""What a compose file says, as frozen dataclasses. Pure data: nothing here runs, opens or waits.

`dslab.kit.topology.compose` makes these from a file; the backends and `dslab.kit.topology.running` read them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from dslab.kit.address import Address
from dslab.kit.topology.interpolation import Template

Transport = Literal["tcp", "udp"]

GRADER = "grader"  # the name under which the grader itself is the source of a link
SCRATCH = "/scratch"  # the default that stands for the service's own writable folder


class Condition(StrEnum):
    """What a service waits for before it starts: the conditions of Compose's ``depends_on``."""

    STARTED = "service_started"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A port that a service listens on."""

    number: int
    transport: Transport = "tcp"

    def __str__(self) -> str:
        return f"{self.number}/{self.transport}"


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A program and its arguments, before the variables are filled in.

    Attributes:
        words: One template per word; a single one if the file has the command as one string.
        split: The file has one string. It is split as a shell would, after the variables are filled in.
    """

    words: tuple[Template, ...]
    split: bool = False

    def fill(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The words, with their variables filled in."""
        filled = [word.fill(values) for word in self.words]
        return tuple(shlex.split(filled[0])) if self.split else tuple(filled)


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """A command that exits with 0 once the service is ready. Durations in seconds."""

    test: CommandLine
    interval_s: float = 30.0
    timeout_s: float = 30.0
    retries: int = 3
    start_period_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Bind:
    """A variable for one of the service's own listening addresses: ``${SERVER_BIND:-0.0.0.0:7000}``."""

    variable: str
    address: Address
    transport: Transport = "tcp"

    @property
    def port(self) -> Port:
        """The port that it listens on."""
        return Port(self.address.port, self.transport)


@dataclass(frozen=True, slots=True)
class Call:
    """A variable for the address of another service, thus a link: ``${SERVER_ADDR:-server:7000}``."""

    variable: str
    target: str
    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """One service of the file.

    Attributes:
        name: Its key under ``services``.
        line: The line of that key.
        command: What it runs; None if only its image knows.
        local: What the local backend runs in its place (``x-dslab.local``).
        environment: Its variables; a value None means: as in dslab's own environment, if set there.
        depends_on: What it waits for before it starts.
        healthcheck: How to see that it is ready, where listening does not tell.
        profiles: It starts only by name, if there are any.
        replicas: How many of it run; with more than one they are called ``name-1``, ``name-2``, ...
        ports: What it listens on: its ``expose``, and its binds.
        binds: Variables whose default is ``0.0.0.0:port``.
        calls: Variables whose default is ``other:port``.
        scratch: Variables whose default is ``/scratch``.
        describe: ``module:function`` that labels the bytes sent to it and from it.
        framing: ``module:function`` that tells where a message ends in the bytes sent to it and from it.
        docker_only: The keys that only the Docker backend uses (image, volumes, deploy.resources, ...), as
            in the file, variables filled in.
    """

    name: str
    line: int = 0
    command: CommandLine | None = None
    local: CommandLine | None = None
    environment: Mapping[str, Template | None] = field(default_factory=dict)
    depends_on: Mapping[str, Condition] = field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    profiles: tuple[str, ...] = ()
    replicas: int = 1
    ports: tuple[Port, ...] = ()
    binds: tuple[Bind, ...] = ()
    calls: tuple[Call, ...] = ()
    scratch: tuple[str, ...] = ()
    describe: str | None = None
    framing: str | None = None
    docker_only: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its instances: its own name, or ``name-1``, ``name-2``, ... if it is replicated."""
        if self.replicas == 1:
            return (self.name,)
        return tuple(f"{self.name}-{number}" for number in range(1, self.replicas + 1))


@dataclass(frozen=True, slots=True)
class TopologySpec:
    """A whole file.

    Attributes:
        name: The file's ``name``, else the name of its folder.
        path: The file.
        services: Its services, in the order of the file.
        docker_only: Its ``networks`` and ``volumes``.
    """

    name: str
    path: Path
    services: Mapping[str, ServiceSpec]
    docker_only: Mapping[str, Any] = field(default_factory=dict)
