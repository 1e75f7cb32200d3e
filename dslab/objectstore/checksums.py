"""The x-amz-checksum family: what the bytes of an upload add up to, counted while they pass.

A client may send the checksum of a body, in a header or in a trailer; the store counts it too, refuses
a body that came otherwise, and keeps it with the object. Of an object made of parts it is either of one piece
(``FULL_OBJECT``: CRCs of parts can be combined, because they are linear) or the checksum of the parts'
checksums (``COMPOSITE``).

Source: Amazon S3 User Guide, Checking object integrity; RFC 3720, appendix B.4 (CRC-32C); NVM Express
(CRC-64).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from awscrt import checksums as crt

from dslab.objectstore.errors import S3Error
from dslab.objectstore.messages import Checksum

DEFAULT = "CRC64NVME"
PREFIX = "x-amz-checksum-"


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


def summer(algorithm: str) -> Summer:
    """Begin to sum."""
    match algorithm:
        case "CRC32":
            return _Crc(zlib.crc32, 4)
        case "CRC32C":
            return _Crc(crt.crc32c, 4)
        case "CRC64NVME":
            return _Crc(crt.crc64nvme, 8)
        case "SHA1":
            return hashlib.sha1(usedforsecurity=False)
        case "SHA256":
            return hashlib.sha256()
    raise S3Error(
        "InvalidRequest",
        "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
        f"[{', '.join(SIZES)}]",
    )


SIZES: Mapping[str, int] = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}
"""Algorithm: the length of its sum, in bytes."""

_COMBINE: Mapping[str, Callable[[int, int, int], int]] = {
    "CRC32": crt.combine_crc32,
    "CRC32C": crt.combine_crc32c,
    "CRC64NVME": crt.combine_crc64nvme,
}


def header_of(checksum: Checksum) -> tuple[str, str]:
    """The header that tells a checksum."""
    return PREFIX + checksum.algorithm.lower(), checksum.value


def given(headers: Mapping[str, str]) -> Checksum | None:
    """Find the checksum that a request's headers, or trailers, give.

    Raises:
        S3Error: InvalidRequest, there are several; BadDigest, it is none.
    """
    found = [
        Checksum(algorithm, headers[PREFIX + algorithm.lower()])
        for algorithm in SIZES
        if PREFIX + algorithm.lower() in headers
    ]
    if len(found) > 1:
        raise S3Error(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    for checksum in found:
        check_value(checksum)
    return found[0] if found else None


def check_value(checksum: Checksum) -> None:
    """Is it base64, and of the right length? If not, no body has it.

    Raises:
        S3Error: BadDigest.
    """
    try:
        size = len(base64.b64decode(checksum.value, validate=True))
    except (binascii.Error, ValueError):
        size = -1
    if size != SIZES[checksum.algorithm]:
        name = PREFIX + checksum.algorithm.lower()
        raise S3Error("BadDigest", f"Value for {name} header is invalid.")


def check_algorithm(name: str) -> str:
    """Read the name of an algorithm.

    Raises:
        S3Error: InvalidRequest, there is none of that name.
    """
    summer(name.upper())
    return name.upper()


def announced(headers: Mapping[str, str]) -> str | None:
    """Which algorithm is announced: by a header with a sum, a trailer to come, or by name alone."""
    if checksum := given(headers):
        return checksum.algorithm
    for name in headers.get("x-amz-trailer", "").lower().split(","):
        if name.strip().startswith(PREFIX):
            return check_algorithm(name.strip().removeprefix(PREFIX))
    by_name = headers.get("x-amz-sdk-checksum-algorithm") or headers.get("x-amz-checksum-algorithm")
    return check_algorithm(by_name) if by_name else None


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


def multipart_kind(algorithm: str | None, kind: str | None) -> tuple[str, bool]:
    """Which algorithm, and composite or not, a multipart upload has that was begun with these words.

    Raises:
        S3Error: InvalidRequest, the two do not go together.
    """
    if algorithm is None:
        if kind:
            raise S3Error("InvalidRequest", "x-amz-checksum-type needs an x-amz-checksum-algorithm.")
        return DEFAULT, False
    composite = kind == "COMPOSITE" if kind else algorithm != DEFAULT
    possible = {"CRC64NVME": (False,), "SHA1": (True,), "SHA256": (True,)}.get(algorithm, (True, False))
    if kind not in (None, "", "COMPOSITE", "FULL_OBJECT") or composite not in possible:
        message = f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm."
        raise S3Error("InvalidRequest", message)
    return algorithm, composite
