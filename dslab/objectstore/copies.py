"""Copying inside the store: objects, and ranges of objects as parts. No byte goes over the network.

Source: Amazon S3 API Reference: CopyObject, UploadPartCopy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar
from urllib.parse import unquote

from dslab.objectstore import checksums, encryption
from dslab.objectstore import headers as object_headers
from dslab.objectstore.access import Action
from dslab.objectstore.call import Call, Send, answer
from dslab.objectstore.documents import MEDIA_TYPE, time_text, write
from dslab.objectstore.errors import S3Error
from dslab.objectstore.messages import (
    MAX_PUT_BYTES,
    NULL_VERSION,
    Bucket,
    Checksum,
    Content,
    Meta,
    Part,
    Upload,
    Version,
    Versioning,
)
from dslab.objectstore.protocol import Conditions, check_key, copy_range
from dslab.objectstore.puts import part_target, write_conditions
from dslab.objectstore.service import Service, look_again
from dslab.objectstore.store import present

T = TypeVar("T")

_XML = {"content-type": MEDIA_TYPE}


class Found(NamedTuple):
    """What is to be copied.

    Attributes:
        bucket: Where it is.
        is_named: Whether the request names this version.
    """

    bucket: Bucket
    version: Version
    is_named: bool


async def copy_object(service: Service, call: Call, send: Send) -> None:
    """Copy an object, with its metadata or with other."""
    service.bucket(call, Action.WRITE)
    from_bucket, source, version = await _of_source(service, call, _copy_object)
    headers = {
        **_XML,
        **object_headers.new_version_header(version),
        **_source_header(from_bucket, source),
    }
    content = version.content
    body = _result("CopyObjectResult", content.etag, version.modified_s, content.checksum)
    await answer(call.id, send, 200, headers, body)


async def copy_part(service: Service, call: Call, send: Send) -> None:
    """Copy a range of an object as a part of an upload in progress."""
    service.bucket(call, Action.WRITE)
    upload, number = part_target(service, call)
    encryption.check_part(call.headers)
    copy = partial(_copy_part, upload=upload, number=number)
    from_bucket, source, part = await _of_source(service, call, copy)
    headers = {**_XML, **_source_header(from_bucket, source)}
    body = _result("CopyPartResult", part.etag, part.modified_s, part.checksum)
    await answer(call.id, send, 200, headers, body)


async def _of_source(
    service: Service, call: Call, copy: Callable[[Service, Call, Found], T]
) -> tuple[Bucket, Version, T]:
    """Find what is to be copied, and copy it, in a thread; gives both, and the bucket that it comes from."""

    def attempt() -> tuple[Bucket, Version, T]:
        found = _source(service, call)
        return found.bucket, found.version, copy(service, call, found)

    return await service.run(look_again, attempt)


def _copy_object(service: Service, call: Call, found: Found) -> Version:
    source, target = found.version, call.target
    if source.content.size_bytes > MAX_PUT_BYTES:
        message = "The specified copy source is larger than the maximum allowable size for a copy source"
        raise S3Error("InvalidRequest", message)
    meta = _meta(call, source)
    is_itself = (found.bucket.name, source.key) == (target.bucket, target.key) and not found.is_named
    if is_itself and not _changes(call):
        raise S3Error(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing "
            "the object's metadata, storage class, website redirect location or encryption attributes.",
        )
    named = call.headers.get("x-amz-checksum-algorithm", "")
    algorithm = checksums.check_algorithm(named) if named else ""
    conditions = write_conditions(service, call)
    return service.store.copy(source, target.bucket, target.key, meta, conditions, algorithm)


def _copy_part(service: Service, call: Call, found: Found, upload: Upload, number: int) -> Part:
    size_bytes = found.version.content.size_bytes
    header = call.headers.get("x-amz-copy-source-range")
    start, end = copy_range(header, size_bytes) if header else (0, size_bytes)
    if end - start > MAX_PUT_BYTES:
        raise S3Error("EntityTooLarge")
    contents = service.store.open(found.version, start, end)
    draft = service.store.draft()
    md5, total = hashlib.md5(usedforsecurity=False), checksums.summer(upload.algorithm)
    try:
        for piece in contents:
            md5.update(piece)
            total.update(piece)
            draft.write(piece)
        content = Content(end - start, md5.hexdigest(), checksums.encoded(upload.algorithm, total))
        target = call.target
        return service.multipart.put_part(target.bucket, target.key, upload.upload_id, number, draft, content)
    except BaseException:
        draft.discard()
        raise
    finally:
        contents.close()


def _source(service: Service, call: Call) -> Found:
    """Find what is to be copied."""
    text, question, version_id = call.headers["x-amz-copy-source"].partition("?versionId=")
    try:
        name, slash, key = unquote(text, errors="strict").removeprefix("/").partition("/")
        key = key.encode("latin-1").decode() if not key.isascii() and "%" not in text else key
    except UnicodeError as error:
        raise S3Error("InvalidArgument", ArgumentName="x-amz-copy-source") from error
    if not (name and slash and key):
        message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
        raise S3Error("InvalidArgument", message, ArgumentName="x-amz-copy-source", ArgumentValue=text)
    check_key(key)
    bucket, found = service.store.look(name, key, version_id if question else None)
    if question and found is not None and found.marker:
        raise S3Error("InvalidRequest", "A delete marker is nothing that could be copied.")
    source = present(found, key, version_id if question else None)
    call.check(service.rules, Action.READ, bucket, source)
    encryption.check_source(call.headers)
    Conditions.of(call.headers, "x-amz-copy-source-").check_source(source)
    return Found(bucket, source, bool(question))


def _meta(call: Call, source: Version) -> Meta:
    said = object_headers.meta_of(call.headers)
    replaces = _directive(call, "x-amz-metadata-directive")
    tagged = _directive(call, "x-amz-tagging-directive")
    headers = said.headers if replaces else source.meta.headers
    if not replaces:
        storage = ("x-amz-storage-class", "x-amz-website-redirect-location")
        headers = {name: value for name, value in headers.items() if name not in storage}
        headers |= {name: said.headers[name] for name in storage if name in said.headers}
    return replace(said, headers=headers, tags=said.tags if tagged else source.meta.tags)


def _directive(call: Call, name: str) -> bool:
    """Is something replaced, or copied?"""
    text = call.headers.get(name, "COPY")
    if text not in ("COPY", "REPLACE"):
        raise S3Error("InvalidArgument", f"Unknown {name}.", ArgumentName=name, ArgumentValue=text)
    return text == "REPLACE"


def _changes(call: Call) -> bool:
    """Would the copy differ from its source?"""
    named = ("x-amz-storage-class", "x-amz-website-redirect-location", "x-amz-checksum-algorithm")
    return _directive(call, "x-amz-metadata-directive") or any(name in call.headers for name in named)


def _source_header(bucket: Bucket, source: Version) -> dict[str, str]:
    """The header that tells which version was copied: as little ``null`` as is told of what was written."""
    if source.version_id == NULL_VERSION and bucket.versioning is not Versioning.ENABLED:
        return {}
    return {"x-amz-copy-source-version-id": source.version_id}


def _result(name: str, etag: str, modified_s: float, checksum: Checksum | None) -> bytes:
    children: list[tuple[str, str]] = [("LastModified", time_text(modified_s)), ("ETag", f'"{etag}"')]
    if checksum:
        children.append((f"Checksum{checksum.algorithm}", checksum.value))
        children.append(("ChecksumType", checksum.kind))
    return write(name, children)
