"""Objects' bodies: GET, HEAD, PUT and DELETE, as a plain ASGI handler.

Everything else of the interface is FastAPI's (`app`). Not this: a framework's file response goes to a
thread for every 64 KiB, and its way to a handler takes longer than the handler. Here a GET is one look
into the index, one ``open``, and then the server sends the file without reading it (`files`).

Source: ch. 3, Threads in distributed systems; Amazon S3 API Reference: GetObject, HeadObject, DeleteObject.
"""

from __future__ import annotations

from dataclasses import replace

from dslab.objectstore import encryption
from dslab.objectstore import headers as object_headers
from dslab.objectstore.access import Action
from dslab.objectstore.call import Call, Send, begin
from dslab.objectstore.contents import Contents
from dslab.objectstore.copies import copy_object, copy_part
from dslab.objectstore.errors import S3Error
from dslab.objectstore.messages import Version
from dslab.objectstore.protocol import Conditions, has_etag, parse_http_date, part_number, range_of
from dslab.objectstore.puts import put_object, put_part
from dslab.objectstore.service import Service, look_again, version_of
from dslab.objectstore.subresources import OF_OBJECTS

_OVERRIDES = {
    "response-cache-control": "cache-control",
    "response-content-disposition": "content-disposition",
    "response-content-encoding": "content-encoding",
    "response-content-language": "content-language",
    "response-content-type": "content-type",
    "response-expires": "expires",
}

_PARAMETERS = [
    {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
    for name, place in (("bucket", "path"), ("key", "path"), ("versionId", "query"), ("partNumber", "query"))
]

DESCRIPTION = {
    method: {
        "tags": ["bodies of objects"],
        "summary": summary,
        "operationId": f"{method.upper()} /{{bucket}}/{{key}}",
        "parameters": [
            one for one in _PARAMETERS if method in ("get", "head") or one["name"] != "partNumber"
        ],
        "responses": {"default": {"description": "As S3 has it."}},
        **({"requestBody": {"content": {"application/octet-stream": {}}}} if method == "put" else {}),
    }
    for method, summary in {
        "get": "GetObject",
        "head": "HeadObject",
        "put": "PutObject, CopyObject, UploadPart, UploadPartCopy",
        "delete": "DeleteObject",
    }.items()
}
"""What OpenAPI says of these four."""

SEND_FILE = "http.response.zerocopysend"
LARGE_BYTES = 64 * 1024


def is_body(call: Call) -> bool:
    """Is a request about an object's body?"""
    if not call.target.key or call.method not in ("GET", "HEAD", "PUT", "DELETE"):
        return False
    if not call.query:
        return True
    if "uploadId" in call.query:
        return call.method == "PUT"
    return OF_OBJECTS.isdisjoint(call.query)


async def handle(service: Service, call: Call, send: Send) -> None:
    """Serve a request about an object's body."""
    match call.method:
        case "GET" | "HEAD":
            await get(service, call, send)
        case "DELETE":
            await delete(service, call, send)
        case _ if "uploadId" in call.query or "partNumber" in call.query:
            await (copy_part if "x-amz-copy-source" in call.headers else put_part)(service, call, send)
        case _:
            await (copy_object if "x-amz-copy-source" in call.headers else put_object)(service, call, send)


async def get(service: Service, call: Call, send: Send) -> None:
    """Send an object, or a range of it; to HEAD, only its headers."""
    status, headers, contents = look(service, call)
    try:
        await begin(call.id, send, status, headers)
        if contents.size_bytes >= LARGE_BYTES and SEND_FILE in call.extensions:
            for file, start, end in contents.ranges:
                message = {"file": file, "offset": start, "count": end - start, "more_body": True}
                await send({"type": SEND_FILE, **message})
        else:
            for piece in contents:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
    finally:
        contents.close()


def look(service: Service, call: Call) -> tuple[int, dict[str, str], Contents]:
    """What is to be sent: status, headers and bytes; to HEAD no bytes."""
    return look_again(_look, service, call)


def _look(service: Service, call: Call) -> tuple[int, dict[str, str], Contents]:
    part = part_number(call.query["partNumber"]) if "partNumber" in call.query else None
    bucket, version = service.object(call)
    encryption.check_read(call.headers)
    Conditions.of(call.headers).check_read(version)
    start, end, status, more = _which(service, call, version, part)
    is_whole = end - start == version.content.size_bytes
    headers = object_headers.of_version(call, bucket, version, is_whole=is_whole) | overrides(call) | more
    headers["content-length"] = str(end - start)
    is_head = call.method == "HEAD"
    return status, headers, Contents((), 0, 0) if is_head else service.store.open(version, start, end)


def _which(
    service: Service, call: Call, version: Version, part: int | None
) -> tuple[int, int, int, dict[str, str]]:
    """Which bytes are asked for: from, to, the status, and the headers that tell it."""
    size = version.content.size_bytes
    header = call.headers.get("range")
    if part is not None:
        if header is not None:
            message = "Cannot specify both Range header and partNumber query parameter"
            raise S3Error("InvalidRequest", message)
        start, end, more = _part_range(service, call, version, part)
        if not size:
            return 0, 0, 200, more
        return start, end, 206, {**more, "content-range": f"bytes {start}-{end - 1}/{size}"}
    found = range_of(header, size) if header is not None and _if_range(call, version) else None
    if found is None:
        return 0, size, 200, {}
    return *found, 206, {"content-range": f"bytes {found[0]}-{found[1] - 1}/{size}"}


def _part_range(
    service: Service, call: Call, version: Version, number: int
) -> tuple[int, int, dict[str, str]]:
    start = 0
    # What was uploaded as parts 1 and 1,000 is read as parts 1 and 2: from 1 to the count that is told.
    for place, segment in enumerate(service.store.parts(version), 1):
        if place == number:
            headers = {"x-amz-mp-parts-count": str(version.content.parts)} if version.content.parts else {}
            if segment.checksum and object_headers.wants_checksum(call):
                whole = version.content.checksum
                kind = replace(segment.checksum, composite=bool(whole and whole.composite))
                headers |= object_headers.checksum_headers(kind)
            return start, start + segment.size_bytes, headers
        start += segment.size_bytes
    count = str(version.content.parts or 1)
    raise S3Error("InvalidPartNumber", PartNumberRequested=str(number), ActualPartCount=count)


def _if_range(call: Call, version: Version) -> bool:
    """A range is only wanted of what the client has a part of already: RFC 9110, section 13.1.5."""
    text = call.headers.get("if-range")
    if text is None:
        return True
    date_s = parse_http_date(text)
    return date_s == int(version.modified_s) if date_s is not None else has_etag(text, version.content.etag)


def overrides(call: Call) -> dict[str, str]:
    """The headers that a GET wants to be otherwise than they were put. Only who has a key may.

    Raises:
        S3Error: InvalidRequest, it is anonymous; InvalidArgument, that is no header, or none of these.
    """
    if not call.query:
        return {}
    said = {name: value for name, value in call.query.items() if name.startswith("response-")}
    for name, value in said.items():
        if name not in _OVERRIDES:
            message = (
                f"{name} is not in the set of overridable response headers. Please refer to the S3 API "
                "documentation for a complete list of overridable response headers."
            )
            raise S3Error("InvalidArgument", message, ArgumentName=name, ArgumentValue=value)
    wanted = {_OVERRIDES[name]: value for name, value in said.items()}
    if wanted and call.key is None:
        message = "Request specific response headers cannot be used for anonymous GET requests."
        raise S3Error("InvalidRequest", message)
    for value in wanted.values():
        if not value.isprintable():
            raise S3Error("InvalidArgument", "A header cannot hold that.")
        if max(value, default="") > "\xff":
            message = "Header value cannot be represented using ISO-8859-1."
            raise S3Error("InvalidArgument", message, ArgumentValue=value)
    return wanted


async def delete(service: Service, call: Call, send: Send) -> None:
    """Delete an object, or a version. What is not there is as good as deleted: 204 either way."""
    service.bucket(call, Action.WRITE)
    conditions = Conditions.of_delete(call.headers)
    target = call.target
    gone = await service.run(service.store.delete, target.bucket, target.key, version_of(call), conditions)
    headers = {"x-amz-version-id": gone.version_id} if gone.version_id else {}
    if gone.marker:
        headers["x-amz-delete-marker"] = "true"
    await begin(call.id, send, 204, headers)
    await send({"type": "http.response.body"})
