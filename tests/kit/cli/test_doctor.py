"""`dslab doctor` tells what is missing, what works without it, and the command that gets it here."""

from __future__ import annotations

import json
import resource
import shutil
import socket
import typing
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from dslab.kit.cli import doctor, looks_local, looks_optional
from dslab.kit.cli.finding import Finding, State, ok
from dslab.kit.cli.host import Host, mount_type, this_host

Run = Callable[..., typing.Any]

DEBIAN = Host("Linux", "Debian GNU/Linux 12 (bookworm)", "apt")
UBUNTU = Host("Linux", "Ubuntu 24.04 LTS", "apt")
FEDORA = Host("Linux", "Fedora Linux 41", "dnf")
MAC = Host("Darwin", "macOS 15.1", "brew", architecture="arm64")
WSL = Host("Linux", "Ubuntu 24.04 LTS", "apt", wsl=True)
ROOT = Host("Linux", "Debian GNU/Linux 12 (bookworm)", "apt", root=True)
OTHER = Host("Linux", "Void", "")


@pytest.mark.parametrize(
    ("host", "command"),
    [
        (DEBIAN, "sudo apt-get install docker.io"),
        (ROOT, "apt-get install docker.io"),
        (FEDORA, "sudo dnf install moby-engine"),
        (MAC, "see the web"),
        (OTHER, "see the web"),
    ],
)
def test_remedies_are_those_of_the_system(host: Host, command: str) -> None:
    assert host.install({"apt": "docker.io", "dnf": "moby-engine"}, "see the web") == command


def test_brew_takes_no_sudo() -> None:
    assert MAC.install({"brew": "rabbitmq"}, "") == "brew install rabbitmq"


def test_this_machine_is_ready_for_local_runs(course: Path, run: Run) -> None:
    ran = run("doctor", "--json")
    report = json.loads(ran.out)
    assert ran.status == 0
    assert report["ready"] is True
    assert report["system"] == this_host().title
    assert ", ".join(finding["name"] for finding in report["findings"]) == (
        "Python, Packages, Course folder, File system, Disk, Processor, Loopback, Ports, Process table, "
        "Open files, Docker engine, Compose, Course image"
    )
    assert not list((course / ".dslab").iterdir())


def test_only_what_a_lab_of_the_course_needs_is_asked_for(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LOCAL_LOOKS", ())
    monkeypatch.setattr(shutil, "which", lambda *_args, **_options: None)
    docker = ["Docker engine", "Compose", "Course image"]
    assert [finding.name for finding in doctor.examine(DEBIAN, course)] == docker
    for name, command in (("05-ranks", "mpiexec -n 4"), ("04-queues", "worker ${DSLAB_BROKER:-embedded}")):
        (course / "labs" / name).mkdir()
        (course / "labs" / name / "compose.yaml").write_text(f"services: {{a: {{command: {command!r}}}}}\n")
    found = doctor.examine(DEBIAN, course)
    assert [finding.name for finding in found] == ["MPI", *docker, "RabbitMQ image", "RabbitMQ"]
    assert found[0].without == "Every lab but 05-ranks works."


def test_what_is_missing_is_told_with_its_remedy(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [
        ok("Python", "3.11.7"),
        Finding("Ports", State.MISSING, "TCP: no free port", "No service can listen.", "End other programs."),
        Finding(
            "MPI", State.OPTIONAL, "no mpiexec", "Every lab but 05-mpi works.", "pip install mpi4py mpich"
        ),
    ]
    monkeypatch.setattr(doctor, "examine", lambda _host, _course: findings)
    ran = run("doctor")
    assert ran.status == 3
    assert [line.rstrip() for line in ran.out.splitlines()] == [
        "ok        Python  3.11.7",
        "missing   Ports   TCP: no free port",
        "optional  MPI     no mpiexec",
        "",
        "Ports: TCP: no free port",
        "No service can listen.",
        "  End other programs.",
        "",
        "MPI: no mpiexec",
        "Every lab but 05-mpi works.",
        "  pip install mpi4py mpich",
        "",
        "Not ready for local runs.",
    ]


def test_a_look_that_breaks_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(_host: Host, _course: Path) -> Finding:
        raise RuntimeError("odd machine")

    monkeypatch.setattr(doctor, "LOCAL_LOOKS", (odd, looks_local.ports))
    monkeypatch.setattr(doctor, "OPTIONAL_LOOKS", ())
    assert doctor.examine(DEBIAN, tmp_path) == [
        Finding("odd", State.OPTIONAL, "could not be looked at: RuntimeError('odd machine')"),
        ok("Ports", "free ports for TCP and UDP"),
    ]


def test_no_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    finding = looks_local.ports(DEBIAN, tmp_path)
    assert (finding.state, finding.found) == (State.MISSING, "TCP: Permission denied")
    assert looks_local.loopback(MAC, tmp_path).state is State.OK
    assert looks_local.loopback(DEBIAN, tmp_path).state is State.OPTIONAL


def test_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / ".dslab").write_text("in the way")
    finding = looks_local.folder(DEBIAN, tmp_path)
    assert finding.state is State.MISSING
    assert finding.remedy == f"sudo chown -R $USER {tmp_path}"


def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((10**8, State.MISSING), (10**9, State.OPTIONAL), (10**11, State.OK)):
        usage = shutil.disk_usage(tmp_path)._replace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _path, usage=usage: usage)
        assert looks_local.disk(DEBIAN, tmp_path).state is state


def test_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (256, 4096))
    finding = looks_local.open_files(MAC, tmp_path)
    assert (finding.state, finding.found) == (State.OPTIONAL, "at most 256")
    assert finding.remedy == "ulimit -n 4096, in the shell's start-up file to keep it"


def test_a_hidden_process_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "net_connections", lambda *_args: [])
    assert looks_local.listeners(DEBIAN, tmp_path).state is State.MISSING


MOUNTS = "/dev/sda / ext4 rw 0 0\nC:\\134 /mnt/c 9p rw 0 0\ntmpfs /my\\040tmp tmpfs rw 0 0\nodd\n"


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/home/a", "ext4"), ("/mnt/c/course", "9p"), ("/mnt/cc", "ext4"), ("/my tmp/x", "tmpfs")],
)
def test_mount_types(path: str, kind: str) -> None:
    assert mount_type(Path(path), MOUNTS) == kind


def test_a_course_on_a_windows_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks_local, "_mounts", lambda: MOUNTS)
    finding = looks_local.windows_mount(WSL, Path("/mnt/c/course"))
    assert finding.state is State.OPTIONAL
    assert finding.remedy == "cp -r /mnt/c/course ~/ && cd ~/course"
    assert looks_local.windows_mount(WSL, Path("/home/a/course")) == ok("File system", "ext4, inside Linux")


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a program called docker first in PATH, and nothing else."""

    def script(body: str) -> None:
        path = tmp_path / "docker"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    return script


def test_no_docker(docker: object, tmp_path: Path) -> None:
    assert docker
    finding = looks_optional.docker_engine(DEBIAN, tmp_path)
    assert (finding.state, finding.found) == (State.OPTIONAL, "no docker command")
    assert finding.remedy == "sudo apt-get install docker.io"
    assert looks_optional.docker_engine(MAC, tmp_path).remedy == "https://docs.docker.com/get-docker/"
    assert looks_optional.compose(UBUNTU, tmp_path).remedy == "sudo apt-get install docker-compose-v2"
    assert looks_optional.course_image(DEBIAN, tmp_path).remedy.startswith(f"cd {tmp_path} && make images")


@pytest.mark.parametrize(
    ("said", "host", "remedy"),
    [
        (
            "Cannot connect to the Docker daemon",
            DEBIAN,
            "sudo systemctl start docker  (without systemd: dockerd &)",
        ),
        ("Cannot connect to the Docker daemon", MAC, "Start Docker Desktop."),
        (
            "Cannot connect to the Docker daemon",
            WSL,
            "Start Docker Desktop, and switch on its WSL integration.",
        ),
        ("permission denied while trying", DEBIAN, "sudo usermod -aG docker $USER, then log out and in"),
    ],
)
def test_no_engine(said: str, host: Host, remedy: str, docker: Callable[[str], None], tmp_path: Path) -> None:
    docker(f"echo null; echo '{said}' >&2; exit 1")
    finding = looks_optional.docker_engine(host, tmp_path)
    assert (finding.state, finding.found, finding.remedy) == (State.OPTIONAL, said, remedy)


def test_docker_is_there(docker: Callable[[str], None], tmp_path: Path) -> None:
    docker(
        'case $1 in version) echo \'{"Version": "27.1"}\';; compose) echo 2.30;; image) echo sha256:1;; esac'
    )
    assert looks_optional.docker_engine(DEBIAN, tmp_path) == ok("Docker engine", "27.1")
    assert looks_optional.compose(DEBIAN, tmp_path) == ok("Compose", "2.30")
    docker('echo \'{"dslab.course": "1"}\'')
    assert looks_optional.course_image(DEBIAN, tmp_path) == ok("Course image", "dslab-course:latest")
    docker('echo \'{"dslab.course": "1", "dslab.requires": "less"}\'')
    assert looks_optional.course_image(DEBIAN, tmp_path).found == (
        "The image dslab-course:latest was built for an earlier dslab."
    )
    (tmp_path / ".env").write_text("OTHER=1\nDSLAB_RABBITMQ_IMAGE=local/rabbit\n")
    assert looks_optional.rabbitmq_image(DEBIAN, tmp_path) == ok("RabbitMQ image", "local/rabbit")


def test_a_docker_that_hangs(
    docker: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks_optional, "COMMAND_S", 0.2)
    docker("read forever < /dev/tty || exec /bin/sleep 30")
    assert looks_optional.docker_engine(DEBIAN, tmp_path).found == "no answer within 0.2 s"
