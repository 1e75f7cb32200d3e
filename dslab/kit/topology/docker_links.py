"""The links program of a topology, in a container of its own.

Where the engine's networks are this machine's own (Linux), the grader connects to that container's
address. Elsewhere (macOS, WSL) it cannot; there the container is on the engine's default network too, and
its ports are published on 127.0.0.1, on ports that the system chooses. A published port is served by a
proxy of the engine's, which turns a reset into an orderly end; therefore it is only the second choice.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dslab.kit.address import Address
from dslab.kit.errors import KitError
from dslab.kit.links import LinksClient
from dslab.kit.topology.docker_entry import CONFINED, LITTLE_LOG, Entry, bind, code_volumes
from dslab.kit.topology.docker_image import COURSE_IMAGE
from dslab.kit.topology.docker_run import DockerRun
from dslab.kit.topology.roles import ANY_HOST
from dslab.kit.topology.spec import Port, Transport

CONTROL = Port(20_000)
FOR_THE_GRADER = (
    *(Port(number, "tcp") for number in range(20_001, 20_017)),
    *(Port(number, "udp") for number in range(20_101, 20_109)),
)
PUBLISHED_ON = "127.0.0.1"
READY_S = 30.0
LOOK_AGAIN_S = 0.02


class DockerLinks:
    """A running links program.

    Args:
        docker: The run's part of the engine.
        folder: The run's folder: traces go there. It has the same path in the container.
        name: What the run calls the container.
        published: Whether the grader goes by published ports.

    Attributes:
        host: Its address in the run's network.
        client: Its control channel.
    """

    def __init__(self, docker: DockerRun, folder: Path, name: str, *, published: bool) -> None:
        self._docker = docker
        self.host = docker.fresh_address()
        self._token = secrets.token_hex(16)
        self._container = docker.do(self._start, folder, name, published)
        self._published = docker.do(self._published_ports) if published else {}
        self._free = list(FOR_THE_GRADER)
        self.client = LinksClient(self.reached_at(CONTROL.number), self._token)
        self._wait_until_ready()

    def listen_at(self, transport: Transport) -> Address:
        """Where a link of the grader's should listen: at a port that is published, if need be."""
        if not self._published:
            return Address(ANY_HOST, 0)
        free = next((port for port in self._free if port.transport == transport), None)
        if free is None:
            raise KitError("The links container has no published port left for another link of the grader's.")
        self._free.remove(free)
        return Address(ANY_HOST, free.number)

    def reached_at(self, port: int) -> Address:
        """Where the grader reaches that port of the container."""
        return self._published.get(port) or Address(self.host, port)

    def clear(self) -> None:
        """Close every link.

        Raises:
            KitError: The program is gone.
        """
        for name in self.client.links():
            self.client.close(name)
        self._free = list(FOR_THE_GRADER)

    def _entry(self, folder: Path) -> Entry:
        program = ["python", "-P", "-m", "dslab.kit.links", "--control", f"{ANY_HOST}:{CONTROL.number}"]
        return {
            **CONFINED,
            "image": COURSE_IMAGE,
            "command": [*program, "--token", self._token],
            "user": f"{os.getuid()}:{os.getgid()}",
            "volumes": [bind(folder, str(folder)), *code_volumes()],
            "mem_limit": "1g",
        }

    def _start(self, folder: Path, name: str, published: bool) -> str:
        ports: dict[str, Any] = {"log_config": LITTLE_LOG}
        if published:
            ports["port_bindings"] = {str(port): (PUBLISHED_ON, None) for port in (CONTROL, *FOR_THE_GRADER)}
        made = self._docker.create(name, self._entry(folder), address=self.host, host=ports)
        self._docker.engine.start(made)
        return made

    def _published_ports(self) -> Mapping[int, Address]:
        """Which port of this machine leads to which of the container."""
        ports = self._docker.engine.inspect(self._container)["NetworkSettings"]["Ports"]
        found = {}
        for port in (CONTROL, *FOR_THE_GRADER):
            with suppress(KeyError, TypeError):
                found[port.number] = Address(PUBLISHED_ON, int(ports[str(port)][0]["HostPort"]))
        return found

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while True:
            try:
                self.client.links()
            except KitError as error:
                state = self._docker.do(self._docker.engine.inspect, self._container)["State"]
                if state["Running"] and time.monotonic() < deadline:
                    time.sleep(LOOK_AGAIN_S)
                    continue
                said = self._docker.do(self._docker.engine.logs, self._container).strip()
                raise KitError(f"The links container did not start: {said[-500:]}") from error
            return


class LinksContainers:
    """The links programs of a run: one after the other, topologies use the same. Made by `RunFolder.shared`.

    Args:
        docker: The run's part of the engine.
        folder: The run's folder.
    """

    def __init__(self, docker: DockerRun, folder: Path) -> None:
        self.alive = True
        self._docker = docker
        self._folder = folder
        self._published = not docker.do(docker.engine.reaches_containers)
        self._numbers = itertools.count(1)
        self._idle: list[DockerLinks] = []

    def take(self) -> DockerLinks:
        """A links program without a link."""
        if self._idle:
            return self._idle.pop()
        name = f"links-{next(self._numbers)}"
        return DockerLinks(self._docker, self._folder, name, published=self._published)

    def give_back(self, links: DockerLinks) -> None:
        """Have it used again; if something killed it, have it forgotten."""
        try:
            links.clear()
        except KitError:
            links.client.disconnect()
        else:
            self._idle.append(links)

    def close(self) -> None:
        """Hang up. The containers go with the run."""
        self.alive = False
        for links in self._idle:
            links.client.disconnect()
