"""S3's rules, apart from any server: what a request is about, and whether it may be done.

Everything here is a function of its arguments. Nothing is read from a disk, a network or a clock.

Source: Amazon S3 User Guide (bucket naming, object keys) and API Reference; RFC 9110, sections 13
(conditional requests) and 14 (range requests); ch. 2, RESTful architectures.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_to_bytes

from dslab.objectstore.errors import S3Error
from dslab.objectstore.messages import MAX_PARTS, Version

MAX_KEY_BYTES = 1024
MAX_METADATA_BYTES = 2 * 1024
MAX_TAGS, MAX_TAG_KEY, MAX_TAG_VALUE = 10, 128, 256
MAX_BUCKET_TAGS = 50

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_REGION = re.compile(r"[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}|EU")
_RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")

_RANGE = re.compile(r"bytes=(\d{0,20})-(\d{0,20})", re.ASCII | re.IGNORECASE)
"""No size has more digits; and of thousands of them Python makes no number."""
_TAG_CHARACTERS = re.compile(r"[\w\s+\-=.:/@]*")


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about: nothing, a bucket, or an object."""

    bucket: str = ""
    key: str = ""


def target(host: str, raw_path: bytes, domain: str) -> Target:
    """Tell bucket and key from the host and the path.

    Args:
        host: The Host header.
        raw_path: The path as it travelled, percent-encoded.
        domain: Hosts under it name a bucket: of ``s3.localhost``, ``mybucket.s3.localhost:7000``.

    Raises:
        S3Error: InvalidURI, the path is not UTF-8 or has a NUL; KeyTooLongError.
    """
    try:
        path = (unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path).decode()
    except UnicodeDecodeError as error:
        raise S3Error("InvalidURI") from error
    if "\0" in path:
        raise S3Error("InvalidURI")
    name = host.partition(":")[0].lower()
    if name.endswith("." + domain):
        bucket, key = name.removesuffix("." + domain), path[1:]
    else:
        bucket, _, key = path[1:].partition("/")
    check_key(key)
    return Target(bucket, key)


def check_bucket_name(name: str) -> None:
    """Hold a new bucket's name to S3's rules, which are those of a host's name, and a few more.

    Raises:
        S3Error: InvalidBucketName.
    """
    if (
        not 3 <= len(name) <= 63
        or not all(_LABEL.fullmatch(label) for label in name.split("."))
        or _IP_ADDRESS.fullmatch(name)
        or name.startswith(_RESERVED_STARTS)
        or name.endswith(_RESERVED_ENDS)
    ):
        raise S3Error("InvalidBucketName", BucketName=name)


def check_region(name: str) -> None:
    """Hold a region's name to the form that Amazon's have: ``eu-west-1``, ``us-gov-east-1``; ``EU`` of old.

    This store is in none of them: it takes every name of that form.

    Raises:
        S3Error: InvalidLocationConstraint.
    """
    if not _REGION.fullmatch(name):
        raise S3Error("InvalidLocationConstraint", LocationConstraint=name)


def check_key(key: str) -> None:
    """Keys are opaque: any UTF-8, but not too long.

    Raises:
        S3Error: KeyTooLongError; InvalidArgument, it is no UTF-8 or has a NUL.
    """
    if len(key) * 4 <= MAX_KEY_BYTES and "\0" not in key and key.isascii():
        return
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise S3Error("InvalidArgument", "The key is not UTF-8.") from error
    if "\0" in key:
        raise S3Error("InvalidArgument", "A key has no NUL.")
    if size > MAX_KEY_BYTES:
        raise S3Error("KeyTooLongError", Size=str(size), MaxSizeAllowed=str(MAX_KEY_BYTES))


# ---- ranges


def range_of(header: str, size_bytes: int) -> tuple[int, int] | None:
    """Give the bytes that a Range header asks for, as (from, to), the last one exclusive.

    Returns:
        None for what is no single range of bytes: such a header is ignored, and the whole object sent. So
        it is if the last bytes of an empty object are asked for: they are all that it has.

    Raises:
        S3Error: InvalidRange, the object has no such bytes.
    """
    found = _RANGE.fullmatch(header.strip())
    if not found or found[0].endswith("=-"):
        return None
    first, last = found[1], found[2]
    if not first:
        if not size_bytes and int(last):
            return None
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < start:
            return None
    if start >= size_bytes:
        raise S3Error(
            "InvalidRange",
            headers={"content-range": f"bytes */{size_bytes}"},
            ActualObjectSize=str(size_bytes),
            RangeRequested=header,
        )
    return start, end


def copy_range(header: str, size_bytes: int) -> tuple[int, int]:
    """Read x-amz-copy-source-range, which is stricter: both ends given, and within the source.

    Raises:
        S3Error: InvalidArgument, it is no such range; InvalidRange, the source has no such bytes.
    """
    found = _RANGE.fullmatch(header.strip())
    if not found or not found[1] or not found[2] or int(found[1]) > int(found[2]):
        raise S3Error(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last "
            "are the zero-based offsets of the first and last bytes to copy",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    start, end = int(found[1]), int(found[2]) + 1
    if end > size_bytes:
        raise S3Error("InvalidRange", f"The source has {size_bytes} bytes.")
    return start, end


def part_number(text: str) -> int:
    """Read a part's number.

    Raises:
        S3Error: InvalidArgument.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= MAX_PARTS):
        message = f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive"
        raise S3Error("InvalidArgument", message, ArgumentName="partNumber", ArgumentValue=text)
    return int(text)


# ---- conditions


@dataclass(frozen=True, slots=True)
class Conditions:
    """The If-... headers of a request; None for one that it has not.

    Attributes:
        match: ETags, one of which the object must have; ``*`` for any.
        none_match: ETags that it must not have; ``*`` for: it must not exist.
        size_bytes: Which size it must have to be deleted.
        modified_s: When it must have been written to be deleted, to the second.
    """

    match: str | None = None
    none_match: str | None = None
    modified_since_s: float | None = None
    unmodified_since_s: float | None = None
    size_bytes: int | None = None
    modified_s: float | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str], prefix: str = "") -> Conditions:
        """Read them: of a copy's source they begin with ``x-amz-copy-source-``."""
        return cls(
            match=headers.get(f"{prefix}if-match"),
            none_match=headers.get(f"{prefix}if-none-match"),
            modified_since_s=parse_http_date(headers.get(f"{prefix}if-modified-since")),
            unmodified_since_s=parse_http_date(headers.get(f"{prefix}if-unmodified-since")),
        )

    @classmethod
    def of_delete(cls, headers: Mapping[str, str]) -> Conditions:
        """Read those of a DELETE, which may ask for a size and a time as well.

        Raises:
            S3Error: InvalidArgument, it asks for what is none: ignored, it would delete too much.
        """
        return replace(
            cls.of(headers),
            size_bytes=_exact_size(headers.get("x-amz-if-match-size")),
            modified_s=_exact_time(headers.get("x-amz-if-match-last-modified-time")),
        )

    def check_read(self, version: Version) -> None:
        """May this version be read?

        Raises:
            S3Error: PreconditionFailed or NotModified.
        """
        etag, modified_s = version.content.etag, int(version.modified_s)
        if self.match is not None:
            if not has_etag(self.match, etag):
                raise _failed("If-Match")
        elif self.unmodified_since_s is not None and modified_s > self.unmodified_since_s:
            raise _failed("If-Unmodified-Since")
        if self.none_match is not None:
            if has_etag(self.none_match, etag):
                raise _not_modified(version)
        elif self.modified_since_s is not None and modified_s <= self.modified_since_s:
            raise _not_modified(version)

    def check_source(self, version: Version) -> None:
        """May this version be copied? A copy has no answer 304: every condition that fails is a 412.

        Raises:
            S3Error: PreconditionFailed.
        """
        try:
            self.check_read(version)
        except S3Error as error:
            not_modified = "If-Modified-Since" if self.none_match is None else "If-None-Match"
            failed = error.details.get("Condition", not_modified)
            raise _failed(f"x-amz-copy-source-{failed}") from error

    def check_write(self, current: Version | None) -> None:
        """May the object be overwritten or deleted, as it is now? This is what prevents a lost update.

        Raises:
            S3Error: PreconditionFailed; NoSuchKey, it must have an ETag but does not exist.
        """
        there = current if current is not None and not current.marker else None
        if self.match is not None:
            if there is None:
                raise S3Error("NoSuchKey")
            if not has_etag(self.match, there.content.etag):
                raise _failed("If-Match")
        if there is None:
            return
        if self.none_match is not None and has_etag(self.none_match, there.content.etag):
            raise _failed("If-None-Match")
        if self.unmodified_since_s is not None and int(there.modified_s) > self.unmodified_since_s:
            raise _failed("If-Unmodified-Since")

    def check_delete(self, current: Version | None) -> None:
        """May the object, or this version of it, be deleted?

        What is not there may have any size and any time, but no ETag. A delete marker has nothing of that.

        Raises:
            S3Error: As `check_write`.
        """
        asked = (self.match, self.size_bytes, self.modified_s)
        if current is not None and current.marker and asked != (None, None, None):
            raise _failed("If-Match")
        self.check_write(current)
        if current is None:
            return
        if self.size_bytes not in (None, current.content.size_bytes):
            raise _failed("x-amz-if-match-size")
        if self.modified_s is not None and int(current.modified_s) != int(self.modified_s):
            raise _failed("x-amz-if-match-last-modified-time")


def has_etag(wanted: str, etag: str) -> bool:
    """Is the ETag in an If-Match or If-None-Match header? Quotes may be missing, as with S3."""
    return any(
        one == "*" or one.removeprefix("W/").strip('"') == etag for one in map(str.strip, wanted.split(","))
    )


def parse_http_date(text: str | None) -> float | None:
    """Read a date, in seconds since 1970; None for what is none: such a condition is ignored."""
    if text is None:
        return None
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _exact_size(text: str | None) -> int | None:
    """Read a size that a header says; None for no header.

    Raises:
        S3Error: InvalidArgument, it is none.
    """
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise S3Error("InvalidArgument", "That is no size.", ArgumentValue=text)
    return int(text)


def _exact_time(text: str | None) -> float | None:
    if text is None:
        return None
    seconds = parse_http_date(text)
    if seconds is None:
        raise S3Error("InvalidArgument", "That is no date.", ArgumentValue=text)
    return seconds


def _failed(condition: str) -> S3Error:
    return S3Error("PreconditionFailed", Condition=condition)


def _not_modified(version: Version) -> S3Error:
    """Say so, with what a cache must be told anew: RFC 9110, section 15.4.5."""
    kept = version.meta.headers
    told = {name: kept[name] for name in ("cache-control", "expires") if name in kept}
    return S3Error("NotModified", headers={"etag": f'"{version.content.etag}"', **told})


# ---- what belongs to an object


def multipart_etag(etags: Iterable[str]) -> str:
    """The ETag of an object made of parts: the MD5 of their MD5s, and how many they are.

    Raises:
        S3Error: InvalidPart, no part has such an ETag.
    """
    try:
        digests = [bytes.fromhex(etag) for etag in etags]
    except ValueError as error:
        raise S3Error("InvalidPart") from error
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def check_tags(tags: list[tuple[str, str]], most: int = MAX_TAGS) -> dict[str, str]:
    """Hold tags to S3's rules, one by one, and then their number.

    Args:
        tags: Names and values.
        most: `MAX_TAGS` of an object, `MAX_BUCKET_TAGS` of a bucket.

    Raises:
        S3Error: InvalidTag, one is too long, twice there, Amazon's own, or has forbidden characters; they are
            too many.
    """
    checked: dict[str, str] = {}
    for name, value in tags:
        _check_tag(name, value)
        if name in checked:
            raise S3Error("InvalidTag", "Cannot provide multiple Tags with the same key", TagKey=name)
        checked[name] = value
    if len(checked) > most:
        what = "Bucket tag count" if most == MAX_BUCKET_TAGS else "Object tags"
        raise S3Error("InvalidTag", f"{what} cannot be greater than {most}")
    return checked


def _check_tag(name: str, value: str) -> None:
    if name.startswith("aws:"):
        raise S3Error("InvalidTag", "System tags cannot be added/updated by requester", TagKey=name)
    if not name or len(name) > MAX_TAG_KEY or not _TAG_CHARACTERS.fullmatch(name):
        raise S3Error("InvalidTag", "The TagKey you have provided is invalid", TagKey=name)
    if len(value) > MAX_TAG_VALUE or not _TAG_CHARACTERS.fullmatch(value):
        raise S3Error("InvalidTag", "The TagValue you have provided is invalid", TagKey=name)


def check_metadata(headers: Mapping[str, str]) -> None:
    """Hold user metadata, ``x-amz-meta-...``, to their longest length.

    Raises:
        S3Error: MetadataTooLarge.
    """
    size = sum(
        len(name.removeprefix("x-amz-meta-")) + len(value.encode("latin-1", "replace"))
        for name, value in headers.items()
        if name.startswith("x-amz-meta-")
    )
    if size > MAX_METADATA_BYTES:
        raise S3Error("MetadataTooLarge", Size=str(size), MaxSizeAllowed=str(MAX_METADATA_BYTES))
