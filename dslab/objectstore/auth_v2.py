"""Signature Version 2, the older scheme: in a header, in the query of a URL, in a POST form.

boto3 presigns with it unless it is told otherwise, and older clients know no other. A request carries
``Authorization: AWS access-key:signature``, a URL ``AWSAccessKeyId``, ``Expires`` (seconds since 1970) and
``Signature``. That is the HMAC-SHA1, in base64, of::

    method LF Content-MD5 LF Content-Type LF date LF x-amz- headers, each with LF; path with some of the query

The date is that of the Date header, nothing where there is an x-amz-date, and in a URL what Expires says.
What would be an x-amz- header may be in a URL's query, and is signed as the header. The body is not signed,
unless by its Content-MD5: one reason why there is a version 4.

Source: Amazon S3 User Guide, Signing and authenticating REST requests (AWS Signature Version 2).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dslab.objectstore.auth import MAX_SKEW_S, OLDER, Request, instant_text, mismatch, too_skewed, undated
from dslab.objectstore.errors import S3Error
from dslab.objectstore.protocol import parse_http_date

_SIGNED_QUERY = {
    *("acl", "cors", "delete", "lifecycle", "location", "logging", "notification", "partNumber", "policy"),
    *(
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
    ),
    *("response-content-language", "response-content-type", "response-expires", "restore", "tagging"),
    *("torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website"),
}


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a request says it is from.

    Attributes:
        access_key: The name of the secret.
        date: What is signed of the time, beside x-amz-date.
        presigned: Whether it is made in the query.
    """

    access_key: str
    date: str
    signature: str
    presigned: bool = False

    def verify(self, request: Request, secret: str, bucket_in_host: str) -> None:
        """Does the signature come from who knows this secret?

        Args:
            request: The request; if presigned, its x-amz- fields among its headers.
            secret: The access key's secret.
            bucket_in_host: The bucket, if it is named by the host.

        Raises:
            S3Error: SignatureDoesNotMatch.
        """
        texts = [string_to_sign(request, self.date, bucket_in_host)]
        if not bucket_in_host and request.path.count(b"/") == 1 and request.path != b"/":
            # It is a bucket's path: some clients, boto3 too, sign a slash at its end that they do not send.
            texts.append(string_to_sign(replace(request, path=request.path + b"/"), self.date, ""))
        proofs = [signature(secret, text).encode() for text in texts]
        if not any(hmac.compare_digest(proof, self.signature.encode()) for proof in proofs):
            raise mismatch(self.access_key, texts[0], self.signature)


def claim_of(request: Request, now_s: float) -> Claim | None:
    """Read who a request says it is from; None if it says nothing in this version.

    Raises:
        S3Error: The claim is malformed, out of date, or made twice.
    """
    authorization = request.headers.get("authorization")
    query = dict(request.query)
    in_query = "AWSAccessKeyId" in query or "Signature" in query
    if authorization and in_query:
        raise S3Error("InvalidArgument", "Only one auth mechanism allowed")
    if in_query:
        return _claim_in_query(query, now_s)
    if not authorization:
        return None
    return _claim_in_header(authorization, request.headers, now_s)


def _claim_in_header(authorization: str, headers: Mapping[str, str], now_s: float) -> Claim:
    access_key, colon, signed = authorization.removeprefix(OLDER).strip().rpartition(":")
    if not access_key or not colon or not signed:
        message = "AWS authorization header is invalid. Expected AwsAccessKeyId:signature"
        raise S3Error("InvalidArgument", message, ArgumentName="Authorization")
    date, amz_date = headers.get("date"), headers.get("x-amz-date")
    told = date if amz_date is None else amz_date
    told_s = parse_http_date(told)
    if told is None or told_s is None or told_s < 0:
        raise undated()
    if abs(now_s - told_s) > MAX_SKEW_S:
        raise too_skewed(told, now_s)
    return Claim(access_key, told if amz_date is None else "", signed)


def _claim_in_query(query: Mapping[str, str], now_s: float) -> Claim:
    if not {"AWSAccessKeyId", "Signature", "Expires"} <= query.keys():
        message = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        raise S3Error("AccessDenied", message)
    expires = query["Expires"]
    if not (expires.isascii() and expires.isdigit()):
        raise S3Error("AccessDenied", f"Invalid date (should be seconds since epoch): {expires[:40]}")
    if len(expires) < 16 and int(expires) < now_s:
        expired, now = instant_text(int(expires)), instant_text(now_s)
        raise S3Error("AccessDenied", "Request has expired", Expires=expired, ServerTime=now)
    return Claim(query["AWSAccessKeyId"], expires, query["Signature"], presigned=True)


def string_to_sign(request: Request, date: str, bucket_in_host: str) -> str:
    """What the secret is applied to."""
    headers = request.headers
    amz = "".join(
        f"{name}:{value.strip(' ')}\n" for name, value in sorted(headers.items()) if name.startswith("x-amz-")
    )
    resource = (f"/{bucket_in_host}" if bucket_in_host else "") + request.path.decode("ascii", "replace")
    # Each byte of a header is a character already, and both are signed in one text.
    signed = sorted(
        (name, value.encode().decode("latin-1")) for name, value in request.query if name in _SIGNED_QUERY
    )
    if signed:
        resource += "?" + "&".join(f"{name}={value}" if value else name for name, value in signed)
    md5, kind = headers.get("content-md5", ""), headers.get("content-type", "")
    return f"{request.method}\n{md5}\n{kind}\n{date}\n{amz}{resource}"


def signature(secret: str, text: str) -> str:
    """The signature of a URL, or of a POST form's policy."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode("latin-1", "replace"), "sha1")).decode()
