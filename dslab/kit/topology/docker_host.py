"""The hosts of a run: containers that only hold a network address, one per node, as long as the run lasts.

To give a container a network of its own takes the engine, and the kernel, three times as long as to start a
program in one. So that is done once per run; the containers in which services run are made anew for every
check and enter their host's network (``network_mode: container:...``, as the containers of a pod share one).

What the network of a host remembers is connections in TIME_WAIT: for a minute their port cannot be bound by a
server that does not ask for it (SO_REUSEADDR). Therefore no check is told a port that an earlier one had.

Source: RFC 9293, section 3.6.1 (TIME-WAIT).
"""

from __future__ import annotations

from dslab.kit.topology.docker_entry import CONFINED, NO_LOG, Entry, image_of
from dslab.kit.topology.docker_image import COURSE_IMAGE
from dslab.kit.topology.docker_run import DockerRun
from dslab.kit.topology.spec import Port, TopologySpec


class Host:
    """A host: its address, and the ports that were given away there.

    Args:
        docker: The run's part of the engine.
        node: Whose host it is, and what it is called.
        name: What the run calls its container.
    """

    def __init__(self, docker: DockerRun, node: str, name: str) -> None:
        self.node = node
        self.name = name
        self.address = docker.fresh_address()
        self._docker = docker
        self._container: str | None = None
        self._ports: set[int] = set()

    @property
    def entry(self) -> Entry:
        """What its container is like."""
        return {
            **CONFINED,
            "image": COURSE_IMAGE,
            "command": ["sleep", "infinity"],
            "hostname": self.node,
            "user": self._docker.user,
        }

    def fresh_port(self, wanted: int) -> int:
        """That port, or else the next one that nobody had here."""
        port = next(port for port in range(wanted, wanted + 10_000) if port not in self._ports)
        self._ports.add(port)
        return port

    def container(self) -> str:
        """The id of its container, started when it is first asked for. To be called by `DockerRun.do`."""
        if self._container is None:
            made = self._docker.create(
                self.name, self.entry, address=self.address, host={"log_config": NO_LOG}
            )
            self._docker.engine.start(made)
            self._container = made
        return self._container


class Hosts:
    """All hosts of a run. Made by `RunFolder.shared`.

    Args:
        docker: The run's part of the engine.
    """

    def __init__(self, docker: DockerRun) -> None:
        self.alive = True
        self._docker = docker
        self._idle: dict[str, list[Host]] = {}
        self._made = 0

    def take(self, node: str) -> Host:
        """A host for that node, which no other topology uses at present."""
        if idle := self._idle.get(node):
            return idle.pop()
        self._made += 1
        return Host(self._docker, node, f"host-{self._made}-{node}")

    def give_back(self, host: Host) -> None:
        """Let the next topology have it; nothing runs there any more."""
        self._idle.setdefault(host.node, []).append(host)

    def close(self) -> None:
        """Their containers go with the run."""
        self.alive = False


class Network:
    """Where the nodes of one topology are in the run's network.

    A node of the course image has a host; one of a third party's image is a host itself, with a new address
    and the ports that the image is made for.

    Args:
        docker: The run's part of the engine.
        hosts: The hosts of the run.
        spec: What the compose file says.
    """

    def __init__(self, docker: DockerRun, hosts: Hosts, spec: TopologySpec) -> None:
        self._docker = docker
        self._all = hosts
        self._services = {node: service for service in spec.services.values() for node in service.nodes}
        self._hosts: dict[str, Host] = {}
        self._addresses: dict[str, str] = {}
        self._ports: dict[tuple[str, Port], int] = {}

    def host(self, node: str) -> Host | None:
        """The node's host, if it has one."""
        if node not in self._hosts and self._docker.has_keeper(image_of(self._services[node])):
            self._hosts[node] = self._all.take(node)
        return self._hosts.get(node)

    def address(self, node: str) -> str:
        """The node's address. Known before anything of it runs."""
        host = self.host(node)
        if host:
            return host.address
        if node not in self._addresses:
            self._addresses[node] = self._docker.fresh_address()
        return self._addresses[node]

    def port(self, node: str, port: Port) -> int:
        """Where a node listens that should listen on that port; another one only where it will be told."""
        if (node, port) not in self._ports:
            host = self.host(node)
            told = any(bind.port == port for bind in self._services[node].binds)
            self._ports[node, port] = host.fresh_port(port.number) if host and told else port.number
        return self._ports[node, port]

    def give_back(self) -> None:
        """Let other topologies have the hosts."""
        while self._hosts:
            self._all.give_back(self._hosts.popitem()[1])
