"""Uploads from a web page: a form with fields and a file, as a browser sends it.

The fields come first and say everything that headers say of a PUT; the file comes last, and is written
aside while it comes, as any body is.

Source: Amazon S3 API Reference, POST Object; RFC 7578 (multipart/form-data).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from urllib.parse import SplitResult, urlencode, urlsplit

from fastapi.responses import Response

from dslab.objectstore import auth, auth_v2, checksums
from dslab.objectstore import headers as object_headers
from dslab.objectstore.access import Action, Key
from dslab.objectstore.blobs import Draft
from dslab.objectstore.call import Call, as_header
from dslab.objectstore.documents import MEDIA_TYPE, Child, read_tags, write
from dslab.objectstore.errors import S3Error
from dslab.objectstore.form_parser import FormParser
from dslab.objectstore.intake import BATCH_BYTES
from dslab.objectstore.messages import MAX_PUT_BYTES, Content, Meta, Version
from dslab.objectstore.policy import Policy
from dslab.objectstore.protocol import check_key, check_tags
from dslab.objectstore.routes.operation import BucketCall, Here, subject
from dslab.objectstore.service import Service

router = subject("forms")

NO_FILE = "POST requires exactly one file upload per request."

SIGNED_BY = (
    ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date"),
    ("AWSAccessKeyId", "Signature"),
)
"""The fields that sign a form, in version 4 and in version 2. A date alone signs nothing."""


@router.post("/{bucket}", summary="PostObject", status_code=204)
async def post_object(service: Here, call: BucketCall) -> Response:
    """Put an object from a form. Who may do that is said by the form's signed policy."""
    service.store.bucket(call.target.bucket)
    parser = FormParser.of(call.headers.get("content-type", ""))
    upload: _Upload | None = None
    try:
        async for piece in call.body():
            parser.feed(piece)
            if parser.in_file and upload is None:
                upload = _Upload(service, call, parser)
            if upload and parser.file_bytes >= BATCH_BYTES:
                await service.run(upload.take, parser.file_data())
        if upload is None or not parser.ended:
            raise S3Error("InvalidArgument", NO_FILE)  # noqa: TRY301
        version = await service.run(upload.finish, parser.file_data())
    except BaseException:
        if upload is not None:
            upload.draft.discard()
        raise
    return _answer(service, call, parser.fields, upload.key, version)


class _Upload:
    """The file of a form, from the moment at which all fields before it are known.

    Raises:
        S3Error: The fields do not allow it.
    """

    def __init__(self, service: Service, call: Call, parser: FormParser) -> None:
        fields = parser.fields
        if not fields.get("key"):
            raise _missing("key")
        self.key = fields["key"]
        if parser.filename is not None:
            self.key = self.key.replace("${filename}", parser.filename)
        check_key(self.key)
        self.draft: Draft
        self._service = service
        self._bucket = call.target.bucket
        # The policy is about the key that the object gets, not about the variable in it.
        self._policy = authorize(service, call, {**fields, "key": self.key})
        self._meta = _meta(fields)
        self._expected = checksums.given(fields)
        self._size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._algorithm = self._expected.algorithm if self._expected else checksums.DEFAULT
        self._sum = checksums.summer(self._algorithm)
        self.draft = service.store.draft()

    def take(self, data: bytes) -> None:
        """Write some of the file."""
        self._size += len(data)
        most = self._policy.max_bytes if self._policy else MAX_PUT_BYTES
        if self._size > most:
            raise S3Error("EntityTooLarge", ProposedSize=str(self._size), MaxSizeAllowed=str(most))
        self._md5.update(data)
        self._sum.update(data)
        self.draft.write(data)

    def finish(self, data: bytes) -> Version:
        """Write the rest of the file, and make it an object."""
        self.take(data)
        least = self._policy.min_bytes if self._policy else 0
        if self._size < least:
            raise S3Error("EntityTooSmall", ProposedSize=str(self._size), MinSizeAllowed=str(least))
        checksum = checksums.encoded(self._algorithm, self._sum)
        if self._expected and self._expected != checksum:
            name = self._algorithm
            raise S3Error("BadDigest", f"The {name} you specified did not match the calculated checksum.")
        content = Content(self._size, self._md5.hexdigest(), checksum)
        return self._service.store.put(self._bucket, self.key, self.draft, content, self._meta)


def authorize(service: Service, call: Call, fields: Mapping[str, str]) -> Policy | None:
    """May this form be taken? Gives its policy; None for an anonymous form.

    Raises:
        S3Error: AccessDenied, InvalidPolicyDocument, SignatureDoesNotMatch, InvalidAccessKeyId,
            InvalidArgument.
    """
    bucket = service.store.bucket(call.target.bucket)
    if names := _signed_by(fields):
        for name in ("policy", *names):
            if name.lower() not in fields:
                raise _missing(name)
        call.key = _signer(service, fields)
    call.check(service.rules, Action.WRITE, bucket)
    if "policy" not in fields:
        return None
    policy = Policy.parse(fields["policy"])
    policy.check({**fields, "bucket": bucket.name}, service.clock())
    return policy


def _signed_by(fields: Mapping[str, str]) -> tuple[str, ...]:
    """Which fields sign this form; none in an anonymous one."""
    for names in SIGNED_BY:
        if any(name.lower() in fields for name in names if name != "X-Amz-Date"):
            return names
    return ()


def _signer(service: Service, fields: Mapping[str, str]) -> Key:
    """Whose signature the policy has. What is signed of the form is nothing but that, in base64."""
    policy = fields["policy"]
    if "x-amz-signature" in fields:
        access_key, day, region = _scope(fields)
        key, given = service.rules.key(access_key), fields["x-amz-signature"]
        signature = auth.policy_signature(key.secret, day, region, policy)
    else:
        key, given = service.rules.key(fields["awsaccesskeyid"]), fields["signature"]
        signature = auth_v2.signature(key.secret, policy)
    if not hmac.compare_digest(signature.encode(), given.encode(errors="replace")):
        raise auth.mismatch(key.access_key, policy, given)
    return key


def _scope(fields: Mapping[str, str]) -> tuple[str, str, str]:
    """Read what version 4 says beside the signature: the access key, the day and the region."""

    def refusal(name: str, message: str) -> S3Error:
        value = fields[name.lower()]
        return S3Error("InvalidArgument", message, ArgumentName=name, ArgumentValue=value)

    if fields["x-amz-algorithm"] != auth.ALGORITHM:
        raise refusal("X-Amz-Algorithm", f"Only {auth.ALGORITHM} is supported")
    scope = auth.credential_of(fields["x-amz-credential"], partial(refusal, "X-Amz-Credential"))
    try:
        auth.seconds_of(fields["x-amz-date"])
    except ValueError as error:
        message = "X-Amz-Date must be formated via ISO8601 Long format"
        raise refusal("X-Amz-Date", message) from error
    return scope


def _missing(name: str) -> S3Error:
    message = (
        f"Bucket POST must contain a field named '{name}'.  "
        "If it is specified, please check the order of the fields."
    )
    return S3Error("InvalidArgument", message, ArgumentName=name, ArgumentValue="")


def _meta(fields: Mapping[str, str]) -> Meta:
    headers = {
        name: as_header(name, value)
        for name, value in fields.items()
        if name.startswith("x-amz-") or name in object_headers.KEPT
    }
    if headers.get("content-type") == "":
        del headers["content-type"]  # a browser sends an empty field where nobody filled in anything
    if "acl" in fields:
        headers["x-amz-acl"] = fields["acl"]
    meta = object_headers.meta_of(headers)
    if "tagging" in fields:
        meta = replace(meta, tags=check_tags(read_tags(fields["tagging"].encode())))
    return meta


def _url(text: str) -> SplitResult | None:
    """Read an address that a browser may be sent to; None for what is none: then it is sent nowhere."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    fits = parts.scheme in ("http", "https") and text.isascii() and text.isprintable()
    return parts if fits else None


def _answer(service: Service, call: Call, fields: Mapping[str, str], key: str, version: Version) -> Response:
    etag = f'"{version.content.etag}"'
    bucket = service.store.bucket(call.target.bucket)
    path = f"/{auth.encode(key)}" if call.in_host else f"/{bucket.name}/{auth.encode(key)}"
    location = f"http://{call.host}{path}"
    headers = {"etag": etag, "location": location, **object_headers.new_version_header(version)}
    redirect = fields.get("success_action_redirect") or fields.get("redirect", "")
    if parts := _url(redirect):
        query = urlencode({"bucket": bucket.name, "key": key, "etag": etag})
        headers["location"] = f"{redirect}{'&' if parts.query else '?'}{query}"
        return Response(status_code=303, headers=headers)
    match fields.get("success_action_status"):
        case "200":
            return Response(status_code=200, headers=headers)
        case "201":
            children: list[Child] = [
                ("Location", location),
                ("Bucket", bucket.name),
                ("Key", key),
                ("ETag", etag),
            ]
            document = write("PostResponse", children, namespace=False)
            return Response(document, 201, headers, media_type=MEDIA_TYPE)
        case _:
            return Response(status_code=204, headers=headers)
