"""The Docker backend: every node is a container, on a network that leads nowhere else.

A container stands for a host: the service is a program on it, which can be killed and started again while the
host, its address and its scratch folder stay. One network, one links program and one sweeper serve a whole run
(`docker_run`); the containers of the nodes are made anew for every check, with a fresh file system. Nothing of a
run is left behind, however it ends (`docker_sweep`).

What a service finds: the lab's files in /lab, which it cannot change; /scratch and /tmp to write to; dslab as the
grader has it; no way out of the run's network; no capabilities, and limits on memory and processes.

Compose files by hand and by dslab. A lab's compose.yaml knows no profiles but ``on-demand``: a service without a
profile is always on, one with a profile starts when a check (or ``docker compose run``) names it. The course's
docker-compose.yml includes each lab with docker/lab-N.yaml, which puts it behind the profile ``lab-N``.
"""

from __future__ import annotations

import shutil
from typing import Any

import yaml

from dslab.kit.address import Address
from dslab.kit.links import LinksClient
from dslab.kit.topology import processes
from dslab.kit.topology.backend import Launch, Place, Scratch, Tell
from dslab.kit.topology.docker_links import ANY_HOST, DockerLinks, LinksContainers
from dslab.kit.topology.docker_node import ContainerProcess, DockerNode, make_output_files, node_entry
from dslab.kit.topology.docker_run import DockerRun
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
        self._spec = spec
        self._place = place
        self._prefix = f"{place.run.run_id}/{place.serial}"
        self._docker: DockerRun | None = None
        self._programs: LinksContainers | None = None
        self._links: DockerLinks | None = None
        self._addresses: dict[str, str] = {}
        self._nodes: dict[str, DockerNode] = {}
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
        """That port at the node's address."""
        if node not in self._addresses:
            self._addresses[node] = self._opened()[0].fresh_address()
        return Address(self._addresses[node], port.number)

    def own_address(self, node: str, port: Port) -> Address:
        """The host is the node's own, and so are all of its ports."""
        del node
        return Address(ANY_HOST, port.number)

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

    def launch(self, launch: Launch, tell: Tell) -> ContainerProcess:
        """Start the node's program; the first time, its container."""
        return ContainerProcess(
            self._node(launch).keeper,
            f"{self._prefix}/{launch.node}",
            launch,
            environment={**launch.environment, processes.MARK: f"{self._prefix}/{launch.node}"},
            place=self._place,
            listens={bind.port: self.own_address(launch.node, bind.port) for bind in launch.service.binds},
            tell=tell,
        )

    def close(self) -> None:
        """End everything in the containers of this topology, then remove the copies of the student's files."""
        for node in self._nodes.values():
            node.hang_up()
        try:
            for node in self._nodes.values():
                node.close()
        finally:
            if self._programs is not None and self._links is not None:
                self._programs.give_back(self._links)
                self._links = None
            shutil.rmtree(self._place.work, ignore_errors=True)

    def _opened(self) -> tuple[DockerRun, DockerLinks]:
        assert self._docker is not None, "open() comes first"
        assert self._links is not None, "open() comes first"
        return self._docker, self._links

    def _node(self, launch: Launch) -> DockerNode:
        node = self._nodes.get(launch.node)
        if node is None:
            node = self._nodes[launch.node] = self._start_node(launch.service, launch.node)
        return node

    def _start_node(self, service: ServiceSpec, name: str) -> DockerNode:
        docker, place = self._opened()[0], self._place
        make_output_files(place.folder, name)
        entry = node_entry(
            service,
            name,
            run_id=place.run.run_id,
            user=docker.user,
            work=place.work.resolve(),
            scratch=self.scratch(name).outside,
            output=place.folder.resolve(),
        )
        address = self.reach_node(name, Port(0)).host
        self._put_on_record(name, entry, address)
        return docker.do(
            DockerNode,
            docker,
            f"{place.serial}-{name}",
            entry,
            address=address,
            labels={TOPOLOGY_LABEL: self._prefix},
            log=place.folder / "keeper.log",
        )

    def _put_on_record(self, name: str, entry: dict[str, Any], address: str) -> None:
        """Write down what runs, as a compose file."""
        docker = self._opened()[0]
        network = {"run": {"ipv4_address": address}}
        self._record[name] = {**entry, "networks": network}
        document = {
            "name": docker.project,
            "services": self._record,
            "networks": {"run": {"name": docker.project, "external": True}},
        }
        (self._place.folder / RECORD).write_text(yaml.safe_dump(document, sort_keys=False))
