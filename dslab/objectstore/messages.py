"""What the store keeps and hands out: buckets, versions of objects, uploads in progress, pages of a list.

The interface is HTTP as Amazon S3 speaks it. A resource is named by the path, or the bucket by the host::

    http://HOST/BUCKET/KEY      http://BUCKET.s3.localhost/KEY

    on        method  with                        does
    /         GET                                 list the buckets
    /B        PUT     [?versioning, tagging, acl] create the bucket [set a property]
              GET     ?list-type=2                list the keys; ?versions ?uploads ?versioning ?location ...
              HEAD                                is it there?
              POST    ?delete                     delete many keys;  a form: put an object
              DELETE                              delete the empty bucket
    /B/K      PUT                                 put an object; with x-amz-copy-source, copy one
              GET     [?versionId]                read it, or a Range of it
              HEAD                                its headers
              DELETE  [?versionId]                delete it
              POST    ?uploads                    begin a multipart upload
              PUT     ?partNumber&uploadId        its parts; with x-amz-copy-source, copied
              GET     ?uploadId                   list its parts
              POST    ?uploadId                   complete it
              DELETE  ?uploadId                   abort it
              *       ?tagging ?acl ?attributes   properties of an object

Source: ch. 2, Service-oriented architectures (RESTful architectures, Amazon S3); Amazon S3 API Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

NULL_VERSION = "null"

MIN_PART_BYTES = 5 * 1024 * 1024
MAX_PUT_BYTES = 5 * 1024**3
MAX_OBJECT_BYTES = 5 * 1024**4
MAX_PARTS = 10_000
MAX_KEYS = 1_000


class Versioning(Enum):
    """Whether a bucket keeps what is overwritten. Once enabled it can only be suspended."""

    NEVER = ""
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A container of objects.

    Attributes:
        number: Its row; a bucket made anew under an old name has another.
        region: What its creator called its place; empty for the default.
        acl: A canned ACL, ``private`` unless it was said otherwise.
        tags: Its tags; None if it never had any.
    """

    number: int
    name: str
    created_s: float
    region: str = ""
    versioning: Versioning = Versioning.NEVER
    acl: str = "private"
    tags: Mapping[str, str] | None = None


def kind_of(*, composite: bool) -> str:
    """The word for what a checksum is of: ``x-amz-checksum-type``."""
    return "COMPOSITE" if composite else "FULL_OBJECT"


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum of a whole object, or of its parts' checksums.

    Attributes:
        algorithm: One of `checksums.SIZES`: ``CRC32``, ``SHA256``.
        value: In base64; of a composite one followed by ``-`` and the number of parts.
        composite: Whether it was made of the parts' checksums.
    """

    algorithm: str
    value: str
    composite: bool = False

    @property
    def kind(self) -> str:
        """The word for what it is of."""
        return kind_of(composite=self.composite)


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of an object's content that is a file of its own: one part of a multipart upload."""

    number: int
    blob: str
    size_bytes: int
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class Meta:
    """What a client says about an object when it puts it.

    Attributes:
        headers: As they are given back: ``content-type``, ``x-amz-meta-...``; names in lower case.
        tags: The object's tags.
        acl: A canned ACL.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    acl: str = "private"


@dataclass(frozen=True, slots=True)
class Content:
    """What an object consists of, once it is on the disk.

    Attributes:
        blob: Its file, if it is one file.
        parts: How many parts it was uploaded in; 0 if it was put, or copied, in one piece.
        segments: Its files, if they are many.
    """

    size_bytes: int
    etag: str
    checksum: Checksum | None = None
    blob: str | None = None
    parts: int = 0
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or a delete marker.

    Attributes:
        number: Its row; of two versions of a key, the newer has the larger one.
        version_id: ``null`` for what was written while the bucket kept no versions.
        current: Whether it is the newest of its key.
        marker: Whether it says that the object was deleted.
    """

    number: int
    key: str
    version_id: str
    modified_s: float
    content: Content
    meta: Meta = field(default_factory=Meta)
    current: bool = True
    marker: bool = False


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload in progress.

    Attributes:
        algorithm: Which checksum its parts have.
        composite: Whether the object's checksum is made of the parts' ones.
        declared: Whether the client asked for that algorithm.
        number: Its row; of two uploads of a key, the later has the larger one.
    """

    upload_id: str
    key: str
    started_s: float
    meta: Meta
    algorithm: str = "CRC64NVME"
    composite: bool = False
    declared: bool = False
    number: int = 0

    @property
    def kind(self) -> str:
        """The word for what the object's checksum is to be of."""
        return kind_of(composite=self.composite)


@dataclass(frozen=True, slots=True)
class Part:
    """An uploaded part that waits for the upload to be completed."""

    number: int
    blob: str
    size_bytes: int
    etag: str
    modified_s: float
    checksum: Checksum | None = None


class Listed(NamedTuple):
    """What a list tells of an object: a page has a thousand of them, so it is a bare tuple.

    Attributes:
        checksum: ``ALGORITHM VALUE``, with ``composite`` after it if it is one.
    """

    key: str
    modified_s: float
    size_bytes: int
    etag: str
    checksum: str | None
    storage_class: str


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of a list.

    Attributes:
        entries: Objects, versions, or uploads.
        prefixes: What keys with the delimiter were rolled up to.
        truncated: Whether there is more.
        next_key: Where the next page begins: after this key, or after all keys with this prefix.
        next_id: ... and after this version, or upload, of that key. An id begins with its row's number, which
            stays where it is in the order when the row itself is gone by then.
    """

    entries: tuple[Listed, ...] | tuple[Version, ...] | tuple[Upload, ...] = ()
    prefixes: tuple[str, ...] = ()
    truncated: bool = False
    next_key: str = ""
    next_id: str = ""


_NUMBER_DIGITS = 12


def numbered(new_id: str, number: int) -> str:
    """Let an id that was made up begin with its row's number."""
    return f"{number:0{_NUMBER_DIGITS}x}{new_id[_NUMBER_DIGITS:]}"


def number_in(text: str) -> int:
    """Which row's number an id begins with; 0 if with none."""
    try:
        return int(text[:_NUMBER_DIGITS], 16)
    except ValueError:
        return 0
