"""Taking in a body: what was declared of it, what it turns out to be, and whether the two agree.

The loop collects what comes, up to `BATCH_BYTES`, while a thread hashes and writes what came before. So
memory holds two batches of an upload, however long it is; and a body that fits one batch costs one change
of threads.

What a request may declare::

    Content-Length                     or x-amz-decoded-content-length, of an aws-chunked body
    Content-MD5                        in base64
    x-amz-content-sha256               in hex; signed with the request
    x-amz-checksum-ALGORITHM           in a header, or in a trailer that x-amz-trailer announces

Source: Amazon S3 User Guide, Checking object integrity.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Mapping

from dslab.objectstore import checksums
from dslab.objectstore.auth import bad_payload
from dslab.objectstore.call import Call
from dslab.objectstore.chunked import KINDS, SIGNED, UNSIGNED_TRAILER, Decoder
from dslab.objectstore.errors import S3Error
from dslab.objectstore.messages import MAX_PUT_BYTES, Checksum, Content

BATCH_BYTES = 256 * 1024

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class Intake:
    """The body of one request.

    Args:
        call: The request; nothing of its body has been read.
        keep: The checksum that is kept; if none is said, the one that the request names, or else the default.
        most_bytes: The longest body.
        summed: Whether x-amz-checksum- headers tell of this body.

    Raises:
        S3Error: What is declared makes no sense, or is too much.

    Attributes:
        announced: The algorithm of the checksum that the request names.
        confirmed: What the client is told of the checksum, once the body is whole.
    """

    def __init__(
        self, call: Call, *, keep: str = "", most_bytes: int = MAX_PUT_BYTES, summed: bool = True
    ) -> None:
        headers = call.headers if summed else _without_checksum(call.headers)
        self._call = call
        self._decoder = decoder(call)
        self.size_bytes = declared_length(call, chunked=self._decoder is not None)
        if self.size_bytes > most_bytes:
            raise S3Error("EntityTooLarge", ProposedSize=str(self.size_bytes), MaxSizeAllowed=str(most_bytes))
        self._expected_md5 = _md5_of(headers.get("content-md5"))
        self._expected = checksums.given(headers)
        self._trailer = checksums.trailer(headers)
        self.announced = checksums.announced(headers, self._expected, self._trailer)
        self._keep = keep or self.announced or checksums.DEFAULT
        self.confirmed: Checksum | None = None
        self._received = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sums = {name: checksums.summer(name) for name in {self._keep, self.announced} if name}
        self._sha256 = hashlib.sha256() if _SHA256.fullmatch(call.payload) else None

    async def batches(self) -> AsyncIterator[bytes]:
        """Give the body as it travels, in large pieces."""
        pieces: list[bytes] = []
        size = 0
        async for piece in self._call.body():
            pieces.append(piece)
            size += len(piece)
            if size >= BATCH_BYTES:
                yield b"".join(pieces)
                pieces, size = [], 0
        if pieces:
            yield b"".join(pieces)

    def take(self, batch: bytes) -> bytes:
        """Count some of what travels, and give what is the body's of it.

        Raises:
            S3Error: It is not as it was declared.
        """
        data = self._decoder.feed(batch) if self._decoder else batch
        self._received += len(data)
        if self._received > self.size_bytes:
            raise S3Error("IncompleteBody", NumberBytesExpected=str(self.size_bytes))
        self._md5.update(data)
        for total in self._sums.values():
            total.update(data)
        if self._sha256 is not None:
            self._sha256.update(batch)
        return data

    def finish(self) -> Content:
        """Hold the whole body against what was declared of it.

        Raises:
            S3Error: They differ.
        """
        trailers = self._decoder.finish() if self._decoder else {}
        if self._received != self.size_bytes:
            declared, received = str(self.size_bytes), str(self._received)
            raise S3Error("IncompleteBody", NumberBytesExpected=declared, NumberBytesProvided=received)
        signed = self._call.payload
        if self._sha256 is not None and not hmac.compare_digest(self._sha256.hexdigest(), signed.lower()):
            raise S3Error(
                "XAmzContentSHA256Mismatch",
                ClientComputedContentSHA256=signed,
                S3ComputedContentSHA256=self._sha256.hexdigest(),
            )
        if self._expected_md5 is not None and self._expected_md5 != self._md5.digest():
            raise S3Error(
                "BadDigest",
                ExpectedDigest=self._expected_md5.hex(),
                CalculatedDigest=base64.b64encode(self._md5.digest()).decode(),
            )
        sums = {name: checksums.encoded(name, total) for name, total in self._sums.items()}
        told = self._in_trailer(trailers)
        expected = self._expected or told
        if expected is not None and expected != sums[expected.algorithm]:
            name = expected.algorithm
            raise S3Error("BadDigest", f"The {name} you specified did not match the calculated checksum.")
        self.confirmed = sums[self.announced or self._keep]
        return Content(self.size_bytes, self._md5.hexdigest(), sums[self._keep])

    def _in_trailer(self, trailers: dict[str, str]) -> Checksum | None:
        if list(trailers) != ([self._trailer] if self._trailer else []):
            announced, came = self._trailer or "none", ", ".join(trailers) or "none"
            raise S3Error("MalformedTrailerError", f"Trailers announced: {announced}; that came: {came}.")
        return checksums.given(trailers)


async def whole(call: Call, most_bytes: int, *, summed: bool = True) -> bytes:
    """Read a body that is small: an XML document. `summed` as for `Intake`.

    Raises:
        S3Error: EntityTooLarge; or it is not as it was declared.
    """
    if "content-length" not in call.headers and "transfer-encoding" not in call.headers:
        return b""
    intake = Intake(call, most_bytes=most_bytes, summed=summed)
    pieces = [intake.take(batch) async for batch in intake.batches()]
    intake.finish()
    return b"".join(pieces)


def _without_checksum(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if not name.startswith(checksums.PREFIX) and name != checksums.BY_SDK
    }


def decoder(call: Call) -> Decoder | None:
    """What takes the body apart, if it comes in signed chunks or with trailers.

    Raises:
        S3Error: InvalidArgument, x-amz-content-sha256 says nothing that is known; InvalidRequest, its
            chunks are to be signed, but it is not.
    """
    kind = call.payload or call.headers.get("x-amz-content-sha256", "")
    if kind in KINDS:
        if kind != UNSIGNED_TRAILER and call.seal is None:
            raise S3Error("InvalidRequest", "A request whose chunks are signed must be signed itself.")
        seal = None if kind == UNSIGNED_TRAILER else call.seal
        return Decoder(seal, has_trailer=kind != SIGNED)
    if kind not in ("", "UNSIGNED-PAYLOAD") and not _SHA256.fullmatch(kind):
        raise bad_payload(kind)
    return None


def declared_length(call: Call, *, chunked: bool) -> int:
    """How long the body is, it says.

    Raises:
        S3Error: MissingContentLength; InvalidArgument, it is no length.
    """
    name = "x-amz-decoded-content-length" if chunked else "content-length"
    text = call.headers.get(name)
    if text is None or (chunked and not text.isdecimal()):
        raise S3Error("MissingContentLength")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise S3Error("InvalidArgument", f"{name} is not a length.", ArgumentName=name, ArgumentValue=text)
    return int(text)


def _md5_of(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 16:
        error = S3Error("InvalidDigest")
        error.details["Content-MD5"] = text  # which is no name of an argument
        raise error
    return digest
