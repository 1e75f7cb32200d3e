"""The XML of an S3-like store: what went wrong, and lists of keys.

Source: Amazon S3 API reference, Error responses, ListObjectsV2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from given.messages import Response

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
XML = {"Content-Type": "application/xml"}


@dataclass(frozen=True)
class Page:
    """A part of a list of keys.

    Attributes:
        keys: Those of this part.
        next_token: What the client sends to get the next part; None if this is the last one.
    """

    keys: Sequence[str]
    next_token: str | None = None


def failure(status: int, code: str, **headers: str) -> Response:
    """A response that says in S3's words what went wrong: ``failure(404, "NoSuchKey")``.

    More headers are written as ``Content_Range="bytes */10"``.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, XML | named, f"{HEAD}<Error><Code>{escape(code)}</Code></Error>".encode())


def listing(bucket: str, prefix: str, page: Page) -> Response:
    """A page of a bucket's keys."""
    parts = [_tag("Name", bucket), _tag("Prefix", prefix), _tag("KeyCount", str(len(page.keys)))]
    parts.append(_tag("IsTruncated", "false" if page.next_token is None else "true"))
    if page.next_token is not None:
        parts.append(_tag("NextContinuationToken", page.next_token))
    parts += [f"<Contents>{_tag('Key', key)}</Contents>" for key in page.keys]
    return Response(200, XML, f"{HEAD}<ListBucketResult>{''.join(parts)}</ListBucketResult>".encode())


def _tag(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"
