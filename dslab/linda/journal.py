"""The journal: what makes a space survive a crash.

The folder holds one append-only file, ``space.log``. What happened between two looks at the disk, to all
clients together, is one record (group commit), written and synced before any of them gets a reply. So an
acknowledged ``out`` survives a crash, and a transaction is in the file whole or not at all::

    offset  size  field
    0       16    "dslab.linda log" and the version, 2, as one byte; then records:
    0       4     n, the length of the changes: unsigned, big-endian
    4       4     CRC-32 of the changes
    8       4     CRC-32 of the 8 bytes before: a wrong length would hide all that follows
    12      n     the changes: a MessagePack array of [number, space, fields, expires_s]   a tuple came
                                                      [number]                             it is gone
                                                      [space, null]                        a space was made

A crash may leave the last record unfinished: nobody was told of it, so it is cut off. If it ends in zeros,
and so does the file, that is mostly a crash too (room was allotted, nothing written), but not surely: the
old file is kept beside the new one. Any other record that is wrong is damage, and an error. When most of the
file is about tuples that are gone, it is written anew beside the old one and renamed over it, if the disk has
room for both.

Source: write-ahead logging and group commit: J. Gray and A. Reuter, "Transaction Processing", 1993; the CRC
per record as in SQLite's and LevelDB's logs.
"""

from __future__ import annotations

import logging
import os
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import msgspec

from dslab.kit.disk import lock_file, sync_folder, write_whole
from dslab.kit.errors import MachineError
from dslab.linda.protocol import Change, Dropped, Opened, Spaces
from dslab.linda.store import Stored
from dslab.linda.values import from_wire, to_wire

_NAME, _VERSION = b"dslab.linda log", b"\x02"
_MAGIC = _NAME + _VERSION
_HEAD = struct.Struct("!II")
_HEAD_CHECKSUM = struct.Struct("!I")
_HEAD_BYTES = _HEAD.size + _HEAD_CHECKSUM.size
_CHUNK = 1_000
_COMPACT_FROM_BYTES = 1024 * 1024

_log = logging.getLogger(__name__)
_Row: TypeAlias = list[Any]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Row]).decode


class Journal:
    """The log of a server's spaces. Opening it brings them to the state of the log.

    Args:
        folder: Where the log is; made if need be. One server at a time.
        spaces: New ones.

    Raises:
        MachineError: Another server uses the folder, its disk takes no more, or the log is damaged.
    """

    def __init__(self, folder: Path, spaces: Spaces) -> None:
        self._path = folder / "space.log"
        self._lock = _lock(folder)
        self._spaces = spaces
        self._rewrite_at_bytes = 0
        try:
            _replay(self._path, spaces)
            self._file = self._renamed(self._written_aside())
        except OSError as error:
            self._lock.close()
            raise _no_place(folder, error) from error
        except BaseException:
            self._lock.close()
            raise

    def write(self, changes: list[Change]) -> None:
        """Put changes on the disk; return when they are there."""
        if not changes:
            return
        _append(self._file, changes)
        os.fdatasync(self._file.fileno())
        if self._file.tell() > self._rewrite_at_bytes:
            self._rewrite()

    def close(self) -> None:
        """Let another server have the folder."""
        self._file.close()
        self._lock.close()

    def _rewrite(self) -> None:
        """Begin a new file with the present state. Where there is no room for two, the old one goes on."""
        try:
            new = self._written_aside()
        except OSError as error:
            self._rewrite_at_bytes = self._file.tell() * 3 // 2  # each try may write as much as is live
            _log.warning("%s goes on growing, as it cannot be written anew: %s.", self._path, error.strerror)
            return
        self._file.close()  # to look at the folder takes a descriptor, perhaps the last
        self._file = self._renamed(new)

    def _written_aside(self) -> BinaryIO:
        """Write the present state to a file beside the log."""
        aside = self._path.with_suffix(".new")
        file = aside.open("wb", buffering=0)
        try:
            write_whole(file, _MAGIC)
            changes = self._spaces.snapshot()
            while chunk := list(islice(changes, _CHUNK)):
                _append(file, chunk)
            os.fsync(file.fileno())
        except BaseException:
            file.close()
            aside.unlink()
            raise
        return file

    def _renamed(self, aside: BinaryIO) -> BinaryIO:
        """Let it be the log."""
        Path(aside.name).rename(self._path)
        sync_folder(self._path.parent)
        self._rewrite_at_bytes = 2 * aside.tell() + _COMPACT_FROM_BYTES
        return aside


def _append(file: BinaryIO, changes: list[Change]) -> None:
    body = _encode([_row(change) for change in changes])
    head = _HEAD.pack(len(body), zlib.crc32(body))
    write_whole(file, head + _HEAD_CHECKSUM.pack(zlib.crc32(head)) + body)


def _row(change: Change) -> _Row:
    match change:
        case Stored(number, space, fields, expires_s):
            return [number, space, to_wire(fields), expires_s]
        case Dropped(number):
            return [number]
        case Opened(space):
            return [space, None]


def _replay(path: Path, spaces: Spaces) -> None:
    if not path.exists():
        return
    live: dict[int, Stored] = {}
    last_space = 0
    with path.open("rb") as file:
        for row in _rows(file, path):
            match row:
                case [number, space, fields, expires_s]:
                    live[number] = Stored(number, space, from_wire(tuple(fields)), expires_s)
                case [space, None]:
                    last_space = max(last_space, space)
                case [number]:
                    live.pop(number, None)
                case _:
                    raise _damaged(path, file.tell())
    spaces.load(live.values(), last_space)


def _rows(file: BinaryIO, path: Path) -> Iterator[_Row]:
    _check_version(file.read(len(_MAGIC)), path)
    while head := file.read(_HEAD_BYTES):
        at = file.tell() - len(head)
        length = _length(head)
        body = file.read(length or 0)
        if length and len(body) == length and zlib.crc32(body) == _HEAD.unpack_from(head)[1]:
            yield from _decode(body)
        elif len(head) == _HEAD_BYTES and len(body) == (length or 0):
            if not _all_zeros_from_here(head + body, file):
                raise _damaged(path, at)
            _keep(path, at)


def _all_zeros_from_here(record: bytes, file: BinaryIO) -> bool:
    """Was a record that is wrong the last one, and not written to its end?

    Zeros stand for what was not written, from some byte of the record on: its last byte tells that there is
    such a one. All of the rest must be zeros: anything else was written after it.
    """
    return not any(record[-1:] + file.read())


def _length(head: bytes) -> int | None:
    """Read how long a record's changes are: None if its head is not what was to be written."""
    if len(head) < _HEAD_BYTES or _HEAD_CHECKSUM.pack(zlib.crc32(head[: _HEAD.size])) != head[_HEAD.size :]:
        return None
    return int(_HEAD.unpack_from(head)[0])


def _check_version(magic: bytes, path: Path) -> None:
    if magic == _MAGIC:
        return
    if len(magic) == len(_MAGIC) and magic.startswith(_NAME):
        message = f"{path} is a log of version {magic[-1]}; this server reads version {_VERSION[0]}."
        raise MachineError(message, remedy="Move it away to begin with empty spaces.")
    raise _damaged(path, 0)


def _keep(path: Path, at: int) -> None:
    """Let a log that is to be cut outlive the new one."""
    kept = path.with_name(f"{path.name}.cut-at-{at}")
    kept.unlink(missing_ok=True)
    kept.hardlink_to(path)
    _log.warning("%s ends in zeros and is cut at %d. %s is the old one.", path, at, kept)


def _damaged(path: Path, offset: int) -> MachineError:
    cut = f"cut it there (truncate -s {offset}), " if offset else ""
    remedy = f"Restore it, {cut}or move it away to begin with empty spaces."
    return MachineError(f"{path} is damaged at byte {offset}, before its end.", remedy=remedy)


def _lock(folder: Path) -> BinaryIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return lock_file(folder / "lock")
    except BlockingIOError as error:
        raise MachineError(f"Another server uses {folder}.") from error
    except OSError as error:
        raise _no_place(folder, error) from error


def _no_place(folder: Path, error: OSError) -> MachineError:
    remedy = "Name one that this user may write to, on a disk with room."
    return MachineError(f"Cannot keep tuples in {folder}: {error.strerror}.", remedy=remedy)
