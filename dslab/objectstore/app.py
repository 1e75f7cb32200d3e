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
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from dslab.objectstore import objects
from dslab.objectstore.call import Call, Receive, Scope, Send, answer
from dslab.objectstore.documents import error_document
from dslab.objectstore.errors import ClientGone, S3Error
from dslab.objectstore.routes import routers
from dslab.objectstore.service import Service

RESERVED = b"/-/"

_log = logging.getLogger(__name__)


class Front:
    """Reads what a request is about and whose it is, and answers errors, wherever they come from."""

    def __init__(self, app: Any, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["raw_path"].startswith(RESERVED):
            await self._app(scope, receive, send)
            return
        call = None
        try:
            call = Call(scope, receive, self._service.domain)
            await self._serve(call, scope, receive, send)
        except S3Error as error:
            await refuse(call, send, error, scope)
        except ClientGone:
            pass  # nobody is there to answer
        except Exception as error:  # noqa: BLE001  a fault of ours: the client is told so, and no more
            _log.exception("%s %r", scope["method"], scope["raw_path"])
            code = (
                "ServiceUnavailable"
                if isinstance(error, OSError | sqlite3.OperationalError)
                else "InternalError"
            )
            await refuse(call, send, S3Error(code), scope)

    async def _serve(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        call.authenticate(self._service.rules, self._service.clock())
        if objects.is_body(call):
            await objects.handle(self._service, call, send)
            return
        scope["call"], scope["service"] = call, self._service

        async def send_with_id(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-amz-request-id", call.id.encode()))
            await send(message)

        await self._app(scope, receive, send_with_id)


async def refuse(call: Call | None, send: Send, error: S3Error, scope: Scope) -> None:
    """Answer with an error."""
    call_id = call.id if call else "0" * 18
    resource = scope["raw_path"].decode("ascii", "replace")
    details = [*error.details.items(), ("Resource", resource), ("RequestId", call_id), ("HostId", "dslab")]
    headers: Mapping[str, str] = error.headers | (call.leftover() if call else {"connection": "close"})
    if error.status == 304:
        await answer(call_id, send, 304, headers)
        return
    body = error_document(error.code, error.message, details)
    await answer(call_id, send, error.status, {**headers, "content-type": "application/xml"}, body)


def application(service: Service) -> FastAPI:
    """Make the application that serves a store."""
    app = FastAPI(
        title="dslab.objectstore",
        description="An object store with the interface of Amazon S3.",
        docs_url="/-/docs",
        redoc_url=None,
        openapi_url="/-/openapi.json",
        redirect_slashes=False,
    )
    for router in routers():
        app.include_router(router)
    app.add_middleware(Front, service=service)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _unrouted)
    return app


def _invalid(_: Any, error: Exception) -> Any:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = str(first["loc"][-1])
    raise S3Error("InvalidArgument", f"{name}: {first['msg']}", ArgumentName=name)


def _unrouted(_: Any, error: Exception) -> Any:
    raise S3Error("MethodNotAllowed") from error
