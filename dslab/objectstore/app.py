"""The application: every request passes the front; then it is either an object's body, or FastAPI's.

::

    request -> Front: who, what, may they?  ->  objects.handle      an object's body: plain ASGI
                                            ->  FastAPI's routes    everything else

The description of the interface is at ``/-/docs`` and ``/-/openapi.json``: no bucket is called ``-``.

Source: ch. 3, Servers; ch. 2, RESTful architectures.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import MutableMapping
from typing import Any

from fastapi import FastAPI
from fastapi import Request as HTTPRequest
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from dslab.objectstore import objects
from dslab.objectstore.call import HOST_ID, Call, Receive, Scope, Send, answer, origin
from dslab.objectstore.documents import MEDIA_TYPE, error_document
from dslab.objectstore.errors import ClientGone, S3Error
from dslab.objectstore.routes import routers
from dslab.objectstore.service import Service
from dslab.objectstore.short import ShortWay

RESERVED = b"/-/"
NOBODY = "0" * 18

_log = logging.getLogger(__name__)


class Front:
    """Reads what a request is about and whose it is, and hands it on.

    Attributes:
        api: What serves everything but objects' bodies.
        short: What answers without all this, if it can.
    """

    def __init__(self, api: FastAPI, service: Service) -> None:
        self.api = api
        self.short = ShortWay(service)
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        call = None
        begun = False

        async def note_and_send(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            if not begun and call is not None and "call" in scope:
                message["headers"].extend(origin(call.id))
            begun = True
            await send(message)

        try:
            call = Call(scope, receive, self._service.domain)
            if call.path.startswith(RESERVED) and not call.in_host:
                await self.api(scope, receive, send)
                return
            if call.method != "OPTIONS":  # a preflight is a browser's own, which signs nothing
                call.authenticate(self._service.rules, self._service.clock())
            if objects.is_body(call):
                await objects.handle(self._service, call, note_and_send)
            else:
                scope["call"], scope["service"] = call, self._service
                await self.api(scope, receive, note_and_send)
        except ClientGone:
            pass  # nobody is there to answer
        except Exception as error:
            if begun:
                raise
            status, headers, body = answer_to(error, call, scope)
            await answer(call.id if call else NOBODY, send, status, headers, body)


def answer_to(error: Exception, call: Call | None, scope: Scope) -> tuple[int, dict[str, str], bytes]:
    """What to answer when a request ended in an error: status, headers and body."""
    if not isinstance(error, S3Error):
        _log.error("%s %r", scope["method"], scope["raw_path"], exc_info=error)
        is_busy = isinstance(error, OSError | sqlite3.OperationalError)
        error = S3Error("ServiceUnavailable" if is_busy else "InternalError")
    headers = error.headers | (call.leftover() if call else {"connection": "close"})
    if error.status == 304:
        return 304, headers, b""
    resource = scope["raw_path"].decode("ascii", "replace")
    details = [*error.details.items(), ("Resource", resource), ("RequestId", call.id if call else NOBODY)]
    if error.code == "MethodNotAllowed":
        details.insert(0, ("Method", scope["method"]))
    body = error_document(error.code, error.message, [*details, ("HostId", HOST_ID)])
    return error.status, {**headers, "content-type": MEDIA_TYPE}, body


def application(service: Service) -> Front:
    """Make the application that serves a store."""
    api = FastAPI(
        title="dslab.objectstore",
        description="An object store with the interface of Amazon S3.",
        docs_url="/-/docs",
        redoc_url=None,
        openapi_url="/-/openapi.json",
        redirect_slashes=False,
        generate_unique_id_function=lambda route: f"{min(route.methods or ())} {route.path}",
    )
    for router in routers():
        api.include_router(router)
    for kind in (S3Error, HTTPException, sqlite3.OperationalError, OSError, Exception):
        api.add_exception_handler(kind, _answer_in_api)
    api.openapi = lambda: described(api)  # type: ignore[method-assign]
    return Front(api, service)


def described(api: FastAPI) -> dict[str, Any]:
    """The description of the interface, objects' bodies included, which are not FastAPI's."""
    if api.openapi_schema is None:
        document = get_openapi(title=api.title, version="1", description=api.description, routes=api.routes)
        document["paths"]["/{bucket}/{key}"] = objects.DESCRIPTION
        api.openapi_schema = document
    return api.openapi_schema


async def _answer_in_api(request: HTTPRequest, error: Exception) -> Response:
    """Answer an error of one of FastAPI's routes."""
    match error:
        case HTTPException() if request.method == "OPTIONS":
            error = _no_preflight(request)
        case HTTPException():
            error = S3Error("MethodNotAllowed")
    status, headers, body = answer_to(error, request.scope.get("call"), request.scope)
    return Response(body, status, headers)


def _no_preflight(request: HTTPRequest) -> S3Error:
    """What a browser is told that asks whether a page from elsewhere may use a bucket: none allows it."""
    if "origin" not in request.headers:
        return S3Error("BadRequest", "Insufficient information. Origin request header needed.")
    return S3Error("AccessForbidden", Method="OPTIONS", ResourceType="BUCKET")
