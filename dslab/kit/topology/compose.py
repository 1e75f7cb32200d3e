"""Reads a compose file: `read`. Pure, but for reading that one file.

The subset that dslab understands. Any other key is an error which names file, line, service and key: a key
that one backend ignores silently would make two different topologies of one file.

==================  ===========================================  ==========================================
key of a service    forms                                        meaning with local processes
==================  ===========================================  ==========================================
``command``         string (split as a shell would), list        what to run; ``python`` is dslab's own
``environment``     map, list of ``K=V``; no value: passed on    the same
``depends_on``      list, map with ``condition``                 waits until that one is ready, or has ended
                                                                 (``service_completed_successfully``)
``healthcheck``     ``test`` (string, ``CMD``, ``CMD-SHELL``),   run until it exits with 0, but only for a
                    ``interval`` ``timeout`` ``retries``         service without a bind: one with a bind
                    ``start_period`` ``disable``                 is ready when it listens
``profiles``        list                                         the same: starts only by name
``deploy``          ``replicas``; ``resources`` (Docker only)    so many processes, ``name-1``, ``name-2``
``expose``          list of ``7000``, ``7001/udp``               what it listens on; transport of its links
``x-dslab``         ``local``: like ``command``                  what to run instead of the image
                    ``describe``, ``framing``                    labels and message boundaries in a trace;
                                                                 at the top of the file: of every service
``x-`` anything     anything                                     nothing
see `DOCKER_ONLY`   as in Compose                                nothing; the Docker backend uses them
==================  ===========================================  ==========================================

At the top of the file: ``name``, ``services``, ``x-`` keys; ``networks``, ``volumes`` and ``version`` mean
nothing here. Anchors, aliases and merge keys (``<<``) work. `dslab.kit.topology.interpolation` has the forms
of variables. Those in ``command``, ``environment``, ``healthcheck.test`` and ``x-dslab.local`` are filled in
when the service starts, and three kinds of defaults give them a role: see `dslab.kit.topology.roles`.

Source: the Compose specification (github.com/compose-spec/compose-spec).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from dslab.kit.topology import forms
from dslab.kit.topology.forms import Entry
from dslab.kit.topology.lines import Table, load
from dslab.kit.topology.order import refuse_cycles
from dslab.kit.topology.roles import assign_roles
from dslab.kit.topology.spec import GRADER, ServiceSpec, TopologySpec

T = TypeVar("T")

UNDERSTOOD = frozenset(
    {"command", "environment", "depends_on", "healthcheck", "profiles", "deploy", "expose", "x-dslab"}
)
DOCKER_ONLY = frozenset(
    {"build", "cap_add", "cap_drop", "cpus", "hostname", "image", "init", "labels", "logging", "mem_limit"}
    | {"memswap_limit", "networks", "pids_limit", "platform", "ports", "pull_policy", "read_only"}
    | {"security_opt", "shm_size", "stop_grace_period", "tmpfs", "ulimits", "user", "volumes", "working_dir"}
)
# Keys that people will try, and what to write instead.
REFUSED = {
    "configs": "Put the file beside the compose file: services run in that folder.",
    "container_name": "Leave it out: names are unique per run.",
    "entrypoint": "Write the whole command line in command.",
    "env_file": "Write the variables under environment.",
    "extends": "Use an anchor (&name) and a merge key (<<: *name).",
    "include": "Write the services into this file.",
    "links": "Leave it out: services reach one another by name.",
    "network_mode": "Leave it out: dslab makes the network.",
    "restart": "Leave it out: a service that ends stays down, for that is what a check wants to see.",
    "scale": "Write deploy: {replicas: n}.",
    "secrets": "Write the value under environment.",
}
# As in Compose; a name becomes part of the names of files, and of links.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
TOP = frozenset({"name", "services", "networks", "volumes", "version"})


def read(path: Path, environment: Mapping[str, str]) -> TopologySpec:
    """Read a compose file.

    Args:
        path: The file.
        environment: The values of variables outside of commands and environments (those are filled in when
            their service starts).

    Raises:
        ConfigError: The file is not as the module's table has it. Names file, line, service and key.
    """
    entry = Entry(path)
    document = _Body(forms.table(load(path), entry), entry, environment)
    document.refuse_unknown(TOP)
    if not document.table.get("services"):
        raise entry.error("has no services")
    defaults = document.body("x-dslab", {"describe", "framing"})
    tables = document.body("services")
    services = {name: _service(tables.of_service(name), defaults) for name in tables.table}
    refuse_cycles(services, entry)
    return TopologySpec(
        name=document.filled("name", forms.text, path.resolve().parent.name),
        path=path,
        services=assign_roles(services, entry),
        docker_only=document.docker_only({"networks", "volumes"}),
    )


@dataclass(frozen=True, slots=True)
class _Body:
    """A mapping of the file, where it stands, and what its variables are filled in with."""

    table: Table
    entry: Entry
    environment: Mapping[str, str]

    def get(self, key: str, form: Callable[[Any, Entry], T], default: T) -> T:
        """The value of a key in that form, variables left in."""
        return form(self.table[key], self.entry.at(self.table, key)) if key in self.table else default

    def filled(self, key: str, form: Callable[[Any, Entry], T], default: T) -> T:
        """The value of a key in that form, variables filled in."""
        return self.get(key, lambda value, entry: form(self._fill(value, entry), entry), default)

    def body(self, key: str, known: Collection[str] | None = None) -> _Body:
        """The mapping at a key; an empty one, if there is no such key."""
        empty = Table()
        at = self.entry.at(self.table, key) if key in self.table else self.entry
        return replace(self, table=self.get(key, lambda v, e: forms.table(v, e, known), empty), entry=at)

    def of_service(self, name: str) -> _Body:
        """The mapping of one service."""
        entry = Entry(self.entry.path, self.table.lines[name], name)
        return replace(self, table=forms.table(self.table[name], entry), entry=entry)

    def docker_only(self, keys: Collection[str]) -> dict[str, Any]:
        """The values of those keys as they are, variables filled in."""
        return {key: self.filled(key, lambda value, _: value, None) for key in self.table if key in keys}

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Refuse every other key, with what to write instead where there is such a thing."""
        for key in self.table:
            if key in REFUSED:
                raise self.entry.at(self.table, key).error("is not supported", REFUSED[key])
        forms.table(self.table, self.entry, known)

    def _fill(self, value: Any, entry: Entry) -> Any:
        match value:
            case dict():
                return {key: self._fill(item, entry) for key, item in value.items()}
            case list():
                return [self._fill(item, entry) for item in value]
            case str():
                return forms.fill(value, entry, self.environment)
        return value


def _service(body: _Body, defaults: _Body) -> ServiceSpec:
    entry = body.entry
    if entry.service == GRADER:
        raise entry.error("the name is taken: it is that of the program that runs the checks")
    if not NAME.fullmatch(entry.service):
        raise entry.error("a name is made of letters, digits and . _ - and begins with none of . and -")
    body.refuse_unknown(UNDERSTOOD | DOCKER_ONLY)
    if not {"command", "image", "build"} & body.table.keys():
        raise entry.error("has neither a command nor an image")
    ours = body.body("x-dslab", {"local", "describe", "framing"})
    deploy = body.body("deploy", {"replicas", "resources"})
    return ServiceSpec(
        name=entry.service,
        line=entry.line,
        command=body.get("command", forms.command, None),
        local=ours.get("local", forms.command, None),
        environment=body.get("environment", forms.environment, {}),
        depends_on=body.get("depends_on", forms.depends_on, {}),
        healthcheck=body.get("healthcheck", forms.healthcheck, None),
        profiles=body.filled("profiles", forms.texts, ()),
        replicas=deploy.filled("replicas", forms.replicas, 1),
        ports=body.filled("expose", forms.exposed, ()),
        describe=ours.get("describe", forms.function, defaults.get("describe", forms.function, None)),
        framing=ours.get("framing", forms.function, defaults.get("framing", forms.function, None)),
        docker_only=body.docker_only(DOCKER_ONLY) | {"deploy": deploy.docker_only({"resources"})},
    )
