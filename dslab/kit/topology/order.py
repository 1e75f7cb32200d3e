"""In which order services start. Pure: a walk over the graph that ``depends_on`` draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dslab.kit.topology.forms import Entry, nearest
from dslab.kit.topology.spec import ServiceSpec

Services = Mapping[str, ServiceSpec]


def refuse_cycles(services: Services, entry: Entry) -> None:
    """Check that every service depends on services of the file only, and none on itself.

    Raises:
        ConfigError: It does not; the message names the services, all the way round.
    """
    checked: set[str] = set()
    for name in services:
        _walk(name, services, (), checked, entry)


def with_dependencies(names: Iterable[str], services: Services) -> list[str]:
    """Those services and all that they depend on, each after what it depends on."""
    ordered: dict[str, None] = {}

    def add(name: str) -> None:
        if name in ordered:  # as has been all that it depends on
            return
        for dependency in services[name].depends_on:
            add(dependency)
        ordered[name] = None

    for name in names:
        add(name)
    return list(ordered)


def _walk(name: str, services: Services, path: tuple[str, ...], checked: set[str], entry: Entry) -> None:
    at = Entry(entry.path, services[name].line, name, "depends_on")
    if name in path:
        way = " -> ".join([*path[path.index(name) :], name])
        raise at.error(f"goes round in a circle: {way}")
    if name in checked:
        return
    for dependency in services[name].depends_on:
        if dependency not in services:
            raise at.error(f"there is no service {dependency!r}", nearest(dependency, services))
        _walk(dependency, services, (*path, name), checked, entry)
    checked.add(name)
