"""The x-amz-checksum family: what the bytes of an upload add up to, counted while they pass.

A client may send the checksum of a body, in a header or in a trailer; the store counts it too, refuses
a body that came otherwise, and keeps it with the object. Of an object made of parts it is either of one piece
(``FULL_OBJECT``: CRCs of parts, and only these, can be combined, because they are linear) or the checksum of
the parts' checksums (``COMPOSITE``).

Source: Amazon S3 User Guide, Checking object integrity; RFC 3720, appendix B.4 (CRC-32C); NVM Express
(CRC-64); Yann Collet, xxHash fast digest algorithm (the canonical form of a sum is big-endian).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from awscrt import checksums as crt

from dslab.objectstore.errors import S3Error
from dslab.objectstore.messages import Checksum

DEFAULT = "CRC64NVME"
PREFIX = "x-amz-checksum-"
BY_SDK = "x-amz-sdk-checksum-algorithm"


class Summer(Protocol):
    """Takes bytes, and says what they add up to."""

    def update(self, data: bytes, /) -> None:
        """Take some more."""

    def digest(self) -> bytes:
        """The sum so far, big-endian."""


class _Crc:
    def __init__(self, step: Callable[[bytes, int], int], size: int) -> None:
        self._step = step
        self._size = size
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


class _XxHash:
    """``XXHASH3`` is XXH3 of 64 bits, which is not XXH64; ``XXHASH128`` is XXH3 of 128 bits."""

    def __init__(self, state: crt.XXHash) -> None:
        self._state = state

    def update(self, data: bytes, /) -> None:
        self._state.update(data)

    def digest(self) -> bytes:
        total: bytes = self._state.finalize()
        return total


_SUMMERS: Mapping[str, Callable[[], Summer]] = {
    "CRC32": lambda: _Crc(zlib.crc32, 4),
    "CRC32C": lambda: _Crc(crt.crc32c, 4),
    "CRC64NVME": lambda: _Crc(crt.crc64nvme, 8),
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
    "XXHASH128": lambda: _XxHash(crt.XXHash.new_xxhash3_128()),
    "XXHASH3": lambda: _XxHash(crt.XXHash.new_xxhash3_64()),
    "XXHASH64": lambda: _XxHash(crt.XXHash.new_xxhash64()),
}


def summer(algorithm: str) -> Summer:
    """Begin to sum.

    Raises:
        S3Error: InvalidRequest, there is no such algorithm.
    """
    if algorithm not in _SUMMERS:
        unsupported = (
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types:"
        )
        raise S3Error("InvalidRequest", f"{unsupported} [{', '.join(_SUMMERS)}]")
    return _SUMMERS[algorithm]()


SIZES: Mapping[str, int] = {
    **{"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8},
    **{"MD5": 16, "SHA1": 20, "SHA256": 32, "SHA512": 64},
    **{"XXHASH128": 16, "XXHASH3": 8, "XXHASH64": 8},
}
"""Algorithm: the length of its sum, in bytes."""

_COMBINE: Mapping[str, Callable[[int, int, int], int]] = {
    "CRC32": crt.combine_crc32,
    "CRC32C": crt.combine_crc32c,
    "CRC64NVME": crt.combine_crc64nvme,
}


_HEADERS = {PREFIX + algorithm.lower(): algorithm for algorithm in SIZES}
_NO_SUMS = {PREFIX + word for word in ("algorithm", "mode", "type")}


def header_of(checksum: Checksum) -> tuple[str, str]:
    """The header that tells a checksum."""
    return PREFIX + checksum.algorithm.lower(), checksum.value


def given(headers: Mapping[str, str]) -> Checksum | None:
    """Find the checksum that a request's headers, or trailers, give.

    Raises:
        S3Error: InvalidRequest, there are several, or it is none.
    """
    names = [name for name in headers if name.startswith(PREFIX) and name not in _NO_SUMS]
    if not names:
        return None
    name = _single(names)
    if name not in _HEADERS:
        message = "The algorithm type you specified in x-amz-checksum- header is invalid."
        raise S3Error("InvalidRequest", message)
    checksum = Checksum(_HEADERS[name], headers[name])
    check_value(checksum)
    return checksum


def _single(names: Sequence[str]) -> str:
    if len(names) > 1:
        message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        raise S3Error("InvalidRequest", message)
    return names[0]


def trailer(headers: Mapping[str, str]) -> str | None:
    """Which header with a sum is announced to follow the body.

    Raises:
        S3Error: InvalidRequest, there are several; something else is announced.
    """
    names = [name for one in headers.get("x-amz-trailer", "").split(",") if (name := one.strip().lower())]
    if any(name not in _HEADERS for name in names):
        message = "The value specified in the x-amz-trailer header is not supported"
        raise S3Error("InvalidRequest", message)
    return _single(names) if names else None


def check_value(checksum: Checksum) -> None:
    """Is it base64 as it is always written, and of the right length? If not, no body has it.

    Raises:
        S3Error: InvalidRequest.
    """
    try:
        total = base64.b64decode(checksum.value, validate=True)
    except (binascii.Error, ValueError):
        total = b""
    is_as_written = base64.b64encode(total).decode() == checksum.value  # bits that say nothing are 0
    if len(total) != SIZES[checksum.algorithm] or not is_as_written:
        name = PREFIX + checksum.algorithm.lower()
        raise S3Error("InvalidRequest", f"Value for {name} header is invalid.")


def check_algorithm(name: str) -> str:
    """Read the name of an algorithm.

    Raises:
        S3Error: InvalidRequest, there is none of that name.
    """
    summer(name.upper())
    return name.upper()


def announced(headers: Mapping[str, str], checksum: Checksum | None, promised: str | None) -> str | None:
    """Which algorithm is announced: by a header with a sum, a trailer to come, or by name alone.

    Args:
        headers: The request's.
        checksum: What `given` finds in them.
        promised: What `trailer` finds in them.

    Raises:
        S3Error: InvalidRequest, there are several or none of that name; as `_check_sdk`.
    """
    sent = [_HEADERS[promised]] if promised else []
    sent += [checksum.algorithm] if checksum else []
    if by_sdk := headers.get(BY_SDK):
        _check_sdk(by_sdk, sent)
    if sent:
        return _single(sent)
    by_name = headers.get("x-amz-checksum-algorithm")
    return check_algorithm(by_name) if by_name else None


def _check_sdk(named: str, sent: Sequence[str]) -> None:
    """Does an SDK send the sum that it says it does?

    Raises:
        S3Error: InvalidRequest. (S3 answers so; of another sum its documentation says BadDigest.)
    """
    check_algorithm(named)
    if not sent:
        missing = "no corresponding x-amz-checksum-* or x-amz-trailer headers were found."
        raise S3Error("InvalidRequest", f"{BY_SDK} specified, but {missing}")
    if named.upper() not in sent:
        raise S3Error("InvalidRequest", f"Value for {BY_SDK} header is invalid.")


def of(algorithm: str, data: bytes) -> Checksum:
    """Sum some bytes."""
    total = summer(algorithm)
    total.update(data)
    return encoded(algorithm, total)


def encoded(algorithm: str, total: Summer) -> Checksum:
    """Give a sum the form that travels."""
    return Checksum(algorithm, base64.b64encode(total.digest()).decode())


def combined(algorithm: str, composite: bool, parts: Iterable[tuple[Checksum, int]]) -> Checksum:
    """The checksum of an object, from those of its parts and their sizes in bytes."""
    sums = [(base64.b64decode(checksum.value), size) for checksum, size in parts]
    if composite:
        value = of(algorithm, b"".join(one for one, _ in sums)).value
        return Checksum(algorithm, f"{value}-{len(sums)}", composite=True)
    total = 0
    for one, size in sums:
        total = _COMBINE[algorithm](total, int.from_bytes(one, "big"), size)
    return Checksum(algorithm, base64.b64encode(total.to_bytes(SIZES[algorithm], "big")).decode())


def multipart_kind(algorithm: str | None, kind: str) -> tuple[str, bool]:
    """Which algorithm, and composite or not, a multipart upload has that was begun with these words.

    Args:
        algorithm: One of `SIZES`; None if none was said.
        kind: ``COMPOSITE`` or ``FULL_OBJECT``; empty if neither was said.

    Raises:
        S3Error: InvalidRequest, the two do not go together.
    """
    if algorithm is None:
        if kind:
            needs = "header can only be used with the x-amz-checksum-algorithm header."
            raise S3Error("InvalidRequest", f"The x-amz-checksum-type {needs}")
        return DEFAULT, False
    composite = kind == "COMPOSITE" if kind else algorithm != DEFAULT
    possible = algorithm != DEFAULT if composite else algorithm in _COMBINE
    if not possible:
        message = f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        raise S3Error("InvalidRequest", message)
    return algorithm, composite
