"""Where a run leaves its files, and how long they stay.

::

    <course>/.dslab/runs/20260314-093000-lab1-9f3c/
        run.json                 seed, lab, backend, epoch_s, pids
        result.json              written by the grader
        lock                     locked as long as the run lives
        <check>/trace.jsonl      what crossed the links
        <check>/nodes.jsonl      what became of the services
        <check>/<service>.out    a service's stdout; .err its stderr
        <check>/scratch/<service>/
        <check>/picture.html

The newest 20 are kept. A run that is still alive is never removed: it holds a lock on its folder (flock),
which the kernel gives back when the run's process is gone, however it went.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from dslab.kit.errors import MachineError
from dslab.kit.trace.recorder import folder_name

KEPT_RUNS = 20


class Shared(Protocol):
    """Something that a run has once, for all of its checks: the keeper, the links program."""

    @property
    def alive(self) -> bool:
        """Whether it still works. If not, the next check gets a new one."""

    def close(self) -> None:
        """Stop it. Must be harmless if it has stopped already."""


S = TypeVar("S", bound=Shared)


class RunFolder:
    """The folder of one run, and what lives as long as the run. Make it with `RunFolder.create`.

    Attributes:
        path: The folder.
        run_id: Its name, which is unique on this machine and marks what belongs to this run.
        epoch_s: When the run began; trace times count from here.
    """

    def __init__(self, path: Path, epoch_s: float, lock: int) -> None:
        self.path = path
        self.run_id = path.name
        self.epoch_s = epoch_s
        self._lock: int | None = lock
        self._shared: dict[type[Any], Any] = {}
        self._closing = ExitStack()
        self._facts: dict[str, Any] = {}
        self._serials = itertools.count(1)

    @classmethod
    def create(cls, course: Path, *, lab: str, seed: int, backend: str) -> RunFolder:
        """Make a new folder under ``course/.dslab/runs``, and remove the oldest ones.

        Args:
            course: The folder that holds ``labs/``.
            lab: For the name: the lab's number.
            seed: The run's seed.
            backend: ``local`` or ``docker``.

        Raises:
            MachineError: The folder cannot be made.
        """
        runs = course / ".dslab" / "runs"
        epoch_s = time.time()
        try:
            runs.mkdir(parents=True, exist_ok=True)
            with _alone_in(runs):
                path = _make_unique(runs, f"{datetime.now():%Y%m%d-%H%M%S}-lab{lab}")  # noqa: DTZ005
                run = cls(path, epoch_s, _take_lock(path))
                prune(runs)
        except OSError as error:
            remedy = "Check that the folder is yours and that the disk is not full."
            raise MachineError(f"No run folder in {runs}: {error.strerror}.", remedy=remedy) from error
        run.note(lab=lab, seed=seed, backend=backend, epoch_s=epoch_s, pids=[os.getpid()])
        return run

    def check_folder(self, name: str) -> Path:
        """Make the folder of one check. A second check of that name gets ``name-2``."""
        safe = folder_name(name)
        for number in range(1, 1_000_000):
            path = self.path / (safe if number == 1 else f"{safe}-{number}")
            try:
                path.mkdir()
            except FileExistsError:
                continue
            return path
        raise AssertionError("a million checks of one name")

    def next_serial(self) -> int:
        """A number for one topology of this run, given once."""
        return next(self._serials)

    def note(self, **facts: Any) -> None:
        """Add facts to run.json."""
        self._facts |= facts
        aside = self.path / "run.json.new"
        aside.write_text(json.dumps(self._facts, indent=2) + "\n", encoding="utf-8")
        aside.replace(self.path / "run.json")

    def shared(self, kind: type[S], make: Callable[[], S]) -> S:
        """The run's one object of that kind: made on first use, again if it died, closed with the run."""
        existing = self._shared.get(kind)
        if existing is None or not existing.alive:
            self._shared[kind] = existing = make()
            self._closing.callback(existing.close)
        assert isinstance(existing, kind)
        return existing

    def close(self) -> None:
        """Close what the run shares, and let the folder be removed some day. Closing twice is harmless."""
        try:
            self._closing.close()
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def prune(runs: Path, keep: int = KEPT_RUNS) -> None:
    """Remove all but the newest run folders, and none that is alive."""
    folders = sorted((folder for folder in runs.iterdir() if folder.is_dir()), key=lambda folder: folder.name)
    for folder in folders[: max(0, len(folders) - keep)]:
        if not is_alive(folder):
            shutil.rmtree(folder, ignore_errors=True)


def is_alive(folder: Path) -> bool:
    """Whether a process of that run still lives."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # not ours to judge
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


@contextmanager
def _alone_in(runs: Path) -> Iterator[None]:
    """Let no other run begin meanwhile: it would take a folder without a lock for that of a dead run."""
    folder = os.open(runs, os.O_RDONLY)
    try:
        with suppress(OSError):  # on NFS only what is open for writing can be locked, which no folder is
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _make_unique(runs: Path, stem: str) -> Path:
    while True:
        path = runs / f"{stem}-{secrets.token_hex(2)}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path


def _take_lock(path: Path) -> int:
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.flock(lock, fcntl.LOCK_EX)  # at most until somebody has looked whether we are alive
    return lock
