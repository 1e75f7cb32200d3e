"""The XML documents that travel: reading what clients send, writing what they get.

Read with defusedxml: a document that defines entities (which may grow to gigabytes, or name a file of ours)
is refused before anything is made of it. Clients may write S3's namespace or leave it out.

Source: Amazon S3 API Reference; the documentation of defusedxml (XML bombs, external entities).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from dslab.objectstore.checksums import SIZES, check_value
from dslab.objectstore.errors import S3Error
from dslab.objectstore.messages import Checksum
from dslab.objectstore.protocol import Conditions

MEDIA_TYPE = "application/xml"
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MAX_DOCUMENT_BYTES = 4 * 1024 * 1024

MAX_ELEMENTS = 100_000
"""Of a document, attributes counted. The largest that makes sense has 10,000 parts of some four elements."""

_PIECE_BYTES = 64 * 1024
"""What is parsed at a time. No tag is longer: it may have more attributes than memory should hold."""

Child: TypeAlias = "tuple[str, str | int | bool | Sequence[Child] | None]"
"""An element: its name, and its text or children. None: leave it out."""


class Written(str):
    """A text that is XML already."""


_NUMBER = re.compile("-?[0-9]{1,9}")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0d\x0e-\x1f\ufffe\uffff]")


def write(name: str, children: Iterable[Child], *, namespace: bool = True) -> bytes:
    """Write a document."""
    attributes = f' xmlns="{NAMESPACE}"' if namespace else ""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}{attributes}>{_written(children)}</{name}>'
    return text.encode(errors="replace")


def fragment(children: Iterable[Child]) -> Written:
    """Write a part of a document."""
    return Written(_written(children))


def write_text(name: str, text: str) -> bytes:
    """Write a document that is one element with a text."""
    return write(name, [("", text)])


def _written(children: Iterable[Child]) -> str:
    return "".join([_element(name, value) for name, value in children if value is not None])


def _element(name: str, value: str | int | Sequence[Child]) -> str:
    text: str
    match value:
        case Written():
            text = value
        case str():
            text = escaped(value)
        case bool():
            text = "true" if value else "false"
        case int():
            text = str(value)
        case _:
            text = _written(value)
    return f"<{name}>{text}</{name}>" if name else text


def escaped(text: str) -> str:
    """Write a text so that it can stand in a document.

    What XML 1.0 cannot hold is written as S3 writes it. Lists can be asked for with encoding-type=url.
    """
    text = escape(text)
    if text.isprintable():  # a quick look: none of those characters is
        return text
    return _FORBIDDEN.sub(lambda found: f"&#x{ord(found[0]):x};", text)


def error_document(code: str, message: str, details: Iterable[tuple[str, str]]) -> bytes:
    """Write an error."""
    return write("Error", [("Code", code), ("Message", message), *details], namespace=False)


def time_text(seconds: float) -> str:
    """Write a time: 2006-02-03T16:45:09.000Z."""
    return f"{_second_text(int(seconds))}.{int(seconds * 1000) % 1000:03}Z"


@lru_cache(maxsize=4096)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().removesuffix("+00:00")


def url_encoded(text: str) -> str:
    """Write a key as ``encoding-type=url`` has it."""
    return quote(text, safe="/-_.~*")


# ---- reading


class _Builder(TreeBuilder):
    """Makes a document's tree, and gives up when there is too much of it."""

    def __init__(self) -> None:
        super().__init__()
        self._left = MAX_ELEMENTS

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._left -= 1 + len(attrs)
        if self._left < 0:
            raise S3Error("MalformedXML")
        return super().start(tag, attrs)


def _parsed(document: bytes) -> Element:
    parser = DefusedXMLParser(target=_Builder(), forbid_dtd=True)
    for start in range(0, len(document), _PIECE_BYTES):
        piece = document[start : start + _PIECE_BYTES]
        parser.feed(piece)
        if start + len(piece) - parser.parser.CurrentByteIndex > _PIECE_BYTES:
            raise S3Error("MalformedXML")
    root: Element = parser.close()
    return root


def read(document: bytes, name: str) -> Element:
    """Read a document whose root has that name, and take the namespace off all names.

    A large one takes a while: then call it in a thread.

    Raises:
        S3Error: MalformedXML.
    """
    try:
        root = _parsed(document)
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise S3Error("MalformedXML") from error
    for element in root.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    if root.tag != name:
        raise S3Error("MalformedXML")
    return root


def text_of(element: Element, name: str, otherwise: str | None = None) -> str:
    """Read a child's text.

    Raises:
        S3Error: MalformedXML, there is none.
    """
    child = element.find(name)
    if child is None:
        if otherwise is None:
            raise S3Error("MalformedXML")
        return otherwise
    return child.text or ""


_CONDITIONS = {
    "ETag": "if-match",
    "Size": "x-amz-if-match-size",
    "LastModifiedTime": "x-amz-if-match-last-modified-time",
}
"""An element of an object to delete: the header that says the same of a single one."""


def read_delete(document: bytes) -> tuple[list[tuple[str, str | None, Conditions]], bool]:
    """Read which objects to delete: key, version id and conditions of each; and whether to be quiet about it.

    Raises:
        S3Error: MalformedXML; InvalidArgument, a condition is none.
    """
    root = read(document, "Delete")
    objects = [
        (
            text_of(one, "Key"),
            text_of(one, "VersionId", "") or None,
            _conditions_of(one),
        )
        for one in root.findall("Object")
    ]
    if not 0 < len(objects) <= 1_000 or not all(key for key, _, _ in objects):
        raise S3Error("MalformedXML")
    return objects, text_of(root, "Quiet", "false").strip().lower() == "true"


def _conditions_of(element: Element) -> Conditions:
    """Read the conditions of an object to delete. One that is there and empty is none that could hold."""
    asked = [name for name in _CONDITIONS if element.find(name) is not None]
    return Conditions.of_delete({_CONDITIONS[name]: text_of(element, name) for name in asked})


def read_parts(document: bytes) -> list[tuple[int, str, Checksum | None]]:
    """Read which parts an upload is made of: number, ETag and checksum of each.

    Raises:
        S3Error: MalformedXML; InvalidArgument, a number is less than 1, a checksum is none, or a part has
            several.
    """
    root = read(document, "CompleteMultipartUpload")
    parts = []
    for one in root.findall("Part"):
        number = text_of(one, "PartNumber").strip()
        if not _NUMBER.fullmatch(number):
            raise S3Error("MalformedXML")
        if int(number) < 1:
            message = "PartNumber must be >= 1"
            raise S3Error("InvalidArgument", message, ArgumentName="PartNumber", ArgumentValue=number)
        parts.append((int(number), text_of(one, "ETag").strip().strip('"'), _checksum_in(one)))
    return parts


def read_tags(document: bytes) -> list[tuple[str, str]]:
    """Read tags.

    Raises:
        S3Error: MalformedXML.
    """
    tag_set = read(document, "Tagging").find("TagSet")
    if tag_set is None:
        raise S3Error("MalformedXML")
    return _tags_in(tag_set)


def read_new_bucket(document: bytes) -> tuple[str, list[tuple[str, str]]]:
    """Read what a new bucket is to be: its region, empty for the default one, and its tags.

    Raises:
        S3Error: MalformedXML.
    """
    if not document.strip():
        return "", []
    root = read(document, "CreateBucketConfiguration")
    tags = root.find("Tags")
    region = text_of(root, "LocationConstraint", "").strip()
    return region, [] if tags is None else _tags_in(tags)


def _tags_in(element: Element) -> list[tuple[str, str]]:
    return [(text_of(tag, "Key"), text_of(tag, "Value")) for tag in element.findall("Tag")]


_CHECKSUMS = {f"Checksum{name}": name for name in SIZES}
"""An element of a part: the algorithm of the checksum in it."""


def _checksum_in(element: Element) -> Checksum | None:
    """Read the checksum of a part. An empty element is as one that is not there."""
    named = [
        (_CHECKSUMS[child.tag], (child.text or "").strip()) for child in element if child.tag in _CHECKSUMS
    ]
    found = [Checksum(name, text) for name, text in named if text]
    if not found:
        return None
    try:
        (one,) = found
        check_value(one)
    except (ValueError, S3Error) as error:
        message = "Invalid Base64 or multiple checksums present in request"
        raise S3Error("InvalidArgument", message) from error
    return one
