"""What the variables of a service stand for, told by their defaults: bind, call, or scratch folder. Pure.

==========================  ==================================================
``${ANY:-0.0.0.0:port}``    a *bind*: an address that the service listens on
``${ANY:-other:port}``      a *call*: a link to the service ``other``
``${ANY:-/scratch}``        the service's own writable folder
==========================  ==================================================

Any other variable is an ordinary one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dslab.kit.address import MAX_PORT, Address
from dslab.kit.topology.forms import Entry
from dslab.kit.topology.interpolation import Template
from dslab.kit.topology.spec import SCRATCH, Bind, Call, Port, ServiceSpec

Services = Mapping[str, ServiceSpec]

ANY_HOST = "0.0.0.0"
HOST_PORT = re.compile(r"([A-Za-z0-9_.-]+):(\d{1,5})")


@dataclass(frozen=True, slots=True)
class _Reference:
    """A variable whose default is ``host:port``."""

    variable: str
    host: str
    port: int


def assign_roles(services: Services, entry: Entry) -> dict[str, ServiceSpec]:
    """The services with their binds, calls, scratch variables, and all ports that they listen on.

    Raises:
        ConfigError: A variable has two such defaults; a call goes to a port that its target does not have;
            two nodes have one name.
    """
    _refuse_equal_names(services, entry)
    listening = {name: _with_binds(service, _place(service, entry)) for name, service in services.items()}
    return {
        name: _with_calls(service, listening, _place(service, entry)) for name, service in listening.items()
    }


def variables(service: ServiceSpec) -> set[str]:
    """The names of all variables in what the service runs and in its environment."""
    return {variable.name for part in _templates(service) for variable in part.variables()}


def _templates(service: ServiceSpec) -> Iterator[Template]:
    check = service.healthcheck.test if service.healthcheck else None
    for line in (service.command, service.local, check):
        yield from line.words if line else ()
    yield from (value for value in service.environment.values() if value)


def _place(service: ServiceSpec, entry: Entry) -> Entry:
    return Entry(entry.path, service.line, service.name)


def _defaults(service: ServiceSpec, place: Entry) -> dict[str, str]:
    """The default of each variable that has a plain one; the first, where they differ and mean nothing."""
    defaults: dict[str, str] = {}
    for variable in (variable for part in _templates(service) for variable in part.variables()):
        match variable.operator[-1:], variable.argument:
            case "-", Template((str(default),)):
                pass
            case _:
                continue
        first = defaults.setdefault(variable.name, default)
        if first != default and (HOST_PORT.fullmatch(first) or HOST_PORT.fullmatch(default)):
            raise place.error(f"variable {variable.name} has two defaults: {first!r} and {default!r}")
    return defaults


def _references(service: ServiceSpec, services: Services, place: Entry) -> Iterator[_Reference]:
    for variable, default in _defaults(service, place).items():
        match = HOST_PORT.fullmatch(default)
        if match and not 0 < int(match[2]) <= MAX_PORT and match[1] in {ANY_HOST, *services}:
            raise place.error(f"variable {variable}: {default} has no port from 1 to {MAX_PORT}")
        if match:
            yield _Reference(variable, match[1], int(match[2]))


def _with_binds(service: ServiceSpec, place: Entry) -> ServiceSpec:
    own = [reference for reference in _references(service, {}, place) if reference.host == ANY_HOST]
    ports = {port.number: port for port in reversed(service.ports)}
    if len(ports) < len(service.ports):
        raise place.error(
            "expose: a port stands there twice", "Use two numbers where one is TCP and one UDP."
        )
    binds = tuple(
        Bind(
            reference.variable,
            Address(ANY_HOST, reference.port),
            ports.get(reference.port, Port(0)).transport,
        )
        for reference in own
    )
    scratch = tuple(name for name, default in _defaults(service, place).items() if default == SCRATCH)
    listening = dict.fromkeys([*service.ports, *(bind.port for bind in binds)])
    return replace(service, binds=binds, scratch=scratch, ports=tuple(listening))


def _with_calls(service: ServiceSpec, services: Services, place: Entry) -> ServiceSpec:
    calls = tuple(
        Call(reference.variable, reference.host, _port(reference, services[reference.host], place))
        for reference in _references(service, services, place)
        if reference.host in services
    )
    return replace(service, calls=calls)


def _port(reference: _Reference, target: ServiceSpec, place: Entry) -> Port:
    """The port that a call goes to. A target that says nothing of its ports is taken at the caller's word."""
    for port in target.ports:
        if port.number == reference.port:
            return port
    if target.ports:
        listening = ", ".join(str(port) for port in target.ports)
        calls = f"variable {reference.variable} calls {reference.host}:{reference.port}"
        raise place.error(f"{calls}, but {reference.host} listens on {listening}")
    return Port(reference.port)


def _refuse_equal_names(services: Services, entry: Entry) -> None:
    owners: dict[str, str] = {}
    for service in services.values():
        for node in service.nodes:
            if node in owners:
                problem = f"its node {node!r} has the name of a node of service {owners[node]!r}"
                raise _place(service, entry).error(problem)
            owners[node] = service.name
