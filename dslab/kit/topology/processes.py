"""The process table, and how to end a whole family of processes that does not want to end.

A service can fork, leave its session (setsid), leave its parent (double fork), ignore SIGTERM, and go on
forking while it is being killed. What it cannot do is run while it is stopped. So `end` first stops the whole
family, again and again until nobody new turns up, and only then kills it. One that forks and exits all the
time never lives long enough to be read in the process table: `catch` meets it where the kernel makes it.

Who belongs to a family is told by the parent, by the session, and by a mark in the environment that children
inherit. Linux has it all in /proc; elsewhere psutil knows it. The module imports nothing slow: the keeper,
which has to start fast, lives on it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

MARK = "DSLAB_RUN"  # the variable by which the processes of a run are known
PATIENCE_S = 5.0
BEHIND, AHEAD = 256, 64  # so many numbers are looked at before and after the newest
LINUX = sys.platform == "linux"


class Row(NamedTuple):
    """One living process."""

    parent: int
    group: int
    session: int


Table = Mapping[int, Row]
Find = Callable[[], set[int]]
IsOurs = Callable[[str], bool]


def process_table() -> dict[int, Row]:
    """Every living process of the machine. Zombies do not count: they hold nothing but their number."""
    return dict(_rows_of_linux() if LINUX else _rows_of_psutil())


def family(roots: Iterable[int], table: Table) -> set[int]:
    """Those of the roots that live, and all of their descendants."""
    children: dict[int, list[int]] = {}
    for pid, row in table.items():
        children.setdefault(row.parent, []).append(pid)
    found: set[int] = set()
    waiting = [root for root in roots if root in table]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def mark_of(pid: int) -> str:
    """The mark of a process; empty if it has none, or is not ours to look at."""
    if not LINUX:
        return _mark_of_psutil(pid)
    prefix = f"{MARK}=".encode()
    with suppress(OSError):
        for variable in _read(f"/proc/{pid}/environ").split(b"\0"):
            if variable.startswith(prefix):
                return variable.removeprefix(prefix).decode(errors="replace")
    return ""


def marked(prefix: str) -> set[int]:
    """Every living process of the machine whose mark begins so."""
    return {pid for pid in process_table() if mark_of(pid).startswith(prefix)}


def living(pids: set[int]) -> set[int]:
    """Those of the processes that are not gone yet, the dying among them."""
    if not LINUX:
        return pids & process_table().keys()
    return {pid for pid in pids if _row_of_linux(str(pid))}


def catch(is_ours: IsOurs) -> set[int]:
    """Stop a process that forks and exits faster than the process table can be read.

    Linux gives numbers out in order. Such a process is, at any moment, one of those given out last, and its
    child's number is higher. To look at one number after the other, faster than it forks, is to meet it.

    Args:
        is_ours: Tells by its mark whether a process belongs to the family.

    Returns:
        Who was met and stopped; elsewhere than on Linux nobody.
    """
    if not LINUX:
        return set()
    caught = set()
    number = max(_newest() - BEHIND, 2)  # the newest may not be seen yet, but its parent is
    while number < (beyond := _newest() + AHEAD):  # it may have gone on while we were held up
        for pid in range(number, beyond):
            try:
                os.getsid(pid)  # the cheapest way to learn that there is none: a tenth of what /proc costs
                if is_ours(mark_of(pid)):
                    os.kill(pid, signal.SIGSTOP)
                    caught.add(pid)
            except OSError:
                pass  # it is gone, or another's
        number = beyond
    return caught


def freeze(find: Find, is_ours: IsOurs) -> set[int]:
    """Stop a family. Whoever forks before it is stopped adds to the family: look again until nobody is new.

    Args:
        find: Looks up who belongs to the family now.
        is_ours: Tells by its mark whether a process belongs to it.

    Returns:
        The members, all stopped.
    """
    stopped: set[int] = set()
    while new := (find() | catch(is_ours)) - stopped:
        send(signal.SIGSTOP, new)
        stopped |= new
    return stopped


def end(find: Find, is_ours: IsOurs, patience_s: float = PATIENCE_S) -> set[int]:
    """Kill a family, and wait until it is gone.

    Args:
        find: Looks up who belongs to the family now.
        is_ours: Tells by its mark whether a process belongs to it.
        patience_s: After this time, give up.

    Returns:
        Who is still there; nobody, unless the family could not be stopped in time.
    """
    deadline = time.monotonic() + patience_s
    pause_s = 0.000_5
    killed: set[int] = set()
    # Who is dying has lost its memory, and with it its mark, before its files are closed and it is gone.
    # Only wait for those: a number may be another's by now.
    while (members := find() | catch(is_ours)) or (dying := living(killed)):
        if time.monotonic() > deadline:
            send(signal.SIGKILL, members)
            return members or dying
        send(signal.SIGSTOP, members)
        if find() - members:
            continue  # somebody forked before it was stopped
        send(signal.SIGKILL, members)
        killed |= members
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.02)
    return set()


def end_marked(prefix: str) -> set[int]:
    """End every process of the machine whose mark begins so; who is left, as `end` says."""
    return end(lambda: marked(prefix), lambda mark: mark.startswith(prefix))


def send(number: signal.Signals, members: Iterable[int]) -> None:
    """Send a signal to every member, and to its whole group at once: a group cannot fork its way out."""
    members = set(members)
    groups = set()
    for pid in members:
        with suppress(OSError):
            groups.add(os.getpgid(pid))
    for group in groups - {os.getpgrp(), 0, 1}:
        with suppress(OSError):
            os.killpg(group, number)
    for pid in members:
        with suppress(OSError):
            os.kill(pid, number)


def _newest() -> int:
    """The process number that Linux gave out last."""
    return int(_line("/proc/loadavg").split()[-1])


def _read(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(iter(lambda: os.read(file, 65_536), b""))
    finally:
        os.close(file)


def _line(path: str) -> bytes:
    """A file of one line, which comes with one read: this is done for every process of the machine."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, 4096)
    finally:
        os.close(file)


def _rows_of_linux() -> Iterable[tuple[int, Row]]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - a Path per process would double the time this takes
        if name.isdecimal() and (row := _row_of_linux(name)):
            yield int(name), row


def _row_of_linux(name: str) -> Row | None:
    try:
        line = _line(f"/proc/{name}/stat")
    except OSError:
        return None
    # pid (name) state parent group session ...; the name may hold spaces and parentheses
    state, parent, group, session = line.rpartition(b")")[2].split(None, 4)[:4]
    return None if state in b"ZX" else Row(int(parent), int(group), int(session))


def _rows_of_psutil() -> Iterable[tuple[int, Row]]:
    import psutil

    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process.pid, Row(process.ppid(), os.getpgid(process.pid), os.getsid(process.pid))


def _mark_of_psutil(pid: int) -> str:
    import psutil

    with suppress(psutil.Error, OSError):
        return psutil.Process(pid).environ().get(MARK, "")
    return ""
