"""A root file system from Debian's packages: no registry, no chroot, no root.

apt resolves and downloads into a private folder, as if for an empty machine; the packages are then
unpacked side by side. No maintainer script runs: what one would have done that matters here (users, the
linker's cache) is done by hand. This takes seconds where debootstrap and mmdebstrap, which configure a
bootable system, take most of a minute.

The mirror, the keyring and any proxy are those of the machine's own apt configuration.
"""

from __future__ import annotations

import functools
import platform
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SUITE = "trixie"  # Python 3.13, RabbitMQ 4.0
MACHINE_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
# Documentation and translations are half of a package and are never read in a container.
UNWANTED = tuple(f"./usr/share/{folder}/*" for folder in ("doc", "man", "info", "locale", "lintian", "bug"))
FOLDERS = ("dev", "proc", "sys", "run", "root", "home", "tmp", "var/tmp", "var/lib", "var/log")


class NotDebianError(Exception):
    """This machine has no Debian sources to build from."""


def check_machine() -> None:
    """Say early what is missing.

    Raises:
        NotDebianError: A tool or the sources are missing.
    """
    missing = [tool for tool in ("apt-get", "dpkg-deb", "tar") if shutil.which(tool) is None]
    if missing or not MACHINE_SOURCES.exists():
        raise NotDebianError(f"no {', '.join(missing) or MACHINE_SOURCES} here")


def sources_of(machine_sources: str, suite: str) -> str:
    """The first stanza of a deb822 sources file, for another suite."""
    stanza = machine_sources.strip().split("\n\n")[0].splitlines()
    return "\n".join(f"Suites: {suite}" if line.startswith("Suites:") else line for line in stanza) + "\n"


def private_apt(folder: Path) -> list[str]:
    """An apt-get command line that sees an empty machine and writes only below `folder`."""
    for name in ("lists/partial", "cache/archives/partial", "state"):
        (folder / name).mkdir(parents=True)
    (folder / "state/status").touch()  # nothing is installed
    (folder / "suite.sources").write_text(sources_of(MACHINE_SOURCES.read_text(), SUITE))
    options = {
        "Dir::Etc::sourcelist": folder / "suite.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "state/status",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "Debug::NoLocking": "1",  # an ordinary user may not lock the machine's own database
        "APT::Sandbox::User": "",  # nor become _apt
    }
    return ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]


def fetch(packages: Sequence[str], folder: Path) -> list[Path]:
    """Download packages and what they depend on; returns the files."""
    apt = private_apt(folder)
    subprocess.run([*apt, "update"], check=True)
    install = [*apt, "install", "--yes", "--no-install-recommends", "--download-only", *packages]
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
    return sorted((folder / "cache/archives").glob("*.deb"))


def unpack_one(package: Path, root: Path) -> None:
    """The files of one package, but those that nobody reads."""
    unpack = ["tar", "-x", "-C", str(root), "--no-same-owner", *(f"--exclude={path}" for path in UNWANTED)]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as files:
        subprocess.run(unpack, stdin=files.stdout, check=True)
    if files.returncode:
        raise subprocess.CalledProcessError(files.returncode, files.args)


def unpack(packages: Iterable[Path], root: Path) -> None:
    """Unpack all, several at a time; base-files first, whose /bin and /lib are links into /usr."""
    first, *others = sorted(packages, key=lambda package: not package.name.startswith("base-files_"))
    unpack_one(first, root)
    with ThreadPoolExecutor() as pool:
        list(pool.map(functools.partial(unpack_one, root=root), others))


def configure(root: Path) -> None:
    """What maintainer scripts would have done: folders, root and nobody, the linker's cache."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for folder in ("tmp", "var/tmp"):
        (root / folder).chmod(0o1777)
    for table in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{table}.master", root / "etc" / table)
    if ldconfig := shutil.which("ldconfig", path="/usr/sbin:/sbin"):
        subprocess.run([ldconfig, "-r", root], check=True)


def make_root(packages: Sequence[str], folder: Path) -> Path:
    """A root file system with these packages, below `folder`."""
    root = folder / "root"
    root.mkdir()
    unpack(fetch(packages, folder / "apt"), root)
    configure(root)
    return root


def architecture() -> str:
    """The machine's architecture as wheels call it: x86_64, aarch64."""
    return platform.machine()
