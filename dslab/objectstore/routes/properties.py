"""What belongs to an object beside its body: tags, ACL, attributes.

Source: Amazon S3 API Reference: PutObjectTagging, PutObjectAcl, GetObjectAttributes.
"""

from __future__ import annotations

from itertools import product

from fastapi.responses import Response

from dslab.objectstore import acl, encryption
from dslab.objectstore import headers as object_headers
from dslab.objectstore.access import Action
from dslab.objectstore.call import Call
from dslab.objectstore.documents import MAX_DOCUMENT_BYTES, MEDIA_TYPE, Child, read_tags
from dslab.objectstore.errors import S3Error, no_subresource
from dslab.objectstore.intake import whole
from dslab.objectstore.messages import MAX_KEYS, Checksum, Version
from dslab.objectstore.protocol import check_tags
from dslab.objectstore.routes.operation import Here, ObjectCall, empty, subject, xml
from dslab.objectstore.routes.settings import Route, tag_set
from dslab.objectstore.service import Service, look_again
from dslab.objectstore.subresources import OBJECT_LOCKS, OBJECT_REFUSED

router = subject("properties of objects")

ATTRIBUTES = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")


@router.get("/{bucket}/{key}?tagging", summary="GetObjectTagging")
def get_tags(service: Here, call: ObjectCall) -> Response:
    """Tell the object's tags."""
    bucket, version = service.object(call)
    return xml("Tagging", [tag_set(version.meta.tags)], object_headers.version_header(bucket, version))


@router.put("/{bucket}/{key}?tagging", summary="PutObjectTagging")
async def put_tags(service: Here, call: ObjectCall) -> Response:
    """Give the object tags, in place of those that it has."""
    bucket, version = service.object(call, Action.WRITE)
    tags = await service.run(read_tags, await whole(call, MAX_DOCUMENT_BYTES))
    await service.run(service.store.set_tags, version, check_tags(tags))
    return empty(200, object_headers.version_header(bucket, version))


@router.delete("/{bucket}/{key}?tagging", summary="DeleteObjectTagging", status_code=204)
async def delete_tags(service: Here, call: ObjectCall) -> Response:
    """Take the object's tags away."""
    bucket, version = service.object(call, Action.WRITE)
    await service.run(service.store.set_tags, version, {})
    return empty(204, object_headers.version_header(bucket, version))


@router.get("/{bucket}/{key}?acl", summary="GetObjectAcl")
def get_acl(service: Here, call: ObjectCall) -> Response:
    """Tell who may do what with the object."""
    _, version = service.object(call, Action.OWN)
    return Response(acl.document(version.meta.acl), media_type=MEDIA_TYPE)


@router.put("/{bucket}/{key}?acl", summary="PutObjectAcl")
async def put_acl(service: Here, call: ObjectCall) -> Response:
    """Say who may do what with the object, by a canned ACL."""
    _, version = service.object(call, Action.OWN)
    wanted = await service.run(acl.wanted, call.headers, await whole(call, MAX_DOCUMENT_BYTES))
    await service.run(service.store.set_acl, version, wanted)
    return empty()


@router.get("/{bucket}/{key}?attributes", summary="GetObjectAttributes")
def get_attributes(service: Here, call: ObjectCall) -> Response:
    """Tell what is known of the object."""
    return look_again(_attributes, service, call)


def _attributes(service: Service, call: Call) -> Response:
    service.store.bucket(call.target.bucket)  # is looked for before, and the object after what is asked of it
    named = _named(call.headers.get("x-amz-object-attributes", ""))
    bucket, version = service.object(call)
    encryption.check_read(call.headers)
    content = version.content
    children: list[Child] = []
    if "ETag" in named:
        children.append(("ETag", content.etag))
    if "Checksum" in named and content.checksum:
        children.append(("Checksum", _checksum(content.checksum, kind=True)))
    if "ObjectParts" in named and content.parts:
        children.append(("ObjectParts", _parts(service, call, version)))
    if "StorageClass" in named:
        children.append(("StorageClass", version.meta.headers.get("x-amz-storage-class", "STANDARD")))
    if "ObjectSize" in named:
        children.append(("ObjectSize", content.size_bytes))
    headers = {"last-modified": object_headers.http_date(int(version.modified_s))}
    headers |= object_headers.version_header(bucket, version)
    return xml("GetObjectAttributesResponse", children, headers)


def _named(header: str) -> list[str]:
    """Which attributes are asked for.

    Raises:
        S3Error: InvalidRequest, none; InvalidArgument, one that no object has.
    """
    if not header:
        message = (
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing "
            "or empty"
        )
        raise S3Error("InvalidRequest", message)
    named = [one.strip() for one in header.split(",")]
    for one in named:
        if one not in ATTRIBUTES:
            raise S3Error(
                "InvalidArgument",
                "Invalid attribute name specified.",
                ArgumentName="x-amz-object-attributes",
                ArgumentValue=one,
            )
    return named


def _parts(service: Service, call: Call, version: Version) -> list[Child]:
    after = _number(call.headers.get("x-amz-part-number-marker", "0"))
    asked = call.headers.get("x-amz-max-parts", "")
    most = min(int(asked), MAX_KEYS) if _is_number(asked) else MAX_KEYS  # S3 ignores what is none
    rest = [one for one in service.store.parts(version) if one.number > after]
    shown = rest[:most]
    children: list[Child] = [
        ("PartsCount", version.content.parts),
        ("PartNumberMarker", after),
        ("NextPartNumberMarker", shown[-1].number if shown else 0),
        ("MaxParts", most),
        ("IsTruncated", len(rest) > most > 0),
    ]
    for one in shown:
        checksum = _checksum(one.checksum) if one.checksum else []
        children.append(("Part", [("PartNumber", one.number), ("Size", one.size_bytes), *checksum]))
    return children


def _checksum(checksum: Checksum, *, kind: bool = False) -> list[Child]:
    value, _, _ = checksum.value.partition("-")  # in how many parts it came is told apart from it
    children: list[Child] = [(f"Checksum{checksum.algorithm}", value)]
    if kind:
        children.append(("ChecksumType", checksum.kind))
    return children


def _number(text: str) -> int:
    if not _is_number(text):
        raise S3Error("InvalidArgument", "That is no number of a part.")
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


async def no_lock(service: Here, call: ObjectCall) -> Response:
    """No object is locked, as no bucket has object lock."""
    service.bucket(call, Action.OWN)
    raise S3Error("InvalidRequest", "Bucket is missing Object Lock Configuration")


def _refused(word: str) -> Route:
    async def refused(service: Here, call: ObjectCall) -> Response:
        """This store does not have that."""
        service.bucket(call, Action.OWN)
        raise no_subresource(word)

    return refused


def _add(method: str, word: str, route: Route) -> None:
    router.add_api_route(f"/{{bucket}}/{{key}}?{word}", route, methods=[method], summary=f"{method} {word}")


for _word, _method in product(sorted(OBJECT_REFUSED), ("GET", "PUT", "POST", "DELETE")):
    _add(_method, _word, _refused(_word))
for _word, _method in product(sorted(OBJECT_LOCKS), ("GET", "PUT")):
    _add(_method, _word, no_lock)
