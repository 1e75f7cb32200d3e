"""Buckets: list, create, find, remove. Source: Amazon S3 API Reference, ListBuckets, CreateBucket ..."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from dslab.objectstore import access
from dslab.objectstore.access import Action, Key, check_acl, check_no_grants
from dslab.objectstore.buckets import MAX_BUCKETS
from dslab.objectstore.documents import MEDIA_TYPE, Child, read_new_bucket, time_text
from dslab.objectstore.errors import S3Error
from dslab.objectstore.intake import whole
from dslab.objectstore.messages import Bucket
from dslab.objectstore.protocol import MAX_BUCKET_TAGS, check_bucket_name, check_region, check_tags
from dslab.objectstore.routes.operation import BucketCall, Here, ServiceCall, empty, number, subject, xml
from dslab.objectstore.service import DEFAULT_REGION, Service

MAX_CONFIGURATION_BYTES = 128 * 1024
"""Of a new bucket's configuration: 50 tags of the longest that there are take some 80 KiB."""

router = subject("buckets")

MostBuckets = Annotated[
    int,
    Query(alias="max-buckets", ge=1, le=MAX_BUCKETS),
    number(
        *("max-buckets", MAX_BUCKETS, 1, MAX_BUCKETS),
        outside=f"Argument max-buckets must be an integer between 1 and {MAX_BUCKETS}.",
    ),
]

OF_SOME = ("prefix", "max-buckets", "continuation-token", "bucket-region")
"""What asks for some of the buckets."""

OWNER: list[Child] = [("ID", access.OWNER), ("DisplayName", access.OWNER)]


@router.get("/", summary="ListBuckets")
def list_buckets(  # noqa: PLR0917
    service: Here,
    call: ServiceCall,
    prefix: str = "",
    max_buckets: MostBuckets = MAX_BUCKETS,
    continuation_token: Annotated[str, Query(alias="continuation-token")] = "",
    bucket_region: Annotated[str, Query(alias="bucket-region")] = "",
) -> Response:
    """List the buckets that this key is good for. Who asks for some of them is told their regions."""
    if call.key is None and service.rules.anonymous == "nothing":
        raise S3Error("AccessDenied")
    found = service.store.buckets(prefix, continuation_token)
    mine = [
        one
        for one in found
        if service.rules.may(call.key, Action.LIST, one.name, one.acl)
        and bucket_region in ("", one.region or DEFAULT_REGION)
    ]
    shown = mine[:max_buckets]
    with_region = any(call.query.get(name) for name in OF_SOME)
    rows: list[Child] = [("Bucket", _row(one, with_region=with_region)) for one in shown]
    more = shown[-1].name if len(mine) > len(shown) else None
    children: list[Child] = [("Owner", OWNER), ("Buckets", rows), ("ContinuationToken", more)]
    if prefix:
        children.append(("Prefix", prefix))
    return xml("ListAllMyBucketsResult", children)


def _row(bucket: Bucket, *, with_region: bool) -> list[Child]:
    region = (bucket.region or DEFAULT_REGION) if with_region else None
    return [("Name", bucket.name), ("CreationDate", time_text(bucket.created_s)), ("BucketRegion", region)]


@router.put("/{bucket}", summary="CreateBucket")
async def create_bucket(service: Here, call: BucketCall) -> Response:
    """Create a bucket. In the default region one that is there stays as it is: create is idempotent."""
    name = call.target.bucket
    check_bucket_name(name)
    if not service.rules.may(call.key, Action.OWN, name, "private"):
        raise _not_yours(service, call.key, name)
    check_no_grants(call.headers)
    acl = check_acl(call.headers.get("x-amz-acl", "private"))
    if call.headers.get("x-amz-bucket-object-lock-enabled", "false").lower() == "true":
        raise S3Error("NotImplemented", "This store has no object lock.")
    region, tags = await service.run(read_new_bucket, await whole(call, MAX_CONFIGURATION_BYTES))
    if region == DEFAULT_REGION:
        region = ""
    if region:
        check_region(region)
    checked = check_tags(tags, MAX_BUCKET_TAGS) or None
    await service.run(service.store.create_bucket, name, region, acl, checked)
    return empty(headers={"location": f"/{name}"})


def _not_yours(service: Service, key: Key | None, name: str) -> S3Error:
    """Say why a bucket of that name cannot be made.

    To a key that makes buckets of other names, one that is there is as another account's, and the name is
    taken. HEAD tells no less. Who may make none whatever their name is told so, and nothing of the name.
    """
    if key is None or key.read_only:
        return S3Error("AccessDenied")
    try:
        service.store.bucket(name)
    except S3Error:
        return S3Error("AccessDenied")
    return S3Error("BucketAlreadyExists", BucketName=name)


@router.head("/{bucket}", summary="HeadBucket")
def head_bucket(service: Here, call: BucketCall) -> Response:
    """Is the bucket there, and may I use it?"""
    bucket = service.bucket(call, Action.LIST)
    return empty(headers={"x-amz-bucket-region": bucket.region or DEFAULT_REGION, "content-type": MEDIA_TYPE})


@router.delete("/{bucket}", summary="DeleteBucket", status_code=204)
async def delete_bucket(service: Here, call: BucketCall) -> Response:
    """Remove an empty bucket."""
    service.bucket(call, Action.OWN)
    await service.run(service.store.delete_bucket, call.target.bucket)
    return empty(204)
