"""What the Docker backend has once per run: the engine, a network without a way out, the sweeper.

::

    grader ----------+      the run's network (internal: no way out, 172.18.0.0/16, say)
                     |    +-----------------------------------------------------------------+
                     +------> links container        server's container   client's container |
                          |   python -m dslab.kit.links       one per node and check ...     |
                          +-----------------------------------------------------------------+

Requests to the engine are made in threads of their own: Ctrl-C may end the wait for one, but does not cut
it in two. What it makes is finished, and found and removed by its label.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import random
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from docker.errors import APIError

from dslab.kit.errors import KitError, MachineError
from dslab.kit.topology import docker_entry
from dslab.kit.topology.docker_engine import FOLDER_LABEL, REFUSED, RUN_LABEL, Engine, reason
from dslab.kit.topology.docker_entry import Entry
from dslab.kit.topology.docker_image import COURSE_IMAGE, Image, check_fresh, how_to_get, stand_in
from dslab.kit.topology.docker_sweep import Sweeper
from dslab.kit.topology.runfolder import RunFolder

P = ParamSpec("P")
T = TypeVar("T")

NOBODY = "65534:65534"
WORKERS = 8
# Nodes are told addresses. The engine's name server would pass on other questions to the world, and wait.
NO_NAMES = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
NETWORK_ATTEMPTS = 500
# Where the engine, too, takes its networks from (RFC 1918); here in pieces of a thousand addresses.
SUBNETS = tuple(
    subnet
    for block in range(17, 32)
    for subnet in ipaddress.IPv4Network(f"172.{block}.0.0/16").subnets(new_prefix=22)
)
RESERVED_ADDRESSES = 2  # the network's own, and the gateway
ROUTES = Path("/proc/net/route")


class DockerRun:
    """One run's part of the engine. Make it with `RunFolder.shared`.

    Args:
        run: The run.

    Attributes:
        engine: The engine.
        project: With what every name begins that the run gives; Compose's project, too.
        labels: What everything of the run bears.
        user: Whose the programs under test are: the caller's, but never root's.
        resolver: The nodes' ``resolv.conf``.

    Raises:
        MachineError: No engine answers, it has no course image, or not a fresh one, or no subnet.
    """

    def __init__(self, run: RunFolder) -> None:
        self.engine = Engine()
        self.project = f"dslab-{run.run_id}"
        self.labels = {RUN_LABEL: run.run_id, FOLDER_LABEL: str(run.path.resolve())}
        self.user = f"{os.getuid()}:{os.getgid()}" if os.getuid() else NOBODY
        self.resolver = run.path.resolve() / "resolv.conf"
        self.resolver.write_text(NO_NAMES)
        self._images: dict[str, Image] = {}
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="docker")
        self._pending: set[Future[Any]] = set()
        self._sweeper: Sweeper | None = None
        try:
            check_fresh(COURSE_IMAGE, self.image(COURSE_IMAGE).labels)
            self._sweeper = Sweeper(f"{RUN_LABEL}={run.run_id}", run.path / "sweeper.log")
            run.note(pids=[os.getpid(), self._sweeper.pid], project=self.project)
            self.do(self.engine.sweep_dead_runs)
            self._subnet = self.do(self._make_network)
            self._serials = itertools.count(RESERVED_ADDRESSES)
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Until it is closed. An engine that goes away says so by itself."""
        return self._sweeper is not None

    def do(self, request: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make a request to the engine, uninterrupted.

        Raises:
            MachineError: The engine refuses.
        """
        future = self._workers.submit(request, *args, **kwargs)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        try:
            return future.result()
        except REFUSED as error:
            raise MachineError(f"The Docker engine failed: {reason(error)}.") from error

    def settle(self) -> None:
        """Wait until the engine has done all that it was asked for."""
        wait(list(self._pending))

    def fresh_address(self) -> str:
        """An address of the run's network that no node has had before (not for a thousand nodes)."""
        usable = self._subnet.num_addresses - RESERVED_ADDRESSES - 1
        return str(self._subnet[RESERVED_ADDRESSES + next(self._serials) % usable])

    def image(self, wanted: str) -> Image:
        """That image, or what stands in for it here.

        Raises:
            MachineError: The engine has neither.
        """
        if wanted not in self._images:
            self._images[wanted] = self.do(self._find_image, wanted)
        return self._images[wanted]

    def has_keeper(self, wanted: str) -> bool:
        """Whether a keeper can run in that image. An image that is not here is missed when it is needed."""
        with suppress(MachineError):
            return self.image(wanted).is_the_courses
        return False

    def _find_image(self, wanted: str) -> Image:
        for name in (wanted, stand_in(wanted)):
            labels = self.engine.image_labels(name) if name else None
            if name and labels is not None:
                return Image(name, labels)
        raise MachineError(f"There is no image {wanted} here.", remedy=how_to_get(wanted))

    def create(
        self,
        name: str,
        entry: Entry,
        *,
        address: str | None = None,
        labels: Mapping[str, str] | None = None,
        host: Mapping[str, Any] | None = None,
    ) -> str:
        """Create a container in the run's network, or in that of its host. To be called by `do`.

        Args:
            name: What the run calls it.
            entry: What it is like.
            address: Its address; None if it has a ``network_mode``.
            labels: Labels beside the run's.
            host: What else the host gives it, in the SDK's words. Ports are published on the default network.

        Returns:
            Its id.
        """
        container, given = docker_entry.for_engine(entry)
        container["labels"] = {
            **self.labels,
            **docker_entry.compose_labels(self.project, name),
            **(labels or {}),
        }
        container["name"] = f"{self.project}-{name}"
        network = entry.get("network_mode", self.project)
        return self.engine.create(container, {**given, **(host or {})}, network, address)

    def close(self) -> None:
        """Remove everything of the run. Harmless when repeated.

        Raises:
            KitError: Something could not be removed; the sweeper goes on trying.
        """
        sweeper, self._sweeper = self._sweeper, None
        try:
            if sweeper is not None:
                self.settle()
                label = f"{RUN_LABEL}={self.labels[RUN_LABEL]}"
                self.engine.sweep(label)
                sweeper.close()
        except REFUSED as error:
            raise KitError(f"Something of {self.project} could not be removed: {reason(error)}.") from error
        finally:
            self._workers.shutdown(cancel_futures=True)
            self.engine.close()

    def _make_network(self) -> ipaddress.IPv4Network:
        """The run's network, in a subnet of its own.

        Nodes need addresses that are known before they start, which the engine grants only in a subnet that
        it was told; and those that it chooses by itself are so large that there are but thirty of them.
        """
        taken = [*self.engine.subnets(), *routes()]
        for _ in range(NETWORK_ATTEMPTS):
            subnet = random.choice(SUBNETS)
            if any(subnet.overlaps(other) for other in taken):
                continue
            with suppress(APIError):  # else another run was faster
                self.engine.create_network(self.project, self.labels, str(subnet))
                return subnet
        remedy = "Remove unused ones: docker network prune."
        raise MachineError("The Docker engine has no subnet left.", remedy=remedy)


def routes() -> list[ipaddress.IPv4Network]:
    """The networks that this machine has a route to, but for the way to everywhere. Linux only."""
    if not ROUTES.exists():
        return []
    rows = [line.split() for line in ROUTES.read_text().splitlines()[1:]]
    found = [ipaddress.IPv4Network((_address(row[1]), str(_address(row[7])))) for row in rows]
    return [network for network in found if network.prefixlen]


def _address(word: str) -> ipaddress.IPv4Address:
    """An address as the kernel writes it: the machine's word, in hexadecimal."""
    return ipaddress.IPv4Address(int(word, 16).to_bytes(4, sys.byteorder))
