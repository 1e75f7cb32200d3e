"""Signature Version 2, the older scheme, as far as clients still use it: presigned URLs and POST forms.

boto3 presigns with it unless it is told otherwise. A URL carries ``AWSAccessKeyId``, ``Expires`` (seconds
since 1970) and ``Signature``, the HMAC-SHA1 of::

    method LF Content-MD5 LF Content-Type LF Expires LF x-amz- headers, each with LF; path with some of the
    query

Source: Amazon S3 User Guide, Signing and authenticating REST requests (AWS Signature Version 2).
"""

from __future__ import annotations

import base64
import hmac

from dslab.objectstore.auth import Request
from dslab.objectstore.errors import S3Error

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


def access_key_of(request: Request, now_s: float) -> str | None:
    """Who a presigned URL of this version says it is from; None if the request is none.

    Raises:
        S3Error: AccessDenied, it has expired, or lacks something.
    """
    query = dict(request.query)
    if "AWSAccessKeyId" not in query and "Signature" not in query:
        return None
    if not {"AWSAccessKeyId", "Signature", "Expires"} <= query.keys():
        message = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        raise S3Error("AccessDenied", message)
    expires = query["Expires"]
    if not (expires.isascii() and expires.isdigit()):
        raise S3Error("AccessDenied", f"Invalid date (should be seconds since epoch): {expires[:40]}")
    if len(expires) < 16 and int(expires) < now_s:
        raise S3Error("AccessDenied", "Request has expired", Expires=expires)
    return query["AWSAccessKeyId"]


def verify(request: Request, secret: str, bucket_in_host: str) -> None:
    """Does a presigned URL come from who knows this secret?

    Args:
        request: The request.
        secret: The access key's secret.
        bucket_in_host: The bucket, if it is named by the host.

    Raises:
        S3Error: SignatureDoesNotMatch.
    """
    query = dict(request.query)
    text = string_to_sign(request, query["Expires"], bucket_in_host)
    if not hmac.compare_digest(signature(secret, text).encode(), query["Signature"].encode()):
        raise S3Error("SignatureDoesNotMatch", AWSAccessKeyId=query["AWSAccessKeyId"], StringToSign=text)


def string_to_sign(request: Request, expires: str, bucket_in_host: str) -> str:
    """What the secret is applied to."""
    headers = request.headers
    amz = "".join(
        f"{name}:{' '.join(value.split())}\n"
        for name, value in sorted(headers.items())
        if name.startswith("x-amz-")
    )
    resource = (f"/{bucket_in_host}" if bucket_in_host else "") + request.path.decode("ascii", "replace")
    signed = sorted(pair for pair in request.query if pair[0] in _SIGNED_QUERY)
    if signed:
        resource += "?" + "&".join(f"{name}={value}" if value else name for name, value in signed)
    md5, kind = headers.get("content-md5", ""), headers.get("content-type", "")
    return f"{request.method}\n{md5}\n{kind}\n{expires}\n{amz}{resource}"


def signature(secret: str, text: str) -> str:
    """The signature of a URL, or of a POST form's policy."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode("latin-1", "replace"), "sha1")).decode()
