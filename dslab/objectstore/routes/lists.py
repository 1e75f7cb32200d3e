"""Lists of keys and versions, page by page. Source: Amazon S3 API Reference, ListObjectsV2 ..."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Annotated, cast

from fastapi import Query
from fastapi.responses import Response

from dslab.objectstore.access import Action
from dslab.objectstore.documents import (
    MEDIA_TYPE,
    Child,
    Written,
    escaped,
    fragment,
    time_text,
    url_encoded,
    write,
)
from dslab.objectstore.errors import S3Error
from dslab.objectstore.listing import Wanted
from dslab.objectstore.messages import MAX_KEYS, Listed, Page, Version, kind_of
from dslab.objectstore.routes.buckets import OWNER
from dslab.objectstore.routes.operation import MAX_NUMBER, BucketCall, Here, number, subject, xml
from dslab.objectstore.store import is_version_id

router = subject("lists")

_Most = Query(alias="max-keys", ge=0, le=MAX_NUMBER)
Most = Annotated[int, _Most, number("max-keys", MAX_KEYS, argument="maxKeys")]
MostVersions = Annotated[int, _Most, number("max-keys", MAX_KEYS, outside="max-keys cannot be negative")]
Encoding = Annotated[str, Query(alias="encoding-type")]

_END = "</Contents>"
_END_WITH_OWNER = fragment([("Owner", OWNER)]) + _END


@router.get("/{bucket}?versions", summary="ListObjectVersions")
def list_versions(  # noqa: PLR0917
    service: Here,
    call: BucketCall,
    prefix: str = "",
    delimiter: str = "",
    max_keys: MostVersions = MAX_KEYS,
    encoding_type: Encoding = "",
    key_marker: Annotated[str, Query(alias="key-marker")] = "",
    version_id_marker: Annotated[str, Query(alias="version-id-marker")] = "",
) -> Response:
    """List all versions and delete markers; of one key, the newest first."""
    service.bucket(call, Action.LIST)
    show = encoder(encoding_type)
    if version_id_marker and not is_version_id(version_id_marker):
        raise S3Error("InvalidArgument", "Invalid version id specified", ArgumentName="version-id-marker")
    if version_id_marker and not key_marker:
        raise S3Error("InvalidArgument", "A version-id marker cannot be specified without a key marker.")
    wanted = Wanted(prefix, delimiter, key_marker, version_id_marker, min(max_keys, MAX_KEYS))
    page = service.store.history(call.target.bucket, wanted)
    children = [
        ("KeyMarker", show(key_marker)),
        ("VersionIdMarker", version_id_marker),
        ("NextKeyMarker", show(page.next_key) if page.truncated else None),
        ("NextVersionIdMarker", page.next_id or None if page.truncated else None),
        *_head(call.target.bucket, wanted, encoding_type, page),
    ]
    for version in page.entries:
        assert isinstance(version, Version)
        name = "DeleteMarker" if version.marker else "Version"
        row: list[Child] = [("Key", show(version.key)), ("VersionId", version.version_id)]
        row += [("IsLatest", version.current), ("LastModified", time_text(version.modified_s))]
        row += [] if version.marker else _content(version)
        children.append((name, [*row, ("Owner", OWNER)]))
    return xml("ListVersionsResult", [*children, *_prefixes(page, show)])


@router.get("/{bucket}", summary="ListObjects, ListObjectsV2")
async def list_objects(  # noqa: PLR0917
    service: Here,
    call: BucketCall,
    prefix: str = "",
    delimiter: str = "",
    max_keys: Most = MAX_KEYS,
    encoding_type: Encoding = "",
    list_type: Annotated[str, Query(alias="list-type", description="2, or nothing for version 1.")] = "1",
    marker: Annotated[str, Query(description="Version 1: begin after it.")] = "",
    start_after: Annotated[str, Query(alias="start-after", description="Version 2: begin after it.")] = "",
    continuation_token: Annotated[str | None, Query(alias="continuation-token")] = None,
    fetch_owner: Annotated[str, Query(alias="fetch-owner")] = "false",
) -> Response:
    """List the keys of a bucket in order, a page at a time; rolled up at a delimiter, if one is given."""
    service.bucket(call, Action.LIST)
    show = encoder(encoding_type)
    second = list_type == "2"
    if start_after and not second:
        message = "startAfter only supported in REST.GET.BUCKET with list-type=2"
        raise S3Error("InvalidArgument", message, ArgumentName="start-after", ArgumentValue=start_after)
    after = (token_text(continuation_token) if continuation_token else start_after) if second else marker
    wanted = Wanted(prefix, delimiter, after, "", min(max_keys, MAX_KEYS))

    def make() -> bytes:
        page = service.store.keys(call.target.bucket, wanted)
        children = _head(call.target.bucket, wanted, encoding_type, page)
        if second:
            children += [
                ("KeyCount", len(page.entries) + len(page.prefixes)),
                ("ContinuationToken", continuation_token),
                ("NextContinuationToken", token(page.next_key) if page.truncated else None),
                ("StartAfter", show(start_after) if start_after else None),
            ]
        else:
            next_marker = show(page.next_key) if page.truncated and delimiter else None
            children += [("Marker", show(marker)), ("NextMarker", next_marker)]
        owner = not second or fetch_owner.lower() == "true"
        children.append(("", contents(cast("tuple[Listed, ...]", page.entries), show, owner=owner)))
        return write("ListBucketResult", [*children, *_prefixes(page, show)])

    return Response(await service.remembered(call.question, make), media_type=MEDIA_TYPE)


def contents(entries: Iterable[Listed], show: Callable[[str], str], *, owner: bool) -> Written:
    """Write what a list tells of its objects.

    A page has a thousand of them: element by element, as other documents are made, this takes as long as all
    the rest of a list ten times over.
    """
    end = _END_WITH_OWNER if owner else _END
    return Written(
        "".join(
            [
                f"<Contents><Key>{escaped(show(one.key))}</Key><LastModified>{time_text(one.modified_s)}"
                f'</LastModified><ETag>"{one.etag}"</ETag>{_checksum_of(one)}<Size>{one.size_bytes}</Size>'
                f"<StorageClass>{one.storage_class}</StorageClass>{end}"
                for one in entries
            ]
        )
    )


def _checksum_of(one: Listed) -> str:
    if one.checksum is None:
        return ""
    algorithm, _, value = one.checksum.partition(" ")
    kind = kind_of(composite=" " in value)
    return f"<ChecksumAlgorithm>{algorithm}</ChecksumAlgorithm><ChecksumType>{kind}</ChecksumType>"


def _head(bucket: str, wanted: Wanted, encoding_type: str, page: Page) -> list[Child]:
    show = encoder(encoding_type)
    return [
        ("Name", bucket),
        ("Prefix", show(wanted.prefix)),
        ("Delimiter", show(wanted.delimiter) if wanted.delimiter else None),
        ("MaxKeys", wanted.most),
        ("EncodingType", encoding_type or None),
        ("IsTruncated", page.truncated),
    ]


def _content(version: Version) -> list[Child]:
    content = version.content
    children: list[Child] = [("ETag", f'"{content.etag}"')]
    if content.checksum:
        children.append(("ChecksumAlgorithm", content.checksum.algorithm))
        children.append(("ChecksumType", content.checksum.kind))
    storage_class = version.meta.headers.get("x-amz-storage-class", "STANDARD")
    return [*children, ("Size", content.size_bytes), ("StorageClass", storage_class)]


def _prefixes(page: Page, show: Callable[[str], str]) -> list[Child]:
    return [("CommonPrefixes", [("Prefix", show(prefix))]) for prefix in page.prefixes]


def encoder(encoding_type: str) -> Callable[[str], str]:
    """How keys are shown.

    Raises:
        S3Error: InvalidArgument, there is no such encoding.
    """
    if encoding_type not in ("", "url"):
        message = "Invalid Encoding Method specified in Request"
        raise S3Error("InvalidArgument", message, ArgumentName="encoding-type", ArgumentValue=encoding_type)
    return url_encoded if encoding_type else str


def token(key: str) -> str:
    """Write where the next page begins. To clients it is a word without meaning."""
    return base64.urlsafe_b64encode(b"1" + key.encode()).decode()


def token_text(text: str) -> str:
    """Read a token.

    Raises:
        S3Error: InvalidArgument, it is none of ours.
    """
    try:
        decoded = base64.b64decode(text.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise S3Error("InvalidArgument", "The continuation token provided is incorrect") from error
    if not decoded.startswith("1") or "\0" in decoded:
        raise S3Error("InvalidArgument", "The continuation token provided is incorrect")
    return decoded[1:]
