"""What every request needs: the store, the rules, and threads in which the store may block."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from dslab.objectstore.access import Action, Rules
from dslab.objectstore.call import Call
from dslab.objectstore.errors import S3Error
from dslab.objectstore.messages import Bucket, Version
from dslab.objectstore.multipart import Multipart
from dslab.objectstore.store import Store, is_version_id, present

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 8
ATTEMPTS = 10
"""How often who reads an object looks for one that is overwritten all the time."""

DEFAULT_DOMAIN = "s3.localhost"
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Service:
    """An object store, ready to be served.

    Attributes:
        domain: Hosts under it name a bucket.
        clock: The time, in seconds since 1970; what signatures are held against.
    """

    store: Store
    rules: Rules
    domain: str = DEFAULT_DOMAIN
    clock: Callable[[], float] = time.time
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "store"))

    @property
    def multipart(self) -> Multipart:
        """The uploads in progress."""
        return Multipart(self.store)

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call something that blocks, in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, lambda: function(*args, **kwargs))

    async def remembered(self, question: Hashable, make: Callable[[], bytes]) -> bytes:
        """Make a document in a thread, and remember it as the answer to a question."""
        memory = self.store.index.memory()  # before it is made: see there
        document = await self.run(make)
        memory.keep(question, document, len(document))
        return document

    def close(self) -> None:
        """Wait for what is under way, and close the store."""
        self.threads.shutdown()
        self.store.close()

    def bucket(self, call: Call, action: Action) -> Bucket:
        """Find the bucket that a request is about, if it may do that there.

        Raises:
            S3Error: NoSuchBucket, AccessDenied.
        """
        bucket = self.store.bucket(call.target.bucket)
        call.check(self.rules, action, bucket)
        return bucket

    def object(self, call: Call, action: Action = Action.READ) -> tuple[Bucket, Version]:
        """Find the object, or the version, that a request is about, if it may do that with it.

        Raises:
            S3Error: NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed, AccessDenied.
        """
        version_id, key = version_of(call), call.target.key
        bucket, found = self.store.look(call.target.bucket, key, version_id)
        version = self.present(call, bucket, found, key, version_id)
        call.check(self.rules, action, bucket, version)
        return bucket, version

    def present(
        self, call: Call, bucket: Bucket, found: Version | None, key: str, version_id: str | None
    ) -> Version:
        """Hold what was found against what was asked for. Who may not list learns not what is there.

        Raises:
            S3Error: As `store.present`; AccessDenied in place of that.
        """
        try:
            return present(found, key, version_id)
        except S3Error as error:
            if not self.rules.may(call.key, Action.LIST, bucket.name, bucket.acl):
                raise S3Error("AccessDenied") from error
            raise


def look_again(look: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Look for an object, and take what is wanted of it.

    If it was removed between the two, there is another version now, or none: then it is looked for again.

    Args:
        look: Does both. It raises FileNotFoundError if the object is gone.
        args: What it is given.
        kwargs: What it is given by name.

    Raises:
        S3Error: InternalError, it was gone every time.
    """
    for _ in range(ATTEMPTS):
        try:
            return look(*args, **kwargs)
        except FileNotFoundError:
            continue
    raise S3Error("InternalError", "The object's file is missing.")


def version_of(call: Call) -> str | None:
    """Which version a request is about; None for the current one.

    Raises:
        S3Error: InvalidArgument, what it says is no version id.
    """
    version_id = call.query.get("versionId")
    return None if version_id is None else check_version_id(version_id)


def check_version_id(text: str) -> str:
    """Hold the id that a request gives of a version against what ids are like.

    Raises:
        S3Error: InvalidArgument.
    """
    if not is_version_id(text):
        message = "Invalid version id specified" if text else "Version id cannot be the empty string"
        raise S3Error("InvalidArgument", message, ArgumentName="versionId", ArgumentValue=text)
    return text
