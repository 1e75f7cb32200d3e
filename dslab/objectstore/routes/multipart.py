"""Multipart uploads: begin, list, complete, abort. The parts themselves are bodies (`puts.put_part`).

Source: Amazon S3 API Reference: CreateMultipartUpload, ListParts, CompleteMultipartUpload ...
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from dslab.objectstore import checksums
from dslab.objectstore import headers as object_headers
from dslab.objectstore.access import Action
from dslab.objectstore.documents import MAX_DOCUMENT_BYTES, Child, read_parts, time_text
from dslab.objectstore.errors import S3Error
from dslab.objectstore.intake import whole
from dslab.objectstore.listing import Wanted
from dslab.objectstore.messages import MAX_KEYS, Checksum, Upload
from dslab.objectstore.protocol import Conditions
from dslab.objectstore.routes.buckets import OWNER
from dslab.objectstore.routes.lists import Encoding, encoder
from dslab.objectstore.routes.operation import (
    MAX_NUMBER,
    BucketCall,
    Here,
    ObjectCall,
    empty,
    number,
    subject,
    xml,
)
from dslab.objectstore.store import is_upload_id

router = subject("multipart uploads")

_SIZE = re.compile("-?[0-9]{1,19}")

UploadId = Annotated[str, Query(alias="uploadId")]
MostParts = Annotated[int, Query(alias="max-parts", ge=0, le=MAX_NUMBER), number("max-parts", MAX_KEYS)]
PartMarker = Annotated[
    int, Query(alias="part-number-marker", ge=0, le=MAX_NUMBER), number("part-number-marker", 0)
]
MostUploads = Annotated[int, Query(alias="max-uploads", ge=0, le=MAX_NUMBER), number("max-uploads", MAX_KEYS)]


@router.post("/{bucket}/{key}?uploads", summary="CreateMultipartUpload")
async def begin(service: Here, call: ObjectCall) -> Response:
    """Begin an upload in parts."""
    service.bucket(call, Action.WRITE)
    name = call.headers.get("x-amz-checksum-algorithm")
    algorithm, composite = checksums.multipart_kind(
        checksums.check_algorithm(name) if name else None, _said_kind(call.headers)
    )
    meta = object_headers.meta_of(call.headers)
    target = call.target
    wanted = Upload("", target.key, 0.0, meta, algorithm, composite, declared=bool(name))
    upload = await service.run(service.multipart.begin, target.bucket, wanted)
    children: list[Child] = [("Bucket", target.bucket), ("Key", target.key), ("UploadId", upload.upload_id)]
    headers = {}
    if name:
        headers = {"x-amz-checksum-algorithm": upload.algorithm, "x-amz-checksum-type": upload.kind}
    return xml("InitiateMultipartUploadResult", children, headers)


@router.get("/{bucket}/{key}?uploadId", summary="ListParts")
def list_parts(  # noqa: PLR0917
    service: Here,
    call: ObjectCall,
    upload_id: UploadId = "",
    max_parts: MostParts = MAX_KEYS,
    part_number_marker: PartMarker = 0,
    encoding_type: Encoding = "",
) -> Response:
    """List the parts that have come."""
    service.bucket(call, Action.WRITE)
    target = call.target
    upload = service.multipart.find(target.bucket, target.key, upload_id)
    most = min(max_parts, MAX_KEYS)
    have = service.multipart.parts(target.bucket, target.key, upload_id, part_number_marker, most + 1)
    shown = have[:most]
    children: list[Child] = [
        ("Bucket", target.bucket),
        ("Key", encoder(encoding_type)(target.key)),
        ("UploadId", upload_id),
        ("PartNumberMarker", part_number_marker),
        ("NextPartNumberMarker", shown[-1].number if shown else 0),
        ("MaxParts", most),
        ("IsTruncated", len(have) > most > 0),
        ("Initiator", OWNER),
        ("Owner", OWNER),
        ("StorageClass", _storage_class(upload)),
        *_kind(upload),
    ]
    for part in shown:
        row: list[Child] = [("PartNumber", part.number), ("LastModified", time_text(part.modified_s))]
        row += [("ETag", f'"{part.etag}"'), ("Size", part.size_bytes)]
        if part.checksum and upload.declared:
            row.append((f"Checksum{part.checksum.algorithm}", part.checksum.value))
        children.append(("Part", row))
    return xml("ListPartsResult", children)


@router.post("/{bucket}/{key}?uploadId", summary="CompleteMultipartUpload")
async def complete(service: Here, call: ObjectCall, upload_id: UploadId = "") -> Response:
    """Make an object of the parts."""
    service.bucket(call, Action.WRITE)
    target = call.target
    # A checksum in the headers is that of the object to be, not of this document.
    parts = await service.run(read_parts, await whole(call, MAX_DOCUMENT_BYTES, summed=False))
    version = await service.run(
        service.multipart.complete,
        target.bucket,
        target.key,
        upload_id,
        parts,
        Conditions.of(call.headers),
        _expected(call.headers),
        _said_kind(call.headers),
        _said_size(call.headers.get("x-amz-mp-object-size")),
    )
    checksum = version.content.checksum
    children: list[Child] = [
        ("Location", f"http://{call.host}{call.path.decode('ascii', 'replace')}"),
        ("Bucket", target.bucket),
        ("Key", target.key),
        ("ETag", f'"{version.content.etag}"'),
    ]
    if checksum:
        children.append((f"Checksum{checksum.algorithm}", checksum.value))
        children.append(("ChecksumType", checksum.kind))
    return xml("CompleteMultipartUploadResult", children, object_headers.new_version_header(version))


@router.delete("/{bucket}/{key}?uploadId", summary="AbortMultipartUpload", status_code=204)
async def abort(service: Here, call: ObjectCall, upload_id: UploadId = "") -> Response:
    """Forget an upload and its parts."""
    service.bucket(call, Action.WRITE)
    await service.run(service.multipart.abort, call.target.bucket, call.target.key, upload_id)
    return empty(204)


@router.get("/{bucket}?uploads", summary="ListMultipartUploads")
def list_uploads(  # noqa: PLR0917
    service: Here,
    call: BucketCall,
    prefix: str = "",
    delimiter: str = "",
    max_uploads: MostUploads = MAX_KEYS,
    encoding_type: Encoding = "",
    key_marker: Annotated[str, Query(alias="key-marker")] = "",
    upload_id_marker: Annotated[str, Query(alias="upload-id-marker")] = "",
) -> Response:
    """List the uploads in progress."""
    service.bucket(call, Action.LIST)
    show = encoder(encoding_type)
    id_marker = upload_id_marker if key_marker else ""
    if id_marker and not is_upload_id(id_marker):
        message = "Invalid uploadId marker"
        raise S3Error("InvalidArgument", message, ArgumentName="upload-id-marker", ArgumentValue=id_marker)
    wanted = Wanted(prefix, delimiter, key_marker, id_marker, min(max_uploads, MAX_KEYS))
    page = service.multipart.in_progress(call.target.bucket, wanted)
    children: list[Child] = [
        ("Bucket", call.target.bucket),
        ("KeyMarker", show(key_marker)),
        ("UploadIdMarker", id_marker),
        ("NextKeyMarker", show(page.next_key) if page.truncated else ""),
        ("NextUploadIdMarker", page.next_id if page.truncated else ""),
        ("Prefix", show(prefix)),
        ("Delimiter", show(delimiter) if delimiter else None),
        ("EncodingType", encoding_type or None),
        ("MaxUploads", wanted.most),
        ("IsTruncated", page.truncated),
    ]
    for upload in page.entries:
        assert isinstance(upload, Upload)
        row: list[Child] = [("Key", show(upload.key)), ("UploadId", upload.upload_id)]
        row += [("Initiator", OWNER), ("Owner", OWNER), ("StorageClass", _storage_class(upload))]
        row += [("Initiated", time_text(upload.started_s)), *_kind(upload)]
        children.append(("Upload", row))
    children += [("CommonPrefixes", [("Prefix", show(one))]) for one in page.prefixes]
    return xml("ListMultipartUploadsResult", children)


def _storage_class(upload: Upload) -> str:
    return upload.meta.headers.get("x-amz-storage-class", "STANDARD")


def _kind(upload: Upload) -> list[Child]:
    if not upload.declared:
        return []
    return [("ChecksumAlgorithm", upload.algorithm), ("ChecksumType", upload.kind)]


def _said_kind(headers: Mapping[str, str]) -> str:
    """Read x-amz-checksum-type, which may be in small letters; empty if there is none.

    Raises:
        S3Error: InvalidRequest, there is no such type.
    """
    kind = headers.get("x-amz-checksum-type", "").upper()
    if kind not in ("", "COMPOSITE", "FULL_OBJECT"):
        raise S3Error("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
    return kind


def _said_size(text: str | None) -> int | None:
    """Read x-amz-mp-object-size; None for no header.

    Raises:
        S3Error: InvalidRequest, it is no size.
    """
    if text is None:
        return None
    if not _SIZE.fullmatch(text):
        raise S3Error("InvalidRequest", f"Value for x-amz-mp-object-size header is invalid: '{text}'")
    if int(text) < 0:
        raise S3Error("InvalidRequest", f"Value for x-amz-mp-object-size header is less than zero: '{text}'")
    return int(text)


def _expected(headers: dict[str, str]) -> Checksum | None:
    """What the client holds for the object's checksum: ``-N`` may follow a composite one."""
    bare = {
        name: value.rpartition("-")[0] if value[value.rfind("-") + 1 :].isdigit() and "-" in value else value
        for name, value in headers.items()
        if name.startswith(checksums.PREFIX)
    }
    found = checksums.given(bare)
    return replace(found, value=headers[checksums.header_of(found)[0]]) if found else None
