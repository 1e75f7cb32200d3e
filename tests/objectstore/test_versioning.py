"""Buckets that keep what is overwritten."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError


def refused(call: Any, **options: Any) -> tuple[str, int, dict[str, str]]:
    with pytest.raises(ClientError) as error:
        call(**options)
    response = error.value.response
    metadata = response["ResponseMetadata"]
    return response["Error"]["Code"], metadata["HTTPStatusCode"], metadata["HTTPHeaders"]


def turn(s3: Any, bucket: str, status: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def read(s3: Any, bucket: str, **options: Any) -> bytes:
    body: bytes = s3.get_object(Bucket=bucket, Key="key", **options)["Body"].read()
    return body


def put(s3: Any, bucket: str, body: bytes) -> Any:
    return s3.put_object(Bucket=bucket, Key="key", Body=body).get("VersionId")


def test_every_version_stays(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert put(s3, bucket, b"before") is None
    turn(s3, bucket, "Enabled")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    first, second = put(s3, bucket, b"1"), put(s3, bucket, b"2")
    assert first != second
    assert read(s3, bucket) == b"2"
    assert read(s3, bucket, VersionId=first) == b"1"
    assert read(s3, bucket, VersionId="null") == b"before"
    gone = s3.delete_object(Bucket=bucket, Key="key")
    assert gone["DeleteMarker"] is True
    code, status, headers = refused(s3.get_object, Bucket=bucket, Key="key")
    assert (code, status, headers["x-amz-delete-marker"]) == ("NoSuchKey", 404, "true")
    code, status, headers = refused(s3.get_object, Bucket=bucket, Key="key", VersionId=gone["VersionId"])
    assert (code, status, headers["allow"]) == ("MethodNotAllowed", 405, "DELETE")
    with pytest.raises(ClientError) as error:
        s3.get_object_tagging(Bucket=bucket, Key="key", VersionId=gone["VersionId"])
    told: Any = error.value.response["Error"]
    assert (told["Method"], told["ResourceType"]) == ("GET", "DeleteMarker")
    assert {"x-amz-delete-marker", "last-modified"} <= headers.keys()
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    undone = s3.delete_object(Bucket=bucket, Key="key", VersionId=gone["VersionId"])
    assert undone["DeleteMarker"] is True
    assert read(s3, bucket) == b"2"
    s3.delete_object(Bucket=bucket, Key="key", VersionId=second)
    assert read(s3, bucket) == b"1"
    assert refused(s3.get_object, Bucket=bucket, Key="key", VersionId=second)[:2] == ("NoSuchVersion", 404)
    assert refused(s3.get_object, Bucket=bucket, Key="key", VersionId="x")[:2] == ("InvalidArgument", 400)
    assert refused(s3.delete_bucket, Bucket=bucket)[:2] == ("BucketNotEmpty", 409)


def test_a_suspended_bucket_overwrites_the_null_version_only(s3: Any, bucket: str) -> None:
    turn(s3, bucket, "Enabled")
    first = put(s3, bucket, b"1")
    turn(s3, bucket, "Suspended")
    for body in (b"2", b"3"):
        assert put(s3, bucket, body) is None, "as S3 answers, though it tells a reader"
        assert s3.head_object(Bucket=bucket, Key="key")["VersionId"] == "null"
    assert read(s3, bucket, VersionId=first) == b"1"
    assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == 2
    gone = s3.delete_object(Bucket=bucket, Key="key")
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, "null")
    listed = s3.list_object_versions(Bucket=bucket)
    assert [one["VersionId"] for one in listed["Versions"]] == [first]
    assert [one["VersionId"] for one in listed["DeleteMarkers"]] == ["null"]
    s3.delete_object(Bucket=bucket, Key="key", VersionId="null")
    assert read(s3, bucket) == b"1"


def test_no_way_to_write_into_a_suspended_bucket_tells_a_version(
    s3: Any, http: httpx.Client, bucket: str
) -> None:
    turn(s3, bucket, "Enabled")
    first = put(s3, bucket, b"1")
    turn(s3, bucket, "Suspended")
    put(s3, bucket, b"2")
    upload = {"Bucket": bucket, "Key": "parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    copied = s3.upload_part_copy(**upload, PartNumber=1, CopySource=f"{bucket}/key")
    part = {"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}
    form = s3.generate_presigned_post(bucket, "form")
    answers = [
        copied,
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]}),
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key"),
    ]
    for answer in answers:
        assert answer.keys().isdisjoint({"VersionId", "CopySourceVersionId"}), answer
    posted = http.post(f"/{bucket}", data=form["fields"], files={"file": b"x"})
    assert (posted.status_code, "x-amz-version-id" in posted.headers) == (204, False)
    older = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key?versionId={first}")
    assert older["CopySourceVersionId"] == first


def test_copy_of_a_version_brings_it_back(s3: Any, bucket: str) -> None:
    turn(s3, bucket, "Enabled")
    first = put(s3, bucket, b"1")
    put(s3, bucket, b"2")
    done = s3.copy_object(
        Bucket=bucket, Key="key", CopySource={"Bucket": bucket, "Key": "key", "VersionId": first}
    )
    assert done["CopySourceVersionId"] == first
    assert done["VersionId"] != first
    assert read(s3, bucket) == b"1"


def test_a_delete_marker_is_no_source(s3: Any, bucket: str) -> None:
    turn(s3, bucket, "Enabled")
    put(s3, bucket, b"1")
    marker = s3.delete_object(Bucket=bucket, Key="key")["VersionId"]
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="to")["UploadId"]
    for call, options in (
        (s3.copy_object, {}),
        (s3.upload_part_copy, {"UploadId": upload_id, "PartNumber": 1}),
    ):
        copy = {"Bucket": bucket, "Key": "to", **options}
        assert refused(call, CopySource=f"{bucket}/key", **copy)[:2] == ("NoSuchKey", 404)
        named = f"{bucket}/key?versionId={marker}"
        with pytest.raises(
            ClientError, match="may not specifically refer to a delete marker by version id"
        ) as error:
            call(CopySource=named, **copy)
        assert error.value.response["Error"]["Code"] == "InvalidRequest"


def test_many_versions_deleted_at_once(s3: Any, bucket: str) -> None:
    turn(s3, bucket, "Enabled")
    ids = [put(s3, bucket, b"x") for _ in range(3)]
    done = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "key", "VersionId": one} for one in ids]}
    )
    assert [one["VersionId"] for one in done["Deleted"]] == ids
    marked = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "key"}]})["Deleted"][0]
    assert marked["DeleteMarker"] is True
    s3.delete_object(Bucket=bucket, Key="key", VersionId=marked["DeleteMarkerVersionId"])
    s3.delete_bucket(Bucket=bucket)


def test_what_is_no_version_id_is_no_version_of_many(s3: Any, bucket: str) -> None:
    """As Amazon's answers, while a version that may once have been counts as deleted."""
    put(s3, bucket, b"x")
    gone = "0" * 32
    wanted = [{"Key": "key", "VersionId": one} for one in ("abc", gone)]
    done = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted})
    assert done["Deleted"] == [{"Key": "key", "VersionId": gone}]
    message = "The specified version does not exist."
    assert done["Errors"] == [{"Key": "key", "VersionId": "abc", "Code": "NoSuchVersion", "Message": message}]
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"x"


def test_a_delete_marker_meets_no_condition(s3: Any, bucket: str) -> None:
    turn(s3, bucket, "Enabled")
    put(s3, bucket, b"1")
    s3.delete_object(Bucket=bucket, Key="key")
    for condition in ({"IfMatch": "*"}, {"IfMatch": '"0"'}, {"IfMatchSize": 0}):
        told = refused(s3.delete_object, Bucket=bucket, Key="key", **condition)
        assert told[:2] == ("PreconditionFailed", 412)
    s3.delete_object(Bucket=bucket, Key="key")
    assert len(s3.list_object_versions(Bucket=bucket)["DeleteMarkers"]) == 2


def test_tags_belong_to_a_version(s3: Any, bucket: str) -> None:
    turn(s3, bucket, "Enabled")
    first = put(s3, bucket, b"1")
    put(s3, bucket, b"2")
    tags = {"TagSet": [{"Key": "a", "Value": "1"}]}
    done = s3.put_object_tagging(Bucket=bucket, Key="key", VersionId=first, Tagging=tags)
    assert done["VersionId"] == first
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == []
    assert s3.get_object_tagging(Bucket=bucket, Key="key", VersionId=first)["TagSet"] == tags["TagSet"]


def test_versioning_is_on_or_off(s3: Any, bucket: str) -> None:
    assert (
        refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Maybe"})[1]
        == 400
    )


def test_a_list_goes_on_where_it_was_when_what_was_listed_is_deleted(s3: Any, bucket: str) -> None:
    """As in boto3's way to empty a bucket. The first page ends with the version that has no id of its own."""
    for _ in range(2):
        put(s3, bucket, b"")
    turn(s3, bucket, "Enabled")
    for _ in range(11):
        put(s3, bucket, b"")
    turn(s3, bucket, "Suspended")
    put(s3, bucket, b"")
    turn(s3, bucket, "Enabled")
    for _ in range(4):
        put(s3, bucket, b"")
    pages = 0
    paginator = s3.get_paginator("list_object_versions")
    for page in paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": 5}):
        gone = [{"Key": "key", "VersionId": one["VersionId"]} for one in page["Versions"]]
        pages += 1
        assert (pages == 1) == (gone[-1]["VersionId"] == "null")
        s3.delete_objects(Bucket=bucket, Delete={"Objects": gone})
    assert pages == 4
    s3.delete_bucket(Bucket=bucket)


def test_a_list_can_begin_after_a_version_that_is_named(s3: Any, bucket: str) -> None:
    turn(s3, bucket, "Enabled")
    ids = [put(s3, bucket, b"") for _ in range(4)][::-1]

    def after(version_id: str) -> list[str]:
        page = s3.list_object_versions(Bucket=bucket, KeyMarker="key", VersionIdMarker=version_id)
        return [one["VersionId"] for one in page.get("Versions", [])]

    assert after(ids[1]) == ids[2:]
    assert after("f" * 32) == after("0" * 32) == ids, "never seen, so nothing is left out"
    s3.delete_object(Bucket=bucket, Key="key", VersionId=ids[1])
    assert after(ids[1]) == ids[2:]
    assert refused(after, version_id="9" * 5_000)[:2] == ("InvalidArgument", 400)
