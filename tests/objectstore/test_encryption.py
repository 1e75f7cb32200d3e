"""Server-side encryption, which is not there: nothing that is to be encrypted is kept in the clear."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from dslab.objectstore import encryption
from tests.objectstore.conftest import ID, SECRET, Serve, client

METHOD = encryption.METHOD
ALGORITHM, KEY, MD5 = (f"{METHOD}-customer-{each}" for each in ("algorithm", "key", "key-MD5"))


def md5_of(key: bytes) -> str:
    return base64.b64encode(hashlib.md5(key).digest()).decode()


def customer(raw: bytes = b"k" * 32, /, **change: str | None) -> dict[str, str]:
    """The headers of a client's own key; what is changed to None is left out."""
    said = {"algorithm": "AES256", "key": base64.b64encode(raw).decode(), "md5": md5_of(raw), **change}
    named = zip((ALGORITHM, KEY, MD5), said.values(), strict=True)
    return {name: value for name, value in named if value is not None}


def of_source(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("x-amz-", "x-amz-copy-source-"): value for name, value in headers.items()}


WITH_KEYS = "Requests specifying Server Side Encryption with Customer provided keys must provide"
NEEDS_KMS = "Server Side Encryption with AWS KMS managed key requires HTTP header"
NO_METHOD = "The encryption method specified is not supported"
NO_MATCH = "The calculated MD5 hash of the key did not match the hash that was provided."

WRONG_KEYS: list[tuple[dict[str, str], str, str]] = [
    (customer(algorithm=None), "InvalidArgument", f"{WITH_KEYS} a valid encryption algorithm."),
    ({MD5: md5_of(b"")}, "InvalidArgument", f"{WITH_KEYS} a valid encryption algorithm."),
    (customer(algorithm="AES128"), "InvalidEncryptionAlgorithmError", "Supported value: AES256."),
    (customer(key=None), "InvalidArgument", f"{WITH_KEYS} an appropriate secret key."),
    (customer(md5=md5_of(b"other")), "InvalidArgument", NO_MATCH),
    (customer(md5="nonsense"), "InvalidArgument", NO_MATCH),
    (customer(b"short"), "InvalidArgument", "The secret key was invalid for the specified algorithm."),
    (customer(key="nonsense", md5=None), "InvalidArgument", "The secret key was invalid"),
]

WRITES: list[tuple[dict[str, str], str, str]] = [
    *WRONG_KEYS,
    ({METHOD: "AES256", **customer()}, "InvalidArgument", "is incompatible with the encryption method"),
    ({METHOD: "none", **customer(algorithm="x")}, "InvalidArgument", "is incompatible with the encryption"),
    ({METHOD: "aes:kms"}, "InvalidArgument", NO_METHOD),
    ({METHOD: ""}, "InvalidArgument", NO_METHOD),
    ({f"{METHOD}-aws-kms-key-id": "id"}, "InvalidArgument", NEEDS_KMS),
    ({METHOD: "AES256", f"{METHOD}-aws-kms-key-id": "id"}, "InvalidArgument", NEEDS_KMS),
    ({f"{METHOD}-context": "e30="}, "InvalidArgument", NEEDS_KMS),
    ({f"{METHOD}-bucket-key-enabled": "true"}, "NotImplemented", ""),
    ({METHOD: "AES256"}, "NotImplemented", ""),
    ({METHOD: "aws:kms"}, "NotImplemented", ""),
    ({METHOD: "aws:kms:dsse", f"{METHOD}-aws-kms-key-id": "id"}, "NotImplemented", ""),
    (customer(), "NotImplemented", ""),
    (customer(md5=None), "NotImplemented", ""),
]

NOT_HERE = "header is not supported for this operation."
OF_NO_UPLOAD = "The multipart upload initiate requested encryption."
OF_NO_OBJECT = "The encryption parameters are not applicable to this object."

Put = Callable[[dict[str, str]], httpx.Response]


@pytest.fixture
def http(open_http: httpx.Client) -> httpx.Client:
    open_http.put("/bucket")
    open_http.put("/bucket/plain", content=b"body")
    return open_http


def begin(http: httpx.Client) -> str:
    document = ElementTree.fromstring(http.post("/bucket/key?uploads").content)
    return f"/bucket/key?partNumber=1&uploadId={document.findtext('{*}UploadId')}"


def refused(answer: httpx.Response) -> tuple[str, str]:
    assert answer.status_code >= 400, answer.headers
    document = ElementTree.fromstring(answer.content)
    code, message = document.findtext("Code", ""), document.findtext("Message", "")
    assert answer.status_code == (501 if code == "NotImplemented" else 400)
    if code == "InvalidArgument":
        assert document.findtext("ArgumentName", "").startswith(METHOD)
    return code, message


@pytest.mark.parametrize("way", ["put", "copy", "begin", "form"])
def test_nothing_to_be_encrypted_is_written(http: httpx.Client, way: str) -> None:
    ways: dict[str, Put] = {
        "put": lambda headers: http.put("/bucket/key", content=b"x", headers=headers),
        "copy": lambda headers: http.put(
            "/bucket/key", headers={"x-amz-copy-source": "bucket/plain", **headers}
        ),
        "begin": lambda headers: http.post("/bucket/key?uploads", headers=headers),
        "form": lambda fields: http.post("/bucket", data={"key": "key", **fields}, files={"file": b"x"}),
    }
    for headers, code, message in WRITES:
        told = refused(ways[way](headers))
        assert (told[0], message in told[1]) == (code, True), (headers, told)
    assert http.head("/bucket/key").status_code == 404
    assert "<Upload>" not in http.get("/bucket?uploads").text


def test_no_part_is_encrypted_if_its_upload_is_not(http: httpx.Client) -> None:
    part = begin(http)
    for more in ({}, {"x-amz-copy-source": "bucket/plain"}):
        for headers, code, message in (
            *WRONG_KEYS,
            (customer(), "InvalidRequest", OF_NO_UPLOAD),
            ({METHOD: "AES256"}, "InvalidArgument", f"{METHOD} {NOT_HERE}"),
            ({f"{METHOD}-aws-kms-key-id": "id"}, "InvalidArgument", NOT_HERE),
            ({f"{METHOD}-context": "e30="}, "InvalidArgument", NOT_HERE),
            ({f"{METHOD}-bucket-key-enabled": "true"}, "InvalidArgument", NOT_HERE),
        ):
            told = refused(http.put(part, content=b"" if more else b"x", headers={**more, **headers}))
            assert (told[0], message in told[1]) == (code, True), (headers, told)
    assert "<Part>" not in http.get(part.replace("partNumber=1&", "")).text


def test_nothing_is_read_as_if_it_were_encrypted(http: httpx.Client) -> None:
    for headers, code, message in (
        *WRONG_KEYS,
        (customer(), "InvalidRequest", OF_NO_OBJECT),
        ({METHOD: "AES256"}, "InvalidArgument", f"{METHOD} {NOT_HERE}"),
    ):
        assert http.get("/bucket/plain").text == "body"  # and is remembered
        for asked in ({}, {"x-amz-object-attributes": "ETag"}):
            query = "?attributes" if asked else ""
            told = refused(http.get(f"/bucket/plain{query}", headers={**headers, **asked}))
            assert (told[0], message in told[1]) == (code, True), (headers, told)
        assert http.head("/bucket/plain", headers=headers).status_code == 400


def test_no_source_is_copied_as_if_it_were_encrypted(http: httpx.Client) -> None:
    for place in ("/bucket/copy", begin(http)):
        for headers, code, message in (*WRONG_KEYS, (customer(), "InvalidRequest", OF_NO_OBJECT)):
            copy = {"x-amz-copy-source": "bucket/plain", **of_source(headers)}
            told = refused(http.put(place, headers=copy))
            assert (told[0], message in told[1]) == (code, True), (headers, told)
    assert http.head("/bucket/copy").status_code == 404


def test_a_url_may_ask_for_encryption_in_its_query(serve: Serve) -> None:
    """Some SDKs move headers there when they presign."""
    served = serve(f"{ID}:{SECRET}")
    s3 = client(served)
    s3.create_bucket(Bucket="bucket")

    def in_query(request: Any, **_: object) -> None:
        request.url += f"?{METHOD}=AES256"

    s3.meta.events.register("before-sign.s3.PutObject", in_query)
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "bucket", "Key": "key"})
    s3.close()
    assert f"{METHOD}=AES256" in url
    assert refused(httpx.put(url, content=b"x", trust_env=False))[0] == "NotImplemented"
