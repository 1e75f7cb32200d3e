"""Who may do what: access keys and what they may do, and what anybody may.

::

    --key ID:SECRET             may do everything
    --key ID:SECRET:ro          may read and list
    --key ID:SECRET:ro:B,C      ... the buckets B and C only
    --key ID:SECRET:rw:B        may do everything, with the bucket B only

Everybody may do what a bucket's or an object's canned ACL says, and who has no key what ``--anonymous`` says.

Source: Amazon S3 User Guide, Canned ACL; ch. 9, Access control.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal, get_args

from dslab.kit.errors import UsageError
from dslab.objectstore.errors import S3Error

Anonymous = Literal["nothing", "read", "write"]

OWNER = "dslab"
"""The one account of a store: all keys are its, and it owns everything."""

CANNED_ACLS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
)


class Action(Enum):
    """What a request does to a bucket or its objects."""

    READ = "read an object"
    LIST = "list a bucket"
    WRITE = "put or delete objects"
    OWN = "make, remove or configure a bucket; say who may do what"


@dataclass(frozen=True, slots=True)
class Key:
    """An access key.

    Attributes:
        buckets: The only ones that it is good for; None for all.
    """

    access_key: str
    secret: str
    read_only: bool = False
    buckets: frozenset[str] | None = None

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read ``ID:SECRET[:ro|rw[:BUCKET,...]]``.

        Raises:
            UsageError: The text is not of that form.
        """
        fields = text.split(":")
        fields += ["rw", ""][max(0, len(fields) - 2) :]
        if len(fields) != 4 or not fields[0] or not fields[1] or fields[2] not in ("ro", "rw"):
            raise UsageError(
                f"{fields[0]}:... is not a key.", remedy="Write it as ID:SECRET[:ro|rw[:BUCKET,...]]."
            )
        access_key, secret, mode, names = fields
        return cls(access_key, secret, mode == "ro", frozenset(names.split(",")) if names else None)

    def may(self, action: Action, bucket: str) -> bool:
        """May who has this key do that?"""
        if self.buckets is not None and bucket not in self.buckets:
            return False
        return not self.read_only or action in (Action.READ, Action.LIST)


@dataclass(frozen=True, slots=True)
class Rules:
    """All keys, and what is allowed to who has none."""

    keys: Mapping[str, Key]
    anonymous: Anonymous = "nothing"

    @classmethod
    def of(cls, keys: Iterable[Key], anonymous: str = "nothing") -> Rules:
        """Collect keys.

        Raises:
            UsageError: Nobody could do anything; one ID has two keys; or there is no such thing to allow.
        """
        keys = tuple(keys)
        if anonymous not in get_args(Anonymous):
            raise UsageError(f"{anonymous!r} is not one of {', '.join(get_args(Anonymous))}.")
        rules = cls({key.access_key: key for key in keys}, anonymous)  # type: ignore[arg-type]
        if len(rules.keys) < len(keys):
            raise UsageError("Two keys have the same ID.", remedy="Give each --key an ID of its own.")
        if not rules.keys and anonymous == "nothing":
            raise UsageError(
                "Nobody may do anything.", remedy="Give a --key ID:SECRET, or --anonymous write."
            )
        return rules

    def key(self, access_key: str) -> Key:
        """Find a key.

        Raises:
            S3Error: InvalidAccessKeyId.
        """
        key = self.keys.get(access_key)
        if key is None:
            raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=access_key)
        return key

    def may(
        self, key: Key | None, action: Action, bucket: str, bucket_acl: str, object_acl: str = ""
    ) -> bool:
        """May they do it?

        Args:
            key: Who; None for anonymous.
            action: What.
            bucket: The bucket's name.
            bucket_acl: The bucket's canned ACL.
            object_acl: The object's, if it is about an object that is there.
        """
        if key is not None and key.may(action, bucket):
            return True
        if action is Action.OWN:
            return key is None and self.anonymous == "write"
        if key is None and (
            self.anonymous == "write" or (self.anonymous == "read" and action is not Action.WRITE)
        ):
            return True
        return _public(key, action, bucket_acl, object_acl)


def _public(key: Key | None, action: Action, bucket_acl: str, object_acl: str) -> bool:
    """What the canned ACLs allow to everybody, or to everybody who has a key.

    S3's group AllUsers has those who sign, too: a key allows nothing less than having none.
    """
    readable = ("public-read", "public-read-write", *(("authenticated-read",) if key else ()))
    match action:
        case Action.READ:
            return object_acl in readable
        case Action.LIST:
            return bucket_acl in readable
        case Action.WRITE:
            return bucket_acl == "public-read-write"
        case _:
            return False


def check_no_grants(headers: Mapping[str, str]) -> None:
    """Refuse grants in headers: taken and forgotten, they would leave something open or shut.

    Raises:
        S3Error: NotImplemented.
    """
    if any(name.startswith("x-amz-grant-") for name in headers):
        raise S3Error("NotImplemented", "Grants are not implemented; canned ACLs (x-amz-acl) are.")


def check_acl(name: str) -> str:
    """Read a canned ACL.

    Raises:
        S3Error: InvalidArgument, there is none of that name.
    """
    if name not in CANNED_ACLS:
        raise S3Error("InvalidArgument", ArgumentName="x-amz-acl", ArgumentValue=name)
    return name
