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

Changes that are made together are written and synced together (group commit). A crash may leave the last
record unfinished: nobody was told of it, so it is cut off. When the server starts, the file is written anew
with what still matters: acknowledged replies are left out.

The log keeps replies, not the state of the objects: those must be durable themselves, or be rebuilt.

Source: ch. 8, RPC semantics (server crashes); J. Gray and A. Reuter, "Transaction Processing", 1993.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from dslab.kit.errors import MachineError
from dslab.rpc.messages import Response
from dslab.rpc.protocol import Change
from dslab.rpc.reply_cache import Known, ReplyCache

_MAGIC = b"dslab.rpc log v\x01"
_HEAD = struct.Struct("!II")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Any]).decode


class ReplyLog:
    """The log of one server.

    Args:
        path: Its file; made if there is none.
        cache: What is read is put there.

    Raises:
        MachineError: It cannot be read or written, or is damaged.
    """

    def __init__(self, path: Path, cache: ReplyCache) -> None:
        self._path = path
        try:
            for change in _read(path.read_bytes()) if path.exists() else ():
                _restore(cache, change)
            self._rewrite(cache)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise MachineError(f"Cannot use {path}: {error.strerror}.") from error

    def write(self, changes: Iterable[Change]) -> None:
        """Write changes, and wait until they are on disk."""
        data = b"".join(map(_record, changes))
        if data:
            self._file.write(data)
            os.fdatasync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rewrite(self, cache: ReplyCache) -> None:
        """Write a new file with what the cache holds, and rename it over the old one."""
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(_MAGIC + b"".join(map(_record, _changes_of(cache))))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def _record(change: Change) -> bytes:
    fields: list[Any] = list(change[:3])
    if len(change) == 4:
        reply = change[3]
        fields += [bytes(reply.error) if reply.error is not None else None, bytes(reply.result or b"")]
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
        if len(body) < length or zlib.crc32(body) != checksum:
            if any(data[start:]):
                raise MachineError(f"The reply log is damaged before byte {start:,}.")
            return
        yield _decode(body)


def _restore(cache: ReplyCache, change: list[Any]) -> None:
    match change:
        case [int(session)]:
            cache.restore_session(session)
        case [int(session), int(number), int(acknowledged)]:
            cache.restore((session, number), acknowledged, Known.UNCERTAIN)
        case [int(session), int(number), int(acknowledged), error, bytes(result)]:
            reply = Response(0, error and msgspec.Raw(error), None if error else msgspec.Raw(result))
            cache.restore((session, number), acknowledged, reply, len(error or result))


def _changes_of(cache: ReplyCache) -> Iterator[Change]:
    for session, floor, calls in cache.sessions():
        yield (session,)
        for number, known in calls.items():
            if isinstance(known, Response):
                yield (session, number, floor, known)
            elif known is Known.UNCERTAIN:
                yield (session, number, floor)
