"""Uploads in parts."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from awscrt import checksums as crt
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from dslab.objectstore import checksums, documents
from dslab.objectstore.messages import Content, Meta, Version
from tests.objectstore.conftest import Served, client
from tests.objectstore.test_objects import CHECKSUMS

MIB = 1024 * 1024
FIVE = 5 * MIB


def refused(call: Any, **options: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as error:
        call(**options)
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def refusal(call: Any, **options: Any) -> dict[str, str]:
    """What a request is told that is refused with status 400."""
    with pytest.raises(ClientError) as error:
        call(**options)
    told: Any = error.value.response
    assert told["ResponseMetadata"]["HTTPStatusCode"] == 400
    error_document: dict[str, str] = told["Error"]
    return error_document


@pytest.fixture(scope="module")
def loose(served: Served) -> Iterator[Any]:
    """A client that sends whatever it is told to."""
    made = client(served, parameter_validation=False)
    yield made
    made.close()


def begin(s3: Any, bucket: str, **options: Any) -> dict[str, str]:
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="key", **options)["UploadId"]
    return {"Bucket": bucket, "Key": "key", "UploadId": upload_id}


def parts_of(s3: Any, upload: dict[str, str], bodies: list[bytes]) -> dict[str, Any]:
    etags = [
        s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]
        for number, body in enumerate(bodies, 1)
    ]
    return {"Parts": [{"ETag": etag, "PartNumber": number} for number, etag in enumerate(etags, 1)]}


def assert_no_part(error: ClientError, number: int, count: int) -> None:
    told: Any = error.response["Error"]
    assert (told["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]) == ("InvalidPartNumber", 416)
    assert (told["PartNumberRequested"], told["ActualPartCount"]) == (str(number), str(count))


def test_parts_become_an_object(s3: Any, bucket: str) -> None:
    bodies = [os.urandom(FIVE), os.urandom(FIVE), b"the end"]
    upload = begin(s3, bucket, Metadata={"a": "1"}, ContentType="text/plain", Tagging="t=1")
    wanted = parts_of(s3, upload, bodies)
    assert refused(s3.head_object, Bucket=bucket, Key="key")[1] == 404
    listed = s3.list_parts(**upload, MaxParts=2)
    assert [(one["PartNumber"], one["Size"]) for one in listed["Parts"]] == [(1, FIVE), (2, FIVE)]
    assert (listed["IsTruncated"], listed["NextPartNumberMarker"]) == (True, 2)
    assert len(s3.list_parts(**upload, PartNumberMarker=2)["Parts"]) == 1
    assert [one["UploadId"] for one in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [
        upload["UploadId"]
    ]
    done = s3.complete_multipart_upload(**upload, MultipartUpload=wanted)
    digests = b"".join(hashlib.md5(body).digest() for body in bodies)
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    whole = b"".join(bodies)
    got = s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert got["Body"].read() == whole
    assert (got["Metadata"], got["ContentType"], got["TagCount"]) == ({"a": "1"}, "text/plain", 1)
    total = base64.b64encode(crt.crc64nvme(whole).to_bytes(8, "big")).decode()
    assert got["ChecksumCRC64NVME"] == total
    ranged = s3.get_object(Bucket=bucket, Key="key", Range=f"bytes={FIVE - 3}-{FIVE + 2}")
    assert ranged["Body"].read() == whole[FIVE - 3 : FIVE + 3]
    part = s3.get_object(Bucket=bucket, Key="key", PartNumber=3)
    assert (part["Body"].read(), part["PartsCount"]) == (b"the end", 3)
    assert part["ContentRange"] == f"bytes {2 * FIVE}-{2 * FIVE + 6}/{2 * FIVE + 7}"
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="key", PartNumber=4)
    assert_no_part(error.value, 4, 3)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_parts_are_read_by_their_places(s3: Any, bucket: str) -> None:
    """Who downloads an object part by part goes from 1 to the count that it was told."""
    upload = begin(s3, bucket)
    bodies = {1: bytes(FIVE), 1_000: b"end"}
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in bodies.items()
    ]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    found = [s3.get_object(Bucket=bucket, Key="key", PartNumber=place) for place in (1, 2)]
    assert [(one["Body"].read(), one["PartsCount"]) for one in found] == [(bytes(FIVE), 2), (b"end", 2)]
    assert refused(s3.head_object, Bucket=bucket, Key="key", PartNumber=1_000)[1] == 416


def test_a_copy_is_of_one_piece(s3: Any, bucket: str) -> None:
    bodies = [os.urandom(FIVE), b"the end"]
    upload = begin(s3, bucket, ChecksumAlgorithm="SHA256")
    parts = [
        s3.upload_part(**upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256")
        for number, body in enumerate(bodies, 1)
    ]
    wanted = [
        {"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}
        for number, part in enumerate(parts, 1)
    ]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": wanted})
    done = s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/key")["CopyObjectResult"]
    s3.copy_object(Bucket=bucket, Key="copy of it", CopySource=f"{bucket}/copy")
    s3.delete_object(Bucket=bucket, Key="key")
    whole = b"".join(bodies)
    digest = base64.b64encode(hashlib.sha256(whole).digest()).decode()
    assert done["ETag"] == f'"{hashlib.md5(whole).hexdigest()}"'
    assert (done["ChecksumSHA256"], done["ChecksumType"]) == (digest, "FULL_OBJECT")
    for key in ("copy", "copy of it"):
        got = s3.get_object(Bucket=bucket, Key=key, PartNumber=1, ChecksumMode="ENABLED")
        assert (got["Body"].read(), got["ETag"], got.get("PartsCount")) == (whole, done["ETag"], None)
        assert (got["ChecksumSHA256"], got["ChecksumType"]) == (digest, "FULL_OBJECT")
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket=bucket, Key=key, PartNumber=2)
        assert_no_part(error.value, 2, 1)
        told = s3.get_object_attributes(Bucket=bucket, Key=key, ObjectAttributes=["ObjectParts", "ETag"])
        assert "ObjectParts" not in told


def test_completing_twice_is_completing_once(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    wanted = parts_of(s3, upload, [b"x"])
    first = s3.complete_multipart_upload(**upload, MultipartUpload=wanted)
    second = s3.complete_multipart_upload(**upload, MultipartUpload=wanted)
    assert second["ETag"] == first["ETag"]
    other = {"Parts": [{"ETag": "no hex", "PartNumber": 1}]}
    assert refused(s3.complete_multipart_upload, **upload, MultipartUpload=other) == ("InvalidPart", 400)
    assert refused(s3.abort_multipart_upload, **upload) == ("NoSuchUpload", 404)


def test_uploads_that_are_refused(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    wanted = parts_of(s3, upload, [b"small", b"end"])["Parts"]
    complete = s3.complete_multipart_upload
    cases = [
        (wanted, "EntityTooSmall"),
        (wanted[::-1], "InvalidPartOrder"),
        ([wanted[0], wanted[0]], "InvalidPartOrder"),
        ([{**wanted[0], "ETag": '"0"'}], "InvalidPart"),
        ([{**wanted[0], "PartNumber": 7}], "InvalidPart"),
        ([], "MalformedXML"),
    ]
    for parts, code in cases:
        assert refused(complete, **upload, MultipartUpload={"Parts": parts}) == (code, 400)
    for number in (0, 10_001):
        assert refused(s3.upload_part, **upload, PartNumber=number, Body=b"") == ("InvalidArgument", 400)
    unknown = {**upload, "UploadId": "0" * 32}
    assert refused(s3.upload_part, **unknown, PartNumber=1, Body=b"") == ("NoSuchUpload", 404)
    assert refused(s3.list_parts, **unknown) == ("NoSuchUpload", 404)
    assert refused(complete, **unknown, MultipartUpload={"Parts": wanted}) == ("NoSuchUpload", 404)
    with pytest.raises(
        ClientError, match=r"The specified multipart upload does not exist\. The upload ID may"
    ):
        s3.abort_multipart_upload(**unknown)
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": wanted[1:]})
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"end"


def test_an_aborted_upload_leaves_nothing(s3: Any, bucket: str, served: Any) -> None:
    before = sum(1 for path in served.data.rglob("blobs/*/*/*"))
    upload = begin(s3, bucket)
    parts_of(s3, upload, [b"one", b"two"])
    s3.upload_part(**upload, PartNumber=1, Body=b"again")
    s3.abort_multipart_upload(**upload)
    assert sum(1 for path in served.data.rglob("blobs/*/*/*")) == before
    assert refused(s3.list_parts, **upload) == ("NoSuchUpload", 404)


@pytest.mark.parametrize("algorithm", [one for one in CHECKSUMS if one != "CRC64NVME"])
def test_composite_checksums(s3: Any, bucket: str, algorithm: str) -> None:
    name = f"Checksum{algorithm}"
    upload = begin(s3, bucket, ChecksumAlgorithm=algorithm)
    bodies = [bytes(FIVE), b"end"]
    parts = [
        s3.upload_part(**upload, PartNumber=number, Body=body, **{name: checksums.of(algorithm, body).value})
        for number, body in enumerate(bodies, 1)
    ]
    listed = s3.list_parts(**upload)
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == (algorithm, "COMPOSITE")
    assert [one[name] for one in listed["Parts"]] == [part[name] for part in parts]
    bare = [{"ETag": part["ETag"], "PartNumber": number} for number, part in enumerate(parts, 1)]
    assert (
        refused(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": bare})[0]
        == "InvalidRequest"
    )
    wanted = [{**one, name: part[name]} for one, part in zip(bare, parts, strict=True)]
    wrong = [{**wanted[0], name: wanted[1][name]}, wanted[1]]
    assert (
        refused(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": wrong})[0] == "InvalidPart"
    )
    of_parts = b"".join(base64.b64decode(part[name]) for part in parts)
    total = checksums.of(algorithm, of_parts).value
    for told in ({name: f"{total}-7"}, {name: total, "ChecksumType": "FULL_OBJECT"}):
        call = {**upload, "MultipartUpload": {"Parts": wanted}, **told}
        assert refused(s3.complete_multipart_upload, **call) == ("BadDigest", 400)
    done = s3.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": wanted}, ChecksumType="COMPOSITE", **{name: f"{total}-2"}
    )
    assert done[name] == f"{total}-2"
    head = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert (head[name], head["ChecksumType"]) == (done[name], "COMPOSITE")
    second = s3.get_object(Bucket=bucket, Key="key", PartNumber=2, ChecksumMode="ENABLED")
    assert second["Body"].read() == b"end"
    assert (second[name], second["ChecksumType"]) == (parts[1][name], "COMPOSITE")
    attributes = s3.get_object_attributes(
        Bucket=bucket, Key="key", ObjectAttributes=["ObjectParts", "Checksum"]
    )
    assert [one[name] for one in attributes["ObjectParts"]["Parts"]] == [part[name] for part in parts]
    assert attributes["ObjectParts"]["TotalPartsCount"] == 2
    assert attributes["Checksum"] == {name: total, "ChecksumType": "COMPOSITE"}


def test_a_part_of_a_composite_checksum_has_one(served: Served, bucket: str) -> None:
    """Where the checksum is of the whole object, or was not asked for, a part may come without."""
    s3 = client(served, request_checksum_calculation="when_required")
    for kind, is_taken in (
        ({"ChecksumAlgorithm": "SHA256"}, False),
        ({"ChecksumAlgorithm": "CRC32"}, False),
        ({"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}, True),
        ({"ChecksumAlgorithm": "CRC64NVME"}, True),
        ({}, True),
    ):
        part = {**begin(s3, bucket, **kind), "PartNumber": 1, "Body": b"x"}
        if is_taken:
            s3.upload_part(**part)
            continue
        with pytest.raises(ClientError) as error:
            s3.upload_part(**part)
        told = error.value.response["Error"]
        name = kind["ChecksumAlgorithm"].lower()
        mismatch = f"expected checksum Type: {name}, actual checksum Type: null"
        assert told["Code"] == "InvalidRequest"
        assert told["Message"] == f"Checksum Type mismatch occurred, {mismatch}"
        s3.upload_part(**part, ChecksumAlgorithm=kind["ChecksumAlgorithm"])
    s3.close()


def test_a_checksum_of_the_whole(s3: Any, bucket: str) -> None:
    bodies = [os.urandom(FIVE), b"end"]
    upload = begin(s3, bucket, ChecksumAlgorithm="CRC32C", ChecksumType="FULL_OBJECT")
    parts = [
        s3.upload_part(**upload, PartNumber=number, Body=body, ChecksumAlgorithm="CRC32C")
        for number, body in enumerate(bodies, 1)
    ]
    wanted = {"Parts": [{"ETag": part["ETag"], "PartNumber": number} for number, part in enumerate(parts, 1)]}
    total = base64.b64encode(crt.crc32c(b"".join(bodies)).to_bytes(4, "big")).decode()
    complete = s3.complete_multipart_upload
    assert refused(complete, **upload, MultipartUpload=wanted, ChecksumCRC32C="AAAAAA==") == (
        "BadDigest",
        400,
    )
    assert refused(complete, **upload, MultipartUpload=wanted, ChecksumType="COMPOSITE") == ("BadDigest", 400)
    told = {"ChecksumCRC32C": total, "ChecksumType": "FULL_OBJECT"}
    assert complete(**upload, MultipartUpload=wanted, **told)["ChecksumCRC32C"] == total
    for algorithm in CHECKSUMS:
        whole = {"Key": "k", "ChecksumAlgorithm": algorithm, "ChecksumType": "FULL_OBJECT"}
        if algorithm.startswith("CRC"):
            s3.create_multipart_upload(Bucket=bucket, **whole)
            continue
        with pytest.raises(ClientError) as error:
            s3.create_multipart_upload(Bucket=bucket, **whole)
        told_of = f"cannot be used with the {algorithm.lower()} checksum algorithm."
        assert error.value.response["Error"]["Message"] == f"The FULL_OBJECT checksum type {told_of}"


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "SHA1"])
def test_a_checksum_of_an_upload_that_was_begun_without_one_is_ignored(
    s3: Any, bucket: str, algorithm: str
) -> None:
    upload = begin(s3, bucket)
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"body")["ETag"]
    sent = {f"Checksum{algorithm}": base64.b64encode(bytes(checksums.SIZES[algorithm])).decode()}
    done = s3.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": [{"ETag": etag, "PartNumber": 1}]}, **sent
    )
    assert done["ChecksumCRC64NVME"] == checksums.of("CRC64NVME", b"body").value


def test_parts_copied_from_objects(s3: Any, bucket: str) -> None:
    body = os.urandom(FIVE + 100)
    s3.put_object(Bucket=bucket, Key="source", Body=body)
    upload = begin(s3, bucket)
    source = {"Bucket": bucket, "Key": "source"}
    first = s3.upload_part_copy(**upload, PartNumber=1, CopySource=source)["CopyPartResult"]["ETag"]
    second = s3.upload_part_copy(**upload, PartNumber=2, CopySource=source, CopySourceRange="bytes=10-19")
    parts = [first, second["CopyPartResult"]["ETag"]]
    wanted = {"Parts": [{"ETag": etag, "PartNumber": number} for number, etag in enumerate(parts, 1)]}
    s3.complete_multipart_upload(**upload, MultipartUpload=wanted)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == body + body[10:20]
    upload = begin(s3, bucket)
    for text, code in (
        ("bytes=5-", "InvalidArgument"),
        (f"bytes=0-{'9' * 5_000}", "InvalidArgument"),
        ("x", "InvalidArgument"),
        (f"bytes=0-{FIVE * 2}", "InvalidRange"),
    ):
        options = {"PartNumber": 1, "CopySource": source, "CopySourceRange": text}
        assert refused(s3.upload_part_copy, **upload, **options)[0] == code


def test_conditional_complete(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"old")
    upload = begin(s3, bucket)
    wanted = parts_of(s3, upload, [b"new"])
    complete = s3.complete_multipart_upload
    assert refused(complete, **upload, MultipartUpload=wanted, IfNoneMatch="*") == ("PreconditionFailed", 412)
    s3.delete_object(Bucket=bucket, Key="key")
    done = complete(**upload, MultipartUpload=wanted, IfNoneMatch="*")
    again = complete(**upload, MultipartUpload=wanted, IfNoneMatch="*")
    assert (again["ETag"], again["ResponseMetadata"]["HTTPStatusCode"]) == (done["ETag"], 200)
    other = begin(s3, bucket)
    wanted = parts_of(s3, other, [b"newer"])
    assert refused(complete, **other, MultipartUpload=wanted, IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"new"


def test_a_wrong_size_makes_no_object(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    wanted = parts_of(s3, upload, [b"abc"])
    complete = s3.complete_multipart_upload
    assert refused(complete, **upload, MultipartUpload=wanted, MpuObjectSize=4) == ("InvalidRequest", 400)
    assert refused(s3.head_object, Bucket=bucket, Key="key")[1] == 404
    complete(**upload, MultipartUpload=wanted, MpuObjectSize=3)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"abc"


def test_a_size_that_is_none_is_told_apart_from_a_wrong_one(loose: Any, bucket: str) -> None:
    upload = begin(loose, bucket)
    wanted = parts_of(loose, upload, [b"abc"])
    name = "x-amz-mp-object-size"
    for size, message in (
        ("-1", f"Value for {name} header is less than zero: '-1'"),
        ("size", f"Value for {name} header is invalid: 'size'"),
        ("4", f"The provided '{name}' header value 4 does not match what was computed: 3"),
    ):
        told = refusal(loose.complete_multipart_upload, **upload, MultipartUpload=wanted, MpuObjectSize=size)
        assert (told["Code"], told["Message"]) == ("InvalidRequest", message)


def test_an_element_that_s3_does_not_know_is_no_checksum() -> None:
    part = "<Part><PartNumber>1</PartNumber><ETag>e</ETag><CRC32>AAAAAA==</CRC32></Part>"
    document = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()
    assert documents.read_parts(document) == [(1, "e", None)]


def test_lists_of_parts_that_are_refused(loose: Any, bucket: str) -> None:
    upload = begin(loose, bucket, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    part = loose.upload_part(**upload, PartNumber=1, Body=b"body", ChecksumAlgorithm="CRC32")
    wanted = {"PartNumber": 1, "ETag": part["ETag"]}
    sha256 = checksums.of("SHA256", b"body").value
    number = "PartNumber must be >= 1"
    sums = "Invalid Base64 or multiple checksums present in request"
    other = "The sha256 you specified for part 1 did not match what we received."
    usual = "The XML you provided was not well-formed or did not validate against our published schema"
    for parts, code, message in (
        ([{**wanted, "PartNumber": 0}], "InvalidArgument", number),
        ([{**wanted, "PartNumber": -4}], "InvalidArgument", number),
        ([{**wanted, "PartNumber": "one"}], "MalformedXML", usual),
        ([{**wanted, "ChecksumCRC32": "nonsense!"}], "InvalidArgument", sums),
        ([{**wanted, "ChecksumCRC32": sha256}], "InvalidArgument", sums),
        (
            [{**wanted, "ChecksumCRC32": part["ChecksumCRC32"], "ChecksumSHA256": sha256}],
            "InvalidArgument",
            sums,
        ),
        ([{**wanted, "ChecksumSHA256": sha256}], "BadDigest", other),
        ([], "MalformedXML", usual),
    ):
        told = refusal(loose.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts})
        assert (told["Code"], told["Message"]) == (code, message)
    loose.complete_multipart_upload(
        **upload, MultipartUpload={"Parts": [{**wanted, "ChecksumCRC32": "", "ChecksumSHA256": ""}]}
    )


def test_types_of_checksums(loose: Any, bucket: str) -> None:
    make = loose.create_multipart_upload
    for algorithm, kind in (("CRC32", "Composite"), ("crc32c", "full_object"), ("Sha1", "COMPOSITE")):
        told = make(Bucket=bucket, Key="key", ChecksumAlgorithm=algorithm, ChecksumType=kind)
        assert (told["ChecksumAlgorithm"], told["ChecksumType"]) == (algorithm.upper(), kind.upper())
    needs = "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
    none = "Value for x-amz-checksum-type header is invalid."
    for options, message in (
        ({"ChecksumType": "COMPOSITE"}, needs),
        ({"ChecksumType": "HALF"}, none),
        ({"ChecksumType": "HALF", "ChecksumAlgorithm": "CRC32"}, none),
    ):
        told = refusal(make, Bucket=bucket, Key="key", **options)
        assert (told["Code"], told["Message"]) == ("InvalidRequest", message)
    upload = begin(loose, bucket, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    complete = {**upload, "MultipartUpload": parts_of(loose, upload, [b"body"])}
    told = refusal(loose.complete_multipart_upload, **complete, ChecksumType="HALF")
    assert (told["Code"], told["Message"]) == ("InvalidRequest", none)
    told = refusal(loose.complete_multipart_upload, **complete, ChecksumType="COMPOSITE")
    assert (told["Code"], "created using the FULL_OBJECT checksum mode" in told["Message"]) == (
        "BadDigest",
        True,
    )
    loose.complete_multipart_upload(**complete, ChecksumType="Full_Object")


def test_numbers_of_parts_with_composite_checksums_have_no_gaps(s3: Any, bucket: str) -> None:
    for kind, numbers, code in (
        ("COMPOSITE", (1, 3), "InvalidPartOrder"),
        ("COMPOSITE", (2, 3), "InvalidPartOrder"),
        ("FULL_OBJECT", (1, 3), ""),
    ):
        upload = begin(s3, bucket, ChecksumAlgorithm="CRC32", ChecksumType=kind)
        parts = []
        for number, body in zip(numbers, (bytes(FIVE), b"end"), strict=True):
            part = s3.upload_part(**upload, PartNumber=number, Body=body, ChecksumAlgorithm="CRC32")
            names = {name: part[name] for name in ("ETag", "ChecksumCRC32")}
            parts.append({"PartNumber": number, **names})
        call = {**upload, "MultipartUpload": {"Parts": parts}}
        if code:
            assert refused(s3.complete_multipart_upload, **call) == (code, 400)
        else:
            s3.complete_multipart_upload(**call)


def test_boto3_uploads_and_downloads_files(s3: Any, bucket: str, tmp_path: Any) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(20 * MIB + 1))
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB)
    s3.upload_file(str(source), bucket, "key", Config=config)
    assert s3.head_object(Bucket=bucket, Key="key")["ETag"].endswith('-3"')
    s3.download_file(bucket, "key", str(target), Config=config)
    assert target.read_bytes() == source.read_bytes()


def test_an_upload_has_a_storage_class(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, StorageClass="STANDARD_IA")
    assert s3.list_parts(**upload, MaxParts=5_000)["StorageClass"] == "STANDARD_IA"
    assert s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["StorageClass"] == "STANDARD_IA"
    wanted = {"Bucket": bucket, "Key": "key", "StorageClass": "CUPBOARD"}
    assert refused(s3.create_multipart_upload, **wanted) == ("InvalidStorageClass", 400)
    assert refused(s3.put_object, **wanted) == ("InvalidStorageClass", 400)


def test_numbers_of_parts_that_are_none(loose: Any, bucket: str) -> None:
    upload = begin(loose, bucket)
    between = "must be an integer between 0 and 2147483647"
    no_number = "not an integer or within integer range"
    for option, field in (("MaxParts", "max-parts"), ("PartNumberMarker", "part-number-marker")):
        for value, message in (
            ("-14", f"Argument {field} {between}"),
            ("many", f"Provided {field} {no_number}"),
            ("2736457823532448723", f"Provided {field} {no_number}"),
        ):
            told = refusal(loose.list_parts, **upload, **{option: value})
            assert (told["Code"], told["Message"]) == ("InvalidArgument", message)
            assert (told["ArgumentName"], told["ArgumentValue"]) == (field, value)
        listed = loose.list_parts(**upload, **{option: ""})
        assert (listed["MaxParts"], listed["PartNumberMarker"]) == (1_000, 0)


def test_uploads_are_listed_in_pages(s3: Any, bucket: str) -> None:
    made = [
        s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in ("a", "a", "b/1", "b/2")
    ]
    seen: list[str] = []
    markers: dict[str, str] = {}
    while True:
        page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=1, **markers)
        seen += [one["UploadId"] for one in page.get("Uploads", [])]
        if not page["IsTruncated"]:
            break
        markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
        assert markers["UploadIdMarker"] == seen[-1]
    assert seen == made
    after = s3.list_multipart_uploads(Bucket=bucket, KeyMarker="a", UploadIdMarker="f" * 32)
    assert [one["UploadId"] for one in after["Uploads"]] == made, "never seen, so nothing is left out"
    rolled = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [one["Prefix"] for one in rolled["CommonPrefixes"]] == ["b/"]
    s3.delete_bucket(Bucket=bucket)


def test_a_marker_that_is_the_id_of_no_upload(s3: Any, bucket: str) -> None:
    made = [begin(s3, bucket)["UploadId"] for _ in range(2)]
    listed = s3.list_multipart_uploads
    for marker in ("marker", "7cbb3b64-3a73-4b9f-9f0e-8d1c38c1b1d2", made[0][:-1]):
        told = refusal(listed, Bucket=bucket, KeyMarker="key", UploadIdMarker=marker)
        assert (told["Code"], told["Message"]) == ("InvalidArgument", "Invalid uploadId marker")
        assert (told["ArgumentName"], told["ArgumentValue"]) == ("upload-id-marker", marker)
        page = listed(Bucket=bucket, UploadIdMarker=marker)
        assert ([one["UploadId"] for one in page["Uploads"]], page["UploadIdMarker"]) == (made, "")
    page = listed(Bucket=bucket, KeyMarker="key", UploadIdMarker=made[0])
    assert ([one["UploadId"] for one in page["Uploads"]], page["UploadIdMarker"]) == (made[1:], made[0])


def test_a_list_of_uploads_goes_on_when_what_was_listed_is_aborted(s3: Any, bucket: str) -> None:
    made = [begin(s3, bucket)["UploadId"] for _ in range(25)]
    seen = []
    pages = s3.get_paginator("list_multipart_uploads")
    for page in pages.paginate(Bucket=bucket, PaginationConfig={"PageSize": 10}):
        for one in page["Uploads"]:
            s3.abort_multipart_upload(Bucket=bucket, Key="key", UploadId=one["UploadId"])
            seen.append(one["UploadId"])
    assert seen == made
    upload = begin(s3, bucket)
    page = s3.list_multipart_uploads(Bucket=bucket, KeyMarker="key", UploadIdMarker=made[0])
    assert [one["UploadId"] for one in page["Uploads"]] == [upload["UploadId"]]


# ---- a source that goes while it is copied

EMPTY = Content(0, hashlib.md5(b"").hexdigest())


def once(before: Callable[[], object], function: Callable[..., Any]) -> Callable[..., Any]:
    """A function before whose first call something else happens."""
    left = [before]

    def called(*arguments: Any) -> Any:
        if left:
            left.pop()()
        return function(*arguments)

    return called


@pytest.mark.parametrize("is_part", [False, True])
def test_a_source_that_is_overwritten_is_looked_for_again(
    served: Served, s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch, is_part: bool
) -> None:
    s3.put_object(Bucket=bucket, Key="from", Body=b"old")
    blobs, store = served.service.store.blobs, served.service.store
    if is_part:
        upload = begin(s3, bucket)
        overwritten = once(lambda: s3.put_object(Bucket=bucket, Key="from", Body=b"new"), store.open)
        monkeypatch.setattr(store, "open", overwritten)
        part = s3.upload_part_copy(**upload, PartNumber=1, CopySource=f"{bucket}/from")
        etag = part["CopyPartResult"]["ETag"]
    else:
        overwritten = once(lambda: s3.put_object(Bucket=bucket, Key="from", Body=b"new"), blobs.link)
        monkeypatch.setattr(blobs, "link", overwritten)
        etag = s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/from")["CopyObjectResult"][
            "ETag"
        ]
    assert etag == f'"{hashlib.md5(b"new").hexdigest()}"'


def test_a_copy_is_whole_even_if_its_source_of_many_parts_goes(
    served: Served, s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begin(s3, bucket)
    bodies = [bytes(FIVE), b"end"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in enumerate(bodies, 1)
    ]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    summer = checksums.summer  # is asked for when the source is open
    gone = once(lambda: s3.delete_object(Bucket=bucket, Key="key"), summer)
    monkeypatch.setattr(checksums, "summer", gone)
    s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/key")
    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == b"".join(bodies)


@pytest.mark.parametrize("question", ["partNumber=1", "attributes"])
def test_parts_are_looked_for_again(  # noqa: PLR0917
    served: Served, s3: Any, bucket: str, http: httpx.Client, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    upload = begin(s3, bucket, ACL="public-read")
    part = {"PartNumber": 1, "ETag": s3.upload_part(**upload, PartNumber=1, Body=b"old")["ETag"]}
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]})
    store = served.service.store
    parts = store.parts

    def overwritten(version: Version) -> Any:
        if version.content.parts:
            store.put(bucket, "key", store.draft(), EMPTY, Meta(acl="public-read"))
        return parts(version)

    monkeypatch.setattr(store, "parts", overwritten)
    headers = {"content-length": "0", "x-amz-object-attributes": "ObjectParts,ObjectSize"}  # the long way
    answer = http.get(f"/{bucket}/key?{question}", headers=headers)
    assert answer.status_code == 200
    if question == "attributes":
        assert "<ObjectSize>0</ObjectSize>" in answer.text
        assert "<ObjectParts>" not in answer.text
    else:
        assert answer.content == b""


def test_a_file_that_is_gone_for_good(served: Served, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="from", Body=b"lost")
    blob = served.service.store.find(bucket, "from").content.blob
    assert blob is not None
    Path(served.service.store.blobs.path(blob)).unlink()
    upload = begin(s3, bucket)
    source = {"CopySource": f"{bucket}/from"}
    for call, options in (
        (s3.get_object, {"Key": "from"}),
        (s3.copy_object, {"Key": "to", **source}),
        (s3.upload_part_copy, {**upload, "PartNumber": 1, **source}),
    ):
        with pytest.raises(ClientError, match=r"InternalError.*The object's file is missing\."):
            call(**{"Bucket": bucket, **options})
