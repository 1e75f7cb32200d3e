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
from typing import Any

import yaml

from dslab.kit.address import Address
from dslab.kit.links import LinksClient
from dslab.kit.topology.backend import Launch, Place, Process, Scratch, Tell
from dslab.kit.topology.docker_entry import Entry, image_of
from dslab.kit.topology.docker_host import Host, Hosts
from dslab.kit.topology.docker_links import DockerLinks, LinksContainers
from dslab.kit.topology.docker_node import DockerNode, make_output_files, node_entry
from dslab.kit.topology.docker_plain import PlainNode, plain_entry
from dslab.kit.topology.docker_run import DockerRun
from dslab.kit.topology.roles import ANY_HOST
from dslab.kit.topology.spec import GRADER, SCRATCH, CommandLine, Port, ServiceSpec, TopologySpec

TOPOLOGY_LABEL = "dslab.topology"
RECORD = "compose.yaml"


class DockerBackend:
    """Runs the nodes of one topology as containers: a `dslab.kit.topology.backend.Backend`.

    Args:
        spec: What the compose file says.
        place: Where the topology runs.
    """

    def __init__(self, spec: TopologySpec, place: Place) -> None:
        self._place = place
        self._prefix = f"{place.run.run_id}/{place.serial}"
        self._docker: DockerRun | None = None
        self._programs: LinksContainers | None = None
        self._links: DockerLinks | None = None
        self._services = {node: service for service in spec.services.values() for node in service.nodes}
        self._all_hosts: Hosts | None = None
        self._hosts: dict[str, Host | None] = {}
        self._addresses: dict[str, str] = {}
        self._ports: dict[tuple[str, Port], int] = {}
        self._nodes: dict[str, DockerNode | PlainNode] = {}
        self._record: dict[str, Any] = {}

    @property
    def links(self) -> LinksClient:
        """The client of the links program, which runs in a container."""
        return self._opened()[1].client

    def open(self) -> None:
        """Make the run's network and sweeper, if it has none yet, and a links program, if none is idle."""
        run = self._place.run
        self._docker = docker = run.shared(DockerRun, lambda: DockerRun(run))
        self._programs = run.shared(LinksContainers, lambda: LinksContainers(docker, run.path))
        self._all_hosts = run.shared(Hosts, lambda: Hosts(docker))
        self._links = self._programs.take()

    def listen_at(self, source: str, target: str, port: Port) -> Address:
        """Any port of the links container; for the grader one that it can reach."""
        del target
        return self._opened()[1].listen_at(port.transport) if source == GRADER else Address(ANY_HOST, 0)

    def dial(self, source: str, listening: Address) -> Address:
        """That port of the links container."""
        links = self._opened()[1]
        return links.reached_at(listening.port) if source == GRADER else Address(links.host, listening.port)

    def reach_node(self, node: str, port: Port) -> Address:
        """Where it listens, at its address in the run's network."""
        return Address(self._address(node), self.own_address(node, port).port)

    def own_address(self, node: str, port: Port) -> Address:
        """That port, or another one if an earlier check has used it; a third party's image has its own."""
        if (node, port) not in self._ports:
            host = self._host(node)
            told = host is not None and any(bind.port == port for bind in self._services[node].binds)
            self._ports[node, port] = host.fresh_port(port.number) if host and told else port.number
        return Address(ANY_HOST, self._ports[node, port])

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
        return self._opened()[0].do(start, launch, listens, tell)

    def close(self) -> None:
        """End everything in the containers of this topology, then remove the student's files."""
        try:
            self._close_nodes()
        finally:
            if self._programs is not None and self._links is not None:
                self._programs.give_back(self._links)
                self._links = None
            shutil.rmtree(self._place.work, ignore_errors=True)

    def _close_nodes(self) -> None:
        if self._docker is not None:
            self._docker.settle()
        for node in self._nodes.values():
            node.hang_up()
        for node in self._nodes.values():
            node.close()
        self._nodes.clear()
        while self._hosts and self._all_hosts:
            _, host = self._hosts.popitem()
            if host:
                self._all_hosts.give_back(host)

    def _opened(self) -> tuple[DockerRun, DockerLinks]:
        assert self._docker is not None, "open() comes first"
        assert self._links is not None, "open() comes first"
        return self._docker, self._links

    def _host(self, node: str) -> Host | None:
        """The node's host; none for a third party's image, which has a network of its own."""
        if node not in self._hosts:
            assert self._all_hosts is not None, "open() comes first"
            ours = self._opened()[0].has_keeper(image_of(self._services[node]))
            self._hosts[node] = self._all_hosts.take(node) if ours else None
        return self._hosts[node]

    def _address(self, node: str) -> str:
        host = self._host(node)
        if host:
            return host.address
        if node not in self._addresses:
            self._addresses[node] = self._opened()[0].fresh_address()
        return self._addresses[node]

    def _make_node(self, launch: Launch) -> DockerNode | PlainNode:
        docker, place, name = self._opened()[0], self._place, launch.node
        image = docker.image(image_of(launch.service)).name
        scratch, host = self.scratch(name).outside, self._host(name)
        settings: dict[str, Any] = {
            "name": f"{place.serial}-{name}",
            "labels": {TOPOLOGY_LABEL: self._prefix},
        }
        if host is None:
            self._put_on_record(name, plain_entry(launch, image, scratch))
            settings |= {"address": self._address(name), "image": image, "scratch": scratch}
            return PlainNode(docker, **settings, folder=place.folder)
        make_output_files(place.folder, name)
        entry = node_entry(launch.service, name, image, docker=docker, place=place, scratch=scratch)
        self._put_on_record(name, entry)
        mark = f"{self._prefix}/{name}"
        return docker.do(DockerNode, docker, **settings, entry=entry, host=host, place=place, mark=mark)

    def _put_on_record(self, node: str, entry: Entry) -> None:
        """Write down what runs, as a compose file."""
        project, host = self._opened()[0].project, self._host(node)
        addressed = {"networks": {"run": {"ipv4_address": self._address(node)}}}
        if host is None:
            self._record[node] = {**entry, **addressed}
        else:
            self._record[host.name] = {**host.entry, **addressed}
            self._record[node] = {**entry, "network_mode": f"service:{host.name}"}
        network = {"run": {"name": project, "external": True}}
        document = {"name": project, "services": self._record, "networks": network}
        (self._place.folder / RECORD).write_text(yaml.safe_dump(document, sort_keys=False))
