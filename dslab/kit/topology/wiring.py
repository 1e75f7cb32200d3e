"""Which links a topology has, and where they are opened: `Wiring`.

Every call of every service is a link, open before anybody can use it, so that it can be broken first: from
the moment that somebody asks for one of them, or that the first services have been started. The links of the
grader open when it first asks for an address.

A link is called ``source->target``. The source is a node: each replica has a link of its own, which fails by
itself. The target is a service: connections go round its replicas in turn. Only the grader has links to
single replicas. Where a service listens on several ports, the links to all but its first carry the port:
``client->server:7001``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dslab.kit.address import Address
from dslab.kit.errors import UsageError
from dslab.kit.links import LinkSpec
from dslab.kit.topology.backend import Backend
from dslab.kit.topology.forms import nearest
from dslab.kit.topology.spec import GRADER, Port, ServiceSpec, TopologySpec


@dataclass(frozen=True, slots=True)
class Wire:
    """An open link: who it joins, and the address that its source dials."""

    name: str
    source: str
    target: str
    port: Port
    address: Address


class Wiring:
    """The links of one topology.

    Args:
        spec: What the compose file says.
        backend: Where it runs; open.
    """

    def __init__(self, spec: TopologySpec, backend: Backend) -> None:
        self._spec = spec
        self._backend = backend
        self._wires: dict[tuple[str, str, Port], Wire] = {}
        self._calls_open = False

    def open_calls(self) -> None:
        """Open the link of every call, if that has not been done yet."""
        if self._calls_open:
            return
        self._calls_open = True
        for service in self._spec.services.values():
            for node in service.nodes:
                for call in service.calls:
                    self._open(node, call.target, self._spec.services[call.target], call.port)

    def targets(self) -> dict[str, str]:
        """Who is behind each address that is dialled, for messages to a person."""
        return {str(wire.address): wire.target for wire in self._wires.values()}

    def dialled(self, node: str, target: str, port: Port) -> Address:
        """The address at which a node finds a service: that of its link."""
        self.open_calls()
        return self._wires[node, target, port].address

    def reach(self, source: str, node: str, service: ServiceSpec, number: int | None) -> Address:
        """The address at which the grader reaches a node, or at which another source reaches its service.

        Raises:
            UsageError: There is no such port, or no such link.
        """
        port = _port(service, number)
        if source == GRADER:
            return self._open(GRADER, node, service, port).address
        for wire in self.between(source, service.name):
            if wire.port == port:
                return wire.address
        raise UsageError(f"There is no link from {source} to port {port} of {service.name}.")

    def between(self, source: str, target: str) -> list[Wire]:
        """The links from a source to a target, each a node or a service.

        Raises:
            UsageError: There is none; the message has those that there are.
        """
        self.open_calls()
        if source == GRADER:
            self._open_from_grader(target)
        sources, targets = self.nodes(source), {target, *self.nodes(target)}
        found = [wire for wire in self._wires.values() if wire.source in sources and wire.target in targets]
        if not found:
            names = {f"{wire.source}->{wire.target}" for wire in self._wires.values()}
            raise UsageError(
                f"There is no link {source}->{target}.", remedy=nearest(f"{source}->{target}", names)
            )
        return sorted(found, key=lambda wire: wire.name)

    def across(self, groups: Iterable[Iterable[str]]) -> Iterator[Wire]:
        """The links whose ends are in different groups of services or nodes.

        Raises:
            UsageError: A name is none of the topology's, or a service's replicas are in different groups:
                connections to a service go to any of its replicas.
        """
        self.open_calls()
        sides: dict[str, int] = {}
        for number, group in enumerate(groups):
            sides |= {node: number for name in group for node in self.nodes(name)}
        if GRADER in sides:
            for service in self._spec.services:
                self._open_from_grader(service)
        for wire in self._wires.values():
            source, targets = sides.get(wire.source), {sides.get(node) for node in self.nodes(wire.target)}
            if len(targets) > 1:
                raise UsageError(f"Replicas of {wire.target} cannot be parted: links go to any of them.")
            if not {source, *targets} & {None} and targets != {source}:
                yield wire

    def nodes(self, name: str) -> tuple[str, ...]:
        """The nodes of that name: one, or all of a service.

        Raises:
            UsageError: There is none.
        """
        services = self._spec.services
        known = {GRADER, *(node for service in services.values() for node in service.nodes)}
        if name in services:
            return services[name].nodes
        if name in known:
            return (name,)
        raise UsageError(f"There is no service {name!r}.", remedy=nearest(name, known))

    def _open_from_grader(self, target: str) -> None:
        for service in self._spec.services.values():
            for node in set(service.nodes) & set(self.nodes(target)):
                for port in service.ports:
                    self._open(GRADER, node, service, port)

    def _open(self, source: str, target: str, service: ServiceSpec, port: Port) -> Wire:
        key = (source, target, port)
        if key not in self._wires:
            name = f"{source}->{target}"
            if port in service.ports[1:]:
                name += f":{port.number}"
            link = LinkSpec(
                name=name,
                source=source,
                target=target,
                listen=self._backend.listen_at(source, target, port),
                upstreams=tuple(self._backend.reach_node(node, port) for node in self.nodes(target)),
                transport=port.transport,
                framing=service.framing,
                describe=service.describe,
            )
            address = self._backend.dial(source, self._backend.links.open(link))
            self._wires[key] = Wire(name, source, target, port, address)
        return self._wires[key]


def _port(service: ServiceSpec, number: int | None) -> Port:
    """The port of that number; the only one, if no number is given.

    Raises:
        UsageError: There is no such port, or there are several.
    """
    found = [port for port in service.ports if number in (None, port.number)]
    if len(found) == 1:
        return found[0]
    listening = ", ".join(map(str, service.ports)) or "no port that the compose file knows of"
    wanted = "say which port" if number is None else f"not on {number}"
    raise UsageError(f"{service.name} listens on {listening}: {wanted}.")
