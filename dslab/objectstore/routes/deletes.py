"""Many objects deleted with one request. Source: Amazon S3 API Reference, DeleteObjects."""

from __future__ import annotations

from fastapi.responses import Response

from dslab.objectstore.access import Action
from dslab.objectstore.documents import MAX_DOCUMENT_BYTES, Child, read_delete
from dslab.objectstore.errors import S3Error
from dslab.objectstore.intake import whole
from dslab.objectstore.routes.operation import BucketCall, Here, subject, xml
from dslab.objectstore.store import Deleted

router = subject("many objects")


@router.post("/{bucket}?delete", summary="DeleteObjects")
async def delete_objects(service: Here, call: BucketCall) -> Response:
    """Delete up to 1,000 objects, each for itself: the answer says what became of each."""
    service.bucket(call, Action.WRITE)
    _check_whole(call.headers)
    wanted, quiet = await service.run(read_delete, await whole(call, MAX_DOCUMENT_BYTES))
    outcomes = await service.run(service.store.delete_many, call.target.bucket, wanted)
    rows = [
        _row(key, version_id, outcome) for (key, version_id, _), outcome in zip(wanted, outcomes, strict=True)
    ]
    return xml("DeleteResult", [row for row in rows if not quiet or row[0] == "Error"])


def _row(key: str, version_id: str | None, outcome: Deleted | S3Error) -> Child:
    children: list[Child] = [("Key", key), ("VersionId", version_id)]
    if isinstance(outcome, S3Error):
        return "Error", [*children, ("Code", outcome.code), ("Message", outcome.message)]
    if outcome.marker:
        children += [("DeleteMarker", True), ("DeleteMarkerVersionId", outcome.version_id)]
    return "Deleted", children


def _check_whole(headers: dict[str, str]) -> None:
    """What is about to delete so much must come with a checksum."""
    names = ("content-md5", "x-amz-trailer")
    if not any(name in headers for name in names) and not any(
        n.startswith("x-amz-checksum-") for n in headers
    ):
        raise S3Error(
            "InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
        )
