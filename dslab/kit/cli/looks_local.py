"""What local runs need: Python, a folder to write to, sockets, and a view of them."""

from __future__ import annotations

import errno
import re
import resource
import shutil
import socket
import sys
from contextlib import closing
from importlib import metadata
from pathlib import Path

from dslab.kit.cli.finding import Finding, Look, State, ok
from dslab.kit.cli.host import Host, mount_type

DISK_LOCAL_BYTES, DISK_IMAGES_BYTES = 500_000_000, 4_000_000_000
WANTED_FILES = 1024

NAME = re.compile(r"[\w.-]+")  # of a package, at the beginning of a requirement


def python(host: Host, course: Path) -> Finding:
    """Python itself, and whether it is that of a virtual environment."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.prefix == sys.base_prefix:
        return Finding(
            "Python",
            State.OPTIONAL,
            f"{version} outside of a virtual environment",
            "Works as long as nothing else on this machine wants other versions of the same packages.",
            f"cd {course} && make setup",
        )
    return ok("Python", f"{version} in {sys.prefix}")


def packages(_host: Host, course: Path) -> Finding:
    """The packages that dslab is made with."""
    required = [line for line in metadata.requires("dslab") or () if "extra ==" not in line]
    names = [found[0] for line in required if (found := NAME.match(line))]
    missing = [name for name in names if not _is_installed(name)]
    if missing:
        return Finding(
            "Packages", State.MISSING, f"missing: {', '.join(missing)}", "Nothing works without them.",
            f"cd {course} && rm -rf .venv && make setup",
        )  # fmt: skip
    return ok("Packages", f"{len(names)} of {len(names)}")


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def folder(_host: Host, course: Path) -> Finding:
    """Whether runs can leave their files."""
    try:
        probe = course / ".dslab" / "doctor"
        probe.parent.mkdir(exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        return Finding(
            "Course folder", State.MISSING, f"{course}: {error.strerror}", "No run can leave its files.",
            f"sudo chown -R $USER {course}",
        )  # fmt: skip
    return ok("Course folder", str(course))


def windows_mount(host: Host, course: Path) -> Finding:
    """On WSL: whether the course lies in Linux's file system or in Windows'."""
    if not host.wsl:
        return ok(
            "File system", "local" if host.system != "Linux" else mount_type(course, _mounts()) or "local"
        )
    kind = mount_type(course, _mounts())
    if kind in {"9p", "drvfs", "virtiofs"}:
        return Finding(
            "File system",
            State.OPTIONAL,
            f"{course} is on a Windows drive ({kind})",
            "Everything is several times slower there, and `dslab watch` may not see that a file was saved.",
            f"cp -r {course} ~/ && cd ~/{course.name}",
        )
    return ok("File system", f"{kind}, inside Linux")


def _mounts() -> str:
    try:
        return Path("/proc/mounts").read_text(encoding="utf-8")
    except OSError:
        return ""


def disk(_host: Host, course: Path) -> Finding:
    """Free space."""
    free = shutil.disk_usage(course).free
    shown = f"{free / 1e9:.1f} GB free"
    if free < DISK_LOCAL_BYTES:
        return Finding(
            "Disk",
            State.MISSING,
            shown,
            "A run may fail in the middle.",
            f"rm -r {course}/.dslab/runs, or more",
        )
    if free < DISK_IMAGES_BYTES:
        return Finding(
            "Disk", State.OPTIONAL, shown, "Enough for local runs, not for building Docker images.",
            "docker system prune, where Docker is in use",
        )  # fmt: skip
    return ok("Disk", shown)


def loopback(host: Host, _course: Path) -> Finding:
    """Whether every address of 127/8 is this machine's, as on Linux."""
    try:
        with closing(socket.socket()) as probe:
            probe.bind(("127.200.31.7", 0))
    except OSError:
        return Finding(
            "Loopback",
            State.OK if host.system != "Linux" else State.OPTIONAL,
            "127.0.0.1 only",
            "Works: services then listen on free ports of 127.0.0.1 in place of addresses of their own.",
            "" if host.system != "Linux" else "ip addr add 127.0.0.1/8 dev lo",
        )
    return ok("Loopback", "127.0.0.0/8: every service has an address of its own")


def ports(_host: Host, _course: Path) -> Finding:
    """Whether free ports can be had, for TCP and for UDP."""
    for kind, name in ((socket.SOCK_STREAM, "TCP"), (socket.SOCK_DGRAM, "UDP")):
        try:
            with closing(socket.socket(socket.AF_INET, kind)) as probe:
                probe.bind(("127.0.0.1", 0))
        except OSError as error:
            why = "no free port" if error.errno == errno.EADDRINUSE else str(error.strerror)
            return Finding(
                "Ports", State.MISSING, f"{name}: {why}", "No service can listen.",
                "End other programs, or look for a firewall that forbids listening on 127.0.0.1.",
            )  # fmt: skip
    return ok("Ports", "free ports for TCP and UDP")


def listeners(_host: Host, _course: Path) -> Finding:
    """Whether a listening socket is seen in the process table: that is how a service is known to be ready."""
    import psutil

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        try:
            seen = any(
                connection.laddr and connection.laddr.port == port
                for connection in psutil.Process().net_connections("tcp")
            )
        except psutil.Error as error:
            seen, why = False, f"{type(error).__name__}"
        else:
            why = "not listed"
    if not seen:
        return Finding(
            "Process table", State.MISSING, f"own sockets: {why}", "dslab cannot see who is ready.",
            "Run dslab outside of the sandbox that hides /proc.",
        )  # fmt: skip
    return ok("Process table", "shows who listens")


def open_files(host: Host, _course: Path) -> Finding:
    """The limit on open files: a check of lab 1 opens many connections."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < WANTED_FILES:
        advice = "ulimit -n 4096" + (
            ", in the shell's start-up file to keep it" if host.system == "Darwin" else ""
        )
        return Finding(
            "Open files",
            State.OPTIONAL,
            f"at most {soft}",
            "Checks with many connections may run out.",
            advice,
        )
    return ok("Open files", "no limit" if soft == resource.RLIM_INFINITY else f"at most {soft}")


def architecture(host: Host, _course: Path) -> Finding:
    """The processor's kind, which decides what wheels and images exist."""
    if host.architecture in {"x86_64", "AMD64", "arm64", "aarch64"}:
        return ok("Processor", f"{host.architecture}, {host.title}{' on WSL' if host.wsl else ''}")
    return Finding(
        "Processor", State.OPTIONAL, f"{host.architecture}, {host.title}",
        "Pure Python works; packages with compiled parts may have to be built.",
    )  # fmt: skip


LOCAL_LOOKS: tuple[Look, ...] = (
    python, packages, folder, windows_mount, disk, architecture, loopback, ports, listeners, open_files,
)  # fmt: skip
