"""Signature Version 4: who sent a request, and that nobody changed it on its way.

The client and the server share a secret, which never travels. What travels is a keyed hash (HMAC-SHA256) of
the request in a canonical form, in a header, or in the query of a URL that may be handed on (presigned)::

    canonical request  = method LF path LF query LF headers LF LF names of these headers LF hash of the body
    string to sign     = "AWS4-HMAC-SHA256" LF time LF scope LF SHA-256(canonical request)
    scope              = day / region / "s3" / "aws4_request"
    signing key        = HMAC(HMAC(HMAC(HMAC("AWS4" + secret, day), region), "s3"), "aws4_request")
    signature          = hex(HMAC(signing key, string to sign))

The server makes the same from what arrived, and compares, in a time that does not depend on where they
differ. Nothing here reads a clock: the time is an argument.

Source: Amazon S3 API Reference, Authenticating Requests (AWS Signature Version 4); ch. 9, Security, takes up
message authentication.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from dslab.objectstore.errors import S3Error
from dslab.objectstore.protocol import parse_http_date

ALGORITHM = "AWS4-HMAC-SHA256"
OLDER = "AWS "  # what signatures of version 2 begin with
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256().hexdigest()

MAX_SKEW_S = 15 * 60
MAX_EXPIRES_S = 7 * 24 * 3600

_PAYLOAD = re.compile(r"[0-9a-fA-F]{64}|UNSIGNED-PAYLOAD|STREAMING-[A-Z0-9-]+")
_TIME = "%Y%m%dT%H%M%SZ"
_HEADER = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^,\s]+)\s*,\s*SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-f]{64})\s*"
)
_IN_QUERY = ("algorithm", "credential", "signature", "date", "signedheaders", "expires")
_LAST_S = 253_402_300_799  # of the year 9999


@dataclass(frozen=True, slots=True)
class Request:
    """What is signed.

    Attributes:
        path: Percent-encoded, as it travels.
        query: Decoded names and values, in the order in which they travel.
        headers: Names in lower case.
    """

    method: str
    path: bytes
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Seal:
    """What a verified signature leaves for the chunks of the body, each signed after the one before.

    Attributes:
        key: The signing key.
        time: As in the string to sign.
        scope: As in the string to sign.
        signature: The request's.
    """

    key: bytes
    time: str
    scope: str
    signature: str

    def next(self, kind: str, *hashes: str) -> str:
        """The signature of what comes after: a chunk (``PAYLOAD``) or the trailers (``TRAILER``)."""
        text = "\n".join([f"{ALGORITHM}-{kind}", self.time, self.scope, self.signature, *hashes])
        return _hmac_hex(self.key, text)


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a request says it is from, and what is needed to see whether that is true.

    Attributes:
        access_key: The name of the secret.
        payload: What is signed of the body: its SHA-256 in hex, or a word.
    """

    access_key: str
    day: str
    region: str
    time: str
    signed_headers: tuple[str, ...]
    signature: str
    payload: str
    presigned: bool = False

    @property
    def scope(self) -> str:
        """The scope, without the access key."""
        return f"{self.day}/{self.region}/s3/aws4_request"

    def verify(self, request: Request, secret: str) -> Seal:
        """Does the signature come from who knows this secret?

        Raises:
            S3Error: SignatureDoesNotMatch; AccessDenied, an x-amz- header is there that is not signed.
        """
        unsigned = [
            name for name in request.headers if name.startswith("x-amz-") and name not in self.signed_headers
        ]
        if unsigned and unsigned != ["x-amz-content-sha256"]:
            message = "There were headers present in the request which were not signed"
            raise S3Error("AccessDenied", message, HeadersNotSigned=", ".join(unsigned))
        key = signing_key(secret, self.day, self.region)
        if self.presigned:
            query = tuple(pair for pair in request.query if pair[0].lower() != "x-amz-signature")
            request = replace(request, query=query)
        canonical = canonical_request(request, self.signed_headers, self.payload)
        text = string_to_sign(canonical, self.time, self.scope)
        if not hmac.compare_digest(_hmac_hex(key, text).encode(), self.signature.encode()):
            raise mismatch(self.access_key, text, self.signature, canonical)
        return Seal(key, self.time, self.scope, self.signature)


# ---- what a request claims


def claim_of(request: Request, now_s: float) -> Claim | None:
    """Read who a request says it is from; None if it says nothing in this version.

    Raises:
        S3Error: The claim is malformed, out of date, or made twice.
    """
    authorization = request.headers.get("authorization")
    query = {name.lower(): value for name, value in request.query} if request.query else {}
    in_query = "x-amz-algorithm" in query or "x-amz-signature" in query
    if authorization and in_query:
        raise S3Error("InvalidArgument", "Only one auth mechanism allowed")
    if in_query:
        return _claim_in_query(query, request.headers, now_s)
    if not authorization or authorization.startswith(OLDER):
        return None
    return _claim_in_header(authorization, request.headers, now_s)


def _claim_in_header(authorization: str, headers: Mapping[str, str], now_s: float) -> Claim:
    if not authorization.startswith(ALGORITHM):
        message = "Unsupported Authorization Type"
        if " " not in authorization:
            message = "Authorization header is invalid -- one and only one ' ' (space) required"
        raise S3Error("InvalidArgument", message, ArgumentName="Authorization", ArgumentValue=authorization)
    found = _HEADER.fullmatch(authorization)
    if not found:
        parts = "Credential, SignedHeaders, and Signature"
        raise _bad_header(f"the authorization header requires three components: {parts}.")
    credential, names, signature = found.groups()
    access_key, day, region = credential_of(credential, _bad_header)
    time = _time_of(headers)
    if abs(now_s - seconds_of(time)) > MAX_SKEW_S:
        raise too_skewed(time, now_s)
    if time[:8] != day:
        raise _bad_header("Invalid credential date. Date is not the same as X-Amz-Date.")
    payload = headers.get("x-amz-content-sha256")
    if payload is None:
        raise S3Error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    return Claim(access_key, day, region, time, _names(names), signature, _check_payload(payload))


def _claim_in_query(query: Mapping[str, str], headers: Mapping[str, str], now_s: float) -> Claim:
    if not all(f"x-amz-{name}" in query for name in _IN_QUERY):
        raise _bad_query(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
            "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    if query["x-amz-algorithm"] != ALGORITHM:
        raise _bad_query(f"X-Amz-Algorithm only supports {ALGORITHM}.")
    access_key, day, region = credential_of(query["x-amz-credential"], _bad_credential)
    time = query["x-amz-date"]
    try:
        started_s = seconds_of(time)
    except ValueError as error:
        message = "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        raise _bad_query(message) from error
    expires_s = _expires_s(query["x-amz-expires"])
    if time[:8] != day:
        same = f'This date is not the same as X-Amz-Date: "{time[:8]}".'
        raise _bad_query(f'Invalid credential date "{day}". {same}')
    _check_in_time(started_s, expires_s, now_s)
    payload = _check_payload(
        query.get("x-amz-content-sha256") or headers.get("x-amz-content-sha256", UNSIGNED)
    )
    names = _names(query["x-amz-signedheaders"])
    return Claim(access_key, day, region, time, names, query["x-amz-signature"], payload, presigned=True)


def _check_in_time(started_s: float, expires_s: int, now_s: float) -> None:
    """May a URL be used now that may be used from then on, for so long?"""
    if started_s - MAX_SKEW_S <= now_s <= started_s + expires_s:
        return
    told: dict[str, Any] = {"Expires": instant_text(started_s + expires_s), "ServerTime": instant_text(now_s)}
    if started_s > now_s:
        milliseconds = str(int(started_s * 1000))  # so S3 writes this one
        raise S3Error("AccessDenied", "Request is not yet valid", **{"X-Amz-Date": milliseconds, **told})
    raise S3Error("AccessDenied", "Request has expired", **{"X-Amz-Expires": str(expires_s), **told})


def _expires_s(text: str) -> int:
    """Read for how long a URL may be used."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise _bad_query("X-Amz-Expires should be a number.")
    if text.startswith("-"):
        raise _bad_query("X-Amz-Expires must be non-negative")
    if len(digits) > 9 or int(digits) > MAX_EXPIRES_S:
        message = (
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be "
            f"less than {MAX_EXPIRES_S} seconds"
        )
        raise _bad_query(message)
    return int(digits)


def _check_payload(payload: str) -> str:
    """What is said of a body is a SHA-256 or one of the words, whether there is a body or not."""
    if not _PAYLOAD.fullmatch(payload):
        raise bad_payload(payload)
    return payload


def bad_payload(payload: str) -> S3Error:
    """How a request is refused that says of its body what has no meaning."""
    message = (
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, "
        "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER "
        "or a valid sha256 value."
    )
    return S3Error("InvalidArgument", message, ArgumentName="x-amz-content-sha256", ArgumentValue=payload)


def credential_of(text: str, refusal: Callable[[str], S3Error]) -> tuple[str, str, str]:
    """Take a credential apart: the access key (which may have slashes), the day and the region.

    Args:
        text: The credential.
        refusal: What to raise for a reason; it depends on where the credential stands.

    Raises:
        S3Error: It is malformed.
    """
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or not parts[0]:
        form = "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"
        raise refusal(f'the Credential is mal-formed; expecting "{form}".')
    access_key, day, region, service, end = parts
    if end != "aws4_request":
        raise refusal(f'incorrect terminal "{end}". This endpoint uses "aws4_request".')
    if service != "s3":
        raise refusal(f'incorrect service "{service}". This endpoint belongs to "s3".')
    if not (len(day) == 8 and day.isascii() and day.isdigit()):
        form = 'This date in the credential must be in the format "yyyyMMdd".'
        raise refusal(f'incorrect date format "{day}". {form}')
    return access_key, day, region


def _bad_header(reason: str) -> S3Error:
    message = f"The authorization header is malformed; {reason}"
    return S3Error("AuthorizationHeaderMalformed", message)


def _bad_query(message: str) -> S3Error:
    return S3Error("AuthorizationQueryParametersError", message)


def _bad_credential(reason: str) -> S3Error:
    return _bad_query(f"Error parsing the X-Amz-Credential parameter; {reason}")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.lower().split(";"))
    if "host" not in names:
        raise S3Error("AccessDenied", "The header host must be signed.")
    return names


def _time_of(headers: Mapping[str, str]) -> str:
    time = headers.get("x-amz-date")
    try:
        told_s = parse_http_date(headers.get("date")) if time is None else seconds_of(time)
        if told_s is None or told_s < 0:
            raise undated()
        return time or time_text(told_s)
    except ValueError as error:
        raise undated() from error


def undated() -> S3Error:
    """How a request is refused that does not say when it was made. None was made before 1970."""
    return S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")


def too_skewed(told: str, now_s: float) -> S3Error:
    """How a request is refused whose clock goes wrong. A client may set its own by what it is told."""
    return S3Error(
        "RequestTimeTooSkewed",
        RequestTime=told,
        ServerTime=instant_text(now_s),
        MaxAllowedSkewMilliseconds=str(MAX_SKEW_S * 1000),
    )


def mismatch(access_key: str, text: str, given: str, canonical: str = "") -> S3Error:
    """How a wrong signature is refused: with what was to be signed, for who looks for the difference."""
    error = S3Error(
        "SignatureDoesNotMatch",
        AWSAccessKeyId=access_key,
        StringToSign=text,
        SignatureProvided=given,
        StringToSignBytes=_hex(text),
    )
    if canonical:
        error.details |= {"CanonicalRequest": canonical, "CanonicalRequestBytes": _hex(canonical)}
    return error


def _hex(text: str) -> str:
    return text.encode("latin-1", "replace").hex(" ")


# ---- signing


def sign(  # noqa: PLR0917
    request: Request, access_key: str, secret: str, region: str, payload: str, now_s: float
) -> dict[str, str]:
    """The headers that make it a signed request, beside those that it has."""
    time = time_text(now_s)
    headers = {"x-amz-date": time, "x-amz-content-sha256": payload}
    signed = replace(request, headers={**request.headers, **headers})
    names = tuple(sorted(signed.headers))
    claim = Claim(access_key, time[:8], region, time, names, "", payload)
    signature = _signature(claim, signed, secret)
    credential = f"{access_key}/{claim.scope}"
    headers["authorization"] = (
        f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return headers


def presign(  # noqa: PLR0917
    request: Request, access_key: str, secret: str, region: str, expires_s: int, now_s: float
) -> tuple[tuple[str, str], ...]:
    """The query that makes a URL one that anybody may use for so long."""
    time = time_text(now_s)
    names = tuple(sorted(request.headers))
    claim = Claim(access_key, time[:8], region, time, names, "", UNSIGNED)
    query = (
        *request.query,
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", f"{access_key}/{claim.scope}"),
        ("X-Amz-Date", time),
        ("X-Amz-Expires", str(expires_s)),
        ("X-Amz-SignedHeaders", ";".join(names)),
    )
    return (*query, ("X-Amz-Signature", _signature(claim, replace(request, query=query), secret)))


def _signature(claim: Claim, request: Request, secret: str) -> str:
    canonical = canonical_request(request, claim.signed_headers, claim.payload)
    key = signing_key(secret, claim.day, claim.region)
    return _hmac_hex(key, string_to_sign(canonical, claim.time, claim.scope))


# ---- the canonical form


def canonical_request(request: Request, signed_headers: Iterable[str], payload: str) -> str:
    """Write a request in the one form that both sides agree on."""
    headers = "".join([f"{name}:{_collapsed(request.headers.get(name, ''))}\n" for name in signed_headers])
    path = quote(unquote_to_bytes(request.path), safe="/-_.~")
    names = ";".join(signed_headers)
    return f"{request.method}\n{path}\n{canonical_query(request.query)}\n{headers}\n{names}\n{payload}"


def _collapsed(value: str) -> str:
    """Trim a header's value, and leave one space where there are several: of ASCII, whatever text it holds.

    A value travels as bytes. Some of UTF-8's (A0 in "à", 85 in "Å") would be spaces if each were a character.
    """
    return b" ".join(value.encode("latin-1", "replace").split()).decode("latin-1")


def canonical_query(query: Iterable[tuple[str, str]]) -> str:
    """Write a query with everything encoded that may be, in order."""
    return "&".join(
        f"{name}={value}" for name, value in sorted((encode(name), encode(value)) for name, value in query)
    )


def encode(text: str) -> str:
    """Percent-encode everything but letters, digits and ``-_.~``."""
    return quote(text.encode(errors="surrogateescape"), safe="-_.~")


def string_to_sign(canonical: str, time: str, scope: str) -> str:
    """What the signing key is applied to."""
    digest = hashlib.sha256(canonical.encode("latin-1", "replace")).hexdigest()
    return f"{ALGORITHM}\n{time}\n{scope}\n{digest}"


@lru_cache(maxsize=256)
def signing_key(secret: str, day: str, region: str) -> bytes:
    """Derive a key that is good for one day and one region: the secret itself signs nothing."""
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def policy_signature(secret: str, day: str, region: str, policy: str) -> str:
    """The signature of a POST form's policy."""
    return _hmac_hex(signing_key(secret, day, region), policy)


def time_text(now_s: float) -> str:
    """Write a time as signatures have it."""
    return datetime.fromtimestamp(now_s, UTC).strftime(_TIME)


def instant_text(seconds: float) -> str:
    """Write a time as errors have it: 2006-02-03T16:45:09Z."""
    return datetime.fromtimestamp(min(seconds, _LAST_S), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=64)
def seconds_of(time: str) -> float:
    """Read a time as signatures have it.

    Raises:
        ValueError: It is none.
    """
    return datetime.strptime(time, _TIME).replace(tzinfo=UTC).timestamp()


def _hmac_hex(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode("latin-1", "replace"), "sha256").hex()
