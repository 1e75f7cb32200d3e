"""What ``dslab up`` runs, to look at and to act on: `Stage`.

``dslab fault TARGET ACTION ...`` in another terminal ends up in `Stage.act`:

=====================  ===================================================================
``client->server``     a fault of a link (`dslab.kit.links.faults`), or ``heal``
``server``             ``start [VARIABLE=VALUE]``, ``stop``, ``kill``, ``restart``, ``pause``, ``resume``
``all``                ``heal``
=====================  ===================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dslab.kit.address import Address
from dslab.kit.errors import ServiceFailed, UsageError
from dslab.kit.links import LinkStats
from dslab.kit.links.faults import KINDS, from_words, to_json
from dslab.kit.topology.running import Topology
from dslab.kit.topology.service import Service
from dslab.kit.topology.spec import GRADER

NODE_ACTIONS = ("start", "stop", "kill", "restart", "pause", "resume")
TAKE_NOTHING = ("stop", "kill", "pause", "resume", "heal")
EVERYTHING = "all"


@dataclass(frozen=True, slots=True)
class NodeView:
    """How a service stands.

    Attributes:
        name: Its name.
        state: ``running``, ``paused``, ``not started``, ``exited 1``, ``failed``.
        reach: The addresses at which it can be reached from outside.
        problem: Why it did not start; empty if it did.
    """

    name: str
    state: str
    reach: tuple[Address, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LinkView:
    """How a link stands."""

    name: str
    stats: LinkStats

    @property
    def idle(self) -> bool:
        """It is one of those for somebody outside, and nobody has used or broken it."""
        return self.name.startswith(f"{GRADER}->") and not self.stats.connections and not self.stats.faults


class Stage:
    """A topology that somebody plays with.

    Args:
        topology: It; open.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._paused: set[str] = set()
        self._failed: dict[str, ServiceFailed] = {}
        self._reach: dict[str, tuple[Address, ...]] = {}

    def start(self, names: Sequence[str]) -> None:
        """Start services one by one, so that one that fails leaves the others running.

        Args:
            names: Which; those without a profile if empty.

        Raises:
            ServiceFailed: Not one of them started.
            UsageError: There is no such service.
        """
        chosen = names or [
            service.name for service in self._topology.spec.services.values() if not service.profiles
        ]
        for name in names:
            self._nodes_of(name)
        for name in chosen:
            try:
                self._topology.start(name)
            except ServiceFailed as error:
                self._failed[name] = error
        if self._failed and not any(node.running for node in self._topology.services.values()):
            raise next(iter(self._failed.values()))

    def nodes(self) -> list[NodeView]:
        """Every service, in the order of the compose file."""
        return [self._view(node) for node in self._topology.services.values()]

    def links(self) -> list[LinkView]:
        """Every link: those between services, then those by which somebody outside reaches one."""
        views = []
        for source, target in self._pairs():
            link = self._topology.link(source, target)
            views.append(
                LinkView(link.names[0] if len(link.names) == 1 else f"{source}->{target}", link.stats())
            )
        return views

    def act(self, target: str, words: Sequence[str]) -> str:
        """Do what ``dslab fault`` was asked for.

        Args:
            target: A link, a service or ``all``.
            words: What to do to it.

        Returns:
            What was done, in a sentence.

        Raises:
            UsageError: There is no such target, or nothing such can be done to it.
        """
        action = words[0] if words else ""
        if action in TAKE_NOTHING and words[1:]:
            raise UsageError(f"{action} takes no {words[1]!r}.")
        if target == EVERYTHING and action == "heal":
            self._topology.heal()
            return "All links are healed."
        if "->" in target:
            return self._act_on_link(target, words)
        if action not in NODE_ACTIONS:
            self._refuse(target, action)
        for node in self._nodes_of(target):
            self._act_on_node(node, action, words[1:])
        return f"{target}: {action}, done."

    def _act_on_link(self, target: str, words: Sequence[str]) -> str:
        source, _, end = target.partition("->")
        action = words[0] if words else ""
        if action in NODE_ACTIONS:
            raise UsageError(
                f"{action!r} is for services, and {target} is a link.",
                remedy=f"For example: dslab fault {end} {action}",
            )
        if source != GRADER:
            self._nodes_of(source)  # first of all there has to be such a service
        link = self._topology.link(source, end.partition(":")[0])
        if action == "heal":
            link.heal()
            return f"{target} is healed."
        if action.replace("-", "_") not in KINDS:
            raise UsageError(
                f"There is no fault {action!r}." if action else f"What should happen to {target}?",
                remedy=f"There are: {', '.join(KINDS)}; and heal.",
            )
        fault = from_words(words)
        values = {name: value for name, value in to_json(fault).items() if name != "kind"}
        getattr(link, fault.kind)(**values)  # a link has a method for every kind of fault
        return f"{target}: {fault}. To end it: dslab fault '{target}' heal"

    def _act_on_node(self, node: Service, action: str, words: Sequence[str]) -> None:
        variables = _variables(words) if action in {"start", "restart"} else {}
        self._failed.pop(node.spec.name, None)
        if action != "pause":
            self._paused.discard(node.name)
        match action:
            case "start":
                node.start(**variables)
            case "restart":
                node.restart(**variables)
            case "stop":
                node.stop()
            case "kill":
                node.kill()
            case "pause":
                node.pause()
                self._paused.add(node.name)
            case _:
                node.resume()

    def _nodes_of(self, name: str) -> list[Service]:
        service = self._topology.spec.services.get(name)
        if service is not None:
            return [self._topology.services[node] for node in service.nodes]
        return [self._topology[name]]

    def _refuse(self, target: str, action: str) -> None:
        self._nodes_of(target)  # first of all there has to be such a service
        if action in KINDS or action == "heal":
            links = [link.name for link in self.links() if target in link.name.split("->")]
            raise UsageError(
                f"{action!r} is for links, and {target} is a service.",
                remedy=f"Its links are: {', '.join(links)}." if links else None,
            )
        raise UsageError(
            f"A service cannot {action!r}." if action else f"What should {target} do?",
            remedy=f"It can {', '.join(NODE_ACTIONS)}.",
        )

    def _view(self, node: Service) -> NodeView:
        failure = self._failed.get(node.spec.name)
        if node.running:
            state = "paused" if node.name in self._paused else "running"
        elif failure is not None:
            state = "failed"
        elif node.started:
            state = f"exited {node.exit_status}"
        else:
            state = "not started"
        return NodeView(node.name, state, self._reach_of(node), failure.message if failure else "")

    def _reach_of(self, node: Service) -> tuple[Address, ...]:
        if node.name not in self._reach:
            ports = [port.number for port in node.spec.ports]
            self._reach[node.name] = tuple(node.address(port) for port in ports)
        return self._reach[node.name]

    def _pairs(self) -> list[tuple[str, str]]:
        """Source and target of every link."""
        services = self._topology.spec.services.values()
        pairs = [
            (node, call.target) for service in services for node in service.nodes for call in service.calls
        ]
        pairs += [(GRADER, node) for service in services if service.ports for node in service.nodes]
        return list(dict.fromkeys(pairs))


def _variables(words: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"{word!r} gives no value to a variable.", remedy="Write it as NAME=VALUE.")
        pairs[name] = value
    return pairs
