"""Signature Version 4: whose request it is. What is wrong in any way is refused."""

from __future__ import annotations

import base64
import hashlib
import re
import time
import zlib
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
from awscrt import auth as awscrt_auth
from awscrt.http import HttpHeaders, HttpRequest
from botocore.exceptions import ClientError

from dslab.objectstore import auth
from dslab.objectstore.auth import Request, Seal, claim_of, presign, sign
from dslab.objectstore.chunked import MIN_CHUNK_BYTES, SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER
from dslab.objectstore.errors import S3Error
from tests.objectstore.conftest import ID, LIMITED, READER, SECRET, Serve, Served, client

REGION = "us-east-1"
WRONG_SECRETS = ["", SECRET[:-1], SECRET + "x", SECRET.upper()]
EXAMPLE_ID = "AKIAIOSFODNN7EXAMPLE"
EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
EXAMPLE_TIME_S = 1369353600.0  # 2013-05-24T00:00:00Z


# ---- the examples of the specification


def test_the_specifications_example_of_a_get() -> None:
    request = Request(
        "GET", b"/test.txt", (), {"host": "examplebucket.s3.amazonaws.com", "range": "bytes=0-9"}
    )
    headers = sign(request, EXAMPLE_ID, EXAMPLE_SECRET, REGION, auth.EMPTY_SHA256, EXAMPLE_TIME_S)
    assert headers["authorization"].endswith(
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_the_specifications_example_of_a_presigned_url() -> None:
    request = Request("GET", b"/test.txt", (), {"host": "examplebucket.s3.amazonaws.com"})
    query = presign(request, EXAMPLE_ID, EXAMPLE_SECRET, REGION, 86_400, EXAMPLE_TIME_S)
    assert (
        dict(query)["X-Amz-Signature"] == "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


def test_the_specifications_example_of_chunks() -> None:
    key = auth.signing_key(EXAMPLE_SECRET, "20130524", REGION)
    seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    seal = Seal(key, "20130524T000000Z", "20130524/us-east-1/s3/aws4_request", seed)
    expected = [
        (b"a" * 65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (b"a" * 1_024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (b"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ]
    for data, signature in expected:
        assert seal.next("PAYLOAD", auth.EMPTY_SHA256, hashlib.sha256(data).hexdigest()) == signature
        seal = replace(seal, signature=signature)


@pytest.mark.parametrize(
    "value", ["\u00e0", "\u00c5 b", "a\u00a0b", "\u65e5\u672c", "a  b", " a \t b "], ids=ascii
)
def test_a_header_is_signed_as_amazons_own_library_does(value: str) -> None:
    signing = awscrt_auth.AwsSigningConfig(
        algorithm=awscrt_auth.AwsSigningAlgorithm.V4,
        signature_type=awscrt_auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=awscrt_auth.AwsCredentialsProvider.new_static(EXAMPLE_ID, EXAMPLE_SECRET),
        region=REGION,
        service="s3",
        date=datetime.fromtimestamp(EXAMPLE_TIME_S, UTC),
        signed_body_value=awscrt_auth.AwsSignedBodyValue.EMPTY_SHA256,
        signed_body_header_type=awscrt_auth.AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        use_double_uri_encode=False,
    )
    lines = HttpHeaders([("host", "h"), ("x-amz-meta-a", value)])
    theirs = awscrt_auth.aws_sign_request(HttpRequest("PUT", "/b/k", lines), signing).result(60).headers
    as_it_arrives = value.encode().decode("latin-1")
    request = Request("PUT", b"/b/k", (), {"host": "h", "x-amz-meta-a": as_it_arrives})
    ours = sign(request, EXAMPLE_ID, EXAMPLE_SECRET, REGION, auth.EMPTY_SHA256, EXAMPLE_TIME_S)
    assert ours["authorization"] == theirs.get("authorization")


# ---- whatever is changed, the signature is not that request's


def signed(now_s: float = EXAMPLE_TIME_S) -> Request:
    request = Request(
        "PUT", b"/b/k%20ey", (("a", "1"), ("b", "")), {"host": "h", "x-amz-meta-a": "x", "content-type": "t"}
    )
    headers = sign(request, ID, SECRET, REGION, auth.EMPTY_SHA256, now_s)
    return replace(request, headers={**request.headers, **headers})


def verify(request: Request, secret: str = SECRET, now_s: float = EXAMPLE_TIME_S) -> None:
    claim = claim_of(request, now_s)
    assert claim is not None
    assert claim.access_key == ID
    claim.verify(request, secret)


def test_a_signed_request_is_taken() -> None:
    verify(signed())
    verify(replace(signed(), path=b"/b/k ey"))  # the same path, written otherwise
    verify(replace(signed(), query=(("b", ""), ("a", "1"))))


@pytest.mark.parametrize(
    "change",
    [
        {"method": "GET"},
        {"path": b"/b/k%20eY"},
        {"query": (("a", "2"), ("b", ""))},
        {"query": (("a", "1"),)},
        {"query": (("a", "1"), ("b", ""), ("c", ""))},
    ],
)
def test_a_changed_request_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(S3Error) as error:
        verify(replace(signed(), **change))
    assert error.value.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", ["host", "x-amz-meta-a", "content-type", "x-amz-content-sha256"])
def test_a_changed_header_is_refused(name: str) -> None:
    request = signed()
    with pytest.raises(S3Error) as error:
        verify(replace(request, headers={**request.headers, name: "0" * 64}))
    assert error.value.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("secret", WRONG_SECRETS)
def test_a_wrong_secret_is_refused(secret: str) -> None:
    with pytest.raises(S3Error) as error:
        verify(signed(), secret)
    assert error.value.code == "SignatureDoesNotMatch"


def test_an_unsigned_amz_header_is_refused() -> None:
    request = signed()
    with pytest.raises(S3Error) as error:
        verify(replace(request, headers={**request.headers, "x-amz-acl": "public-read"}))
    assert error.value.code == "AccessDenied"


@pytest.mark.parametrize(
    ("late_s", "code"), [(-901, "RequestTimeTooSkewed"), (901, "RequestTimeTooSkewed"), (-899, ""), (899, "")]
)
def test_clocks_may_differ_by_15_minutes(late_s: float, code: str) -> None:
    request = signed()
    if not code:
        verify(request, now_s=EXAMPLE_TIME_S + late_s)
        return
    with pytest.raises(S3Error) as error:
        claim_of(request, EXAMPLE_TIME_S + late_s)
    assert error.value.code == code
    assert error.value.details == {
        "RequestTime": "20130524T000000Z",
        "ServerTime": "2013-05-23T23:44:59Z" if late_s < 0 else "2013-05-24T00:15:01Z",
        "MaxAllowedSkewMilliseconds": "900000",
    }


@pytest.mark.parametrize(
    ("dates", "code"),
    [
        ({"x-amz-date": "19500707T215304Z"}, "AccessDenied"),
        ({"x-amz-date": "19691231T235959Z"}, "AccessDenied"),
        ({"x-amz-date": "00010101T000000Z"}, "AccessDenied"),
        ({"x-amz-date": ""}, "AccessDenied"),
        ({"date": "Fri, 07 Jul 1950 21:53:04 GMT"}, "AccessDenied"),
        ({"date": "Mon, 01 Jan 0999 00:00:00 GMT"}, "AccessDenied"),
        ({"date": "Fri, 31 Dec 9999 23:59:59 -2300"}, "AccessDenied"),  # a year of five digits in UTC
        ({"x-amz-date": "19700101T000000Z"}, "RequestTimeTooSkewed"),
        ({"date": "Thu, 01 Jan 1970 00:00:00 GMT"}, "RequestTimeTooSkewed"),
    ],
    ids=str,
)
def test_before_1970_nothing_was_signed(dates: dict[str, str], code: str) -> None:
    headers = {name: value for name, value in signed().headers.items() if name != "x-amz-date"}
    with pytest.raises(S3Error) as error:
        claim_of(replace(signed(), headers={**headers, **dates}), EXAMPLE_TIME_S)
    assert (error.value.code, error.value.status) == (code, 403)
    if code == "AccessDenied":
        assert "requires a valid Date or x-amz-date header" in str(error.value)


MALFORMED = {
    "AWS4-HMAC-SHA256": ("AuthorizationHeaderMalformed", 400),
    "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=" + "0" * 64: (
        "AuthorizationHeaderMalformed",
        400,
    ),
    "AWS4-HMAC-SHA256 Credential=a/20130524/r/ec2/aws4_request, SignedHeaders=host, Signature=" + "0" * 64: (
        "AuthorizationHeaderMalformed",
        400,
    ),
    "AWS": ("InvalidArgument", 400),
    "AWS nonsense": ("InvalidArgument", 400),
    "AWS :signature": ("InvalidArgument", 400),
    "AWS id:": ("InvalidArgument", 400),
    "AWS id:signature": ("AccessDenied", 403),  # in version 2, an x-amz-date is written as HTTP's are
    "Basic dXNlcjpwYXNz": ("InvalidArgument", 400),
    "": ("AccessDenied", 403),
    "\xff\xfe": ("InvalidArgument", 400),
}


@pytest.mark.parametrize("header", MALFORMED, ids=lambda text: ascii(text)[:30])
def test_malformed_authorization(http: httpx.Client, header: str) -> None:
    answer = http.get(
        "/", headers=[(b"authorization", header.encode("latin-1")), (b"x-amz-date", b"20130524T000000Z")]
    )
    assert (f"<Code>{MALFORMED[header][0]}</Code>" in answer.text, answer.status_code) == (
        True,
        MALFORMED[header][1],
    )


def test_a_wrong_signature_is_told_what_was_to_be_signed() -> None:
    request = signed()
    with pytest.raises(S3Error) as error:
        verify(request, "wrong")
    told = error.value.details
    assert list(told) == [
        *("AWSAccessKeyId", "StringToSign", "SignatureProvided", "StringToSignBytes"),
        *("CanonicalRequest", "CanonicalRequestBytes"),
    ]
    assert told["SignatureProvided"] == request.headers["authorization"].rpartition("=")[2]
    for name in ("StringToSign", "CanonicalRequest"):
        assert bytes.fromhex(told[f"{name}Bytes"]).decode() == told[name]
    assert told["StringToSignBytes"].startswith("41 57 53 34 2d")  # AWS4-


FIVE = 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
CREDENTIALS = {
    "a": FIVE,
    "a/20130524/r/s3": FIVE,
    "/20130524/r/s3/aws4_request": FIVE,
    "a/1/r/ec2/aws5_request": 'incorrect terminal "aws5_request". This endpoint uses "aws4_request".',
    "a/1/r/ec2/aws4_request": 'incorrect service "ec2". This endpoint belongs to "s3".',
    "a/2013/r/s3/aws4_request": (
        'incorrect date format "2013". This date in the credential must be in the format "yyyyMMdd".'
    ),
}
"""What is no credential, and why."""


def refusal_of(request: Request) -> tuple[str, str]:
    """How a request is refused for what it claims: code and message."""
    with pytest.raises(S3Error) as error:
        claim_of(request, EXAMPLE_TIME_S)
    return error.value.code, str(error.value)


SIGNATURE = "SignedHeaders=host, Signature=" + "0" * 64
IN_HEADER = {
    "one_word": "Authorization header is invalid -- one and only one ' ' (space) required",
    "Basic dXNlcjpwYXNz": "Unsupported Authorization Type",
    f"AWS4-HMAC-SHA256 Credential=a/20130525/r/s3/aws4_request, {SIGNATURE}": (
        "The authorization header is malformed; Invalid credential date. Date is not the same as X-Amz-Date."
    ),
    "AWS4-HMAC-SHA256 Credential=a/20130524/r/s3/aws4_request, Signature=" + "0" * 64: (
        "The authorization header is malformed; the authorization header requires three components: "
        "Credential, SignedHeaders, and Signature."
    ),
    **{
        f"AWS4-HMAC-SHA256 Credential={credential}, {SIGNATURE}": (
            f"The authorization header is malformed; {reason}"
        )
        for credential, reason in CREDENTIALS.items()
    },
}


@pytest.mark.parametrize("header", IN_HEADER)
def test_why_a_header_is_refused(header: str) -> None:
    request = signed()
    request = replace(request, headers={**request.headers, "authorization": header})
    code = "AuthorizationHeaderMalformed" if header.startswith("AWS4") else "InvalidArgument"
    assert refusal_of(request) == (code, IN_HEADER[header])


SIX = (
    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
    "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
)
IN_QUERY: list[tuple[str, str | None, str]] = [
    *(
        ("X-Amz-Credential", one, f"Error parsing the X-Amz-Credential parameter; {CREDENTIALS[one]}")
        for one in CREDENTIALS
    ),
    *(
        (f"X-Amz-{name}", None, SIX)
        for name in ("Credential", "Signature", "Date", "SignedHeaders", "Expires")
    ),
    (
        "X-Amz-Credential",
        "a/20060102/r/s3/aws4_request",
        'Invalid credential date "20060102". This date is not the same as X-Amz-Date: "20130524".',
    ),
    ("X-Amz-Date", "2013", "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""),
]


@pytest.mark.parametrize(("name", "value", "message"), IN_QUERY)
def test_why_a_url_is_refused(name: str, value: str | None, message: str) -> None:
    request = Request("GET", b"/b/k", (), {"host": "h"})
    query = dict(presign(request, ID, SECRET, REGION, 60, EXAMPLE_TIME_S)) | {name: value}
    left = tuple((name, value) for name, value in query.items() if value is not None)
    assert refusal_of(replace(request, query=left)) == ("AuthorizationQueryParametersError", message)


@pytest.mark.parametrize(
    ("late_s", "message", "details"),
    [
        (
            61,
            "Request has expired",
            {"X-Amz-Expires": "60", "Expires": "2013-05-24T00:01:00Z", "ServerTime": "2013-05-24T00:01:01Z"},
        ),
        (
            -901,
            "Request is not yet valid",
            {
                "X-Amz-Date": "1369353600000",
                "Expires": "2013-05-24T00:01:00Z",
                "ServerTime": "2013-05-23T23:44:59Z",
            },
        ),
        (60, "", {}),
        (-900, "", {}),
    ],
)
def test_when_a_url_is_good_is_told(late_s: float, message: str, details: dict[str, str]) -> None:
    request = Request("GET", b"/b/k", (), {"host": "h"})
    query = presign(request, ID, SECRET, REGION, 60, EXAMPLE_TIME_S)
    if not message:
        verify(replace(request, query=query), now_s=EXAMPLE_TIME_S + late_s)
        return
    with pytest.raises(S3Error) as error:
        claim_of(replace(request, query=query), EXAMPLE_TIME_S + late_s)
    assert (error.value.code, str(error.value), error.value.details) == ("AccessDenied", message, details)


def test_a_url_of_the_last_day_is_not_yet_valid() -> None:
    request = Request("GET", b"/b/k", (), {"host": "h"})
    query = presign(request, ID, SECRET, REGION, auth.MAX_EXPIRES_S, 253_402_300_799)
    assert refusal_of(replace(request, query=query)) == ("AccessDenied", "Request is not yet valid")


# ---- through the wire


def refused(call: Any, **options: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**options)
    return str(error.value.response["Error"]["Code"])


def test_wrong_keys(served: Served, bucket: str) -> None:
    for key, code in ((f"{ID}:wrong", "SignatureDoesNotMatch"), (f"NOBODY:{SECRET}", "InvalidAccessKeyId")):
        with closing(client(served, key)) as s3:
            assert refused(s3.list_objects_v2, Bucket=bucket) == code
            assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x") == code
            assert refused(s3.create_bucket, Bucket="another") == code


def test_a_read_only_key(served: Served, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with closing(client(served, READER)) as reader:
        assert reader.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
        assert reader.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
        for call, options in (
            (reader.put_object, {"Key": "k", "Body": b"y"}),
            (reader.delete_object, {"Key": "k"}),
            (reader.copy_object, {"Key": "l", "CopySource": f"{bucket}/k"}),
            (reader.create_multipart_upload, {"Key": "k"}),
            (reader.put_object_tagging, {"Key": "k", "Tagging": {"TagSet": []}}),
            (reader.delete_objects, {"Delete": {"Objects": [{"Key": "k"}]}}),
            (reader.put_bucket_versioning, {"VersioningConfiguration": {"Status": "Enabled"}}),
            (reader.put_bucket_acl, {"ACL": "public-read"}),
            (reader.put_object_acl, {"Key": "k", "ACL": "public-read"}),
            (reader.delete_bucket, {}),
        ):
            assert refused(call, Bucket=bucket, **options) == "AccessDenied", call
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_a_key_for_one_bucket(served: Served, s3: Any, bucket: str) -> None:
    s3.create_bucket(Bucket="mybucket")
    s3.put_object(Bucket="mybucket", Key="k", Body=b"x")
    with closing(client(served, LIMITED)) as limited:
        assert limited.get_object(Bucket="mybucket", Key="k")["Body"].read() == b"x"
        assert refused(limited.list_objects_v2, Bucket=bucket) == "AccessDenied"
        assert [one["Name"] for one in limited.list_buckets()["Buckets"]] == ["mybucket"]
        assert refused(limited.put_object, Bucket="mybucket", Key="k", Body=b"") == "AccessDenied"


def test_a_name_that_is_taken_by_others(serve: Serve) -> None:
    """Only a key that makes buckets is told so, and neither is the bucket another one afterwards."""
    keys = ("MINE:secret:rw:mine", "READER:secret:ro:mine", "ALL:secret:ro")
    served = serve(f"{ID}:{SECRET}", *keys)
    with ExitStack() as stack:
        s3, mine, *readers = (
            stack.enter_context(closing(client(served, key))) for key in (f"{ID}:{SECRET}", *keys)
        )
        s3.create_bucket(Bucket="theirs", ACL="authenticated-read")
        told = s3.get_bucket_acl(Bucket="theirs")["Grants"]
        for options in ({}, {"ACL": "public-read-write"}, {"GrantRead": "id=dslab"}):
            assert refused(mine.create_bucket, Bucket="theirs", **options) == "BucketAlreadyExists"
        assert refused(mine.create_bucket, Bucket="nobodys") == "AccessDenied"
        assert refused(mine.put_bucket_acl, Bucket="theirs", ACL="private") == "AccessDenied"
        for name in ("theirs", "nobodys", "mine"):
            assert [refused(one.create_bucket, Bucket=name) for one in readers] == ["AccessDenied"] * 2
            assert httpx.put(f"{served.url}/{name}", trust_env=False).status_code == 403
        mine.create_bucket(Bucket="mine")
        mine.create_bucket(Bucket="mine")
        assert s3.get_bucket_acl(Bucket="theirs")["Grants"] == told
        assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == ["mine", "theirs"]


def test_a_key_allows_nothing_less_than_none(served: Served, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="authenticated-read")
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    with closing(client(served, LIMITED)) as limited:
        assert limited.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
        assert limited.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
        limited.put_object(Bucket=bucket, Key="k", Body=b"y")
        assert refused(limited.get_object, Bucket=bucket, Key="k") == "AccessDenied"
        assert refused(limited.put_bucket_acl, Bucket=bucket, ACL="private") == "AccessDenied"


def test_a_copy_tells_no_more_of_its_source_than_a_read(serve: Serve) -> None:
    mine_only = "MINE:secret:rw:mine"
    served = serve(f"{ID}:{SECRET}", mine_only)
    with closing(client(served)) as s3, closing(client(served, mine_only)) as mine:
        for name in ("mine", "theirs"):
            s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket="theirs", VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(Bucket="theirs", Key="there", Body=b"x")
        marker = s3.delete_object(Bucket="theirs", Key="gone")["VersionId"]
        upload = mine.create_multipart_upload(Bucket="mine", Key="k")["UploadId"]
        part = {"UploadId": upload, "PartNumber": 1}
        for key in ("there", "nothing", "gone", f"gone?versionId={marker}", f"there?versionId={'0' * 32}"):
            copy = {"Bucket": "mine", "Key": "k", "CopySource": f"theirs/{key}"}
            assert refused(mine.copy_object, **copy) == "AccessDenied", key
            assert refused(mine.upload_part_copy, **copy, **part) == "AccessDenied", key
        copy = {"Bucket": "mine", "Key": "k", "CopySource": "theirs/nothing"}
        assert refused(s3.copy_object, **copy) == "NoSuchKey"


def test_a_bucket_may_be_expected_to_be_anothers(s3: Any, bucket: str) -> None:
    owner = s3.get_bucket_acl(Bucket=bucket)["Owner"]["ID"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ExpectedBucketOwner=owner)
    for call, options in (
        (s3.head_bucket, {}),
        (s3.list_objects_v2, {}),
        (s3.put_object, {"Key": "k", "Body": b"y"}),
        (s3.get_object, {"Key": "k"}),
        (s3.delete_object, {"Key": "k"}),
    ):
        assert refused(call, Bucket=bucket, **options, ExpectedBucketOwner="another") in (
            "AccessDenied",
            "403",
        )
    copy = {"Bucket": bucket, "Key": "l", "CopySource": f"{bucket}/k"}
    assert refused(s3.copy_object, **copy, ExpectedSourceBucketOwner="another") == "AccessDenied"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_anonymous_only_where_allowed(http: httpx.Client, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="private", Body=b"x")
    s3.put_object(Bucket=bucket, Key="public", Body=b"x", ACL="public-read")
    assert http.get(f"/{bucket}/private").status_code == 403
    assert http.get(f"/{bucket}/missing").status_code == 403
    assert http.get(f"/{bucket}/public").content == b"x"
    assert http.get(f"/{bucket}").status_code == 403
    assert http.get("/").status_code == 403
    assert http.put(f"/{bucket}/public", content=b"y").status_code == 403
    assert http.delete(f"/{bucket}/public").status_code == 403
    assert http.put("/another-bucket").status_code == 403
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert http.get(f"/{bucket}").status_code == 200
    assert http.get(f"/{bucket}/missing").status_code == 404
    assert http.put(f"/{bucket}/public", content=b"y").status_code == 403
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert http.put(f"/{bucket}/public", content=b"y").status_code == 200
    assert http.put(f"/{bucket}?versioning", content=b"<x/>").status_code == 403
    s3.put_object_acl(Bucket=bucket, Key="private", ACL="public-read")
    assert http.get(f"/{bucket}/private").status_code == 200
    grants = s3.get_object_acl(Bucket=bucket, Key="private")["Grants"]
    assert {grant["Permission"] for grant in grants} == {"FULL_CONTROL", "READ"}


@pytest.mark.parametrize(("anonymous", "get", "put"), [("read", 200, 403), ("write", 200, 200)])
def test_a_server_may_allow_everybody(serve: Serve, anonymous: str, get: int, put: int) -> None:
    served = serve(f"{ID}:{SECRET}", anonymous=anonymous)
    with closing(client(served)) as s3, httpx.Client(base_url=served.url, trust_env=False) as http:
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="k", Body=b"x")
        assert http.get("/bucket/k").status_code == get
        assert http.put("/bucket/l", content=b"x").status_code == put
        with closing(client(served, f"{ID}:wrong")) as wrong:  # who signs must sign well, whatever is allowed
            assert refused(wrong.get_object, Bucket="bucket", Key="k") == "SignatureDoesNotMatch"


# ---- presigned


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_urls(served: Served, bucket: str, http: httpx.Client, version: str) -> None:
    with closing(client(served, signature_version=version)) as s3:
        where = {"Bucket": bucket, "Key": "a b/\u00e4"}
        put = s3.generate_presigned_url("put_object", Params=where, ExpiresIn=60)
        assert http.put(put, content=b"x").status_code == 200
        get = s3.generate_presigned_url("get_object", Params=where, ExpiresIn=60)
        assert http.get(get).content == b"x"
        assert http.put(get, content=b"y").status_code == 403
        assert http.get(get.replace("%C3%A4", "%C3%A5")).status_code == 403
        name = "X-Amz-Signature" if version == "s3v4" else "Signature"
        url = httpx.URL(get)
        assert http.get(url.copy_set_param(name, "0" * 64)).status_code == 403
        assert http.get(url.copy_set_param(name, "\u00e4")).status_code == 403
        assert http.get(url.copy_remove_param(name)).status_code in (400, 403)
        typed = s3.generate_presigned_url("get_object", Params={**where, "ResponseContentType": "a/b"})
        assert http.get(typed).headers["content-type"] == "a/b"


def test_a_presigned_url_expires(http: httpx.Client, served: Served, bucket: str) -> None:
    def url(started_s: float, expires_s: int) -> str:
        request = Request("GET", f"/{bucket}".encode(), (), {"host": str(served.address)})
        query = presign(request, ID, SECRET, REGION, expires_s, started_s)
        return f"/{bucket}?{auth.canonical_query(query)}"

    now_s = time.time()
    assert http.get(url(now_s - 50, 100)).status_code == 200
    for started_s, expires_s, status, code in (
        (now_s - 100, 50, 403, "AccessDenied"),
        (now_s + 3_600, 50, 403, "AccessDenied"),
        (now_s, 604_801, 400, "AuthorizationQueryParametersError"),
    ):
        answer = http.get(url(started_s, expires_s))
        assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True)


A_WEEK = (
    "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
    "604800 seconds"
)


@pytest.mark.parametrize(
    ("expires", "message"),
    [
        ("-1", "X-Amz-Expires must be non-negative"),
        ("-99999999999999999999", "X-Amz-Expires must be non-negative"),
        ("", "X-Amz-Expires should be a number."),
        ("-", "X-Amz-Expires should be a number."),
        ("--1", "X-Amz-Expires should be a number."),
        ("1.5", "X-Amz-Expires should be a number."),
        ("604801", A_WEEK),
        ("99999999999999999999", A_WEEK),
    ],
)
def test_for_how_long_a_presigned_url_cannot_be_good(expires: str, message: str) -> None:
    request = Request("GET", b"/b/k", (), {"host": "h"})
    query = dict(presign(request, ID, SECRET, REGION, 60, EXAMPLE_TIME_S)) | {"X-Amz-Expires": expires}
    with pytest.raises(S3Error) as error:
        claim_of(replace(request, query=tuple(query.items())), EXAMPLE_TIME_S)
    assert (error.value.code, error.value.status) == ("AuthorizationQueryParametersError", 400)
    assert str(error.value) == message


def presigned_put(served: Served, path: str, *more: tuple[str, str]) -> str:
    """A URL such as Amazon's JavaScript SDK makes: what would be headers is in the query."""
    request = Request("PUT", path.encode(), more, {"host": str(served.address)})
    query = presign(request, ID, SECRET, REGION, 60, time.time())
    return f"{path}?{auth.canonical_query(query)}"


def test_a_presigned_url_says_what_is_put(http: httpx.Client, served: Served, s3: Any, bucket: str) -> None:
    url = presigned_put(
        served,
        f"/{bucket}/k",
        ("x-amz-meta-name", "caf\u00e9 \u65e5"),
        ("X-Amz-Acl", "public-read"),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-tagging", "a=1&b=two%20words&c=\u65e5"),
        ("x-amz-checksum-crc32", "AAAAAA=="),  # of nothing, not of the body to come
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
        ("x-id", "PutObject"),
    )
    answer = http.put(url, content=b"body")
    assert answer.status_code == 200, answer.text
    got = http.get(f"/{bucket}/k")
    assert got.content == b"body"
    assert dict(got.headers.raw)[b"x-amz-meta-name"].decode() == "caf\u00e9 \u65e5"
    assert got.headers["x-amz-storage-class"] == "STANDARD_IA"
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]}
    assert tags == {"a": "1", "b": "two words", "c": "\u65e5"}
    assert http.put(url.replace("STANDARD_IA", "GLACIER"), content=b"x").status_code == 403


@pytest.mark.parametrize(
    "more",
    [
        ("x-amz-meta-a", "b\r\nc: d"),
        ("x-amz-meta-\u65e5", "x"),
        ("x-amz-acl", "mine"),
        ("x-amz-tagging", "a&a"),
    ],
)
def test_a_presigned_url_cannot_say_everything(
    http: httpx.Client, served: Served, bucket: str, more: tuple[str, str]
) -> None:
    answer = http.put(presigned_put(served, f"/{bucket}/k", more), content=b"x")
    assert (answer.status_code, "InvalidArgument" in answer.text) == (400, True), answer.text


def test_a_presigned_url_grants_nothing(http: httpx.Client, served: Served, s3: Any, bucket: str) -> None:
    url = presigned_put(served, f"/{bucket}/k", ("x-amz-grant-read", "id=dslab"))
    answer = http.put(url, content=b"x")
    assert (answer.status_code, "<Code>NotImplemented</Code>" in answer.text) == (501, True), answer.text
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("x-amz-object-lock-legal-hold", "ON"), "Bucket is missing ObjectLockConfiguration"),
        (("X-Amz-Object-Lock-Mode", "GOVERNANCE"), "Bucket is missing ObjectLockConfiguration"),
        (
            ("x-amz-website-redirect-location", "elsewhere"),
            "The website redirect location must have a prefix",
        ),
    ],
)
def test_a_presigned_url_is_refused_as_headers_are(  # noqa: PLR0917
    http: httpx.Client, served: Served, s3: Any, bucket: str, more: tuple[str, str], message: str
) -> None:
    answer = http.put(presigned_put(served, f"/{bucket}/k", more), content=b"x")
    assert (answer.status_code, message in answer.text) == (400, True), answer.text
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_what_is_in_a_query_that_nobody_signed_says_nothing(http: httpx.Client, s3: Any, bucket: str) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert http.put(f"/{bucket}/k?x-amz-acl=public-read", content=b"x").status_code == 200
    assert http.get(f"/{bucket}/k").status_code == 403


# ---- bodies


def put_signed(
    http: httpx.Client, served: Served, path: str, payload: str, body: bytes, **more: str
) -> httpx.Response:
    sent = {"host": str(served.address), **{name.replace("_", "-"): value for name, value in more.items()}}
    sent |= sign(Request("PUT", path.encode(), (), sent), ID, SECRET, REGION, payload, time.time())
    return http.put(path, content=body, headers=sent)


def test_the_body_must_have_the_signed_hash(http: httpx.Client, served: Served, bucket: str) -> None:
    digest = hashlib.sha256(b"body").hexdigest()
    assert put_signed(http, served, f"/{bucket}/k", digest, b"body").status_code == 200
    changed = put_signed(http, served, f"/{bucket}/k", digest, b"BODY")
    assert (changed.status_code, "XAmzContentSHA256Mismatch" in changed.text) == (400, True)
    assert put_signed(http, served, f"/{bucket}/k", "UNSIGNED-PAYLOAD", b"any").status_code == 200
    assert put_signed(http, served, f"/{bucket}/k", "nonsense", b"any").status_code == 400
    assert put_signed(http, served, f"/{bucket}/k", digest.upper(), b"body").status_code == 200
    changed = put_signed(http, served, f"/{bucket}/k", digest.upper(), b"BODY")
    assert (changed.status_code, "XAmzContentSHA256Mismatch" in changed.text) == (400, True)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
@pytest.mark.parametrize("path", ["/{}/k", "/{}", "/{}?list-type=2"])
def test_what_is_said_of_no_body_must_make_sense_too(
    http: httpx.Client, served: Served, bucket: str, method: str, path: str
) -> None:
    url = httpx.URL(path.format(bucket))
    request = Request(method, url.path.encode(), tuple(url.params.items()), {"host": str(served.address)})
    signed = sign(request, ID, SECRET, REGION, "invalid", time.time())
    answer = http.request(method, url, headers={**request.headers, **signed})
    assert (answer.status_code, "InvalidArgument" in answer.text) == (400, method != "HEAD")


def chunked(seal: Seal | None, chunks: list[bytes], trailer: str = "") -> bytes:
    """Write a body in chunks, signed if there is a seal."""
    out = b""
    for chunk in [*chunks, b""]:
        out += f"{len(chunk):x}".encode()
        if seal:
            seal = replace(
                seal, signature=seal.next("PAYLOAD", auth.EMPTY_SHA256, hashlib.sha256(chunk).hexdigest())
            )
            out += f";chunk-signature={seal.signature}".encode()
        out += b"\r\n" + (chunk + b"\r\n" if chunk else b"")
    if trailer:
        out += trailer.encode() + b"\r\n"
        if seal:
            signature = seal.next("TRAILER", hashlib.sha256(f"{trailer}\n".encode()).hexdigest())
            out += f"x-amz-trailer-signature:{signature}\r\n".encode()
    return out + b"\r\n"


def put_chunks(  # noqa: PLR0917
    http: httpx.Client,
    served: Served,
    path: str,
    kind: str,
    chunks: list[bytes],
    change: Any = None,
    summed: bytes | None = None,
    **more: str,
) -> httpx.Response:
    """Put a body in chunks; in its trailer stands the checksum of `summed`, if that is not the body."""
    now_s = time.time()
    checksum = zlib.crc32(b"".join(chunks) if summed is None else summed).to_bytes(4)
    told = f"x-amz-checksum-crc32:{base64.b64encode(checksum).decode()}"
    trailer = told if "TRAILER" in kind else ""
    sent = {"host": str(served.address), "x-amz-decoded-content-length": str(sum(map(len, chunks)))}
    sent |= {"x-amz-trailer": "x-amz-checksum-crc32"} if trailer else {}
    sent |= {name.replace("_", "-"): value for name, value in more.items()}
    signature = sign(Request("PUT", path.encode(), (), sent), ID, SECRET, REGION, kind, now_s)
    day = signature["x-amz-date"][:8]
    seed = signature["authorization"].rpartition("=")[2]
    key = auth.signing_key(SECRET, day, REGION)
    seal = Seal(key, signature["x-amz-date"], f"{day}/{REGION}/s3/aws4_request", seed)
    body = chunked(None if kind == UNSIGNED_TRAILER else seal, chunks, trailer)
    return http.put(path, content=change(body) if change else body, headers={**sent, **signature})


LARGE = b"x" * MIN_CHUNK_BYTES


@pytest.mark.parametrize("kind", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_chunked_bodies(http: httpx.Client, served: Served, s3: Any, bucket: str, kind: str) -> None:
    path = f"/{bucket}/k"
    answer = put_chunks(http, served, path, kind, [LARGE, b"56789"])
    assert answer.status_code == 200, answer.text
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == LARGE + b"56789"
    declared: Any = {"x_amz_decoded_content_length": "8"}
    assert put_chunks(http, served, path, kind, [LARGE, b"56789"], **declared).status_code == 400
    short = put_chunks(http, served, path, kind, [LARGE, b"56789"], lambda body: body[:40])
    assert (short.status_code, "IncompleteBody" in short.text) == (400, True)


@pytest.mark.parametrize("kind", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
@pytest.mark.parametrize(
    ("chunks", "bad"),
    [
        ([b"hel", b"lo"], (2, 3)),
        ([LARGE, LARGE[1:], b"x"], (3, 8191)),
        ([LARGE[1:], LARGE], (2, 8191)),
        ([LARGE, LARGE, b"x"], None),
        ([b"x"], None),
        ([], None),
    ],
    ids=["two small ones", "in the middle", "at first", "at the end", "alone", "none"],
)
def test_only_the_last_chunk_may_be_small(  # noqa: PLR0917
    http: httpx.Client, served: Served, bucket: str, kind: str, chunks: list[bytes], bad: Any
) -> None:
    answer = put_chunks(http, served, f"/{bucket}/k", kind, chunks)
    if bad is None:
        assert answer.status_code == 200, answer.text
        return
    told = ElementTree.fromstring(answer.content)
    assert (answer.status_code, told.findtext("Code")) == (403, "InvalidChunkSizeError")
    assert (told.findtext("Chunk"), told.findtext("BadChunkSize")) == tuple(map(str, bad))


SPACED = re.compile(rb";chunk-signature=(\w+)")
LAST = re.compile(rb"(?<=x-amz-trailer-signature:)(\w+)\r\n")
TRAILER = re.compile(rb"x-amz-checksum-crc32:[^\r]+(?=\r\n)")


@pytest.mark.parametrize(
    ("kind", "change", "status", "code"),
    [
        (SIGNED, lambda body: SPACED.sub(rb" ; chunk-signature = \1 ", body), 200, ""),
        (SIGNED, lambda body: SPACED.sub(rb";chunk-signature=\1;more=x", body), 400, "IncompleteBody"),
        (SIGNED, lambda body: SPACED.sub(rb"", body), 400, "IncompleteBody"),
        (SIGNED, lambda body: SPACED.sub(rb";chunk-signature=", body), 400, "IncompleteBody"),
        (UNSIGNED_TRAILER, lambda body: body.removesuffix(b"\r\n"), 200, ""),
        (SIGNED_TRAILER, lambda body: body.partition(b"x-amz-trailer-")[0], 400, "IncompleteBody"),
        (SIGNED_TRAILER, lambda body: LAST.sub(rb"\1a\r\n", body), 400, "IncompleteBody"),
        (SIGNED_TRAILER, lambda body: LAST.sub(rb"\r\n", body), 400, "IncompleteBody"),
        (SIGNED_TRAILER, lambda body: LAST.sub(b"0" * 64 + b"\r\n", body), 403, "SignatureDoesNotMatch"),
        (SIGNED_TRAILER, lambda body: TRAILER.sub(b"", body), 400, "MalformedTrailerError"),
    ],
    ids=[
        *("spaces", "another parameter", "no signature", "an empty one", "no empty line"),
        *("trailers unsigned", "signed at length", "signed briefly", "signed wrongly", "no trailer"),
    ],
)
def test_the_lines_between_chunks(  # noqa: PLR0917
    http: httpx.Client, served: Served, bucket: str, kind: str, change: Any, status: int, code: str
) -> None:
    answer = put_chunks(http, served, f"/{bucket}/k", kind, [LARGE, b"56789"], change)
    assert (answer.status_code, code in answer.text) == (status, True), answer.text


def test_a_chunked_body_without_trailers(http: httpx.Client, bucket: str, served: Served) -> None:
    sent = {"host": str(served.address), "x-amz-decoded-content-length": "9"}
    request = Request("PUT", f"/{bucket}/k".encode(), (), sent)
    for body in (b"9\r\n123456789\r\n0\r\n\r\n", b"9\r\n123456789\r\n0\r\n"):
        signature = sign(request, ID, SECRET, REGION, UNSIGNED_TRAILER, time.time())
        assert http.put(f"/{bucket}/k", content=body, headers={**sent, **signature}).status_code == 200
    none = put_chunks(http, served, f"/{bucket}/k", SIGNED, [b"x"], x_amz_decoded_content_length="one")
    assert (none.status_code, "MissingContentLength" in none.text) == (411, True)


def swapped(body: bytes) -> bytes:
    lines = body.split(b"\r\n")
    lines[0:2], lines[2:4] = lines[2:4], lines[0:2]
    return b"\r\n".join(lines)


def replayed(body: bytes) -> bytes:
    lines = body.split(b"\r\n")
    return b"\r\n".join([*lines[:2], *lines[:2], *lines[2:]])


@pytest.mark.parametrize(
    "change",
    [swapped, replayed, lambda body: body.replace(LARGE, LARGE.swapcase(), 1)],
    ids=["swapped", "replayed", "changed"],
)
def test_chunks_cannot_be_tampered_with(http: httpx.Client, served: Served, bucket: str, change: Any) -> None:
    lengths: Any = {"x_amz_decoded_content_length": str(3 * len(LARGE))} if change is replayed else {}
    chunks = [LARGE, LARGE.swapcase()]
    answer = put_chunks(http, served, f"/{bucket}/k", SIGNED, chunks, change, **lengths)
    assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True)
    assert http.get(f"/{bucket}/k").status_code == 403


def test_a_wrong_trailer(http: httpx.Client, served: Served, bucket: str) -> None:
    path = f"/{bucket}/k"
    wrong = put_chunks(http, served, path, UNSIGNED_TRAILER, [b"12345678"], summed=b"123456789")
    assert (wrong.status_code, "BadDigest" in wrong.text) == (400, True)
    missing = put_chunks(
        http,
        served,
        path,
        UNSIGNED_TRAILER,
        [b"1"],
        lambda body: body.replace(b"x-amz-checksum-crc32:y/Q5Jg==\r\n", b""),
        summed=b"123456789",
    )
    assert (missing.status_code, "MalformedTrailerError" in missing.text) == (400, True)
    forged = put_chunks(
        http,
        served,
        path,
        SIGNED_TRAILER,
        [b"123456789"],
        lambda body: body.replace(b"y/Q5Jg==", b"y/Q5Jh=="),
    )
    assert forged.status_code == 403


@pytest.mark.parametrize(
    ("announced", "code"),
    [
        ("x-amz-checksum-crc32,", ""),
        (", X-Amz-Checksum-CRC32", ""),
        ("x-amz-checksum-sha1", "MalformedTrailerError"),
        ("", "MalformedTrailerError"),
        ("x-amz-checksum-crc32,x-amz-checksum-sha1", "InvalidRequest"),
        ("x-amz-checksum-crc32,x-other", "InvalidRequest"),
        ("x-amz-checksum-md4", "InvalidRequest"),
        ("x-amz-meta-a", "InvalidRequest"),
    ],
)
@pytest.mark.parametrize("kind", [UNSIGNED_TRAILER, SIGNED_TRAILER])
def test_which_trailers_are_announced(  # noqa: PLR0917
    http: httpx.Client, served: Served, bucket: str, kind: str, announced: str, code: str
) -> None:
    def put(data: bytes) -> httpx.Response:
        return put_chunks(
            http, served, f"/{bucket}/k", kind, [data], summed=b"123456789", x_amz_trailer=announced
        )

    answer = put(b"123456789")
    assert (answer.status_code, code in answer.text) == (400 if code else 200, True), answer.text
    answer = put(b"12345678!")  # what comes is always held against the body
    assert (answer.status_code, (code or "BadDigest") in answer.text) == (400, True), answer.text


def test_anonymous_chunks_may_not_be_signed(serve: Serve) -> None:
    served = serve(f"{ID}:{SECRET}", anonymous="write")
    with httpx.Client(base_url=served.url, trust_env=False) as http:
        http.put("/bucket")
        headers = {"x-amz-content-sha256": SIGNED, "x-amz-decoded-content-length": "1"}
        assert http.put("/bucket/k", content=b"1\r\nx\r\n0\r\n\r\n", headers=headers).status_code == 400
