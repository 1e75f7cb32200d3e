"""The reply log: what lets at-most-once survive a crash of the server.

The reply cache dies with its process; a call that is sent again to the next process would be executed again.
So a durable server writes down, before it executes an identified call, that it begins; and, before it sends
the reply, what that was. The next process reads the log, and then knows of each call one of three things:
never begun (it may be executed), executed (here is the reply), or begun and no more: then nobody knows how
far the procedure came, and the caller is told so (`Uncertain`). What cannot be known is said, not guessed.

One append-only file::

    offset  size  field
    0       16    "dslab.rpc log v" and the version, 1, as one byte; then records:
    0       4     n, the length of the change: unsigned, big-endian
    4       4     CRC-32 of the change
    8       n     a MessagePack array: [session]                                          a session was opened
                                       [session, number, acknowledged]                    a call was begun
                                       [session, number, acknowledged, error, result]     it was executed
                                       [session, floor]                                   } in a file that was
                                       [session, number, floor, executed or not]          } written anew

Changes that are made together are written and synced together (group commit). A crash may leave the last
record unfinished, or zeros: nobody was told of it, so it is cut off. When the server starts, and when the
file has grown to a multiple of what it held, it is written anew with what still matters: acknowledged replies
are left out, and of one for which there was no room a mark remains that says whether the call was executed.

A full disk: what was written in part is taken back, and the change is *not* on disk, so the service refuses
to begin the call. The file now lacks something that the cache knows, so the next change writes it anew.

A log is one server's: a second one that would use it beside the first is refused (FILE.lock).

The log keeps replies, not the state of the objects: those must be durable themselves, or be rebuilt.

Source: ch. 8, RPC semantics (server crashes); J. Gray and A. Reuter, "Transaction Processing", 1993.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from dslab.kit.disk import lock_file, sync_folder, write_whole
from dslab.kit.errors import MachineError
from dslab.rpc.messages import Response
from dslab.rpc.protocol import Change
from dslab.rpc.reply_cache import Known, ReplyCache

GROWTH = 4
MIN_GROWN_BYTES = 1024 * 1024
"""The file is written anew when it has grown so many times longer, but no shorter than that."""

_MAGIC = b"dslab.rpc log v\x01"
_HEAD = struct.Struct("!II")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode


class ReplyLog:
    """The log of one server.

    Args:
        path: Its file; made if there is none.
        cache: What is read is put there, and what is written anew comes from there.

    Raises:
        MachineError: It cannot be read or written, or is damaged, or another server uses it.
    """

    def __init__(self, path: Path, cache: ReplyCache) -> None:
        self._path = path
        self._lock = _locked(path)
        self._cache = cache
        self._file: FileIO | None = None
        self._lacks = False  # something that the cache knows
        self._bytes = self._most_bytes = 0
        try:
            if path.exists():
                restore(cache, path.read_bytes())
            self._rewrite()
        except OSError as error:
            self.close()
            raise MachineError(f"Cannot use {path}: {error.strerror}.") from error
        except MachineError:
            self.close()
            raise

    def write(self, changes: Iterable[Change]) -> None:
        """Write changes, and wait until they are on disk.

        Raises:
            OSError: They are not.
        """
        data = b"".join(map(record, changes))
        if not data:
            return
        if self._lacks:
            self._rewrite()  # the cache knows these changes, too
            return
        self._append(data)
        if self._bytes > self._most_bytes:
            self._most_bytes = GROWTH * self._bytes  # if there is no room for a second file now
            with suppress(OSError):
                self._rewrite()

    def close(self) -> None:
        """Close the file, and let another server have it."""
        self._close_file()
        self._lock.close()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        try:
            write_whole(self._file, data)
            os.fdatasync(self._file.fileno())
        except OSError:
            self._lacks = True
            with suppress(OSError):
                self._file.truncate(self._bytes)
            raise
        self._bytes += len(data)

    def _rewrite(self) -> None:
        """Write a new file with what the cache holds, rename it over the old one, and go on with it."""
        fresh = _beside(self._path, "new")
        data = snapshot(self._cache)
        file = fresh.open("wb", buffering=0)
        try:
            write_whole(file, data)
            os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError:
            file.close()
            raise
        self._close_file()
        # Until its name is on disk, a crash may bring the old file back. If that fails, it is written anew.
        self._file, self._lacks = file, True
        self._bytes, self._most_bytes = len(data), max(GROWTH * len(data), MIN_GROWN_BYTES)
        sync_folder(self._path.parent)
        self._lacks = False


def _beside(path: Path, suffix: str) -> Path:
    """Give a file that is this log's alone: that of bank.1 is not that of bank.2."""
    return path.parent / f"{path.name}.{suffix}"


def _locked(path: Path) -> BinaryIO:
    """Lock a log until the file that comes is closed, be it by the end of the process.

    The log itself is replaced now and then, so another file is locked, which stays.
    """
    try:
        return lock_file(_beside(path, "lock"))
    except BlockingIOError as error:
        raise MachineError(f"Another server uses {path}.") from error
    except OSError as error:
        raise MachineError(f"Cannot use {path}: {error.strerror}.") from error


def restore(cache: ReplyCache, data: bytes) -> None:
    """Put what a log says into a cache.

    Raises:
        MachineError: It is damaged, or no log.
    """
    for change in _read(data):
        _restore(cache, change)
    cache.settle()


def snapshot(cache: ReplyCache) -> bytes:
    """Give the log of all that a cache knows."""
    return _MAGIC + b"".join(map(record, _changes_of(cache)))


def record(change: Change) -> bytes:
    """Give what stands in the log of a change."""
    fields: list[Any] = list(change)
    if isinstance(reply := fields[-1], Response):
        fields[-1:] = [bytes(reply.error) if reply.error is not None else None, bytes(reply.result or b"")]
    body = _encode(fields)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body


def _read(data: bytes) -> Iterator[list[Any]]:
    """Give the changes of a log, up to an unfinished last one."""
    if not data.startswith(_MAGIC):
        raise MachineError("The reply log is none of ours, or of another version.")
    start = len(_MAGIC)
    while start + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, start)
        body = data[start + _HEAD.size : start + _HEAD.size + length]
        start += _HEAD.size + length
        if not length or len(body) < length or zlib.crc32(body) != checksum:  # some crashes leave zeros
            if any(data[start:]):
                raise MachineError(f"The reply log is damaged before byte {start:,}.")
            return
        yield _decode(body)


def _restore(cache: ReplyCache, change: list[Any]) -> None:
    match change:
        case [int(session)]:
            cache.restore_session(session)
        case [int(session), int(floor)]:
            cache.restore_session(session, floor)
        case [int(session), int(number), int(acknowledged)]:
            cache.restore((session, number), acknowledged, Known.UNCERTAIN)
        case [int(session), int(number), int(acknowledged), bool(executed)]:
            known = Known.FORGOTTEN if executed else Known.REFUSED
            cache.restore((session, number), acknowledged, known)
        case [int(session), int(number), int(acknowledged), error, bytes(result)]:
            reply = Response(0, error and msgspec.Raw(error), None if error else msgspec.Raw(result))
            cache.restore((session, number), acknowledged, reply, len(error or result))


def _changes_of(cache: ReplyCache) -> Iterator[Change]:
    for session, floor, calls in cache.sessions():
        yield (session, floor)
        for number, known in calls.items():
            if isinstance(known, Response):
                yield (session, number, floor, known)
            elif known is Known.FORGOTTEN or known is Known.REFUSED:
                yield (session, number, floor, known is Known.FORGOTTEN)
            else:
                yield (session, number, floor)
