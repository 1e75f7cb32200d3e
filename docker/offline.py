"""The two images that a registry would have given, made from Debian's packages and PyPI's wheels.

``dslab-base:offline`` looks like the official Python images: Python belongs to /usr/local, as a virtual
environment there. (With Debian's own prefix pip refuses to install, and mpi4py does not find the library
of its wheel.) It holds dslab's dependencies already. ``dslab-rabbitmq:offline`` stands in for the official
RabbitMQ image.
"""

from __future__ import annotations

import ensurepip
import importlib.util
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import debian
from requirements import requirements

PYTHON_VERSION = "3.13"
NEWEST_MANYLINUX_MINOR = 41  # trixie's glibc is 2.41
LEGACY_MANYLINUX = ("manylinux1", "manylinux2010", "manylinux2014")

# A shell and its tools for the RUN lines of a Dockerfile; libstdc++ for wheels such as pyzmq's.
BASE_PACKAGES = (
    "base-files",
    "base-passwd",
    "dash",
    "coreutils",
    "python3",
    "libstdc++6",
    "netbase",
    "tzdata",
)
RABBITMQ_PACKAGES = (
    "base-files",
    "base-passwd",
    "dash",
    "coreutils",
    "grep",
    "sed",
    "hostname",
    "rabbitmq-server",
)

RABBITMQ_SCRIPTS = (
    "/usr/lib/rabbitmq/bin"  # those in /usr/sbin switch the user, which a container has done already
)
RABBITMQ_CONFIG = """\
# As the official image has it: guest may come from other hosts, which all of a topology's services are.
loopback_users.guest = false
"""


@dataclass(frozen=True)
class Image:
    """A root file system on its way into the engine.

    Attributes:
        root: The folder.
        changes: Dockerfile instructions that set the image's configuration.
        environment: The image's variables.
    """

    root: Path
    changes: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


def make_base(folder: Path, course: Path) -> Image:
    """Python with dslab's dependencies."""
    root = debian.make_root(BASE_PACKAGES, folder)
    packages = make_environment(root)
    install_wheels([*requirements(course / "pyproject.toml"), "pip"], course / "constraints.txt", packages)
    return Image(
        root, ["CMD python3"], {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}
    )


def make_environment(root: Path) -> Path:
    """What ``python3 -m venv --without-pip /usr/local`` makes; returns its folder for packages."""
    local = root / "usr/local"
    packages = local / f"lib/python{PYTHON_VERSION}/site-packages"
    for made in (packages, local / "bin"):
        made.mkdir(parents=True, exist_ok=True)
    for name in ("python", "python3", f"python{PYTHON_VERSION}"):
        (local / "bin" / name).symlink_to(f"/usr/bin/python{PYTHON_VERSION}")
    settings = "home = /usr/bin\ninclude-system-site-packages = false\n"
    (local / "pyvenv.cfg").write_text(f"{settings}version = {PYTHON_VERSION}\n")
    return packages


def install_wheels(wanted: Sequence[str], constraints: Path, packages: Path) -> None:
    """Install wheels for the image's Python (not for the one that runs this) into a folder."""
    minors = range(5, NEWEST_MANYLINUX_MINOR + 1)
    tags = [*LEGACY_MANYLINUX, *(f"manylinux_2_{minor}" for minor in minors)]
    platforms = [f"--platform={tag}_{debian.architecture()}" for tag in tags]
    target = [f"--target={packages}", "--only-binary=:all:", f"--python-version={PYTHON_VERSION}", *platforms]
    quiet = ["--quiet", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-warn-script-location"]
    subprocess.run([*pip(), "install", *quiet, *target, f"--constraint={constraints}", *wanted], check=True)


def pip() -> list[str]:
    """A pip to run: the environment's, else the one that Python brings along, straight from its wheel."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    bundled = Path(ensurepip.__file__).parent / "_bundled"
    return [sys.executable, str(next(bundled.glob("pip-*.whl")) / "pip")]


def make_rabbitmq(folder: Path) -> Image:
    """RabbitMQ with its management plugin, as an ordinary user, logging to stdout."""
    root = debian.make_root(RABBITMQ_PACKAGES, folder)
    configuration = root / "etc/rabbitmq"
    (configuration / "conf.d").mkdir(parents=True, exist_ok=True)
    (configuration / "conf.d/10-defaults.conf").write_text(RABBITMQ_CONFIG)
    (configuration / "enabled_plugins").write_text("[rabbitmq_management].\n")
    with (root / "etc/passwd").open("a") as users:
        users.write("rabbitmq:x:999:999::/var/lib/rabbitmq:/usr/sbin/nologin\n")
    for name in ("lib/rabbitmq", "lib/rabbitmq/mnesia", "log/rabbitmq"):
        written = root / "var" / name
        written.mkdir(parents=True, exist_ok=True)
        written.chmod(0o1777)  # all files belong to root in the image
    environment = {
        "PATH": f"{RABBITMQ_SCRIPTS}:/usr/bin:/bin",
        "HOME": "/var/lib/rabbitmq",
        "LANG": "C.UTF-8",
        "RABBITMQ_LOGS": "-",
    }
    return Image(root, ["USER 999:999", "EXPOSE 5672 15672", 'CMD ["rabbitmq-server"]'], environment)
