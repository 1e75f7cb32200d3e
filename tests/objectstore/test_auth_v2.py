"""Signature Version 2, in a header. In a URL: test_auth; in a form: test_forms."""

from __future__ import annotations

import base64
import hashlib
import time
from contextlib import closing
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from dslab.objectstore import auth
from dslab.objectstore.auth import Request
from dslab.objectstore.auth_v2 import claim_of, signature, string_to_sign
from dslab.objectstore.chunked import SIGNED
from dslab.objectstore.errors import S3Error
from tests.objectstore.conftest import ID, READER, SECRET, Served, client
from tests.objectstore.test_auth import EXAMPLE_SECRET, WRONG_SECRETS

DATE = "Tue, 27 Mar 2007 19:36:42 +0000"
DATE_S = 1175024202.0


@pytest.mark.parametrize(
    ("request_", "date", "expected"),
    [
        (Request("GET", b"/photos/puppy.jpg", (), {}), DATE, "bWq2s1WEIj+Ydj0vQ697zp+IXMU="),
        (
            Request("PUT", b"/photos/puppy.jpg", (), {"content-type": "image/jpeg"}),
            "Tue, 27 Mar 2007 21:15:45 +0000",
            "MyyxeRY7whkBe+bq8fHCL/2kKUg=",
        ),
        (
            Request("GET", b"/", (("prefix", "photos"), ("max-keys", "50"), ("marker", "puppy")), {}),
            "Tue, 27 Mar 2007 19:42:41 +0000",
            "htDYFYduRNen8P9ZfE/s9SuKy0U=",
        ),
        (
            Request("GET", b"/", (("acl", ""),), {}),
            "Tue, 27 Mar 2007 19:44:46 +0000",
            "c2WLPFtWHVgbEmeEG93a4cG37dM=",
        ),
    ],
    ids=["get", "put", "list", "acl"],
)
def test_the_specifications_examples(request_: Request, date: str, expected: str) -> None:
    assert signature(EXAMPLE_SECRET, string_to_sign(request_, date, "johnsmith")) == expected


def signed(**headers: str) -> Request:
    """A signed request. Its date is in the header Date, if not in another."""
    headers = {
        "content-md5": "m",
        "content-type": "t",
        "x-amz-meta-b": "1",
        "x-amz-acl": "private",
        **headers,
    }
    request = Request("PUT", b"/b/k%20ey", (("partNumber", "1"), ("uploadId", "x")), headers)
    date = "" if "x-amz-date" in headers else headers.setdefault("date", DATE)
    text = string_to_sign(request, date, "")
    return replace(request, headers={**headers, "authorization": f"AWS {ID}:{signature(SECRET, text)}"})


def verify(request: Request, secret: str = SECRET, now_s: float = DATE_S) -> None:
    claim = claim_of(request, now_s)
    assert claim is not None
    assert claim.access_key == ID
    claim.verify(request, secret, "")


@pytest.mark.parametrize("headers", [{}, {"x-amz-date": DATE}, {"x-amz-date": DATE, "date": "yesterday"}])
def test_a_signed_request_is_taken(headers: dict[str, str]) -> None:
    verify(signed(**headers))


@pytest.mark.parametrize(
    "change",
    [
        {"method": "GET"},
        {"path": b"/b/k ey"},
        {"query": (("partNumber", "2"), ("uploadId", "x"))},
        {"query": (("partNumber", "1"), ("uploadId", "x"), ("acl", ""))},
        *(
            {"headers": {**signed().headers, name: value}}
            for name, value in {
                "content-md5": "n",
                "content-type": "u",
                "date": "Tue, 27 Mar 2007 19:36:43 +0000",
                "x-amz-meta-b": "2",
                "x-amz-meta-c": "",
                "x-amz-acl": "public-read",
                "x-amz-date": DATE,
            }.items()
        ),
    ],
    ids=repr,
)
def test_a_changed_request_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(S3Error) as error:
        verify(replace(signed(), **change))
    assert error.value.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("secret", WRONG_SECRETS)
def test_who_does_not_know_the_secret_is_refused(secret: str) -> None:
    with pytest.raises(S3Error, match="does not match"):
        verify(signed(), secret)


@pytest.mark.parametrize(
    ("headers", "now_s", "code"),
    [
        ({}, DATE_S + auth.MAX_SKEW_S + 1, "RequestTimeTooSkewed"),
        ({}, DATE_S - auth.MAX_SKEW_S - 1, "RequestTimeTooSkewed"),
        ({"x-amz-date": DATE, "date": formatdate(DATE_S + 3_600)}, DATE_S + 3_600, "RequestTimeTooSkewed"),
        ({"date": ""}, DATE_S, "AccessDenied"),
        ({"date": "yesterday"}, DATE_S, "AccessDenied"),
        ({"x-amz-date": "20070327T193642Z"}, DATE_S, "AccessDenied"),
        ({"date": "Fri, 07 Jul 1950 21:53:04 GMT"}, DATE_S, "AccessDenied"),
        ({"x-amz-date": "Wed, 31 Dec 1969 23:59:59 GMT", "date": DATE}, DATE_S, "AccessDenied"),
        ({"date": "Thu, 01 Jan 1970 00:00:00 GMT"}, DATE_S, "RequestTimeTooSkewed"),
    ],
)
def test_another_time_is_refused(headers: dict[str, str], now_s: float, code: str) -> None:
    with pytest.raises(S3Error) as error:
        verify(signed(**headers), now_s=now_s)
    assert error.value.code == code


def test_who_is_late_is_told_the_time() -> None:
    with pytest.raises(S3Error) as error:
        verify(signed(), now_s=DATE_S + auth.MAX_SKEW_S + 1)
    assert error.value.details == {
        "RequestTime": DATE,
        "ServerTime": "2007-03-27T19:51:43Z",
        "MaxAllowedSkewMilliseconds": "900000",
    }


def test_when_a_url_was_good_is_told() -> None:
    query = (("AWSAccessKeyId", ID), ("Signature", "x"), ("Expires", str(int(DATE_S))))
    with pytest.raises(S3Error, match="Request has expired") as error:
        claim_of(Request("GET", b"/b/k", query, {}), DATE_S + 1)
    assert error.value.details == {"Expires": "2007-03-27T19:36:42Z", "ServerTime": "2007-03-27T19:36:43Z"}


def test_a_wrong_signature_is_told_what_was_to_be_signed() -> None:
    request = signed()
    with pytest.raises(S3Error) as error:
        verify(request, "wrong")
    told = error.value.details
    assert list(told) == ["AWSAccessKeyId", "StringToSign", "SignatureProvided", "StringToSignBytes"]
    assert told["SignatureProvided"] == request.headers["authorization"].rpartition(":")[2]
    assert bytes.fromhex(told["StringToSignBytes"]).decode() == told["StringToSign"]


def test_one_request_has_one_claim() -> None:
    query = (("AWSAccessKeyId", ID), ("Signature", "x"), ("Expires", "9999999999"))
    with pytest.raises(S3Error, match="Only one auth mechanism"):
        verify(replace(signed(), query=query))


def test_boto3_as_it_once_was(served: Served, bucket: str) -> None:
    with closing(client(served, signature_version="s3")) as s3:
        s3.put_object(Bucket=bucket, Key="a b/\u00e4+", Body=b"x" * 1_000, Metadata={"a": "b  c"})
        got = s3.get_object(Bucket=bucket, Key="a b/\u00e4+", ResponseContentType="a/b")
        assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (
            b"x" * 1_000,
            {"a": "b  c"},
            "a/b",
        )
        s3.put_object_tagging(
            Bucket=bucket, Key="a b/\u00e4+", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]}
        )
        upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
        part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"y")
        parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
        s3.complete_multipart_upload(
            Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Parts": parts}
        )
        found = s3.list_objects_v2(Bucket=bucket, Prefix="", Delimiter="/")
        assert [each["Key"] for each in found["Contents"]] == ["parts"]
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "parts"}, {"Key": "a b/\u00e4+"}]})
        assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize(
    ("key", "code"),
    [(READER, "AccessDenied"), (f"{ID}:wrong", "SignatureDoesNotMatch"), ("NOBODY:x", "InvalidAccessKeyId")],
)
def test_a_key_may_do_what_it_may(served: Served, bucket: str, key: str, code: str) -> None:
    with closing(client(served, key, signature_version="s3")) as s3, pytest.raises(ClientError, match=code):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")


def ask(
    http: httpx.Client, method: str, path: str, bucket_in_host: str = "", **options: Any
) -> httpx.Response:
    headers = {"date": formatdate(time.time(), usegmt=True), **options.pop("headers", {})}
    text = string_to_sign(Request(method, path.encode(), (), headers), headers["date"], bucket_in_host)
    headers["authorization"] = f"AWS {ID}:{signature(SECRET, text)}"
    return http.request(method, path, headers=headers, **options)


def test_the_body_is_held_against_its_md5(http: httpx.Client, bucket: str) -> None:
    md5 = base64.b64encode(hashlib.md5(b"one", usedforsecurity=False).digest()).decode()
    for body, status in ((b"one", 200), (b"other", 400)):
        answer = ask(http, "PUT", f"/{bucket}/k", headers={"content-md5": md5}, content=body)
        assert (answer.status_code, "<Code>BadDigest</Code>" in answer.text) == (status, status == 400)


def test_chunks_cannot_be_signed_in_this_version(http: httpx.Client, bucket: str) -> None:
    headers = {"x-amz-content-sha256": SIGNED, "x-amz-decoded-content-length": "1"}
    answer = ask(http, "PUT", f"/{bucket}/k", headers=headers, content=b"1\r\nx\r\n0\r\n\r\n")
    assert (answer.status_code, "<Code>InvalidRequest</Code>" in answer.text) == (400, True)


def test_paths_of_buckets_and_of_keys(http: httpx.Client, bucket: str) -> None:
    assert ask(http, "PUT", f"/{bucket}/k", content=b"x").status_code == 200
    host = {"host": f"{bucket}.s3.localhost:1234"}
    assert ask(http, "GET", "/k", bucket, headers=host).content == b"x"
    assert ask(http, "GET", "/k", headers=host).status_code == 403
    assert ask(http, "GET", "/", bucket, headers=host).status_code == 200
    for path, in_host, sent, status in (
        ("/k", bucket, host, 403),
        ("/k", "", host, 403),  # of a bucket called k, in the path
        (f"/{bucket}", "", {}, 200),
        (f"/{bucket}/k", "", {}, 403),
    ):
        date = formatdate(time.time(), usegmt=True)
        proof = signature(SECRET, string_to_sign(Request("GET", f"{path}/".encode(), (), {}), date, in_host))
        headers = {"date": date, "authorization": f"AWS {ID}:{proof}", **sent}
        assert http.get(path, headers=headers).status_code == status


def boto3_presigned(served: Served, method: str, **parameters: Any) -> str:
    with closing(client(served, signature_version="s3")) as s3:
        url: str = s3.generate_presigned_url(method, Params={"Key": "k", **parameters})
        return url


def test_a_presigned_url_says_what_is_put(http: httpx.Client, served: Served, s3: Any, bucket: str) -> None:
    url = boto3_presigned(
        served,
        "put_object",
        Bucket=bucket,
        Metadata={"a": "b"},
        Tagging="t=caf%C3%A9",
        ACL="public-read",
        ChecksumAlgorithm="SHA256",
    )
    answer = http.put(url, content=b"body")
    assert answer.status_code == 200, answer.text
    got = http.get(f"/{bucket}/k")
    assert (got.content, got.headers["x-amz-meta-a"]) == (b"body", "b")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "t", "Value": "caf\u00e9"}]
    assert http.put(url, content=b"body", headers={"x-amz-meta-a": "b"}).status_code == 200
    changed: list[tuple[str, dict[str, str]]] = [
        (url, {"x-amz-meta-a": "c"}),
        (url, {"x-amz-meta-c": "d"}),
        (url, {"x-amz-copy-source": f"{bucket}/k"}),
        (url.replace("x-amz-meta-a=b", "x-amz-meta-a=c"), {}),
        (url.replace("x-amz-meta-a=b&", ""), {}),
        (f"{url}&x-amz-storage-class=GLACIER", {}),
    ]
    for sent, headers in changed:
        answer = http.put(sent, content=b"x", headers=headers)
        assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True), (sent, headers)
    assert http.get(f"/{bucket}/k").content == b"body"


def test_a_presigned_url_copies(http: httpx.Client, served: Served, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="\u00e4", Body=b"body")
    url = boto3_presigned(served, "copy_object", Bucket=bucket, CopySource=f"{bucket}/\u00e4")
    assert http.put(url, headers={"x-amz-copy-source": f"{bucket}/other"}).status_code == 403
    assert http.put(url).status_code == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_a_presigned_url_has_any_text(http: httpx.Client, served: Served, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    disposition = 'attachment; filename="\u00e9"'
    url = boto3_presigned(served, "get_object", Bucket=bucket, ResponseContentDisposition=disposition)
    answer = http.get(url)
    assert answer.status_code == 200, answer.text
    assert dict(answer.headers.raw)[b"content-disposition"].decode("latin-1") == disposition
    assert http.get(url.replace("%C3%A9", "%C3%A8")).status_code == 403
