"""The files that hold the bytes. Their names are numbers, and say nothing of keys.

::

    DATA/index.db                  which version has which files (`index`)
    DATA/makers/M                  locked as long as the process that calls itself M runs
    DATA/blobs/M/000012/12345.new  what M is writing
    DATA/blobs/M/000012/12345      what M has written: whole, and on the disk

A file is written aside, brought to the disk (``fsync``), and renamed: what has no ``.new`` is whole. Then the
index names it (`index`); from then on it exists for clients. A process that is killed in between leaves
files that no row names. Whoever starts next finds them by their maker: its lock is free, so it is dead and
makes nothing more.

A copy is a hard link: another name for the same bytes, which last until the last name goes. Readers keep
what they have open even if it is overwritten meanwhile.

Source: ch. 8, Fault tolerance (crash failures); T. Pillai et al., "All file systems are not created equal",
2014.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from dslab.kit.disk import sync_folder

PER_FOLDER = 1_000
_ASIDE = ".new"


class Blobs:
    """The folder of files, as one process uses it.

    Args:
        folder: The store's folder; made if need be.
        sync: Whether to wait for the disk.
    """

    def __init__(self, folder: Path, *, sync: bool = True) -> None:
        self._sync = sync
        self._folder = folder / "blobs"
        self._makers = folder / "makers"
        self._maker = secrets.token_hex(8)
        self._numbers = itertools.count()
        self._group = ""
        self._own = self._folder / self._maker
        self._own.mkdir(parents=True)
        self._makers.mkdir(exist_ok=True)
        self._lock = _locked(self._makers / self._maker)
        if sync:
            for each in (self._folder, self._makers, folder):
                sync_folder(each)

    def begin(self) -> Draft:
        """Begin a new file."""
        number = next(self._numbers)
        group = f"{number // PER_FOLDER:06}"
        if group != self._group:
            (self._own / group).mkdir(exist_ok=True)
            if self._sync:
                sync_folder(self._own)
            self._group = group
        blob = f"{self._maker}/{group}/{number}"
        return Draft(blob, self.path(blob), sync=self._sync)

    def path(self, blob: str) -> str:
        """Where a file is."""
        return f"{self._folder}/{blob}"

    def link(self, blob: str) -> Draft:
        """Give a file a second name: a copy that costs nothing."""
        draft = self.begin()
        draft.link_to(self.path(blob))
        return draft

    def remove(self, blob: str) -> None:
        """Remove a file; it may be gone."""
        with suppress(FileNotFoundError):
            os.unlink(self.path(blob))  # noqa: PTH108  a Path takes longer to make than a file to remove

    def sweep(self, is_named: Callable[[str], bool]) -> int:
        """Remove what dead processes left unfinished: gives how many files.

        Args:
            is_named: Whether the index names a file.
        """
        removed = 0
        for maker in self._dead():
            for path in sorted((self._folder / maker.name).glob("*/*")):
                if path.name.endswith(_ASIDE) or not is_named(f"{maker.name}/{path.parent.name}/{path.name}"):
                    path.unlink(missing_ok=True)
                    removed += 1
            self._remove_empty(self._folder / maker.name)
            maker.unlink(missing_ok=True)
        return removed

    def close(self) -> None:
        """Let this maker be dead."""
        self._lock.close()

    def _dead(self) -> Iterator[Path]:
        """The makers whose lock is free; it is held while they are looked at."""
        for maker in sorted(self._makers.iterdir()):
            if maker.name.endswith(_ASIDE):  # about to be locked
                continue
            with suppress(FileNotFoundError), maker.open("rb") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield maker

    def _remove_empty(self, folder: Path) -> None:
        for group in [*folder.glob("*"), folder]:
            with suppress(OSError):  # not empty
                group.rmdir()


class Draft:
    """A file that is being written. Until the index names it, nobody knows of it.

    Attributes:
        blob: Its name.
        folder: Where it is; what is renamed there must be brought to the disk before the index names it.
    """

    def __init__(self, blob: str, path: str, *, sync: bool) -> None:
        self.blob = blob
        self.folder = path.rpartition("/")[0]
        self._path = path
        self._aside = path + _ASIDE
        self._sync = sync
        self._file: int | None = None
        self._linked = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append some bytes."""
        if self._file is None:
            self._file = os.open(self._aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        written = os.write(self._file, data)
        while written < len(data):
            written += os.write(self._file, memoryview(data)[written:])

    def link_to(self, path: str) -> None:
        """Be another name of that file."""
        os.link(path, self._aside)
        self._linked = True

    def keep(self) -> None:
        """Bring the bytes to the disk, and let the file have its name."""
        if not self._linked:
            self.write(b"")
        if self._file is not None and self._sync:
            os.fdatasync(self._file)
        self._close()
        os.rename(self._aside, self._path)  # noqa: PTH104

    def discard(self) -> None:
        """Remove it."""
        self._close()
        for path in (self._aside, self._path):
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _locked(path: Path) -> BinaryIO:
    """Make a lock file that is locked from the instant at which it has its name: never does it look dead."""
    aside = path.with_name(path.name + _ASIDE)
    lock = aside.open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    aside.rename(path)
    return lock
