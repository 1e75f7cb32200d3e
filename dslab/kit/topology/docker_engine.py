"""The Docker engine: what dslab asks of it, and how what a run has made is found and removed again.

Everything that a run makes bears the labels ``dslab.run`` (the run's id) and ``dslab.folder`` (its folder),
so that whoever is left can remove it: the run itself, its sweeper, or the next run.

What a container writes, the engine sends in frames to whoever is attached:

========  =====  =======================
offset    bytes  meaning
========  =====  =======================
0         1      1: stdout, 2: stderr
1         3      0
4         4      length, big-endian
8         ...    that many bytes
========  =====  =======================

Source: the Docker Engine API, "Attach to a container" (docs.docker.com/reference/api/engine).
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from docker import APIClient
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import IPAMConfig, IPAMPool
from docker.utils import kwargs_from_env
from requests.exceptions import RequestException

from dslab.kit.errors import KitError, MachineError
from dslab.kit.topology.runfolder import is_alive

RUN_LABEL = "dslab.run"
FOLDER_LABEL = "dslab.folder"
REQUEST_S = 60  # an engine under load takes its time; one that takes longer than this is broken
CONNECTIONS = 32
WITHOUT = "Start Docker, or work without it: BACKEND=local (dslab test N --backend local)."
HEADER_BYTES = 8
STDOUT = 1
REFUSED = (DockerException, RequestException)


def reason(error: Exception) -> str:
    """What the engine said."""
    return str(error.explanation if isinstance(error, APIError) and error.explanation else error)


def frames(connection: socket.socket) -> Iterator[tuple[int, bytes]]:
    """What a container writes, from a connection that is attached to it: stream (1, 2) and bytes."""
    with connection.makefile("rb") as stream:
        while header := stream.read(HEADER_BYTES):
            yield header[0], stream.read(int.from_bytes(header[4:], "big"))


def look_for(url: str) -> None:
    """See that somebody listens there, if it is a local socket. The SDK leaves one open where nobody does."""
    if url.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(url.removeprefix("unix://"))


class Engine:
    """A client of the engine of this machine. Threads may share it.

    Raises:
        MachineError: None answers.
    """

    def __init__(self) -> None:
        settings: dict[str, Any] = {"base_url": ContextAPI.get_current_context().Host, **kwargs_from_env()}
        try:
            look_for(settings["base_url"])
            # The SDK's stubs leave out most of this class.
            self.api: Any = APIClient(version="auto", timeout=REQUEST_S, num_pools=CONNECTIONS, **settings)
        except PermissionError as error:
            remedy = f"Become a member of the group docker and log in again. {WITHOUT}"
            raise MachineError("The Docker engine does not let you in.", remedy=remedy) from error
        except (OSError, *REFUSED) as error:
            raise MachineError("No Docker engine answers.", remedy=WITHOUT) from error

    def close(self) -> None:
        """Close the connections to it."""
        self.api.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def image_labels(self, image: str) -> Mapping[str, str] | None:
        """The labels of an image; None if the engine does not have it."""
        try:
            labels: Mapping[str, str] | None = self.api.inspect_image(image)["Config"].get("Labels")
        except ImageNotFound:
            return None
        return labels or {}

    def reaches_containers(self) -> bool:
        """Whether this process can connect to a container's own address.

        So it is where the engine's networks are this machine's: on Linux, with an engine that runs as root.
        Not so where the engine lives in a virtual machine (macOS, WSL) or in a user's name space.
        """
        if sys.platform != "linux" or not self.api.base_url.startswith("http+docker://"):
            return False
        about = self.api.info()
        in_a_machine = "Docker Desktop" in about.get("OperatingSystem", "")
        return not in_a_machine and not any("rootless" in one for one in about.get("SecurityOptions") or ())

    # Networks.

    def subnets(self) -> list[IPv4Network]:
        """The IPv4 subnets of all networks."""
        pools = [pool for one in self.api.networks() for pool in (one["IPAM"]["Config"] or ())]
        return [IPv4Network(pool["Subnet"]) for pool in pools if ":" not in pool["Subnet"]]

    def create_network(self, name: str, labels: Mapping[str, str], subnet: str) -> None:
        """Make a network without a way out.

        Raises:
            APIError: That subnet is taken.
        """
        pool = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)])
        self.api.create_network(name, "bridge", internal=True, labels=dict(labels), ipam=pool)

    def remove_network(self, network: str) -> None:
        """Remove a network, if it is still there.

        An engine may lose count of who is in a network, when several leave it at the same moment (seen with
        20.10). It then refuses to remove the empty network until it is restarted. No run is to fail for that:
        the network stays, and the first run after a restart removes it.
        """
        try:
            self.api.remove_network(network)
        except NotFound:
            pass
        except APIError as error:
            if "active endpoints" not in reason(error) or self._is_inhabited(network):
                raise

    def _is_inhabited(self, network: str) -> bool:
        with suppress(NotFound):
            return bool(self.api.inspect_network(network)["Containers"])
        return False

    # Containers.

    def create(
        self, container: Mapping[str, Any], host: Mapping[str, Any], network: str, address: str | None
    ) -> str:
        """Create a container; returns its id. The mappings are the SDK's.

        Args:
            container: What the container is like.
            host: What the host gives it. Ports cannot be published from a network without a way out: if there
                are any, the container is on the engine's default network as well.
            network: Its network, or ``container:ID`` for that of another container.
            address: Its address in the network.
        """
        endpoint = self.api.create_endpoint_config(ipv4_address=address) if address else None
        ports = host.get("port_bindings")
        made = self.api.create_container(
            ports=[tuple(port.split("/")) for port in ports or ()],
            host_config=self.api.create_host_config(network_mode="bridge" if ports else network, **host),
            networking_config=self.api.create_networking_config({network: endpoint})
            if endpoint and not ports
            else None,
            **container,
        )["Id"]
        if ports:
            self.api.connect_container_to_network(made, network, ipv4_address=address)
        return str(made)

    def start(self, container: str) -> None:
        """Start a container."""
        self.api.start(container)

    def attach(self, container: str) -> socket.socket:
        """A connection to a container's stdin, stdout and stderr. Read it with `frames`."""
        streams = self.api.attach_socket(container, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        # Four of the libraries' objects hold this socket, and none of them is meant to write: take a copy.
        connection = socket.socket(fileno=os.dup(streams.fileno()))
        connection.settimeout(None)
        streams._response.close()
        streams.close()
        return connection

    def inspect(self, container: str) -> Mapping[str, Any]:
        """All about a container."""
        found: Mapping[str, Any] = self.api.inspect_container(container)
        return found

    def logs(self, container: str, *, stdout: bool = True, stderr: bool = True) -> str:
        """What a container has written."""
        return str(self.api.logs(container, stdout=stdout, stderr=stderr), "utf-8", "replace")

    def signal(self, container: str, name: str) -> None:
        """Send a signal to a container's first process, if it still runs."""
        with suppress(APIError):
            self.api.kill(container, name)

    def wait(self, container: str) -> int:
        """Wait for a container's end; its exit status."""
        return int(self.api.wait(container, timeout=None)["StatusCode"])

    def begin(self, container: str, command: Sequence[str]) -> str:
        """Begin a command beside what a container runs; returns its id."""
        begun = self.api.exec_create(container, list(command))["Id"]
        self.api.exec_start(begun, detach=True)
        return str(begun)

    def ended(self, begun: str) -> int | None:
        """The exit status of such a command; None while it runs."""
        status: int | None = self.api.exec_inspect(begun)["ExitCode"]
        return status

    def run(self, container: str, command: Sequence[str]) -> str:
        """Run a command beside what a container runs; returns its output."""
        begun = self.api.exec_create(container, list(command))["Id"]
        return str(self.api.exec_start(begun), "utf-8", "replace")

    def remove_container(self, container: str) -> None:
        """Kill and remove a container with its anonymous volumes; wait for it, if somebody else does it."""
        try:
            self.api.remove_container(container, force=True, v=True)
        except NotFound:
            pass
        except APIError as error:
            if "already in progress" not in reason(error):
                raise
            with suppress(NotFound):
                self.api.wait(container, condition="removed")

    def containers(self, label: str) -> Sequence[str]:
        """Every container with that label (``key=value``), running or not."""
        return [one["Id"] for one in self.api.containers(all=True, filters={"label": label})]

    # Leftovers.

    def sweep(self, label: str) -> int:
        """Remove every container and network with that label.

        Returns:
            How many there were.

        Raises:
            KitError: Something could not be removed.
        """
        networks = [one["Id"] for one in self.api.networks(filters={"label": label})]
        containers = self.containers(label)
        try:
            for container in containers:
                self.remove_container(container)
            for network in networks:
                self.remove_network(network)
        except REFUSED as error:
            raise KitError(f"Something of {label} could not be removed: {reason(error)}.") from error
        return len(containers) + len(networks)

    def sweep_dead_runs(self) -> None:
        """Remove what runs left behind that could not do so themselves: the machine lost power, say."""
        found = self.api.networks(filters={"label": FOLDER_LABEL})
        found += self.api.containers(all=True, filters={"label": FOLDER_LABEL})
        for folder in {one["Labels"][FOLDER_LABEL] for one in found}:
            if not is_alive(Path(folder)):
                self.sweep(f"{FOLDER_LABEL}={folder}")
