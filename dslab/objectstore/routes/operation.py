"""How a request finds its route. In S3 that is not the path alone.

``GET /bucket?versioning`` and ``GET /bucket?uploads`` are two operations on two *subresources* of one
bucket, and the bucket may be in the host instead of the path. So a route is written
``/{bucket}?versioning``; whether it fits is decided by the method, by what the request is about, and by a
word in its query.

The plain route ``/{bucket}`` fits no query with one of S3's words for a subresource (`subresources`): if no
other route has that word and that method, the answer is MethodNotAllowed, and the bucket itself is left
alone. All other words are arguments, and one that the route does not know is ignored.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BeforeValidator
from starlette.routing import Match

from dslab.objectstore.call import Call
from dslab.objectstore.documents import MEDIA_TYPE, Child, write
from dslab.objectstore.errors import S3Error
from dslab.objectstore.protocol import Target
from dslab.objectstore.service import Service
from dslab.objectstore.subresources import OF_BUCKETS

MAX_NUMBER = 2**31 - 1
"""The largest number that a query may have: S3 keeps it in 32 bits."""

_INTEGER = re.compile("[+-]?[0-9]{1,20}")

LEVELS = {"/": (False, False), "/{bucket}": (True, False), "/{bucket}/{key}": (True, True)}
"""A route's path: whether a request has a bucket, and a key."""


class Operation(APIRoute):
    """One of S3's operations."""

    def matches(self, scope: Any) -> tuple[Match, Any]:
        """Is the request in this scope one for this operation?"""
        call: Call | None = scope.get("call")
        path, _, word = self.path.partition("?")
        if call is None or path not in LEVELS:
            return Match.NONE, {}
        target: Target = call.target
        said = word in call.query if word else OF_BUCKETS.isdisjoint(call.query)
        if (
            not said
            or (bool(target.bucket), bool(target.key)) != LEVELS[path]
            or call.method not in (self.methods or ())
        ):
            return Match.NONE, {}
        parameters = {"bucket": target.bucket, "key": target.key}
        return Match.FULL, {"endpoint": self.endpoint, "path_params": parameters, "route": self}


def subject(name: str) -> APIRouter:
    """A router for operations."""
    return APIRouter(route_class=Operation, tags=[name])


# ---- what a route is given. Coroutines, though they wait for nothing: a function would get a thread each


async def _service(request: Request) -> Service:
    service: Service = request.scope["service"]
    return service


async def _call(request: Request) -> Call:
    call: Call = request.scope["call"]
    return call


async def _bucket_call(
    request: Request, bucket: Annotated[str, Path(description="The bucket's name.")]
) -> Call:
    return await _call(request)


async def _object_call(
    request: Request,
    bucket: Annotated[str, Path(description="The bucket's name.")],
    key: Annotated[str, Path(description="The object's key: any text.")],
) -> Call:
    return await _call(request)


def number(
    name: str,
    otherwise: int,
    least: int = 0,
    most: int = MAX_NUMBER,
    *,
    argument: str = "",
    outside: str = "",
) -> BeforeValidator:
    """How a number in a query is read: FastAPI would refuse what is none in other words than S3.

    It would do so with RequestValidationError, which nobody here answers: every number is read by this.

    Args:
        name: The field's name.
        otherwise: What an empty field means.
        least: The smallest that there can be.
        most: The largest.
        argument: What S3 calls it where the number is too small or too large, if not by its name.
        outside: What S3 says of it then, if not which numbers there can be.
    """
    argument = argument or name
    outside = outside or f"Argument {argument} must be an integer between {least} and {most}"

    def read(text: str) -> int:
        if not text:
            return otherwise
        if not _INTEGER.fullmatch(text) or abs(int(text)) > MAX_NUMBER:
            message = f"Provided {name} not an integer or within integer range"
            raise S3Error("InvalidArgument", message, ArgumentName=name, ArgumentValue=text)
        if not least <= int(text) <= most:
            raise S3Error("InvalidArgument", outside, ArgumentName=argument, ArgumentValue=text)
        return int(text)

    return BeforeValidator(read)


Here = Annotated[Service, Depends(_service)]
ServiceCall = Annotated[Call, Depends(_call)]
BucketCall = Annotated[Call, Depends(_bucket_call)]
ObjectCall = Annotated[Call, Depends(_object_call)]


# ---- what it gives back


def xml(name: str, children: list[Child], headers: dict[str, str] | None = None) -> Response:
    """Answer with a document."""
    return Response(write(name, children), media_type=MEDIA_TYPE, headers=headers)


def empty(status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with nothing but a status."""
    return Response(status_code=status, headers=headers)
