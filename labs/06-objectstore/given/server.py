"""HTTP around a function from requests to responses: `serve`. One thread per connection.

It stands on the standard library alone. A web framework would be imported again by every process of every
check, half a second of computing each time; this one takes a fifth of that. And you can read it.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import BinaryIO

from given.messages import BodyCutShort, Request, Response

PIECE_BYTES = 65_536
MAX_UNREAD_BYTES = 16 * 1024 * 1024
"""A body that nobody wants is read up to here, so that the client gets as far as reading why."""

WITHOUT_BODY = {204, 304}

Answer = Callable[[Request], Response]


def serve(address: str, answer: Answer) -> None:
    """Answer requests at ``host:port``, for ever."""
    host, _, port = address.rpartition(":")
    with _Server((host, int(port)), _Connection) as server:
        server.answer = answer
        server.serve_forever()


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128
    answer: Answer

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection broke while we wrote to it; or the pieces of a body could not be had."""
        if not isinstance(sys.exception(), ConnectionError):  # clients come and go: nothing to tell
            traceback.print_exc()


class _Connection(BaseHTTPRequestHandler):
    """One connection; one request after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the end of each response waits for the client's TCP
    wbufsize = PIECE_BYTES
    server: _Server

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Whatever the method is called: whether it may be used is for the program to say."""
        if name.startswith("do_"):
            return self._respond
        raise AttributeError(name)

    def handle_expect_100(self) -> bool:
        """A client asks whether to send its body. Not before somebody reads it: see `_Body`."""
        return True

    def log_message(self, *arguments: object) -> None:
        """Say nothing: the links see all of it."""

    def _respond(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = _Body(self.rfile, headers, self._go_ahead)
        try:
            response = self._ask(Request(self.command, self.path, headers, body))
        except BodyCutShort:
            self.close_connection = True
            return
        self._send(response)
        self.wfile.flush()
        if not body.drop():
            self.close_connection = True

    def _ask(self, request: Request) -> Response:
        if "transfer-encoding" in request.headers:
            self.close_connection = True
            return Response(411)
        try:
            return self.server.answer(request)
        except BodyCutShort:
            raise
        except Exception:  # noqa: BLE001 - whatever a program does wrong, its client hears of it
            traceback.print_exc()
            return Response(500, {"Content-Type": "text/plain"}, b"The server has a fault; see its stderr.\n")

    def _send(self, response: Response) -> None:
        names = {name.lower() for name in response.headers}
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status not in WITHOUT_BODY and "content-length" not in names:
            self._send_length(response.body)
        self.end_headers()
        if self.command != "HEAD" and response.status not in WITHOUT_BODY:
            for piece in [response.body] if isinstance(response.body, bytes) else response.body:
                self.wfile.write(piece)

    def _send_length(self, body: object) -> None:
        if isinstance(body, bytes):
            self.send_header("Content-Length", str(len(body)))
        else:
            self.send_header("Connection", "close")  # the end of the connection is the end of the body

    def _go_ahead(self) -> None:
        self.send_response_only(100)
        self.end_headers()
        self.wfile.flush()


class _Body:
    """The bytes of a request, as they come."""

    def __init__(self, file: BinaryIO, headers: dict[str, str], go_ahead: Callable[[], None]) -> None:
        self._file = file
        self._left = int(headers.get("content-length", 0))
        self._go_ahead = go_ahead
        self._asked = headers.get("expect", "").lower() == "100-continue"

    def __iter__(self) -> Iterator[bytes]:
        if self._asked:  # somebody wants the body: now the client may send it
            self._asked = False
            self._go_ahead()
        while self._left:
            piece = self._file.read1(min(self._left, PIECE_BYTES))  # type: ignore[attr-defined]
            if not piece:
                raise BodyCutShort(f"{self._left:,} bytes of its body are missing")
            self._left -= len(piece)
            yield piece

    def drop(self) -> bool:
        """Read what nobody has read; whether the connection can be used for another request."""
        if self._asked or self._left > MAX_UNREAD_BYTES:
            return not self._left
        try:
            for _ in self:
                pass
        except ConnectionError:
            return False
        return True
