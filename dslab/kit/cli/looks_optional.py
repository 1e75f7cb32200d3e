"""What some things need and most do not: Docker, MPI, RabbitMQ. The last two only where a lab needs them."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from dslab.kit.cli.finding import Finding, Look, State, ok
from dslab.kit.cli.host import Host
from dslab.kit.errors import MachineError
from dslab.kit.topology.docker_image import COURSE_IMAGE, check_fresh

ONLY_DOCKER = "Only --backend docker needs it."
COMMAND_S = 10.0
DOCKER_LINK = "https://docs.docker.com/get-docker/"
# In a lab's compose.yaml.
MPI = re.compile(r"\bmpi", re.IGNORECASE)
BROKER = re.compile(r"\b(DSLAB_BROKER|rabbitmq)", re.IGNORECASE)


def mpi(_host: Host, course: Path) -> Finding:
    """An MPI library, its launcher and mpi4py."""
    launcher = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
    if importlib.util.find_spec("mpi4py") and launcher:
        return ok("MPI", launcher)
    return Finding(
        "MPI", State.OPTIONAL, "no mpiexec" if not launcher else "no mpi4py",
        f"Every lab but {', '.join(_labs_with(MPI, course))} works.",
        f"{course}/.venv/bin/python -m pip install mpi4py mpich",
    )  # fmt: skip


def docker_engine(host: Host, _course: Path) -> Finding:
    """The docker command and an engine that answers."""
    without = "Everything works as local processes; only --backend docker needs an engine."
    if not shutil.which("docker"):
        remedy = host.install({"apt": "docker.io", "dnf": "moby-engine", "pacman": "docker"}, DOCKER_LINK)
        return Finding("Docker engine", State.OPTIONAL, "no docker command", without, remedy)
    status, out = _run("docker", "version", "--format", "{{json .Server}}")
    if status:
        return Finding("Docker engine", State.OPTIONAL, _last_line(out), without, _start_engine(host, out))
    try:
        return ok("Docker engine", str(json.loads(out)["Version"]))
    except (ValueError, KeyError, TypeError):
        return Finding("Docker engine", State.OPTIONAL, "does not say its version", without, DOCKER_LINK)


def engine_answers() -> bool:
    """Whether there is a Docker engine to talk to."""
    return (
        shutil.which("docker") is not None
        and _run("docker", "version", "--format", "{{.Server.Version}}")[0] == 0
    )


def _start_engine(host: Host, said: str) -> str:
    if "permission denied" in said.lower():
        return "sudo usermod -aG docker $USER, then log out and in"
    if host.system == "Darwin" or host.wsl:
        return "Start Docker Desktop" + (", and switch on its WSL integration." if host.wsl else ".")
    return f"{'' if host.root else 'sudo '}systemctl start docker  (without systemd: dockerd &)"


def compose(host: Host, _course: Path) -> Finding:
    """Compose, version 2."""
    status, out = _run("docker", "compose", "version", "--short")
    if status == 0 and out.strip():
        return ok("Compose", out.strip())
    packages = {"dnf": "docker-compose", "pacman": "docker-compose"}
    if "Ubuntu" in host.title:
        packages["apt"] = "docker-compose-v2"
    return Finding(
        "Compose", State.OPTIONAL, "no `docker compose`",
        "Everything but --backend docker works.",
        host.install(packages, "https://docs.docker.com/compose/install/"),
    )  # fmt: skip


def course_image(_host: Host, course: Path) -> Finding:
    """The image that services run in with --backend docker, and whether it is of this dslab."""
    remedy = f"cd {course} && make images   (OFFLINE=1 without a registry)"
    status, out = _run("docker", "image", "inspect", "--format", "{{json .Config.Labels}}", COURSE_IMAGE)
    if status:
        return _no_image("Course image", COURSE_IMAGE, remedy)
    try:
        check_fresh(COURSE_IMAGE, json.loads(out) or {})
    except MachineError as error:
        return Finding("Course image", State.OPTIONAL, error.message, ONLY_DOCKER, remedy)
    return ok("Course image", COURSE_IMAGE)


def rabbitmq_image(_host: Host, course: Path) -> Finding:
    """RabbitMQ's image."""
    name = _from_env_file(course / ".env", "DSLAB_RABBITMQ_IMAGE") or "rabbitmq:4-management"
    status, _out = _run("docker", "image", "inspect", "--format", "{{.Id}}", name)
    return (
        ok("RabbitMQ image", name)
        if status == 0
        else _no_image("RabbitMQ image", name, f"docker pull {name}")
    )


def _no_image(title: str, image: str, remedy: str) -> Finding:
    return Finding(title, State.OPTIONAL, f"no {image}", ONLY_DOCKER, remedy)


def _from_env_file(path: Path, variable: str) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition("=")[2].strip() for line in lines if line.startswith(f"{variable}=")), "")


def rabbitmq(host: Host, _course: Path) -> Finding:
    """A RabbitMQ server on this machine, which --broker rabbitmq runs."""
    places = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/homebrew/sbin/rabbitmq-server")
    found = shutil.which("rabbitmq-server") or next((place for place in places if Path(place).exists()), None)
    if found:
        return ok("RabbitMQ", found)
    return Finding(
        "RabbitMQ", State.OPTIONAL, "not installed",
        "The embedded broker is used; only --broker rabbitmq needs it.",
        host.install(
            {"apt": "rabbitmq-server", "dnf": "rabbitmq-server", "brew": "rabbitmq"}, "https://www.rabbitmq.com"
        ),
    )  # fmt: skip


def _run(*command: str) -> tuple[int, str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMMAND_S)
    except FileNotFoundError:
        return 127, f"no {command[0]} command"
    except subprocess.TimeoutExpired:
        return 124, f"no answer within {COMMAND_S:g} s"
    return done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() not in {"", "null"}]
    return lines[-1] if lines else "does not answer"


def is_wanted(look: Look, course: Path) -> bool:
    """Whether a lab of this course needs what is looked for. Many a course has not all of the labs."""
    needs = {mpi: MPI, rabbitmq_image: BROKER, rabbitmq: BROKER}
    return look not in needs or bool(_labs_with(needs[look], course))


def _labs_with(word: re.Pattern[str], course: Path) -> list[str]:
    files = sorted((course / "labs").glob("*/compose.yaml"))
    return [file.parent.name for file in files if word.search(file.read_text(encoding="utf-8"))]


OPTIONAL_LOOKS: tuple[Look, ...] = (mpi, docker_engine, compose, course_image, rabbitmq_image, rabbitmq)
