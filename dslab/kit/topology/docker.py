"""The Docker backend: every node is a container, on a network that leads nowhere else.

A container stands for a host: the service is a program on it, which can be killed and started again while
the host, its address and its scratch folder stay. The network, the links program and the addresses of the
nodes are made once per run (`docker_run`, `docker_links`, `docker_host`); the containers that services run
in are made anew for every check, with a fresh file system (`docker_node`). Nothing of a run is left behind,
however it ends (`docker_sweep`).

What a service finds: the lab's files in /lab, which it cannot change; /scratch and /tmp to write to; dslab
as the grader has it; no way out of the run's network; no capabilities; limits on memory and processes. A
third party's image (RabbitMQ's) is run as it is, within limits (`docker_plain`).

Compose files by hand and by dslab: a lab's compose.yaml knows no profiles but ``on-demand``. A service
without a profile is always on; one with a profile starts when a check (or ``docker compose run``) names it.
The course's docker-compose.yml includes each lab together with docker/lab-N.yaml, which puts it behind the
profile ``lab-N``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from dslab.kit.address import Address
from dslab.kit.links import LinksClient
from dslab.kit.topology.backend import Launch, Place, Process, Scratch, Tell
from dslab.kit.topology.docker_entry import Entry, image_of
from dslab.kit.topology.docker_host import Hosts, Network
from dslab.kit.topology.docker_links import DockerLinks, LinksContainers
from dslab.kit.topology.docker_node import DockerNode, make_output_files, node_entry
from dslab.kit.topology.docker_plain import PlainNode, plain_entry
from dslab.kit.topology.docker_run import DockerRun
from dslab.kit.topology.roles import ANY_HOST
from dslab.kit.topology.spec import GRADER, SCRATCH, CommandLine, Port, ServiceSpec, TopologySpec

TOPOLOGY_LABEL = "dslab.topology"
RECORD = "compose.yaml"


@dataclass(frozen=True, slots=True)
class Parts:
    """What an open backend works with."""

    docker: DockerRun
    network: Network
    programs: LinksContainers
    links: DockerLinks


class DockerBackend:
    """Runs the nodes of one topology as containers: a `dslab.kit.topology.backend.Backend`.

    Args:
        spec: What the compose file says.
        place: Where the topology runs.
    """

    def __init__(self, spec: TopologySpec, place: Place) -> None:
        self._spec = spec
        self._place = place
        self._prefix = f"{place.run.run_id}/{place.serial}"
        self._parts: Parts | None = None
        self._nodes: dict[str, DockerNode | PlainNode] = {}
        self._record: dict[str, Any] = {}

    @property
    def links(self) -> LinksClient:
        """The client of the links program, which runs in a container."""
        return self._opened().links.client

    def open(self) -> None:
        """Make what the run has once, if it has not yet: network, sweeper, hosts, a links program."""
        run = self._place.run
        docker = run.shared(DockerRun, lambda: DockerRun(run))
        hosts = run.shared(Hosts, lambda: Hosts(docker))
        programs = run.shared(LinksContainers, lambda: LinksContainers(docker, run.path))
        self._parts = Parts(docker, Network(docker, hosts, self._spec), programs, programs.take())

    def listen_at(self, source: str, target: str, port: Port) -> Address:
        """Any port of the links container; for the grader one that it can reach."""
        del target
        return self._opened().links.listen_at(port.transport) if source == GRADER else Address(ANY_HOST, 0)

    def dial(self, source: str, listening: Address) -> Address:
        """That port of the links container."""
        links = self._opened().links
        return links.reached_at(listening.port) if source == GRADER else Address(links.host, listening.port)

    def reach_node(self, node: str, port: Port) -> Address:
        """Where it listens, at its address in the run's network."""
        network = self._opened().network
        return Address(network.address(node), network.port(node, port))

    def own_address(self, node: str, port: Port) -> Address:
        """That port, or another one if an earlier check has used it."""
        return Address(ANY_HOST, self._opened().network.port(node, port))

    def scratch(self, node: str) -> Scratch:
        """A folder in the check's folder, mounted."""
        folder = (self._place.folder / "scratch" / node).resolve()
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(0o777)  # whoever the container's user is
        return Scratch(SCRATCH, folder)

    def command(self, service: ServiceSpec) -> CommandLine | None:
        """Its command."""
        return service.command

    def launch(self, launch: Launch, tell: Tell) -> Process:
        """Start the node's program; the first time, its container."""
        node = self._nodes.get(launch.node)
        if node is None:
            node = self._nodes[launch.node] = self._make_node(launch)
        listens = {bind.port: self.own_address(launch.node, bind.port) for bind in launch.service.binds}
        start: Callable[..., Process] = node.launch
        return self._opened().docker.do(start, launch, listens, tell)

    def close(self) -> None:
        """End everything in the containers of this topology, then remove the student's files."""
        try:
            if self._parts is not None:
                self._close(self._parts)
        finally:
            self._parts = None
            shutil.rmtree(self._place.work, ignore_errors=True)

    def _close(self, parts: Parts) -> None:
        parts.docker.settle()
        for node in self._nodes.values():
            node.hang_up()
        for node in self._nodes.values():
            node.close()
        parts.network.give_back()
        parts.programs.give_back(parts.links)

    def _opened(self) -> Parts:
        assert self._parts is not None, "open() comes first"
        return self._parts

    def _make_node(self, launch: Launch) -> DockerNode | PlainNode:
        parts, place, name = self._opened(), self._place, launch.node
        docker, host, scratch = parts.docker, parts.network.host(name), self.scratch(name).outside
        image = docker.image(image_of(launch.service)).name
        common: dict[str, Any] = {
            "name": f"{place.serial}-{name}",
            "labels": {TOPOLOGY_LABEL: self._prefix},
        }
        if host is None:
            self._put_on_record(name, plain_entry(launch, image, scratch))
            address, folder = parts.network.address(name), place.folder
            return PlainNode(docker, **common, address=address, image=image, scratch=scratch, folder=folder)
        make_output_files(place.folder, name)
        entry = node_entry(launch.service, name, image, docker=docker, place=place, scratch=scratch)
        self._put_on_record(name, entry)
        mark = f"{self._prefix}/{name}"
        return docker.do(DockerNode, docker, **common, entry=entry, host=host, place=place, mark=mark)

    def _put_on_record(self, node: str, entry: Entry) -> None:
        """Write down what runs, as a compose file."""
        network, project = self._opened().network, self._opened().docker.project
        addressed = {"networks": {"run": {"ipv4_address": network.address(node)}}}
        host = network.host(node)
        if host is None:
            self._record[node] = {**entry, **addressed}
        else:
            self._record[host.name] = {**host.entry, **addressed}
            self._record[node] = {**entry, "network_mode": f"service:{host.name}"}
        networks = {"run": {"name": project, "external": True}}
        document = {"name": project, "services": self._record, "networks": networks}
        (self._place.folder / RECORD).write_text(yaml.safe_dump(document, sort_keys=False))
