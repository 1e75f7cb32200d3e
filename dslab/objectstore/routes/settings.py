"""What can be said about a bucket: versioning, tags, ACL, and a good deal that this store does not have.

Source: Amazon S3 API Reference: PutBucketVersioning, PutBucketTagging, PutBucketAcl, GetBucketLocation ...
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from itertools import product
from typing import Any

from fastapi.responses import Response

from dslab.objectstore import acl
from dslab.objectstore.access import Action
from dslab.objectstore.documents import (
    MAX_DOCUMENT_BYTES,
    MEDIA_TYPE,
    Child,
    read,
    read_tags,
    text_of,
    write_text,
)
from dslab.objectstore.errors import S3Error, no_subresource
from dslab.objectstore.intake import whole
from dslab.objectstore.messages import Versioning
from dslab.objectstore.protocol import MAX_BUCKET_TAGS, check_tags
from dslab.objectstore.routes.operation import BucketCall, Here, empty, subject, xml
from dslab.objectstore.subresources import BUCKET_ABSENT, BUCKET_EMPTY, BUCKET_REFUSED

router = subject("settings of buckets")


@router.get("/{bucket}?location", summary="GetBucketLocation")
def get_location(service: Here, call: BucketCall) -> Response:
    """Tell the region that the bucket was created in: empty for the default one."""
    bucket = service.bucket(call, Action.LIST)
    return Response(write_text("LocationConstraint", bucket.region), media_type=MEDIA_TYPE)


@router.get("/{bucket}?versioning", summary="GetBucketVersioning")
def get_versioning(service: Here, call: BucketCall) -> Response:
    """Tell whether the bucket keeps what is overwritten."""
    bucket = service.bucket(call, Action.LIST)
    return xml("VersioningConfiguration", [("Status", bucket.versioning.value or None)])


@router.put("/{bucket}?versioning", summary="PutBucketVersioning")
async def put_versioning(service: Here, call: BucketCall) -> Response:
    """Say whether the bucket keeps what is overwritten."""
    service.bucket(call, Action.OWN)
    root = await service.run(read, await whole(call, MAX_DOCUMENT_BYTES), "VersioningConfiguration")
    status = text_of(root, "Status", "")
    if text_of(root, "MfaDelete", "Disabled") != "Disabled":
        raise S3Error("NotImplemented", "This store has no MFA delete.")
    if status not in (Versioning.ENABLED.value, Versioning.SUSPENDED.value):
        raise S3Error("MalformedXML" if status else "IllegalVersioningConfigurationException")
    await service.run(service.store.set_versioning, call.target.bucket, Versioning(status))
    return empty()


@router.get("/{bucket}?tagging", summary="GetBucketTagging")
def get_tags(service: Here, call: BucketCall) -> Response:
    """Tell the bucket's tags."""
    bucket = service.bucket(call, Action.OWN)
    if not bucket.tags:
        raise S3Error("NoSuchTagSet", BucketName=bucket.name)
    return xml("Tagging", [tag_set(bucket.tags)])


@router.put("/{bucket}?tagging", summary="PutBucketTagging", status_code=204)
async def put_tags(service: Here, call: BucketCall) -> Response:
    """Give the bucket tags, in place of those that it has."""
    service.bucket(call, Action.OWN)
    tags = await service.run(read_tags, await whole(call, MAX_DOCUMENT_BYTES))
    await service.run(service.store.set_bucket_tags, call.target.bucket, check_tags(tags, MAX_BUCKET_TAGS))
    return empty(204)


@router.delete("/{bucket}?tagging", summary="DeleteBucketTagging", status_code=204)
async def delete_tags(service: Here, call: BucketCall) -> Response:
    """Take the bucket's tags away."""
    service.bucket(call, Action.OWN)
    await service.run(service.store.set_bucket_tags, call.target.bucket, None)
    return empty(204)


@router.get("/{bucket}?acl", summary="GetBucketAcl")
def get_acl(service: Here, call: BucketCall) -> Response:
    """Tell who may do what with the bucket."""
    bucket = service.bucket(call, Action.OWN)
    return Response(acl.document(bucket.acl), media_type=MEDIA_TYPE)


@router.put("/{bucket}?acl", summary="PutBucketAcl")
async def put_acl(service: Here, call: BucketCall) -> Response:
    """Say who may do what with the bucket, by a canned ACL."""
    service.bucket(call, Action.OWN)
    wanted = await service.run(acl.wanted, call.headers, await whole(call, MAX_DOCUMENT_BYTES))
    await service.run(service.store.set_bucket_acl, call.target.bucket, wanted)
    return empty()


def tag_set(tags: Any) -> Child:
    """Write tags."""
    return "TagSet", [("Tag", [("Key", name), ("Value", value)]) for name, value in sorted(tags.items())]


# ---- what this store does not have: asked for, there is none; set, it says so

Route = Callable[..., Coroutine[Any, Any, Response]]


def _missing(code: str) -> Route:
    async def missing(service: Here, call: BucketCall) -> Response:
        """There is none."""
        service.bucket(call, Action.OWN)
        raise S3Error(code, BucketName=call.target.bucket)

    return missing


def _nothing(name: str, children: list[Child]) -> Route:
    async def nothing(service: Here, call: BucketCall) -> Response:
        """It is as it was when the bucket was made."""
        service.bucket(call, Action.OWN)
        return xml(name, children)

    return nothing


def _refused(word: str) -> Route:
    async def refused(service: Here, call: BucketCall) -> Response:
        """This store does not have that."""
        service.bucket(call, Action.OWN)
        raise no_subresource(word)

    return refused


async def put_object_lock(service: Here, call: BucketCall) -> Response:
    """This store does not have that either; but a bucket must keep its versions before it may be asked."""
    bucket = service.bucket(call, Action.OWN)
    if bucket.versioning is not Versioning.ENABLED:
        message = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
        raise S3Error("InvalidBucketState", message)
    raise no_subresource("object-lock")


async def delete_nothing(service: Here, call: BucketCall) -> Response:
    """There is none, so it is as good as deleted."""
    service.bucket(call, Action.OWN)
    return empty(204)


def _add(method: str, word: str, route: Route, status: int = 200) -> None:
    summary = f"{method.capitalize()} {word}"
    router.add_api_route(f"/{{bucket}}?{word}", route, methods=[method], status_code=status, summary=summary)


_getters = {word: _missing(code) for word, code in BUCKET_ABSENT.items()}
_getters |= {word: _nothing(name, list(children)) for word, (name, children) in BUCKET_EMPTY.items()}
for _word, _getter in _getters.items():
    _add("GET", _word, _getter)
    _add("PUT", _word, put_object_lock if _word == "object-lock" else _refused(_word))
    _add("DELETE", _word, delete_nothing, 204)
for _word, _method in product(sorted(BUCKET_REFUSED), ("GET", "PUT", "POST", "DELETE")):
    _add(_method, _word, _refused(_word))
