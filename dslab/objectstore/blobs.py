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

from dslab.objectstore.index import sync_folder

PER_FOLDER = 1_000
_ASIDE = ".new"
_COPY_BYTES = 1024 * 1024


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
        group = self._own / f"{number // PER_FOLDER:06}"
        if number % PER_FOLDER == 0 or not group.exists():
            group.mkdir(exist_ok=True)
            if self._sync:
                sync_folder(self._own)
        return Draft(f"{self._maker}/{group.name}/{number}", group / str(number), sync=self._sync)

    def path(self, blob: str) -> Path:
        """Where a file is."""
        return self._folder / blob

    def link(self, blob: str) -> Draft:
        """Give a file a second name: a copy that costs nothing."""
        draft = self.begin()
        draft.link_to(self.path(blob))
        return draft

    def remove(self, blob: str) -> None:
        """Remove a file; it may be gone."""
        with suppress(FileNotFoundError):
            self.path(blob).unlink()

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

    def __init__(self, blob: str, path: Path, *, sync: bool) -> None:
        self.blob = blob
        self.folder = path.parent
        self._path = path
        self._aside = path.with_name(path.name + _ASIDE)
        self._sync = sync
        self._file: BinaryIO | None = None
        self._linked = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append some bytes."""
        if self._file is None:
            self._file = self._aside.open("xb", buffering=0)
        unwritten = memoryview(data)
        while unwritten:
            unwritten = unwritten[self._file.write(unwritten) :]

    def write_range(self, path: Path, start: int, end: int) -> Iterator[bytes]:
        """Append a range of another file, and give the bytes as they pass."""
        with path.open("rb", buffering=0) as source:
            source.seek(start)
            while start < end and (piece := source.read(min(_COPY_BYTES, end - start))):
                self.write(piece)
                yield piece
                start += len(piece)

    def link_to(self, path: Path) -> None:
        """Be another name of that file."""
        os.link(path, self._aside)
        self._linked = True

    def keep(self) -> None:
        """Bring the bytes to the disk, and let the file have its name."""
        if not self._linked:
            self.write(b"")
        if self._file is not None:
            if self._sync:
                os.fdatasync(self._file.fileno())
            self._file.close()
        self._aside.rename(self._path)

    def discard(self) -> None:
        """Remove it."""
        if self._file is not None:
            self._file.close()
        self._aside.unlink(missing_ok=True)
        self._path.unlink(missing_ok=True)


def _locked(path: Path) -> BinaryIO:
    """Make a lock file that is locked from the instant at which it has its name: never does it look dead."""
    aside = path.with_name(path.name + _ASIDE)
    lock = aside.open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    aside.rename(path)
    return lock
