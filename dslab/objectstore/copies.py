"""Copying inside the store: objects, and ranges of objects as parts. No byte goes over the network.

Source: Amazon S3 API Reference: CopyObject, UploadPartCopy.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar
from urllib.parse import unquote_to_bytes

from dslab.objectstore import checksums, encryption
from dslab.objectstore import headers as object_headers
from dslab.objectstore.access import Action
from dslab.objectstore.call import Call, Send, answer
from dslab.objectstore.documents import MEDIA_TYPE, Child, time_text, write
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
from dslab.objectstore.protocol import Conditions, check_bucket_name, check_key, copy_range
from dslab.objectstore.puts import part_target, write_conditions
from dslab.objectstore.service import Service, check_version_id, look_again

T = TypeVar("T")

_XML = {"content-type": MEDIA_TYPE}

_BROKEN_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


class Source(NamedTuple):
    """What a request says is to be copied.

    Attributes:
        version_id: None for the current version.
    """

    bucket: str
    key: str
    version_id: str | None


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
    said = source_of(call.headers["x-amz-copy-source"])
    named = call.headers.get("x-amz-checksum-algorithm", "")
    copy = partial(_copy_object, algorithm=checksums.check_algorithm(named) if named else "")
    from_bucket, source, version = await _of_source(service, call, said, copy)
    headers = {
        **_XML,
        **object_headers.new_version_header(version),
        **_source_header(from_bucket, source),
    }
    content = version.content
    body = _result("CopyObjectResult", content.etag, version.modified_s, content.checksum, with_kind=True)
    await answer(call.id, send, 200, headers, body)


async def copy_part(service: Service, call: Call, send: Send) -> None:
    """Copy a range of an object as a part of an upload in progress."""
    service.bucket(call, Action.WRITE)
    said = source_of(call.headers["x-amz-copy-source"])
    upload, number = part_target(service, call)
    encryption.check_part(call.headers)
    copy = partial(_copy_part, upload=upload, number=number)
    from_bucket, source, part = await _of_source(service, call, said, copy)
    headers = {**_XML, **_source_header(from_bucket, source)}
    body = _result("CopyPartResult", part.etag, part.modified_s, part.checksum if upload.declared else None)
    await answer(call.id, send, 200, headers, body)


async def _of_source(
    service: Service, call: Call, said: Source, copy: Callable[[Service, Call, Found], T]
) -> tuple[Bucket, Version, T]:
    """Find what is to be copied, and copy it, in a thread; gives both, and the bucket that it comes from."""

    def attempt() -> tuple[Bucket, Version, T]:
        found = _find(service, call, said)
        return found.bucket, found.version, copy(service, call, found)

    return await service.run(look_again, attempt)


def _copy_object(service: Service, call: Call, found: Found, algorithm: str) -> Version:
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


def source_of(header: str) -> Source:
    """Read x-amz-copy-source: a bucket and a key, percent-encoded or not, and perhaps a version.

    Raises:
        S3Error: InvalidArgument, it is none; KeyTooLongError.
    """
    text, question, version_id = header.partition("?versionId=")
    try:
        path = unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeError as error:
        raise _no_source("encoding", header) from error
    if _BROKEN_ESCAPE.search(text):
        raise _no_source("encoding", header)
    name, _, key = path.removeprefix("/").partition("/")
    try:
        check_bucket_name(name)
    except S3Error as error:
        raise _no_source("bucket name", header) from error
    if not key:
        raise _no_source("object key", header)
    check_key(key)
    return Source(name, key, check_version_id(version_id) if question else None)


def _no_source(what: str, header: str) -> S3Error:
    message = f"Invalid copy source {what}"
    return S3Error("InvalidArgument", message, ArgumentName="x-amz-copy-source", ArgumentValue=header)


def _find(service: Service, call: Call, said: Source) -> Found:
    """Find what is to be copied."""
    bucket, found = service.store.look(*said)
    try:
        source = service.present(call, bucket, found, said.key, said.version_id)
    except S3Error as error:
        if error.code != "MethodNotAllowed":
            raise
        message = "The source of a copy request may not specifically refer to a delete marker by version id."
        raise S3Error("InvalidRequest", message) from error
    call.check(service.rules, Action.READ, bucket, source)
    encryption.check_source(call.headers)
    Conditions.of(call.headers, "x-amz-copy-source-").check_source(source)
    return Found(bucket, source, said.version_id is not None)


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
        word = name.removeprefix("x-amz-").replace("-", " ")
        raise S3Error("InvalidArgument", f"Unknown {word}.", ArgumentName=name, ArgumentValue=text)
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


def _result(
    name: str, etag: str, modified_s: float, checksum: Checksum | None, *, with_kind: bool = False
) -> bytes:
    """Tell what was written. Of a part there is no kind of checksum to tell: it is of one piece."""
    children: list[Child] = [("LastModified", time_text(modified_s)), ("ETag", f'"{etag}"')]
    if checksum:
        children.append((f"Checksum{checksum.algorithm}", checksum.value))
        if with_kind:
            children.append(("ChecksumType", checksum.kind))
    return write(name, children)
