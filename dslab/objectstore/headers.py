"""Headers of an object: what of a request is kept, and what is given back.

Source: Amazon S3 User Guide, Working with object metadata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache

from dslab.objectstore import checksums, encryption
from dslab.objectstore.access import check_acl, check_no_grants
from dslab.objectstore.call import Call, decoded
from dslab.objectstore.errors import S3Error
from dslab.objectstore.messages import NULL_VERSION, Bucket, Checksum, Meta, Version, Versioning
from dslab.objectstore.protocol import check_metadata, check_tags

DEFAULT_TYPE = "binary/octet-stream"

KEPT = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
)
STORAGE_CLASSES = (
    *("STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING"),
    *("GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "GLACIER_IR", "EXPRESS_ONEZONE"),
)

_TAG = re.compile("((?:[^=%]|%[0-9A-Fa-f]{2})+)(?:=((?:[^=%]|%[0-9A-Fa-f]{2})*))?")

_LOCKS = frozenset(f"x-amz-object-lock-{each}" for each in ("mode", "retain-until-date", "legal-hold"))


def meta_of(headers: Mapping[str, str]) -> Meta:
    """Read what a request says about the object that it puts.

    Raises:
        S3Error: MetadataTooLarge, InvalidTag, InvalidStorageClass, InvalidRedirectLocation,
            InvalidArgument; NotImplemented, InvalidRequest, it asks for what is not there; as
            `encryption.check_write`.
    """
    encryption.check_write(headers)
    if not _LOCKS.isdisjoint(headers):
        raise S3Error("InvalidRequest", "Bucket is missing ObjectLockConfiguration")
    check_no_grants(headers)
    kept = {name: headers[name] for name in KEPT if name in headers}
    if "content-encoding" in kept:
        codings = kept.pop("content-encoding").split(",")
        if rest := ",".join(one for one in codings if one.strip().lower() not in ("", "aws-chunked")).strip():
            kept["content-encoding"] = rest
    if not kept.get("x-amz-website-redirect-location", "/").startswith(("http://", "https://", "/")):
        raise S3Error("InvalidRedirectLocation")
    kept.setdefault("content-type", DEFAULT_TYPE)
    storage_class = kept.pop("x-amz-storage-class", "STANDARD")
    if storage_class not in STORAGE_CLASSES:
        raise S3Error("InvalidStorageClass")
    if storage_class != "STANDARD":
        kept["x-amz-storage-class"] = storage_class
    kept |= {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
    check_metadata(kept)
    return Meta(kept, tags_of(headers), check_acl(headers.get("x-amz-acl", "private")))


def tags_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Read the tags in a header: ``x-amz-tagging: a=1&b=2``.

    Raises:
        S3Error: InvalidArgument, InvalidTag.
    """
    text = headers.get("x-amz-tagging")
    if not text:
        return {}
    pairs = [_tag_in(pair) for pair in text.split("&") if pair]
    tags = [pair for pair in pairs if pair]
    if len({name for name, _ in tags}) < len(pairs):
        message = (
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters "
            "without tag name duplicates."
        )
        raise S3Error("InvalidArgument", message, ArgumentName="x-amz-tagging", ArgumentValue=text)
    return check_tags(tags)


def _tag_in(pair: str) -> tuple[str, str] | None:
    """Read one tag of a header, each of whose characters is a byte; None for what is none."""
    found = _TAG.fullmatch(pair)
    if not found:
        return None
    try:
        return decoded(found[1].encode("latin-1")), decoded((found[2] or "").encode("latin-1"))
    except UnicodeDecodeError:
        return None


def of_version(call: Call, bucket: Bucket, version: Version, *, is_whole: bool) -> dict[str, str]:
    """The headers that tell of an object, for GET and HEAD; of a range without the checksum of the whole.

    Raises:
        S3Error: As `wants_checksum`.
    """
    content, meta = version.content, version.meta
    headers = {
        "last-modified": http_date(int(version.modified_s)),
        "etag": f'"{content.etag}"',
        "accept-ranges": "bytes",
        **meta.headers,
        **version_header(bucket, version),
    }
    if meta.tags:
        headers["x-amz-tagging-count"] = str(len(meta.tags))
    if wants_checksum(call) and is_whole and content.checksum:
        headers |= checksum_headers(content.checksum)
    return headers


def wants_checksum(call: Call) -> bool:
    """Does a GET want to be told the checksum?

    Raises:
        S3Error: InvalidRequest, it says neither that nor nothing.
    """
    mode = call.headers.get("x-amz-checksum-mode")
    if mode is None:
        return False
    if mode.upper() != "ENABLED":
        raise S3Error("InvalidRequest", "Value for x-amz-checksum-mode header is invalid.")
    return True


def of_put(version: Version) -> dict[str, str]:
    """The headers that tell what was put."""
    headers = {"etag": f'"{version.content.etag}"', **new_version_header(version)}
    if version.content.checksum:
        headers |= checksum_headers(version.content.checksum)
    return headers


def version_header(bucket: Bucket, version: Version) -> dict[str, str]:
    """The header that tells which version was read, where there are versions."""
    return {} if bucket.versioning is Versioning.NEVER else {"x-amz-version-id": version.version_id}


def new_version_header(version: Version) -> dict[str, str]:
    """The header that tells the version of what was written, if it has one of its own: no ``null``."""
    return {} if version.version_id == NULL_VERSION else {"x-amz-version-id": version.version_id}


def checksum_headers(checksum: Checksum) -> dict[str, str]:
    """The headers that tell a checksum."""
    name, value = checksums.header_of(checksum)
    return {name: value, "x-amz-checksum-type": checksum.kind}


@lru_cache(maxsize=1024)
def http_date(seconds: int) -> str:
    """Write a time: Sun, 06 Nov 1994 08:49:37 GMT."""
    return formatdate(seconds, usegmt=True)
