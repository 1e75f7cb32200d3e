"""What dslab's containers are like: entries of a Compose file, and the same for the engine. Pure.

A check's entries are written into its folder as ``compose.yaml``, for whoever wants to know what ran. They
are also what the containers are made from: `for_engine` translates the few keys that occur here.

Of what a lab's own compose file says, ``image``, ``command``, ``environment`` and ``working_dir`` hold as
they are, `TAKEN_OVER` and ``deploy.resources.limits`` in place of what is said here, and ``volumes`` inside
the lab's folder; of that a service sees the run's copy. Everything else is the run's own: networks, ports,
names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from docker.types import LogConfig, Mount

from dslab.kit.errors import ConfigError
from dslab.kit.topology.docker_image import COURSE_IMAGE, DSLAB_FOLDER
from dslab.kit.topology.shipped import shipped
from dslab.kit.topology.spec import ServiceSpec

Entry = dict[str, Any]

WORK = "/lab"
MEMORY = "512m"

# Whatever a program under test does, it does to a container that nobody needs any more.
CONFINED: Entry = {
    "read_only": True,
    "tmpfs": ["/tmp:size=64m,mode=1777"],
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "mem_limit": MEMORY,
    "pids_limit": 256,
}
# A third party's image (RabbitMQ's) writes where it likes, and may begin as root.
LIMITED: Entry = {"security_opt": ["no-new-privileges:true"], "mem_limit": "1g", "pids_limit": 1024}

TAKEN_OVER = ("cap_add", "cpus", "hostname", "mem_limit", "pids_limit", "read_only", "shm_size", "user")
SAME_FOR_ENGINE = ("cap_add", "cap_drop", "mem_limit", "pids_limit", "read_only", "security_opt", "shm_size")
OF_CONTAINER = ("image", "command", "hostname", "user", "working_dir", "environment", "stdin_open")
LIMITS = {"cpus": "cpus", "memory": "mem_limit", "pids": "pids_limit"}
NO_LOG = LogConfig(type="none")  # output goes into the run folder, up to a limit
LITTLE_LOG = LogConfig(type="json-file", config={"max-size": "8m", "max-file": "1"})


def bind(source: Path, target: str, *, read_only: bool = False) -> Entry:
    """A file or folder of this machine at a place in the container."""
    return {"type": "bind", "source": str(source), "target": target, "read_only": read_only}


def code_volumes() -> list[Entry]:
    """This dslab's own code, in place of what the image holds."""
    return [bind(path, f"{DSLAB_FOLDER}/{path.name}", read_only=True) for path in shipped()]


def entry_of(service: ServiceSpec, base: Mapping[str, Any]) -> Entry:
    """A base, and what the lab's file says about that service in place of it."""
    asked = {key: service.docker_only[key] for key in TAKEN_OVER if key in service.docker_only}
    limits = service.docker_only.get("deploy", {}).get("resources", {}).get("limits", {})
    return {**base, **asked, **{LIMITS[key]: value for key, value in limits.items() if key in LIMITS}}


def lab_volumes(service: ServiceSpec, work: Path) -> list[Entry]:
    """The run's copy of the lab's files, where the service wants them; if nowhere, in its current folder.

    Raises:
        ConfigError: The service wants something else of this machine.
    """
    volumes = [_lab_volume(service, str(volume), work) for volume in service.docker_only.get("volumes", ())]
    return volumes or [bind(work, working_dir(service), read_only=True)]


def _lab_volume(service: ServiceSpec, volume: str, work: Path) -> Entry:
    source, _, rest = volume.partition(":")
    target, _, mode = rest.partition(":")
    if not target or not source.startswith(".") or ".." in PurePosixPath(source).parts:
        problem = f"Service {service.name}: the volume {volume!r} is not a folder of the lab's."
        raise ConfigError(problem, remedy="A folder to write to is ${DATA:-/scratch}.")
    return bind(work / source, target, read_only="ro" in mode.split(","))


def image_of(service: ServiceSpec) -> str:
    """The service's image; the course's, if it names none."""
    return str(service.docker_only.get("image", COURSE_IMAGE))


def working_dir(service: ServiceSpec) -> str:
    """The current folder of the service's programs."""
    return str(service.docker_only.get("working_dir", WORK))


def for_engine(entry: Mapping[str, Any]) -> tuple[Entry, Entry]:
    """An entry in the SDK's words: arguments for the container, and for what the host gives it."""
    container = {key: entry[key] for key in OF_CONTAINER if key in entry}
    host = {key: entry[key] for key in SAME_FOR_ENGINE if key in entry}
    host["mounts"] = [_mount(volume) for volume in entry.get("volumes", ())]
    host["tmpfs"] = dict(_tmpfs(entry.get("tmpfs", ())))
    host["memswap_limit"] = entry["mem_limit"]  # no swap beside the memory
    if "cpus" in entry:
        host["nano_cpus"] = int(float(entry["cpus"]) * 1e9)
    return container, host


def compose_labels(project: str, name: str) -> dict[str, str]:
    """What makes ``docker compose -p PROJECT ps``, ``exec`` and ``top`` find the containers of a run."""
    own = {"project": project, "service": name, "container-number": "1", "oneoff": "False", "config-hash": ""}
    return {f"com.docker.compose.{key}": value for key, value in own.items()}


def _mount(volume: Mapping[str, Any]) -> Mount:
    return Mount(volume["target"], volume["source"], type="bind", read_only=volume["read_only"])


def _tmpfs(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        folder, _, options = line.partition(":")
        yield folder, options
