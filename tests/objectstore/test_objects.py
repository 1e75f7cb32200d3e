"""Objects, as boto3 puts and gets them."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from itertools import product
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from dslab.objectstore import headers as object_headers
from dslab.objectstore.errors import S3Error
from tests.objectstore.conftest import Served

KEYS = [
    "plain",
    "a/../b",
    "../../etc/passwd",
    "/leading/slash",
    "//two",
    "trailing/",
    ".",
    "..",
    "with space + plus & more?x=1#y",
    "percent%41%2F",
    "quote'\"<>&",
    "umlaut-\u00e4\u00f6\u00fc \u65e5\u672c\u8a9e \U0001f600",
    "line\nbreak\ttab",
    "~tilde*star(parens)!",
    "k" * 1024,
    "\u00e9" * 512,
]


def refused(error: ClientError) -> tuple[str, int]:
    return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: ascii(key)[:20])
def test_keys_are_opaque(s3: Any, bucket: str, key: str) -> None:
    body = key.encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body
    s3.delete_object(Bucket=bucket, Key=key)
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket=bucket, Key=key)
    assert refused(error.value) == ("404", 404)


def test_a_key_has_at_most_1024_bytes(s3: Any, bucket: str) -> None:
    for key in ("k" * 1025, "\u00e9" * 513):
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=bucket, Key=key, Body=b"")
        assert refused(error.value) == ("KeyTooLongError", 400)


@pytest.mark.parametrize("size", [0, 1, 65_536, 1024 * 1024, 3 * 1024 * 1024 + 17])
def test_what_is_put_is_what_is_got(s3: Any, bucket: str, size: int) -> None:
    body = hashlib.shake_128(b"seed").digest(size)
    put = s3.put_object(Bucket=bucket, Key="key", Body=body)
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="key")
    assert got["Body"].read() == body
    assert (got["ETag"], got["ContentLength"]) == (put["ETag"], size)
    assert got["ContentType"] == "binary/octet-stream"
    assert got["AcceptRanges"] == "bytes"


def test_headers_are_kept(s3: Any, bucket: str) -> None:
    kept: dict[str, Any] = {
        "ContentType": "text/plain; charset=utf-8",
        "CacheControl": "no-cache",
        "ContentDisposition": 'attachment; filename="x.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de",
        "Metadata": {"colour": "blue", "number": "7"},
        "StorageClass": "STANDARD_IA",
        "WebsiteRedirectLocation": "/elsewhere",
    }
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Expires="Thu, 01 Dec 2044 16:00:00 GMT", **kept)
    for got in (s3.head_object(Bucket=bucket, Key="key"), s3.get_object(Bucket=bucket, Key="key")):
        assert {name: got.get(name) for name in kept} == kept
        assert got["ExpiresString"] == "Thu, 01 Dec 2044 16:00:00 GMT"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("gzip,aws-chunked,br", "gzip,br"),
        ("gzip, br", "gzip, br"),
        ("AWS-Chunked, gzip", "gzip"),
        ("gzip, aws-chunked", "gzip"),
        ("GZIP,", "GZIP"),
        ("aws-chunked", None),
        ("Aws-Chunked,aws-chunked", None),
    ],
)
def test_how_a_body_travels_is_not_kept(s3: Any, bucket: str, sent: str, kept: str | None) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ContentEncoding=sent)
    assert s3.head_object(Bucket=bucket, Key="key").get("ContentEncoding") == kept


def test_where_a_redirect_may_lead(s3: Any, bucket: str) -> None:
    source: Any = {"Bucket": bucket, "Key": "source"}
    s3.put_object(**source, Body=b"x")
    one = {"Bucket": bucket, "Key": "key"}
    calls: Any = (
        (s3.put_object, {}),
        (s3.copy_object, {"CopySource": source}),
        (s3.create_multipart_upload, {}),
    )
    for (call, more), to in product(calls, ("http://a", "https://a/b", "/a")):
        call(**one, **more, WebsiteRedirectLocation=to)
    for (call, more), to in product(calls, ("elsewhere", "ftp://a", "example.com/", "HTTP://a")):
        with pytest.raises(ClientError) as error:
            call(**one, **more, WebsiteRedirectLocation=to)
        assert refused(error.value) == ("InvalidRedirectLocation", 400)
        told = "The website redirect location must have a prefix of 'http://' or 'https://' or '/'."
        assert error.value.response["Error"]["Message"] == told


def test_metadata_has_at_most_2_kib(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"", Metadata={"a": "x" * 2047})
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="key", Body=b"", Metadata={"a": "x" * 2048})
    assert refused(error.value) == ("MetadataTooLarge", 400)


RANGES = [
    ("bytes=0-3", b"0123", "bytes 0-3/10"),
    ("bytes=4-", b"456789", "bytes 4-9/10"),
    ("bytes=-3", b"789", "bytes 7-9/10"),
    ("bytes=-30", b"0123456789", "bytes 0-9/10"),
    ("bytes=9-900", b"9", "bytes 9-9/10"),
    ("BYTES=9-", b"9", "bytes 9-9/10"),
    ("bytes=5-2", b"0123456789", None),
    (f"bytes=0-{'9' * 5_000}", b"0123456789", None),
    (f"bytes={'9' * 5_000}-", b"0123456789", None),
    (f"bytes=-{'9' * 5_000}", b"0123456789", None),
    (f"bytes=2-{'9' * 20}", b"23456789", "bytes 2-9/10"),
    ("bytes=0-1,3-4", b"0123456789", None),
    ("chapters=1-2", b"0123456789", None),
    ("bytes=-", b"0123456789", None),
]


@pytest.mark.parametrize(("header", "body", "told"), RANGES, ids=[one[0][:20] for one in RANGES])
def test_ranges(s3: Any, bucket: str, header: str, body: bytes, told: str | None) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="key", Range=header)
    assert got["Body"].read() == body
    assert got.get("ContentRange") == told
    assert got["ResponseMetadata"]["HTTPStatusCode"] == (206 if told else 200)


@pytest.mark.parametrize("header", ["bytes=-1", "bytes=-10"])
def test_the_last_bytes_of_nothing(s3: Any, bucket: str, header: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"")
    for read in (s3.get_object, s3.head_object):
        got = read(Bucket=bucket, Key="key", Range=header)
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 200
        assert (got["ContentLength"], "ContentRange" in got) == (0, False)


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (b"0123456789", "bytes=10-"),
        (b"0123456789", "bytes=-0"),
        *((b"", f"bytes={one}") for one in ("0-1", "0-0", "0-", "-0")),
    ],
)
def test_a_range_that_is_not_there(s3: Any, bucket: str, body: bytes, header: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=body)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="key", Range=header)
    assert refused(error.value) == ("InvalidRange", 416)
    assert error.value.response["ResponseMetadata"]["HTTPHeaders"]["content-range"] == f"bytes */{len(body)}"


@pytest.mark.parametrize("number", ["-3", "0", "10001", "one", ""])
def test_what_is_no_number_of_a_part_is_refused_though_there_is_no_object(
    s3: Any, http: httpx.Client, bucket: str, number: str
) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    answer = http.get(f"/{bucket}/none", params={"partNumber": number})
    assert (answer.status_code, "<Code>InvalidArgument</Code>" in answer.text) == (400, True)
    assert http.head(f"/{bucket}/none", params={"partNumber": number}).status_code == 400
    assert http.get(f"/{bucket}/none", params={"partNumber": "3"}).status_code == 404


def test_conditional_get(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"x")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="key")["LastModified"]
    early, late = modified.replace(year=2000), modified.replace(year=2096)  # leap years, as this one may be
    held: list[dict[str, Any]] = [
        {"IfMatch": etag},
        {"IfMatch": "*"},
        {"IfMatch": f'"0", {etag}'},
        {"IfNoneMatch": '"0"'},
        {"IfModifiedSince": early},
        {"IfUnmodifiedSince": late},
        {"IfMatch": etag, "IfUnmodifiedSince": early},
        {"IfNoneMatch": '"0"', "IfModifiedSince": modified},
    ]
    for conditions in held:
        assert s3.get_object(Bucket=bucket, Key="key", **conditions)["Body"].read() == b"x"
    failed: list[tuple[dict[str, Any], int]] = [
        ({"IfMatch": '"0"'}, 412),
        ({"IfUnmodifiedSince": early}, 412),
        ({"IfNoneMatch": etag}, 304),
        ({"IfNoneMatch": "*"}, 304),
        ({"IfModifiedSince": modified}, 304),
    ]
    for conditions, status in failed:
        for read in (s3.get_object, s3.head_object):
            with pytest.raises(ClientError) as error:
                read(Bucket=bucket, Key="key", **conditions)
            assert refused(error.value)[1] == status, conditions
            told = error.value.response["ResponseMetadata"]["HTTPHeaders"]
            assert status == 412 or (told["etag"], "content-length" in told) == (etag, False)


def test_not_modified_tells_a_cache_how_long(s3: Any, bucket: str) -> None:
    kept = {"CacheControl": "max-age=5", "Expires": "Sun, 06 Nov 2033 08:49:37 GMT", "ContentType": "text/x"}
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"x", **kept)["ETag"]
    for read in (s3.get_object, s3.head_object):
        with pytest.raises(ClientError) as error:
            read(Bucket=bucket, Key="key", IfNoneMatch=etag)
        told = error.value.response["ResponseMetadata"]["HTTPHeaders"]
        assert (told["etag"], told["cache-control"], told["expires"]) == (
            etag,
            kept["CacheControl"],
            kept["Expires"],
        )
        assert "content-type" not in told


def test_conditional_put_prevents_the_lost_update(s3: Any, bucket: str) -> None:
    first = s3.put_object(Bucket=bucket, Key="key", Body=b"1", IfNoneMatch="*")["ETag"]
    second = s3.put_object(Bucket=bucket, Key="key", Body=b"2", IfMatch=first)["ETag"]
    for conditions in ({"IfMatch": first}, {"IfNoneMatch": "*"}, {"IfNoneMatch": second}):
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=bucket, Key="key", Body=b"3", **conditions)
        assert refused(error.value) == ("PreconditionFailed", 412)
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="other", Body=b"3", IfMatch=first)
    assert refused(error.value) == ("NoSuchKey", 404)
    with pytest.raises(ClientError) as error:
        s3.delete_object(Bucket=bucket, Key="key", IfMatch=first)
    assert refused(error.value) == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"2"
    s3.delete_object(Bucket=bucket, Key="key", IfMatch=second)


def test_conditional_delete(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"x")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="key")["LastModified"]
    late = modified.replace(year=2096)  # a leap year, as this one may be
    failing: list[dict[str, Any]] = [{"ETag": '"0"'}, {"Size": 2}, {"LastModifiedTime": late}]
    holding: dict[str, Any] = {"ETag": etag, "Size": 1, "LastModifiedTime": modified}
    names = {"ETag": "IfMatch", "Size": "IfMatchSize", "LastModifiedTime": "IfMatchLastModifiedTime"}

    def one(conditions: dict[str, Any]) -> None:
        s3.delete_object(Bucket=bucket, Key="key", **{names[name]: conditions[name] for name in conditions})

    def many(conditions: dict[str, Any]) -> list[str]:
        done = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "key", **conditions}]})
        return [error["Code"] for error in done.get("Errors", [])]

    for conditions in failing:
        with pytest.raises(ClientError) as error:
            one({**holding, **conditions})
        assert refused(error.value) == ("PreconditionFailed", 412)
        assert many({**holding, **conditions}) == ["PreconditionFailed"]
    one(holding)
    for conditions in failing[1:]:  # what is not there is as good as deleted, unless it must have an ETag
        one(conditions)
        assert many(conditions) == []
    assert many(failing[0]) == ["NoSuchKey"]


def test_conditions_that_are_none_delete_nothing(s3: Any, http: httpx.Client, bucket: str) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    for header in ("x-amz-if-match-size", "x-amz-if-match-last-modified-time"):
        assert http.delete(f"/{bucket}/key", headers={header: "yesterday"}).status_code == 400
    for name, text, status, code in (
        ("Size", "", 400, "InvalidArgument"),
        ("Size", "many", 400, "InvalidArgument"),
        ("LastModifiedTime", "", 400, "InvalidArgument"),
        ("ETag", "", 200, "PreconditionFailed"),
    ):
        document = f"<Delete><Object><Key>key</Key><{name}>{text}</{name}></Object></Delete>".encode()
        headers = {"content-md5": base64.b64encode(hashlib.md5(document).digest()).decode()}
        answer = http.post(f"/{bucket}?delete", content=document, headers=headers)
        assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True)
    s3.head_object(Bucket=bucket, Key="key")


def test_delete_is_idempotent(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    for _ in range(2):
        assert s3.delete_object(Bucket=bucket, Key="key")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_many_deletes(s3: Any, bucket: str) -> None:
    for key in ("a", "b", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    wanted = {"Objects": [{"Key": "a"}, {"Key": "missing"}, {"Key": "b", "ETag": '"0"'}]}
    done = s3.delete_objects(Bucket=bucket, Delete=wanted)
    assert [one["Key"] for one in done["Deleted"]] == ["a", "missing"]
    assert [(one["Key"], one["Code"]) for one in done["Errors"]] == [("b", "PreconditionFailed")]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["c"]


def test_copy(s3: Any, bucket: str) -> None:
    put = s3.put_object(
        Bucket=bucket, Key="from", Body=b"body", Metadata={"a": "1"}, ContentType="text/plain", Tagging="t=1"
    )
    source: Any = {"Bucket": bucket, "Key": "from"}
    done = s3.copy_object(Bucket=bucket, Key="to", CopySource=source)
    assert done["CopyObjectResult"]["ETag"] == put["ETag"]
    got = s3.get_object(Bucket=bucket, Key="to")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (b"body", {"a": "1"}, "text/plain")
    assert got["TagCount"] == 1
    replaced: Any = {"MetadataDirective": "REPLACE", "Metadata": {"b": "2"}, "TaggingDirective": "REPLACE"}
    s3.copy_object(Bucket=bucket, Key="to", CopySource=source, **replaced)
    got = s3.get_object(Bucket=bucket, Key="to")
    assert (got["Body"].read(), got["Metadata"], got.get("TagCount")) == (b"body", {"b": "2"}, None)
    s3.delete_object(Bucket=bucket, Key="from")
    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == b"body"


def test_copies_that_are_refused(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="from", Body=b"body")["ETag"]
    cases: list[tuple[Any, dict[str, Any], tuple[str, int]]] = [
        (f"{bucket}/from", {}, ("InvalidRequest", 400)),
        (f"{bucket}/none", {}, ("NoSuchKey", 404)),
        ("nowhere-at-all/from", {}, ("NoSuchBucket", 404)),
        ("nonsense", {}, ("InvalidArgument", 400)),
        (f"{bucket}/from", {"CopySourceIfMatch": '"0"', "Key": "to"}, ("PreconditionFailed", 412)),
        (f"{bucket}/from", {"CopySourceIfNoneMatch": etag, "Key": "to"}, ("PreconditionFailed", 412)),
    ]
    for source, options, expected in cases:
        with pytest.raises(ClientError) as error:
            s3.copy_object(Bucket=bucket, CopySource=source, **{"Key": "from", **options})
        assert refused(error.value) == expected, source
        if expected[1] == 412:
            failed = "If-Match" if "CopySourceIfMatch" in options else "If-None-Match"
            told: Any = error.value.response["Error"]
            assert told["Condition"] == f"x-amz-copy-source-{failed}"
    s3.copy_object(Bucket=bucket, Key="from", CopySource=f"{bucket}/from", MetadataDirective="REPLACE")


NINE = b"123456789"
CHECKSUMS = {
    "CRC32": zlib.crc32(NINE).to_bytes(4, "big"),
    "CRC32C": (0xE3069283).to_bytes(4, "big"),
    "CRC64NVME": (0xAE8B14860A799888).to_bytes(8, "big"),
    "MD5": hashlib.md5(NINE).digest(),
    "SHA1": hashlib.sha1(NINE).digest(),
    "SHA256": hashlib.sha256(NINE).digest(),
    "SHA512": hashlib.sha512(NINE).digest(),
    "XXHASH128": bytes.fromhex("33119477ede5dcd5e9716427681d5860"),
    "XXHASH3": bytes.fromhex("72dcb18b67a17dff"),
    "XXHASH64": bytes.fromhex("8cb841db40e6ae83"),
}


@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_checksums(s3: Any, bucket: str, algorithm: Any) -> None:
    body, expected = NINE, CHECKSUMS[algorithm]
    name = f"Checksum{algorithm}"
    # boto3 computes them all but MD5, which it wants to be told.
    said = (
        {name: base64.b64encode(expected).decode()}
        if algorithm == "MD5"
        else {"ChecksumAlgorithm": algorithm}
    )
    put: Any = s3.put_object(Bucket=bucket, Key="key", Body=body, **said)
    assert put[name] == base64.b64encode(expected).decode()
    assert put["ChecksumType"] == "FULL_OBJECT"
    head: Any = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert head[name] == put[name]
    assert name not in s3.head_object(Bucket=bucket, Key="key")
    got: Any = s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got[name]) == (body, put[name])  # boto3 has held the one against the other
    attributes: Any = s3.get_object_attributes(
        Bucket=bucket, Key="key", ObjectAttributes=["Checksum", "ETag", "ObjectSize", "StorageClass"]
    )
    assert attributes["Checksum"][name] == put[name]
    assert (attributes["ObjectSize"], attributes["StorageClass"]) == (9, "STANDARD")
    wrong: Any = {name: base64.b64encode(bytes(len(expected))).decode()}
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="key", Body=body, **wrong)
    assert refused(error.value) == ("BadDigest", 400)
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="key", Body=body, **{name: "nonsense"})
    assert refused(error.value) == ("InvalidRequest", 400)
    padding = "=" * put[name].count("=")
    unusual = {name: put[name].rstrip("=")[:-1] + chr(ord(put[name].rstrip("=")[-1]) + 1) + padding}
    with pytest.raises(ClientError) as error:  # the same bits, and one that says nothing
        s3.put_object(Bucket=bucket, Key="key", Body=body, **unusual)
    assert refused(error.value) == ("InvalidRequest", 400)
    header = f"x-amz-checksum-{algorithm.lower()}"
    assert error.value.response["Error"]["Message"] == f"Value for {header} header is invalid."


@pytest.mark.parametrize("key", ["key", "none"])
def test_what_attributes_are_asked_for_is_looked_at_before_the_object(
    s3: Any, http: httpx.Client, bucket: str, key: str
) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ACL="public-read")
    missing = "header specifying the attributes to be retrieved is either missing or empty"
    invalid = "<Code>InvalidArgument</Code><Message>Invalid attribute name specified.</Message>"
    name = "<ArgumentName>x-amz-object-attributes</ArgumentName>"
    for headers, told in (
        ({}, f"<Code>InvalidRequest</Code><Message>The x-amz-object-attributes {missing}</Message>"),
        ({"x-amz-object-attributes": ""}, missing),
        ({"x-amz-object-attributes": "ETag,Colour"}, f"{invalid}{name}<ArgumentValue>Colour</ArgumentValue>"),
    ):
        answer = http.get(f"/{bucket}/{key}?attributes", headers=headers)
        assert (answer.status_code, told in answer.text) == (400, True), answer.text
        assert http.get(f"/no-such-bucket/{key}?attributes", headers=headers).status_code == 404


@pytest.mark.parametrize("most", ["-1", "many", "", "9999999999"])
def test_what_is_no_number_of_parts_is_ignored(s3: Any, http: httpx.Client, bucket: str, most: str) -> None:
    upload = {"Bucket": bucket, "Key": "key"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, ACL="public-read")["UploadId"]
    parts = [{"PartNumber": 1, "ETag": s3.upload_part(**upload, PartNumber=1, Body=b"x")["ETag"]}]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    asked = {"x-amz-object-attributes": "ObjectParts", "x-amz-max-parts": most}
    answer = http.get(f"/{bucket}/key?attributes", headers=asked)
    assert (answer.status_code, "<MaxParts>1000</MaxParts>" in answer.text) == (200, True), answer.text
    none = http.get(f"/{bucket}/key?attributes", headers={**asked, "x-amz-max-parts": "0"})
    assert "<IsTruncated>false</IsTruncated>" in none.text  # or a client would ask for the next none for ever


@pytest.mark.parametrize("algorithm", CHECKSUMS)
def test_a_checksum_in_a_trailer_in_a_form_and_of_a_copy(
    s3: Any, http: httpx.Client, bucket: str, algorithm: Any
) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    name, header = f"Checksum{algorithm}", f"x-amz-checksum-{algorithm.lower()}"
    right, wrong = (
        base64.b64encode(one).decode() for one in (CHECKSUMS[algorithm], CHECKSUMS[algorithm][::-1])
    )
    in_chunks = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": "9",
        "x-amz-trailer": header,
    }
    for told, status in ((wrong, 400), (right, 200)):
        body = b"9\r\n%b\r\n0\r\n%b:%b\r\n\r\n" % (NINE, header.encode(), told.encode())
        answer = http.put(f"/{bucket}/trailer", content=body, headers=in_chunks)
        assert (answer.status_code, "<Code>BadDigest</Code>" in answer.text) == (status, status == 400)
        form = {"key": "form", header: told}
        answer = http.post(f"/{bucket}", data=form, files={"file": ("name", NINE)})
        assert (answer.status_code < 300, "<Code>BadDigest</Code>" in answer.text) == (
            status < 300,
            status == 400,
        )
    s3.put_object(Bucket=bucket, Key="plain", Body=NINE)
    source: Any = {"Bucket": bucket, "Key": "plain"}
    copied: Any = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, ChecksumAlgorithm=algorithm)
    assert copied["CopyObjectResult"][name] == right
    for key in ("trailer", "form", "copy"):
        head: Any = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        assert (head[name], head["ChecksumType"]) == (right, "FULL_OBJECT")
    listed: Any = s3.list_objects_v2(Bucket=bucket, Prefix="copy")["Contents"]
    assert [one["ChecksumAlgorithm"] for one in listed] == [[algorithm]]


@pytest.mark.parametrize("size", [1, 1_000_000])  # the one is answered at once, the other not
@pytest.mark.parametrize("mode", ["ENABLED", "enabled", "foo", "DISABLED"])
def test_the_mode_of_checksums_is_one_word(
    s3: Any, http: httpx.Client, bucket: str, mode: str, size: int
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=bytes(size), ACL="public-read")
    is_known = mode.upper() == "ENABLED"
    for more, status in (({}, 200), ({"range": "bytes=0-0"}, 206)):
        headers = {"x-amz-checksum-mode": mode, **more}
        answer = http.get(f"/{bucket}/key", headers=headers)
        assert answer.status_code == (status if is_known else 400)
        told = "<Message>Value for x-amz-checksum-mode header is invalid.</Message>"
        assert (told in answer.text) == (not is_known)
        assert is_known or "<Code>InvalidRequest</Code>" in answer.text
        assert http.head(f"/{bucket}/key", headers=headers).status_code == answer.status_code


NOTHING_SENT = "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or"
UNSUPPORTED = "Checksum algorithm provided is unsupported. Please try again with any of the valid types:"
SENT = {"x-amz-checksum-crc32": "y/Q5Jg=="}  # of 123456789


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"x-amz-sdk-checksum-algorithm": "crc32", **SENT}, ""),
        ({"x-amz-checksum-type": "FULL_OBJECT", "x-amz-checksum-algorithm": "CRC32", **SENT}, ""),
        ({"x-amz-sdk-checksum-algorithm": "CRC32"}, NOTHING_SENT),
        ({"x-amz-sdk-checksum-algorithm": "SHA1", **SENT}, "x-amz-sdk-checksum-algorithm header is invalid"),
        ({"x-amz-sdk-checksum-algorithm": "MD4", **SENT}, f"{UNSUPPORTED} [{', '.join(CHECKSUMS)}]"),
        ({"x-amz-checksum-md4": "y/Q5Jg=="}, "The algorithm type you specified in x-amz-checksum- header"),
        ({"x-amz-checksum-md4": "y/Q5Jg==", **SENT}, "Expecting a single x-amz-checksum- header"),
        ({"x-amz-trailer": "x-amz-checksum-sha1", **SENT}, "Expecting a single x-amz-checksum- header"),
    ],
    ids=str,
)
def test_what_is_said_of_a_checksum(
    http: httpx.Client, s3: Any, bucket: str, headers: dict[str, str], message: str
) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    answer = http.put(f"/{bucket}/key", content=b"123456789", headers=headers)
    assert answer.status_code == (400 if message else 200), answer.text
    assert message in answer.text
    assert ("<Code>InvalidRequest</Code>" in answer.text) == bool(message)


def test_content_md5(s3: Any, bucket: str) -> None:
    right = base64.b64encode(hashlib.md5(b"x").digest()).decode()
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ContentMD5=right)
    for wrong, code in (
        (base64.b64encode(bytes(16)).decode(), "BadDigest"),
        ("bad", "InvalidDigest"),
        (base64.b64encode(bytes(15)).decode(), "InvalidDigest"),
        ("", "InvalidDigest"),
    ):
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=bucket, Key="key", Body=b"y", ContentMD5=wrong)
        assert refused(error.value) == (code, 400)
        told: Any = error.value.response["Error"]
        assert (told.get("Content-MD5") or "") == (wrong if code == "InvalidDigest" else "")
        if code == "BadDigest":
            assert told["ExpectedDigest"] == "0" * 32
            assert told["CalculatedDigest"] == base64.b64encode(hashlib.md5(b"y").digest()).decode()
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"x"


def test_tags(s3: Any, http: httpx.Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Tagging="a=1&b=two%20words")
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == [
        {"Key": "a", "Value": "1"},
        {"Key": "b", "Value": "two words"},
    ]
    tags: Any = [{"Key": f"k{number}", "Value": "v"} for number in range(10)]
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": tags})
    assert s3.head_object(Bucket=bucket, Key="key")["TagCount"] == 10
    twice = [{"Key": "k", "Value": "v"}, {"Key": "k", "Value": "w"}]
    for more, message, key in (
        ([*tags, {"Key": "k10", "Value": "v"}], "Object tags cannot be greater than 10", None),
        ([*tags, tags[0]], "Cannot provide multiple Tags with the same key", "k0"),
        ([{"Key": "k" * 129, "Value": "v"}], "The TagKey you have provided is invalid", "k" * 129),
        ([{"Key": "aws:k", "Value": "v"}], "System tags cannot be added/updated by requester", "aws:k"),
        ([{"Key": "k", "Value": "v" * 257}], "The TagValue you have provided is invalid", "k"),
        (twice, "Cannot provide multiple Tags with the same key", "k"),
    ):
        with pytest.raises(ClientError) as error:
            s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": more})
        told: Any = error.value.response["Error"]
        assert refused(error.value) == ("InvalidTag", 400)
        assert (told["Message"], told.get("TagKey")) == (message, key)
    nameless = "".join(f"<Tag><Key>{key}</Key><Value/></Tag>" for key in (*range(10), ""))
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    answer = http.put(f"/{bucket}/key?tagging", content=f"<Tagging><TagSet>{nameless}</TagSet></Tagging>")
    assert "<Message>The TagKey you have provided is invalid</Message><TagKey></TagKey>" in answer.text
    s3.delete_object_tagging(Bucket=bucket, Key="key")
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == []


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", {}),
        ("&&", {}),
        ("key", {"key": ""}),
        ("key=&", {"key": ""}),
        ("&a=1&&b", {"a": "1", "b": ""}),
        ("a%2E=b%2F", {"a.": "b/"}),
        ("a++b=c%20d", {"a  b": "c d"}),
        ("%3D=%3D", {"=": "="}),
        ("%C3%A9=\u00e9", {"\u00e9": "\u00e9"}),
        *((text, None) for text in ("=", "=x", "a=b=c", "a==", "key%", "%4", "%zz=1", "a=%", "%E9", "a=%ff")),
        *((text, None) for text in ("a=1&a=2", "a&%61", "a=1&=")),
    ],
)
def test_tags_in_a_header(text: str, tags: dict[str, str] | None) -> None:
    headers = {"x-amz-tagging": text.encode().decode("latin-1")}
    if tags is not None:
        assert object_headers.tags_of(headers) == tags
        return
    with pytest.raises(S3Error, match="shall be encoded as UTF-8 then URLEncoded URL query") as error:
        object_headers.tags_of(headers)
    assert error.value.code == "InvalidArgument"
    assert error.value.details == {"ArgumentName": "x-amz-tagging", "ArgumentValue": text}


def test_no_key_is_reserved_in_a_bucket_s_host(s3: Any, bucket: str, http: httpx.Client) -> None:
    for key in ("-/docs", "-/openapi.json", "-/"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode(), ACL="public-read")
        assert http.get(f"/{key}", headers={"host": f"{bucket}.s3.localhost"}).text == key
        put = http.put(f"/{key}", headers={"host": f"{bucket}.s3.localhost"})
        assert (put.status_code, "AccessDenied" in put.text) == (403, True)


def test_what_is_not_reserved(http: httpx.Client) -> None:
    """Only what begins with -/ is, where the path names the bucket."""
    for path, host, status, code in (
        ("/-/docs", "-.s3.localhost", 404, "NoSuchBucket"),
        ("/-", "x", 404, "NoSuchBucket"),
        ("/-/nothing", "x", 405, "MethodNotAllowed"),
    ):
        got = http.get(path, headers={"host": host})
        assert (got.status_code, f"<Code>{code}</Code>" in got.text) == (status, True), path
    assert http.get("/-/openapi.json").json()["openapi"]


def test_the_host_may_name_the_bucket(http: httpx.Client, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"x", ACL="public-read")
    got = http.get("/a/b", headers={"host": f"{bucket}.s3.localhost:1234"})
    assert (got.status_code, got.content) == (200, b"x")


def test_overrides_of_an_answers_headers(s3: Any, http: httpx.Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ACL="public-read")
    got = s3.get_object(Bucket=bucket, Key="key", ResponseContentType="a/b", ResponseCacheControl="no-store")
    assert (got["ContentType"], got["CacheControl"]) == ("a/b", "no-store")
    assert http.get(f"/{bucket}/key", params={"response-content-type": "a/b"}).status_code == 400
    disposition = 'attachment; filename="\u00e9"'
    assert s3.get_object(Bucket=bucket, Key="key", ResponseContentDisposition=disposition)
    for size in (1, 1_000_000):  # the one at once, the other not
        s3.put_object(Bucket=bucket, Key="key", Body=bytes(size))
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket=bucket, Key="key", ResponseContentDisposition="\u65e5\u672c")
        assert refused(error.value) == ("InvalidArgument", 400)


@pytest.mark.parametrize("size", [1, 1_000_000])  # the one is answered at once, the other not
@pytest.mark.parametrize("query", ["response-invalid=x", "response-content-type=a/b&response-etag="])
def test_what_is_no_header_to_override_is_refused(
    s3: Any, http: httpx.Client, bucket: str, query: str, size: int
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=bytes(size), ACL="public-read")
    name = query.rpartition("&")[2].partition("=")[0]
    answer = http.get(f"/{bucket}/key?{query}")
    assert (answer.status_code, "<Code>InvalidArgument</Code>" in answer.text) == (400, True)
    told = "is not in the set of overridable response headers. Please refer to the S3 API documentation for"
    assert f"<Message>{name} {told} a complete list of overridable response headers.</Message>" in answer.text
    assert http.head(f"/{bucket}/key?{query}").status_code == 400


@pytest.mark.parametrize("size", [1, 1_000_000])  # the one is answered at once, the other not
def test_text_that_is_no_latin_1_is_given_back_as_utf_8(
    served: Served, s3: Any, http: httpx.Client, bucket: str, size: int
) -> None:
    """An earlier version kept a form's text as it was meant, not as a header's bytes."""
    s3.put_object(Bucket=bucket, Key="key", Body=bytes(size), ACL="public-read")
    kept = json.dumps({"x-amz-meta-name": "\u65e5", "cache-control": "\u672c"})
    change = "UPDATE versions SET headers = ? WHERE key = 'key' AND size_bytes = ?"
    served.service.store.index.write(lambda db: db.execute(change, (kept, size)))
    for method, condition, status in (("GET", "no", 200), ("HEAD", "no", 200), ("GET", "*", 304)):
        answer = http.request(method, f"/{bucket}/key", headers={"if-none-match": condition})
        assert answer.status_code == status, answer.text
        told = dict(answer.headers.raw)
        assert told[b"cache-control"].decode() == "\u672c"
        assert status == 304 or told[b"x-amz-meta-name"].decode() == "\u65e5"
