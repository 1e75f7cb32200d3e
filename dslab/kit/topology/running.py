"""A running topology: `open_topology` and `Topology`. The same for both backends."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from dslab.kit.errors import UsageError
from dslab.kit.topology.backend import Backend, BackendName, Place
from dslab.kit.topology.forms import nearest
from dslab.kit.topology.journal import Journal
from dslab.kit.topology.link import Faults, Link
from dslab.kit.topology.order import with_dependencies
from dslab.kit.topology.runfolder import RunFolder
from dslab.kit.topology.service import READY_TIMEOUT_S, Service
from dslab.kit.topology.spec import Condition, TopologySpec
from dslab.kit.topology.wiring import Wiring
from dslab.kit.topology.workfolder import fill_work_folder

TRACE = "trace.jsonl"


def open_topology(
    spec: TopologySpec,
    *,
    backend: BackendName = "local",
    run: RunFolder,
    check: str,
    seed: int,
    submission: Path,
    provided: Path,
    edited: Collection[str] = (),
    environment: Mapping[str, str] | None = None,
    ready_timeout_s: float = READY_TIMEOUT_S,
) -> Topology:
    """Make a topology ready to start: its folder, its links. No service runs yet.

    Args:
        spec: What the compose file says.
        backend: Where it runs.
        run: The run that it belongs to.
        check: The name of its folder in the run folder.
        seed: Every random choice of its links comes from it.
        submission: The folder with the student's files.
        provided: The lab's folder. Its files stand beside the student's, and win over files of the same name.
        edited: The names of the files that the student writes: never taken from `provided`.
        environment: Values for variables that the check gives none; dslab's own environment, if None.
        ready_timeout_s: How long a service may take to get ready.

    Raises:
        UsageError: The submission is not there, or is not one.
        MachineError: The machine lacks what the backend needs.
    """
    folder = run.check_folder(check)
    work = folder / "work"
    fill_work_folder(work, submission=submission, provided=provided, edited=edited)
    place = Place(run, folder, work, seed, serial=run.next_serial())
    topology = Topology(
        spec,
        place,
        _backend(backend, spec, place),
        os.environ if environment is None else environment,
        ready_timeout_s,
    )
    try:
        topology.open()
    except BaseException:
        topology.close()
        raise
    return topology


def _backend(name: BackendName, spec: TopologySpec, place: Place) -> Backend:
    if name == "docker":
        from dslab.kit.topology.docker import DockerBackend

        return DockerBackend(spec, place)
    from dslab.kit.topology.local import LocalBackend

    return LocalBackend(spec, place)


class Topology:
    """The services and links of one check. A context manager: nothing of it is left after the ``with``.

    Args:
        spec: What the compose file says.
        place: Where it runs.
        backend: How it runs; not open yet.
        environment: Values for variables that the check gives none.
        ready_timeout_s: How long a service may take to get ready.

    Attributes:
        folder: ``<run>/<check>``.
        seed: The seed of every random choice of its links.
        services: Its nodes by name.
        links: The control channel of its links program, once it is open.
    """

    def __init__(
        self,
        spec: TopologySpec,
        place: Place,
        backend: Backend,
        environment: Mapping[str, str],
        ready_timeout_s: float,
    ) -> None:
        self.spec = spec
        self.folder = place.folder
        self.seed = place.seed
        self._place = place
        self._backend = backend
        self._closing = ExitStack()
        self._wiring = Wiring(spec, backend)
        self._journal = Journal(place.folder, place.run.epoch_s)
        self.services = {
            node: Service(
                node,
                service,
                backend=backend,
                wiring=self._wiring,
                journal=self._journal,
                environment=environment,
                start=self.start,
                ready_timeout_s=ready_timeout_s,
            )
            for service in spec.services.values()
            for node in service.nodes
        }

    def open(self) -> None:
        """Make the backend and the links ready. `open_topology` has done it."""
        self._closing.callback(self._backend.close)
        self._closing.callback(self._journal.close)
        self._backend.open()
        links = self.links = self._backend.links
        links.begin(self.folder / TRACE, self._place.run.epoch_s, self.seed)
        # Comes first when all of it ends: what is still under way then goes on record, teardown does not.
        self._closing.callback(links.end)
        self._faults = Faults(links)

    def close(self) -> None:
        """End every service and every link. Harmless when repeated."""
        self._closing.close()

    # Services.

    def start(self, *names: str) -> None:
        """Start these services and what they depend on, and wait until they are ready.

        What runs already is left as it is, and so is a dependency that ended: a check may have killed it.

        Args:
            *names: Services, or nodes of replicated ones; none means all that have no profile.

        Raises:
            ServiceFailed: One ended before it was ready, or was not ready in time.
        """
        if not names:
            names = tuple(name for name, service in self.spec.services.items() if not service.profiles)
        chosen = {node.name: node for name in names for node in self._named(name)}
        order = with_dependencies([node.spec.name for node in chosen.values()], self.spec.services)
        needed = {dependency for name in order for dependency in self.spec.services[name].depends_on}
        launched = []
        for name in order:
            self._await_dependencies(name)
            for node in self._nodes(name):
                if not node.running and (node.name in chosen or (name in needed and not node.started)):
                    node.launch()
                    launched.append(node)
        self._wiring.open_calls()  # while they get ready
        for node in launched:
            node.await_ready()

    def __getitem__(self, name: str) -> Service:
        """The node of that name: ``server``, or ``server-2`` if it is replicated."""
        if name in self.services:
            return self.services[name]
        if name in self.spec.services:
            nodes = ", ".join(self.spec.services[name].nodes)
            raise UsageError(f"{name} has several nodes: {nodes}.", remedy="Say which one.")
        raise UsageError(f"There is no service {name!r}.", remedy=nearest(name, self.services))

    def _await_dependencies(self, name: str) -> None:
        """Wait for what that service depends on, all launched by now.

        Also where ``service_started`` would have it start at once: whether a client finds its server
        listening must not be a matter of luck.
        """
        for dependency, condition in self.spec.services[name].depends_on.items():
            for node in self._nodes(dependency):
                if condition is Condition.COMPLETED:
                    node.await_completion()
                else:
                    node.await_ready()

    def _named(self, name: str) -> list[Service]:
        return self._nodes(name) if name in self.spec.services else [self[name]]

    def _nodes(self, service: str) -> list[Service]:
        return [self.services[node] for node in self.spec.services[service].nodes]

    # Links.

    def link(self, source: str, target: str) -> Link:
        """The link from one service to another, or from ``"grader"`` to one."""
        names = [wire.name for wire in self._wiring.between(source, target)]
        return Link(names, self._backend.links, self._faults)

    def partition(self, *groups: Iterable[str]) -> None:
        """Part these groups of services: between them there is silence, until `heal`."""
        names = [wire.name for wire in self._wiring.across(groups)]
        if not names:
            raise UsageError("No link goes from one of these groups to another.")
        self._faults.apply(names, "partition")

    def heal(self) -> None:
        """End all faults of all links."""
        self._backend.links.heal()

    def targets(self) -> dict[str, str]:
        """Who is behind each address that is dialled, for messages to a person."""
        return self._wiring.targets()

    def idle_faults(self) -> list[str]:
        """The faults that were asked for and never happened; a check that needs one has tested nothing."""
        return self._faults.idle()

    def __enter__(self) -> Topology:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
