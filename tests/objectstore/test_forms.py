"""Uploads from a web page."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from dslab.objectstore import auth
from dslab.objectstore.errors import S3Error
from dslab.objectstore.policy import Policy
from tests.objectstore.conftest import ID, SECRET
from tests.objectstore.test_auth import CREDENTIALS

NOW = "2100-01-01T00:00:00.000Z"


def policy(bucket: str, *more: Any, expiration: Any = NOW, **change: Any) -> dict[str, Any]:
    conditions = [{"bucket": bucket}, ["starts-with", "$key", "user/"], *more]
    return {"expiration": expiration, "conditions": conditions, **change}


def fields_of(document: Any, key: str = "user/file", version: int = 4, **more: str) -> dict[str, str]:
    """The fields of a form whose policy is signed."""
    day = auth.time_text(time.time())[:8]
    credential = f"{ID}/{day}/us-east-1/s3/aws4_request"
    signing = {
        "x-amz-algorithm": auth.ALGORITHM,
        "x-amz-credential": credential,
        "x-amz-date": f"{day}T000000Z",
    }
    fields = {"key": key, **more}
    if version == 4:
        fields |= signing
        if isinstance(document, dict) and isinstance(document.get("conditions"), list):
            document["conditions"] += [{name: value} for name, value in signing.items()]
    text = base64.b64encode(json.dumps(document).encode()).decode()
    if version == 4:
        signed = {"x-amz-signature": auth.policy_signature(SECRET, day, "us-east-1", text)}
    else:
        digest = hmac.digest(SECRET.encode(), text.encode(), "sha1")
        signed = {"AWSAccessKeyId": ID, "signature": base64.b64encode(digest).decode()}
    return {**fields, "policy": text, **signed}


def post(http: httpx.Client, bucket: str, fields: dict[str, str], body: bytes = b"body") -> httpx.Response:
    return http.post(f"/{bucket}", data=fields, files={"file": ("C:\\dir\\name.txt", body)})


@pytest.mark.parametrize("version", [2, 4])
def test_a_signed_form(http: httpx.Client, s3: Any, bucket: str, version: int) -> None:
    more = [
        ["eq", "$Content-Type", "text/plain"],
        {"x-amz-meta-a": "1"},
        ["content-length-range", 1, 10_000_000],
    ]
    headers = {"Content-Type": "text/plain", "x-amz-meta-a": "1", "x-ignore-this": "x"}
    fields = fields_of(policy(bucket, *more), "user/${filename}", version, **headers)
    body = b"0123456789" * 300_000
    answer = post(http, bucket, fields, body)
    assert answer.status_code == 204, answer.text
    got = s3.get_object(Bucket=bucket, Key="user/name.txt")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (body, "text/plain", {"a": "1"})
    assert answer.headers["etag"] == f'"{hashlib.md5(body).hexdigest()}"'


TEXT = "\u65e5\u672c \u00e9 \u00e0"


def test_a_text_is_kept_as_a_put_keeps_it(http: httpx.Client, s3: Any, bucket: str) -> None:
    more = [["starts-with", "$x-amz-meta-n", ""], ["starts-with", "$Content-Disposition", ""]]
    disposition = f'attachment; filename="{TEXT}"'
    texts = {"x-amz-meta-n": TEXT, "Content-Disposition": disposition, "acl": "public-read"}
    for allowed, status in ([], 403), ([{"acl": "public-read"}], 204):
        fields = fields_of(policy(bucket, *more, *allowed), **texts)  # type: ignore[arg-type]
        assert post(http, bucket, fields).status_code == status
    got = dict(http.get(f"/{bucket}/user/file").headers.raw)
    assert (got[b"x-amz-meta-n"].decode(), got[b"content-disposition"].decode()) == (TEXT, disposition)


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-amz-meta-n", "a\r\nb: c"), ("x-amz-meta-n", "a\0"), ("x-amz-meta-\u65e5", "a"), ("Expires", "a\nb")],
)
def test_what_no_header_can_hold_is_refused(
    http: httpx.Client, s3: Any, bucket: str, name: str, value: str
) -> None:
    fields = {**fields_of(policy(bucket, ["starts-with", f"${name}", ""])), name: value}
    answer = post(http, bucket, fields)
    assert (answer.status_code, "InvalidArgument" in answer.text) == (400, True), answer.text
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_boto3s_form(http: httpx.Client, s3: Any, bucket: str) -> None:
    made = s3.generate_presigned_post(
        bucket, "key", Fields={"acl": "public-read"}, Conditions=[{"acl": "public-read"}]
    )
    assert http.post(made["url"], data=made["fields"], files={"file": b"x"}).status_code == 204
    assert http.get(f"/{bucket}/key").content == b"x"


@pytest.mark.parametrize(("start", "status"), [("name", 204), ("${filename}", 403)])
def test_a_policy_is_about_the_key_that_is_made(
    http: httpx.Client, bucket: str, start: str, status: int
) -> None:
    document = {"expiration": NOW, "conditions": [{"bucket": bucket}, ["starts-with", "$key", start]]}
    assert post(http, bucket, fields_of(document, "${filename}")).status_code == status


def test_what_a_form_wants_to_see(http: httpx.Client, bucket: str) -> None:
    fields = fields_of(
        policy(bucket, ["starts-with", "$success_action_status", ""]), success_action_status="201"
    )
    answer = post(http, bucket, fields)
    assert answer.status_code == 201
    told = ElementTree.fromstring(answer.content)  # of S3's documents one of those without a namespace
    assert (told.tag, told.findtext("Bucket"), told.findtext("Key")) == ("PostResponse", bucket, "user/file")
    target = "http://example.org/done?x=1"
    fields = fields_of(policy(bucket, {"success_action_redirect": target}), success_action_redirect=target)
    answer = post(http, bucket, fields)
    assert answer.status_code == 303
    location = httpx.URL(answer.headers["location"])
    assert dict(location.params)["key"] == "user/file"
    assert str(location).startswith(target)


@pytest.mark.parametrize(
    "target", ["http://[x", "http://a\u2100b", "ftp://example.org", "http://ex\nample.org", "x"]
)
def test_who_is_sent_to_what_is_no_address_of_the_web_stays_here(
    http: httpx.Client, bucket: str, target: str
) -> None:
    fields = fields_of(policy(bucket, {"success_action_redirect": target}), success_action_redirect=target)
    assert post(http, bucket, fields).status_code == 204


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("text/plain", 204),
        ("text/plain, text/html", 204),
        ("text/plain,text/html", 204),
        ("text/plain, image/jpeg", 403),
        ("image/jpeg, text/plain", 403),
        ("text/plain,", 403),
    ],
)
def test_each_of_several_types_must_be_allowed(
    http: httpx.Client, bucket: str, value: str, status: int
) -> None:
    document = policy(bucket, ["starts-with", "$Content-Type", "text/"])
    assert post(http, bucket, fields_of(document, **{"content-type": value})).status_code == status  # type: ignore[arg-type]


@pytest.mark.parametrize("operator", ["eq", "starts-with"])
def test_a_condition_on_no_field_fails(http: httpx.Client, bucket: str, operator: str) -> None:
    answer = post(http, bucket, fields_of(policy(bucket, [operator, "content-type", ""])))
    told = ElementTree.fromstring(answer.content)
    assert (answer.status_code, told.findtext("Code")) == (403, "AccessDenied")
    message = f'Invalid according to Policy: Policy Condition failed: ["{operator}", "content-type", ""]'
    assert told.findtext("Message") == message


def test_a_condition_is_told_as_it_was_written(http: httpx.Client, bucket: str) -> None:
    answer = post(http, bucket, fields_of(policy(bucket, ["eq", "$Content-Type", "a/b"])))
    assert '["eq", "$Content-Type", "a/b"]' in str(ElementTree.fromstring(answer.content).findtext("Message"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "Expecting '{' but found End-of-Input"),
        (None, "invalid Base64 encoding."),
        (b"no json", "Invalid JSON."),
        (b"[]", "Invalid JSON."),
        (b"\xff", "Invalid JSON."),
        (b"[" * 40_000, "Invalid JSON."),
        ({"conditions": []}, "Policy missing expiration."),
        ({"expiration": True, "conditions": []}, "Invalid JSON."),
        *(
            ({"expiration": time, "conditions": []}, f"Invalid 'expiration' value: '{time}'")
            for time in ("soon", "2030-01-01T00:00:00", "2030-01-01T00:00:00+05:00Z")
        ),
        ({"expiration": NOW}, "Policy missing conditions."),
        ({"expiration": NOW, "conditions": True}, "Invalid 'conditions' value: must be a List."),
        ({"expiration": "2001-01-01T00:00:00Z", "conditions": [], "extra": 1}, 'Unexpected: "extra"'),
        ({"expiration": NOW, "conditions": [True]}, "Invalid condition test: must be a List or Object."),
        *(
            ({"expiration": NOW, "conditions": [condition]}, message)
            for condition, message in (
                ([], "Invalid Condition: missing operation identifier."),
                (["near", "$key", "x"], "Invalid Condition: unknown operation 'near'."),
                (["eq", "$key"], "Invalid eq: wrong number of arguments."),
                (["starts-with", "$key", "x", "y"], "Invalid starts-with: wrong number of arguments."),
                (["eq", "$key", 1], "Invalid JSON."),
                ([1, "$key", "x"], "Invalid JSON."),
                (["content-length-range", 1], "Invalid content-length-range: wrong number of arguments."),
                (["content-length-range", 1, "many"], "Invalid JSON."),
                (["content-length-range", 1, False], "Invalid JSON."),
                (["content-length-range", [1], 2], "Invalid JSON."),
            )
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_policy(text: Any, message: str) -> None:
    if isinstance(text, dict):
        text = json.dumps(text).encode()
    with pytest.raises(S3Error) as error:
        Policy.parse("no_base64" if text is None else base64.b64encode(text).decode())
    assert (error.value.code, error.value.status) == ("InvalidPolicyDocument", 400)
    assert str(error.value) == f"Invalid Policy: {message}"


ANYTHING = [["starts-with", "$key", ""], ["starts-with", "$bucket", ""]]

REFUSED: dict[str, tuple[Any, dict[str, str], bytes, int]] = {
    "another key": ({}, {"key": "other/file"}, b"x", 403),
    "another bucket": ({"conditions": [{"bucket": "other"}, ["starts-with", "$key", ""]]}, {}, b"x", 403),
    "a space before the key": ({}, {"key": " user/file"}, b"x", 403),
    "a second key": ({}, {"key": "other/file,user/file"}, b"x", 403),
    "any bucket": ({"conditions": [["starts-with", "$key", ""]]}, {}, b"x", 403),
    "a field too many": ({}, {"x-amz-meta-more": "1"}, b"x", 403),
    "expired": ({"expiration": "2001-01-01T00:00:00Z"}, {}, b"x", 403),
    "no expiration": ({"expiration": None}, {}, b"x", 400),
    "no date": ({"expiration": "tomorrow"}, {}, b"x", 400),
    "no list": ({"conditions": {}}, {}, b"x", 400),
    "nonsense": ({"conditions": [["near", "$key", "x"]]}, {}, b"x", 400),
    "too long": (
        {"conditions": [*ANYTHING, ["content-length-range", 0, 2]]},
        {},
        b"xxx",
        400,
    ),
    "too short": (
        {"conditions": [*ANYTHING, ["content-length-range", 2, 9]]},
        {},
        b"x",
        400,
    ),
    "range of one": ({"conditions": [["content-length-range", 0]]}, {}, b"x", 400),
    "a range of thousands of digits": (
        {"conditions": [*ANYTHING, ["content-length-range", 0, "9" * 5_000]]},
        {},
        b"x",
        400,
    ),
    "negative range": ({"conditions": [["content-length-range", -1, 0]]}, {}, b"x", 400),
}


@pytest.mark.parametrize("case", REFUSED)
def test_forms_that_are_refused(http: httpx.Client, s3: Any, bucket: str, case: str) -> None:
    change, more, body, status = REFUSED[case]
    fields = fields_of(policy(bucket, **change), **{"key": "user/file", **more})  # type: ignore[arg-type]
    answer = post(http, bucket, fields, body)
    assert (answer.status_code, case) == (status, case), answer.text
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"x-amz-meta-a": "1", "x-amz-meta-b": "2"}, "must have exactly one property specified."),
        ({}, "must have exactly one property specified."),
        ({"x-amz-meta-a": 1}, "value must be a string."),
    ],
)
def test_a_condition_is_of_one_field(http: httpx.Client, bucket: str, condition: Any, message: str) -> None:
    fields = fields_of(policy(bucket, condition), **{"x-amz-meta-a": "1", "x-amz-meta-b": "2"})  # type: ignore[arg-type]
    answer = post(http, bucket, fields)
    told = ElementTree.fromstring(answer.content)
    assert (answer.status_code, told.findtext("Code")) == (400, "InvalidPolicyDocument")
    assert str(told.findtext("Message")).endswith(message)


@pytest.mark.parametrize(
    ("body", "code", "limit"),
    [
        (b"12", "EntityTooSmall", ("MinSizeAllowed", "3")),
        (b"12345", "EntityTooLarge", ("MaxSizeAllowed", "4")),
    ],
)
def test_a_file_of_the_wrong_size_is_told_the_right_one(
    http: httpx.Client, bucket: str, body: bytes, code: str, limit: tuple[str, str]
) -> None:
    answer = post(http, bucket, fields_of(policy(bucket, ["content-length-range", 3, 4])), body)
    told = ElementTree.fromstring(answer.content)
    name, size = limit
    assert (told.findtext("Code"), told.findtext("ProposedSize")) == (code, str(len(body)))
    assert told.findtext(name) == size


def test_a_forged_form(http: httpx.Client, bucket: str) -> None:
    good = fields_of(policy(bucket))
    other = fields_of(policy(bucket, ["starts-with", "$acl", ""]))["policy"]
    for change in (
        {"x-amz-signature": "0" * 64},
        {"policy": other},
        {"x-amz-credential": "NOBODY/20300101/r/s3/aws4_request"},
    ):
        assert post(http, bucket, {**good, **change}).status_code == 403
    unsigned = {name: value for name, value in good.items() if name != "x-amz-signature"}
    assert post(http, bucket, unsigned).status_code == 400
    assert post(http, bucket, {"key": "user/file"}).status_code == 403
    assert (
        post(http, bucket, {name: value for name, value in good.items() if name != "key"}).status_code == 400
    )


def refusal_of(answer: httpx.Response) -> tuple[int, str | None, str | None, str | None, str | None]:
    told = ElementTree.fromstring(answer.content)
    texts = (told.findtext(name) for name in ("Code", "Message", "ArgumentName", "ArgumentValue"))
    code, message, name, value = texts
    return answer.status_code, code, message, name, value


@pytest.mark.parametrize(
    ("version", "name"),
    [
        *((4, f"X-Amz-{name}") for name in ("Algorithm", "Credential", "Signature", "Date")),
        *((2, name) for name in ("AWSAccessKeyId", "Signature")),
        *((version, name) for version in (2, 4) for name in ("policy", "key")),
    ],
)
def test_which_field_is_missing_is_told(http: httpx.Client, bucket: str, version: int, name: str) -> None:
    fields = fields_of(policy(bucket), version=version)
    left = {field: value for field, value in fields.items() if field.lower() != name.lower()}
    message = (
        f"Bucket POST must contain a field named '{name}'.  "
        "If it is specified, please check the order of the fields."
    )
    assert refusal_of(post(http, bucket, left)) == (400, "InvalidArgument", message, name, "")


def test_of_two_missing_fields_the_first_is_told(http: httpx.Client, bucket: str) -> None:
    fields = fields_of(policy(bucket))
    del fields["x-amz-credential"], fields["x-amz-algorithm"]
    assert refusal_of(post(http, bucket, fields))[3] == "X-Amz-Algorithm"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("X-Amz-Algorithm", "AWS4", "Only AWS4-HMAC-SHA256 is supported"),
        ("X-Amz-Date", "2030-01-01", "X-Amz-Date must be formated via ISO8601 Long format"),
        *(("X-Amz-Credential", one, reason) for one, reason in CREDENTIALS.items()),
    ],
)
def test_how_a_form_is_badly_signed(
    http: httpx.Client, bucket: str, name: str, value: str, message: str
) -> None:
    answer = post(http, bucket, {**fields_of(policy(bucket)), name.lower(): value})
    assert refusal_of(answer) == (400, "InvalidArgument", message, name, value)


@pytest.mark.parametrize("version", [2, 4])
def test_a_wrong_signature_is_told_what_was_to_be_signed(
    http: httpx.Client, bucket: str, version: int
) -> None:
    fields = fields_of(policy(bucket), version=version)
    fields["x-amz-signature" if version == 4 else "signature"] = "wrong"
    told = {one.tag: one.text or "" for one in ElementTree.fromstring(post(http, bucket, fields).content)}
    assert (told["Code"], told["AWSAccessKeyId"]) == ("SignatureDoesNotMatch", ID)
    assert (told["StringToSign"], told["SignatureProvided"]) == (fields["policy"], "wrong")
    assert bytes.fromhex(told["StringToSignBytes"]).decode() == fields["policy"]


def test_a_policy_that_nobody_signed_allows_nothing(http: httpx.Client, s3: Any, bucket: str) -> None:
    signed = fields_of(policy(bucket), version=2)
    form = {name: signed[name] for name in ("key", "policy")}
    assert refusal_of(post(http, bucket, form))[:2] == (403, "AccessDenied")
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert post(http, bucket, form).status_code == 204
    assert post(http, bucket, {**form, "key": "other/file"}).status_code == 403  # though it may forbid


def test_an_empty_type_is_none(http: httpx.Client, s3: Any, bucket: str) -> None:
    document = policy(bucket, ["starts-with", "$Content-Type", ""])
    assert post(http, bucket, fields_of(document, **{"Content-Type": ""})).status_code == 204  # type: ignore[arg-type]
    assert s3.head_object(Bucket=bucket, Key="user/file")["ContentType"] == "binary/octet-stream"


@pytest.mark.parametrize(
    ("parameter", "key"),
    [
        ("", "user/lit-${filename}"),
        ('; filename=""', "user/lit-"),
        ('; filename="a.txt"', "user/lit-a.txt"),
    ],
)
def test_a_file_without_a_name_gives_none(
    http: httpx.Client, s3: Any, bucket: str, parameter: str, key: str
) -> None:
    fields = fields_of(policy(bucket), "user/lit-${filename}")
    parts = [(f'name="{name}"', value) for name, value in fields.items()]
    lines = [
        f"--x\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n"
        for head, value in [*parts, (f'name="file"{parameter}', "body")]
    ]
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = http.post(f"/{bucket}", content="".join([*lines, "--x--\r\n"]).encode(), headers=headers)
    assert answer.status_code == 204, answer.text
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_what_is_no_form(http: httpx.Client, bucket: str) -> None:
    assert http.post(f"/{bucket}", content=b"x").status_code == 412
    for boundary in ("", "; boundary=x", "; boundary*=idna''B", "; boundary*=undefined''B"):
        headers = {"content-type": f"multipart/form-data{boundary}"}
        answer = http.post(f"/{bucket}", content=b"nonsense", headers=headers)
        assert answer.status_code == 400
    assert http.post(f"/{bucket}", data={"key": "k" * 100_000}, files={"file": b"x"}).status_code == 400
    assert http.post(f"/{bucket}", data=fields_of(policy(bucket)), files={"other": b"x"}).status_code == 400


def test_an_anonymous_form(http: httpx.Client, s3: Any, bucket: str) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    assert post(http, bucket, {"key": "k"}).status_code == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"
