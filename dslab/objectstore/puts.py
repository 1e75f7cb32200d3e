"""Taking in objects and parts: from the network through the checks onto the disk.

Source: Amazon S3 API Reference: PutObject, UploadPart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from dslab.objectstore import checksums, encryption
from dslab.objectstore import headers as object_headers
from dslab.objectstore.access import Action
from dslab.objectstore.blobs import Draft
from dslab.objectstore.call import Call, Send, answer
from dslab.objectstore.errors import S3Error
from dslab.objectstore.intake import Intake
from dslab.objectstore.messages import Content, Part, Upload, Version
from dslab.objectstore.protocol import Conditions, part_number
from dslab.objectstore.service import Service
from dslab.objectstore.store import ANY

T = TypeVar("T")


async def put_object(service: Service, call: Call, send: Send) -> None:
    """Put an object. What can be refused before its body has come is refused then."""
    service.bucket(call, Action.WRITE)
    meta = object_headers.meta_of(call.headers)
    intake = Intake(call)
    conditions = write_conditions(service, call)
    target = call.target

    def publish(draft: Draft, content: Content) -> Version:
        return service.store.put(target.bucket, target.key, draft, content, meta, conditions)

    version = await take_in(service, intake, publish)
    await answer(call.id, send, 200, object_headers.of_put(version))


async def put_part(service: Service, call: Call, send: Send) -> None:
    """Put a part of an upload in progress."""
    service.bucket(call, Action.WRITE)
    upload, number = part_target(service, call)
    encryption.check_part(call.headers)
    intake = Intake(call, keep=upload.algorithm)
    _check_algorithm(upload, intake.announced)
    target = call.target

    def publish(draft: Draft, content: Content) -> Part:
        return service.multipart.put_part(target.bucket, target.key, upload.upload_id, number, draft, content)

    part = await take_in(service, intake, publish)
    headers = {"etag": f'"{part.etag}"'}
    if intake.confirmed:
        headers |= dict([checksums.header_of(intake.confirmed)])
    await answer(call.id, send, 200, headers)


def _check_algorithm(upload: Upload, announced: str | None) -> None:
    """Has a part the checksum that its upload was begun with?

    It may come without, unless the object's is to be made of the parts' ones: then the client counts each.

    Raises:
        S3Error: InvalidRequest.
    """
    if not upload.declared or announced == upload.algorithm or (announced is None and not upload.composite):
        return
    expected, actual = upload.algorithm.lower(), (announced or "null").lower()
    message = f"expected checksum Type: {expected}, actual checksum Type: {actual}"
    raise S3Error("InvalidRequest", f"Checksum Type mismatch occurred, {message}")


async def take_in(service: Service, intake: Intake, publish: Callable[[Draft, Content], T]) -> T:
    """Write a body aside while it comes, check it, and publish it.

    A thread hashes and writes one batch while the loop collects the next; with the last one it publishes.
    """
    draft = service.store.draft()
    writing: asyncio.Future[None] | None = None

    def write(batch: bytes) -> None:
        draft.write(intake.take(batch))

    def finish(batch: bytes) -> T:
        write(batch)
        return publish(draft, intake.finish())

    try:
        last = b""
        async for batch in intake.batches():
            if writing is not None:
                await writing
                writing = None
            if last:
                writing = asyncio.ensure_future(service.run(write, last))
            last = batch
        if writing is not None:
            await writing
            writing = None
        return await service.run(finish, last)
    except BaseException:
        if writing is not None:
            with suppress(Exception):
                await writing
        draft.discard()
        raise


def write_conditions(service: Service, call: Call) -> Conditions:
    """Read the conditions of a PUT, and refuse it now if they do not hold now.

    They are checked again when the object is published: what counts is how things are then.

    Raises:
        S3Error: As `Conditions.check_write`.
    """
    conditions = Conditions.of(call.headers)
    if conditions == ANY:
        return ANY
    current = None
    try:
        current = service.store.find(call.target.bucket, call.target.key)
    except S3Error as error:
        if error.code != "NoSuchKey":
            raise
    conditions.check_write(current)
    return conditions


def part_target(service: Service, call: Call) -> tuple[Upload, int]:
    """Which upload, and which part of it, a request is about.

    Raises:
        S3Error: InvalidArgument, NoSuchUpload.
    """
    number = part_number(call.query.get("partNumber", ""))
    if "uploadId" not in call.query:
        raise S3Error("InvalidArgument", "This operation does not accept a query-string.")
    target = call.target
    return service.multipart.find(target.bucket, target.key, call.query["uploadId"]), number
