"""The machine: what it is, what others take of it, and what a server has taken; where processes run in it.

CPU times are user and system time together.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ADDR_NO_RANDOMIZE = 0x0040000  # <linux/personality.h>


def describe() -> dict[str, object]:
    """Say what this machine is, for the JSON file."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": platform.machine(),
        "cpus": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "load": os.getloadavg(),
    }


def tree(pid: int) -> Iterator[psutil.Process]:
    """Give a process and its descendants."""
    process = psutil.Process(pid)
    yield process
    yield from process.children(recursive=True)


def cpu_s(pid: int) -> float:
    """Say how much CPU time a process and its living descendants have taken, to the microsecond on Linux."""
    total_s = 0.0
    for process in tree(pid):
        with suppress(psutil.NoSuchProcess, OSError):  # it has ended meanwhile
            total_s += _exact_cpu_s(process)
    return total_s


def _exact_cpu_s(process: psutil.Process) -> float:
    if sys.platform == "linux":  # what psutil reads counts in hundredths of a second
        return time.clock_gettime(~process.pid << 3 | 2)  # clock_getcpuclockid(3), as the kernel numbers them
    times = process.cpu_times()
    return times.user + times.system


def rss_bytes(pid: int) -> int:
    """Say what a process and its descendants have in memory: their resident sets."""
    return sum(process.memory_info().rss for process in tree(pid))


def cpus() -> frozenset[int]:
    """Say which CPUs there are for this process; none where systems do not tell."""
    return frozenset(os.sched_getaffinity(0)) if sys.platform == "linux" else frozenset()


def keep_on(pid: int, allowed: Iterable[int]) -> None:
    """Let a process and its descendants, all their threads, run on these CPUs only, where that can be had."""
    if sys.platform != "linux":
        return
    for process in tree(pid):
        for thread in process.threads():
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setaffinity(thread.id, allowed)


def fix_addresses() -> None:
    """Begin this program again with its memory at the same addresses every time, where that can be had.

    What it starts inherits that. Does nothing in a program that has begun so.
    """
    personality = Path("/proc/self/personality")
    if not personality.exists() or int(personality.read_text(), 16) & ADDR_NO_RANDOMIZE:
        return
    fixed = ["setarch", "-R"]
    if shutil.which(fixed[0]) and not subprocess.run([*fixed, "true"], check=False).returncode:
        os.execvp(fixed[0], [*fixed, sys.executable, *sys.orig_argv[1:]])


@dataclass(frozen=True, slots=True)
class Look:
    """What has been used up to now.

    Attributes:
        at_s: When that was.
        busy_s: By everybody, over all CPUs.
        ours_s: By this process and its descendants, those included that have ended.
    """

    at_s: float
    busy_s: float
    ours_s: float

    def others_share(self, before: Look) -> float:
        """Say how much of the machine others took since an earlier look, from 0 to 1."""
        others_s = (self.busy_s - before.busy_s) - (self.ours_s - before.ours_s)
        offered_s = (self.at_s - before.at_s) * (os.cpu_count() or 1)
        return min(1.0, max(0.0, others_s / offered_s)) if offered_s else 0.0


def look() -> Look:
    """Look at the CPU time of all, and at ours."""
    times = psutil.cpu_times()
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    busy_s = sum(times[:8]) - idle_s  # what follows, guests of this machine, is in the first two already
    return Look(time.monotonic(), busy_s, _ours_s())


def _ours_s() -> float:
    total_s = 0.0
    for process in tree(os.getpid()):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total_s += times.user + times.system + times.children_user + times.children_system
    return total_s
