"""Which system this is, and how software is installed on it. Reads a few files of /etc, runs nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Host:
    """A machine, as far as remedies differ.

    Attributes:
        system: ``Linux``, ``Darwin`` (macOS) or what `platform.system` says.
        title: For people: ``Debian GNU/Linux 12 (bookworm)``.
        manager: The package manager: ``apt``, ``dnf``, ``pacman``, ``zypper``, ``brew``; empty if unknown.
        wsl: Whether this is Windows' Subsystem for Linux.
        architecture: ``x86_64``, ``arm64``, ...
        root: Whether commands need no sudo.
    """

    system: str
    title: str
    manager: str
    wsl: bool = False
    architecture: str = "x86_64"
    root: bool = False

    def install(self, packages: Mapping[str, str], otherwise: str) -> str:
        """The command that installs something here.

        Args:
            packages: What it is called, by package manager.
            otherwise: What to do where no manager knows it.
        """
        if self.manager not in packages:
            return otherwise
        sudo = "" if self.root or self.manager == "brew" else "sudo "
        return sudo + _COMMANDS[self.manager].format(packages[self.manager])


_COMMANDS = {
    "apt": "apt-get install {}",
    "dnf": "dnf install {}",
    "pacman": "pacman -S {}",
    "zypper": "zypper install {}",
    "brew": "brew install {}",
}


def this_host() -> Host:
    """The machine that this runs on."""
    release = _os_release()
    system = platform.system()
    managers = ("brew",) if system == "Darwin" else ("apt-get", "dnf", "pacman", "zypper")
    found = next((manager for manager in managers if shutil.which(manager)), "")
    return Host(
        system=system,
        title=_title(system, release),
        manager=found.removesuffix("-get"),
        wsl="microsoft" in platform.release().lower(),
        architecture=platform.machine(),
        root=sys.platform != "win32" and os.geteuid() == 0,
    )


def _title(system: str, release: Mapping[str, str]) -> str:
    if system == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    return release.get("PRETTY_NAME", f"{system} {platform.release()}")


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def mount_type(path: Path, mounts: str) -> str:
    """The type of the file system that `path` is on, as /proc/mounts has it; empty if it does not say."""
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        if path.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind
