"""Bodies that come as ``aws-chunked``: in chunks, each of which may be signed, with trailers at the end.

::

    1000;chunk-signature=SIG CRLF  4096 bytes CRLF      ...-PAYLOAD: each signature covers the one before,
    0;chunk-signature=SIG CRLF                          so that no chunk can be left out, moved or replayed
    x-amz-checksum-crc32:SUM CRLF                       ...-TRAILER: what is known only at the end
    x-amz-trailer-signature:SIG CRLF                    if chunks are signed
    CRLF

Each line costs a signature: so only the last chunk may be a small one, or a body would be mostly lines.

A state machine: bytes in, the body's bytes out. Nothing is kept but a line.

Source: Amazon S3 API Reference, Transferring payload in multiple chunks (chunked upload), with trailers.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import replace
from enum import Enum

from dslab.objectstore.auth import EMPTY_SHA256, Seal
from dslab.objectstore.errors import S3Error

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
KINDS = (SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER)

MIN_CHUNK_BYTES = 8 * 1024
MAX_LINE_BYTES = 4 * 1024
MAX_TRAILER_BYTES = 16 * 1024

_HEAD = re.compile(rb"([0-9a-fA-F]{1,12})[ \t]*((?:;[^\r\n]{0,300})?)")
_SIGNED = re.compile("[0-9a-f]{64}")
_SIGNATURE = re.compile(rb";[ \t]*chunk-signature[ \t]*=[ \t]*([0-9a-f]{64})[ \t]*")


class _State(Enum):
    HEAD = "the line before a chunk"
    DATA = "a chunk"
    DATA_END = "the end of the line after a chunk"
    TRAILER = "the lines after the last chunk"
    END = "nothing more"


class Decoder:
    """Takes such a body apart.

    Args:
        seal: The request's signature, if the chunks are signed.
        has_trailer: Whether trailers come.
    """

    def __init__(self, seal: Seal | None, *, has_trailer: bool) -> None:
        self._seal = seal
        self._has_trailer = has_trailer
        self._state = _State.HEAD
        self._kept = bytearray()
        self._left = 0
        self._chunks = 0
        self._chunk_bytes = 0
        self._signature = ""
        self._hash = hashlib.sha256()
        self._trailers: dict[str, str] = {}
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """Take some bytes, and give those of the body that are in them.

        Raises:
            S3Error: IncompleteBody, they break the format; InvalidChunkSizeError; SignatureDoesNotMatch;
                MalformedTrailerError.
        """
        body = bytearray()
        self._kept += data
        at = 0
        while (following := self._step(at, body)) is not None:
            at = following
        del self._kept[:at]
        return bytes(body)

    def finish(self) -> dict[str, str]:
        """Say that this was all, and give the trailers.

        Raises:
            S3Error: IncompleteBody, something is missing; MalformedTrailerError.
        """
        if self._state is _State.TRAILER and not self._kept:
            self._end_trailers()  # some clients leave out the empty line at the end, and S3 lets them
        if self._state is not _State.END:
            raise S3Error("IncompleteBody", f"The body ended where {self._state.value} should be.")
        return self._trailers

    def _step(self, at: int, body: bytearray) -> int | None:
        """Go on from there: gives how far; None if that takes more bytes than have come."""
        match self._state:
            case _State.DATA:
                return self._data(at, body)
            case _State.DATA_END:
                if len(self._kept) < at + 2:
                    return None
                if self._kept[at : at + 2] != b"\r\n":
                    raise S3Error("IncompleteBody", "A chunk is longer than was said.")
                self._state = _State.HEAD
                return at + 2
            case _State.END:
                if len(self._kept) > at:
                    raise S3Error("IncompleteBody", "There is more after the last chunk.")
                return None
            case _:
                return self._line(at)

    def _line(self, at: int) -> int | None:
        end = self._kept.find(b"\r\n", at)
        if (len(self._kept) if end < 0 else end) - at > MAX_LINE_BYTES:
            raise S3Error("IncompleteBody", "A line between chunks is too long.")
        if end < 0:
            return None
        line = bytes(self._kept[at:end])
        if self._state is _State.HEAD:
            self._head(line)
        else:
            self._trailer(line)
        return end + 2

    def _head(self, line: bytes) -> None:
        found = _HEAD.fullmatch(line)
        signed = _SIGNATURE.fullmatch(found[2]) if found else None
        if not found or (self._seal and not signed):
            raise S3Error("IncompleteBody", "The line before a chunk is not SIZE[;chunk-signature=...].")
        self._left = int(found[1], 16)
        self._signature = signed[1].decode() if signed else ""
        self._hash = hashlib.sha256()
        if self._left:
            self._count()
            self._state = _State.DATA
        else:
            self._check("PAYLOAD", self._signature, EMPTY_SHA256, EMPTY_SHA256)
            self._state = _State.TRAILER

    def _count(self) -> None:
        """Note that one more chunk comes, so that the one before was not the last."""
        self._chunks += 1
        if self._chunks > 1 and self._chunk_bytes < MIN_CHUNK_BYTES:
            raise S3Error(
                "InvalidChunkSizeError", Chunk=str(self._chunks), BadChunkSize=str(self._chunk_bytes)
            )
        self._chunk_bytes = self._left

    def _data(self, at: int, body: bytearray) -> int | None:
        piece = memoryview(self._kept)[at : at + self._left]
        if not piece:
            piece.release()
            return None
        body += piece
        if self._seal:
            self._hash.update(piece)
        self._left -= len(piece)
        following = at + len(piece)
        piece.release()
        if not self._left:
            self._check("PAYLOAD", self._signature, EMPTY_SHA256, self._hash.hexdigest())
            self._state = _State.DATA_END
        return following

    def _trailer(self, line: bytes) -> None:
        if not line.strip():
            if self._seal and self._has_trailer and not self._trailers:
                raise S3Error("MalformedTrailerError")  # what is to be signed has not come
            self._end_trailers()
            return
        name, colon, value = line.decode("latin-1").partition(":")
        self._trailer_bytes += len(line)
        if not colon or not self._has_trailer or self._trailer_bytes > MAX_TRAILER_BYTES:
            raise S3Error("MalformedTrailerError")
        self._trailers[name.strip().lower()] = value.strip()

    def _end_trailers(self) -> None:
        signature = self._trailers.pop("x-amz-trailer-signature", "")
        if self._has_trailer and self._seal and not _SIGNED.fullmatch(signature):
            raise S3Error("IncompleteBody", "The trailers are not signed.")
        if self._has_trailer:
            text = "".join(f"{name}:{value}\n" for name, value in sorted(self._trailers.items()))
            self._check("TRAILER", signature, hashlib.sha256(text.encode("latin-1")).hexdigest())
        self._state = _State.END

    def _check(self, kind: str, signature: str, *hashes: str) -> None:
        if self._seal is None:
            return
        if not hmac.compare_digest(self._seal.next(kind, *hashes).encode(), signature.encode()):
            raise S3Error("SignatureDoesNotMatch", "The signature of a chunk does not match.")
        self._seal = replace(self._seal, signature=signature)
