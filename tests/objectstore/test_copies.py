"""What a copy says of its source, and what it is told."""

from __future__ import annotations

from typing import NamedTuple
from xml.etree import ElementTree

import httpx
import pytest

from dslab.objectstore import checksums
from dslab.objectstore.messages import NULL_VERSION

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
SOURCE = "x-amz-copy-source"


class Told(NamedTuple):
    """The elements of an answer that are texts."""

    status: int
    elements: dict[str, str]

    @property
    def code(self) -> str:
        return self.elements["Code"]

    @property
    def message(self) -> str:
        return self.elements["Message"]


def told(answer: httpx.Response) -> Told:
    elements = {
        one.tag.removeprefix(NAMESPACE): one.text or "" for one in ElementTree.fromstring(answer.content)
    }
    return Told(answer.status_code, elements)


def copy(http: httpx.Client, source: str | bytes, to: str = "/bucket/copy", **headers: str) -> Told:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    said = source if isinstance(source, bytes) else source.encode()
    lines = {name.encode(): value.encode() for name, value in named.items()}
    return told(http.put(to, headers={**lines, SOURCE.encode(): said}))


def begin(http: httpx.Client, **headers: str) -> str:
    """Begin an upload, and give where its first part goes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    upload_id = told(http.post("/bucket/copy?uploads", headers=named)).elements["UploadId"]
    return f"/bucket/copy?partNumber=1&uploadId={upload_id}"


@pytest.fixture
def http(open_http: httpx.Client) -> httpx.Client:
    """Headers go as they are said here: boto3 would encode them."""
    open_http.put("/bucket")
    open_http.put("/bucket/from", content=b"body")
    return open_http


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("bucket/%ZZ", "encoding"),
        ("100%/foo/bar", "encoding"),
        ("bucket/%A/bar", "encoding"),
        ("bucket/from%1", "encoding"),
        ("bucket/%FF", "encoding"),
        ("%", "encoding"),
        ("192.168.1.1/foo", "bucket name"),
        ("my-buc@k&()t/from", "bucket name"),
        ("/", "bucket name"),
        ("bucket", "object key"),
        ("bucket/", "object key"),
        ("bucket/?versionId=null", "object key"),
    ],
)
def test_what_is_no_source(http: httpx.Client, source: str, what: str) -> None:
    no_upload = "/bucket/copy?partNumber=1&uploadId=none"
    for place in ("/bucket/copy", begin(http), no_upload):
        answer = copy(http, source, place)
        assert (answer.status, answer.code) == (400, "InvalidArgument")
        assert answer.message == f"Invalid copy source {what}"
        assert (answer.elements["ArgumentName"], answer.elements["ArgumentValue"]) == (SOURCE, source)


@pytest.mark.parametrize(
    ("key", "source"),
    [
        ("100%", b"bucket/100%25"),
        ("\u00fc %", b"/bucket/%C3%BC%20%25"),
        ("\u00fc +", "bucket/\u00fc +".encode()),
        ("\u00fc %", "bucket/\u00fc %25".encode()),
    ],
)
def test_a_source_is_encoded_or_not(http: httpx.Client, key: str, source: bytes) -> None:
    http.put(f"/bucket/{key.replace('%', '%25')}", content=key.encode())
    assert copy(http, source).status == 200
    assert http.get("/bucket/copy").content == key.encode()


def test_a_version_of_a_source_is_told_as_one_that_is_read(http: httpx.Client) -> None:
    for version_id in ("", "abc", "0" * 31 + "-"):
        read = told(http.get(f"/bucket/from?versionId={version_id}"))
        for place in ("/bucket/copy", begin(http)):
            answer = copy(http, f"bucket/from?versionId={version_id}", place)
            assert (answer.status, answer.code, answer.message) == (400, "InvalidArgument", read.message)
            assert answer.elements["ArgumentName"] == "versionId"
    assert copy(http, f"bucket/from?versionId={'0' * 32}").code == "NoSuchVersion"
    assert copy(http, f"bucket/from?versionId={NULL_VERSION}").status == 200


def test_what_a_copy_cannot_be_is_told_before_its_source_is_looked_for(http: httpx.Client) -> None:
    answer = copy(http, "bucket/none", x_amz_checksum_algorithm="CRC31")
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert answer.message.startswith("Checksum algorithm provided is unsupported.")


def test_a_directive_that_is_none_is_named(http: httpx.Client) -> None:
    for word in ("metadata", "tagging"):
        name = f"x-amz-{word}-directive"
        answer = copy(http, "bucket/from", **{name: "MOVE"})
        assert (answer.code, answer.message) == ("InvalidArgument", f"Unknown {word} directive.")
        assert (answer.elements["ArgumentName"], answer.elements["ArgumentValue"]) == (name, "MOVE")


def test_a_range_that_is_none_is_told_what_it_would_be(http: httpx.Client) -> None:
    answer = copy(http, "bucket/from", begin(http), x_amz_copy_source_range="bytes=1-")
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert answer.message == (
        "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
        "zero-based offsets of the first and last bytes to copy"
    )


def test_a_copied_part_tells_the_checksum_that_its_upload_has(http: httpx.Client) -> None:
    """What an upload has that was begun without one is for this store alone; and no part has a type of it."""
    plain = copy(http, "bucket/from", begin(http))
    assert plain.elements.keys() == {"LastModified", "ETag"}
    summed = copy(http, "bucket/from", begin(http, x_amz_checksum_algorithm="SHA256"))
    assert summed.elements.keys() == {"LastModified", "ETag", "ChecksumSHA256"}
    assert summed.elements["ChecksumSHA256"] == checksums.of("SHA256", b"body").value
    whole = copy(http, "bucket/from", x_amz_checksum_algorithm="SHA256")
    assert whole.elements.keys() == {"LastModified", "ETag", "ChecksumSHA256", "ChecksumType"}
