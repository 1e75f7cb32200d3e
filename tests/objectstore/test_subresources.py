"""A word in the query makes a request one about something else, and no such request does harm to the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Any

import botocore.session
import httpx
import pytest
from botocore.exceptions import ClientError

from dslab.objectstore.subresources import (
    BUCKET_ABSENT,
    BUCKET_EMPTY,
    BUCKET_REFUSED,
    OBJECT_REFUSED,
    OF_BUCKETS,
    OF_OBJECTS,
)
from tests.objectstore.test_buckets import refused

METHODS = ("GET", "PUT", "POST", "DELETE")
LATER = datetime(2100, 1, 1, tzinfo=UTC)


def told(call: Any, **options: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as error:
        call(**options)
    response = error.value.response
    return (
        response["Error"]["Code"],
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"]["Message"],
    )


def operations() -> list[tuple[str, str, str]]:
    """S3's operations as boto3 knows them: name, path, and the word in the query."""
    model = botocore.session.get_session().get_service_model("s3")
    uris = {name: model.operation_model(name).http["requestUri"] for name in model.operation_names}
    parted = ((name, *uri.partition("?")) for name, uri in uris.items())
    return [
        (name, path, field)
        for name, path, _, query in parted
        for field in query.split("&")
        if field and "=" not in field
    ]


def test_every_word_that_boto3_knows_is_known() -> None:
    known = {"/{Bucket}": OF_BUCKETS, "/{Bucket}/{Key+}": OF_OBJECTS}
    found = operations()
    assert len(found) > 80
    assert [one for one in found if one[2] not in known[one[1]]] == []


def test_what_is_served_has_a_route(http: httpx.Client) -> None:
    paths = http.get("/-/openapi.json").json()["paths"]
    assert {f"/{{bucket}}?{word}" for word in OF_BUCKETS} <= paths.keys()
    assert {f"/{{bucket}}/{{key}}?{word}" for word in OF_OBJECTS} <= paths.keys()


def test_no_word_is_overlooked(open_http: httpx.Client) -> None:
    """Not one of them deletes or makes a bucket or an object, or answers with what it was not asked for."""
    for word, method in product(sorted(OF_BUCKETS), METHODS):
        open_http.put("/bucket")
        open_http.request(method, f"/absent?{word}&id=x", content=b"<x/>")
        answer = open_http.request(method, f"/bucket?{word}&id=x", content=b"<x/>")
        assert open_http.head("/bucket").status_code == 200, (method, word)
        assert open_http.head("/absent").status_code == 404, (method, word)
        assert "<ListBucketResult" not in answer.text, (method, word)
        if word in BUCKET_REFUSED:
            assert (answer.status_code, "NotImplemented" in answer.text) == (501, True)
    for word, method in product(sorted(OF_OBJECTS), METHODS):
        open_http.put("/bucket/k", content=b"precious")
        answer = open_http.request(method, f"/bucket/k?{word}&id=x", content=b"<x/>")
        assert open_http.get("/bucket/k").text == "precious", (method, word)
        assert answer.text != "precious", (method, word)
        if word in OBJECT_REFUSED:
            assert (answer.status_code, "NotImplemented" in answer.text) == (501, True)


def test_what_a_word_has_no_method_for_is_refused(open_http: httpx.Client) -> None:
    open_http.put("/bucket")
    for path in ("/bucket?versioning", "/bucket?uploads", "/bucket/k?acl"):
        answer = open_http.delete(path)
        assert (answer.status_code, "MethodNotAllowed" in answer.text) == (405, True)


def test_no_bucket_has_object_lock(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    one = {"Bucket": bucket, "Key": "key"}
    for call, options in (
        (s3.get_object_legal_hold, {}),
        (s3.put_object_legal_hold, {"LegalHold": {"Status": "ON"}}),
        (s3.get_object_retention, {}),
        (s3.put_object_retention, {"Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": LATER}}),
    ):
        message = "Bucket is missing Object Lock Configuration"
        assert told(call, **one, **options) == ("InvalidRequest", 400, message)
    for lock in (
        {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": LATER},
        {"ObjectLockLegalHoldStatus": "ON"},
    ):
        message = "Bucket is missing ObjectLockConfiguration"
        for call in (s3.put_object, s3.create_multipart_upload):
            assert told(call, **one, **lock) == ("InvalidRequest", 400, message)


def test_object_lock_is_refused_to_a_bucket_that_keeps_no_versions_and_is_not_there_for_others(
    s3: Any, bucket: str
) -> None:
    put = s3.put_object_lock_configuration
    lock = {"Bucket": bucket, "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    message = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
    assert told(put, **lock) == ("InvalidBucketState", 409, message)
    for status in ("Enabled", "Suspended"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        code = ("NotImplemented", 501) if status == "Enabled" else ("InvalidBucketState", 409)
        assert told(put, **lock)[:2] == code


def test_what_is_not_implemented_is_named(open_http: httpx.Client) -> None:
    open_http.put("/bucket")
    asked = [
        ("PUT", f"/bucket?{word}", word) for word in (*BUCKET_ABSENT, *BUCKET_EMPTY) if word != "object-lock"
    ]
    asked += [(method, f"/bucket?{word}&id=x", word) for word, method in product(BUCKET_REFUSED, METHODS)]
    asked += [(method, f"/bucket/k?{word}", word) for word, method in product(OBJECT_REFUSED, METHODS)]
    for method, url, word in asked:
        answer = open_http.request(method, url, content=b"<x/>")
        message = f"<Message>This store does not have the subresource {word}.</Message>"
        assert (answer.status_code, message in answer.text) == (501, True), (method, url, answer.text)


def test_other_words_are_ignored(open_http: httpx.Client) -> None:
    assert open_http.put("/bucket?x-id=CreateBucket").status_code == 200
    assert open_http.put("/bucket/k?x-id=PutObject", content=b"x").status_code == 200
    assert open_http.get("/bucket/k?x-id=GetObject").text == "x"
    assert open_http.delete("/bucket/k?x-id=DeleteObject").status_code == 204
    assert open_http.delete("/bucket?x-id=DeleteBucket").status_code == 204


@pytest.mark.parametrize("name", ["analytics", "intelligent_tiering", "inventory", "metrics"])
def test_a_configuration_that_is_not_there_is_not_the_bucket(s3: Any, bucket: str, name: str) -> None:
    call = getattr(s3, f"delete_bucket_{name}_configuration")
    assert refused(call, Bucket=bucket, Id="x") == ("NotImplemented", 501)
    s3.head_bucket(Bucket=bucket)
