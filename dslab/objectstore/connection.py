"""uvicorn's connection, with a short way for small objects, another for large ones, and limits for clients.

**The short way.** What can be answered at once (`short` says what that is) is answered where it was parsed;
everything else goes uvicorn's way: a scope, a task, and messages to and fro.

**Files** (`files`): an application may send one without reading it.

**Limits** on the head of a request, and on how long a client may keep us waiting. A parser gathers a head
until it is whole, and the lines after a body in chunks; a client that never ends them would make them grow
for ever. So bytes are counted until the head is whole, or until some of the body has come. A client that
sends nothing in the middle of a head, or does not take what it asked for, is dropped by `watch`: one look at
all connections every few seconds, so that a request costs no timer.

A body that stops coming is the business of `call.Call.body`, which can still answer.

Source: ch. 3, Servers; RFC 9112, section 11 (request smuggling: llhttp refuses what is ambiguous).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, MutableMapping
from functools import lru_cache
from typing import Any, NamedTuple

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dslab.objectstore.call import HOST_ID, Receive, Scope, new_id
from dslab.objectstore.documents import MEDIA_TYPE, error_document
from dslab.objectstore.errors import ClientGone, S3Error
from dslab.objectstore.files import EXTENSION, FileSender
from dslab.objectstore.headers import http_date
from dslab.objectstore.short import head_of

MAX_HEAD_BYTES = 64 * 1024
PATIENCE_S = 60.0
LOOK_S = 5.0

_REQUEST_LINE = re.compile(rb"[A-Za-z-]+ ")


class Progress(NamedTuple):
    """What of a connection is another when something moves.

    Attributes:
        received: How many pieces of data have come.
        unsent_bytes: What waits to be taken by the client.
        sent_bytes: What has been sent of files.
    """

    received: int
    unsent_bytes: int
    sent_bytes: int


class Connection(HttpToolsProtocol):
    """One client's connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._kept_bytes = 0
        self._was_short = False
        self._whole: Any = None  # uvicorn's cycle of the last request that came to its end
        self._files: FileSender | None = None
        # uvicorn runs its attribute `app` for every request: `_serve`, which runs the front in its place.
        self.front = self.app
        self.app = self._serve
        self._seen = Progress(0, 0, 0)
        self._received = 0
        self._piece = b""  # what is being parsed: the parser does not tell which method it does not know
        self.idle_s = 0.0

    def connection_made(self, transport: Any) -> None:
        """A client has come."""
        super().connection_made(transport)
        self._files = FileSender(transport, self.flow)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        super().connection_lost(exc)
        if self._files is not None:
            self._files.lost()

    def data_received(self, data: bytes) -> None:
        """Take some bytes."""
        self._received += 1
        if self._kept_bytes > MAX_HEAD_BYTES:
            self._refuse(S3Error("RequestHeaderSectionTooLarge"))
            return
        self._kept_bytes += len(data)  # what follows the head in one piece with it is counted too
        self._piece = data
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except HttpParserError as error:
            self._refuse(self._fault(error))
        self._piece = b""

    def _parse(self, data: bytes) -> None:
        """Let the parser read some bytes.

        Where a client offers another protocol (``Upgrade: h2c``), the parser stops after the head, body or no
        body: what follows shall be that other protocol's. Nobody here accepts the offer, so the head is read
        once more, without it: RFC 9110, section 7.8.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as upgrade:
                if not self._offers_upgrade():
                    raise HttpParserError("CONNECT") from upgrade
                data = self._head_without_offer() + data[upgrade.args[0] :]
                self.parser = HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
            else:
                return

    def _head_without_offer(self) -> bytes:
        lines = [b"%b: %b\r\n" % line for line in self.headers if line[0] != b"upgrade"]
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(lines))

    def _offers_upgrade(self) -> bool:
        """Will the parser stop after this head? After that of CONNECT it does, too, but that is refused."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _fault(self, error: HttpParserError) -> S3Error:
        """Say what is wrong with what is no request."""
        is_unknown = isinstance(error, HttpParserInvalidMethodError) and _REQUEST_LINE.match(self._piece)
        return S3Error("MethodNotAllowed" if is_unknown else "BadRequest")

    def _refuse(self, error: S3Error) -> None:
        """Answer what is no request, and hang up: where the next one would begin, nobody knows.

        If whole requests before it still wait for their answers, whoever answers the last of them hangs up.
        In the middle of an answer there is no place for another.
        """
        if self._whole is not None and not self._whole.response_complete:
            self._whole.keep_alive = False
            return
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()
            return
        call_id = new_id()
        body = error_document(error.code, error.message, [("RequestId", call_id), ("HostId", HOST_ID)])
        headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), "connection": "close"}
        self._write(head_of(error.status, {**headers, "x-amz-request-id": call_id}), body)
        self.transport.close()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._offers_upgrade():
            return
        self._in_head = False
        self._kept_bytes = 0
        self._was_short = self._answer_at_once()
        if not self._was_short:
            super().on_headers_complete()
        self.headers = []  # those of the request stay as they are: lines after a body are not among them

    def on_body(self, body: bytes) -> None:
        """Some of the body has come: of that the parser keeps nothing."""
        self._kept_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is whole; what comes next is a head."""
        if self._offers_upgrade():
            return
        if not self._was_short:
            super().on_message_complete()
            self._whole = self.cycle
        self._in_head = True
        self._kept_bytes = 0
        self._piece = b""  # what follows does not begin this piece

    def _answer_at_once(self) -> bool:
        """Answer, if that takes no time: says whether it did."""
        if not self._is_my_turn():
            return False
        found = self.front.short.answer(self.parser.get_method().decode(), self.url, self.headers)
        if found is None:
            return False
        self._write(*found)
        return True

    def _write(self, head: bytes, body: bytes) -> None:
        self.transport.write(b"%bdate: %b\r\n\r\n%b" % (head, _date(int(time.time())), body))

    async def _serve(self, scope: Scope, receive: Receive, send: Any) -> None:
        """Run the application, with one more message that it may send, and the date when it answers.

        uvicorn writes the one that was when the request came, or up to a second before. No object may have
        been modified later than that: RFC 9110, section 8.8.2.1.
        """
        cycle, files = send.__self__, self._files
        assert files is not None

        async def send_files_too(message: MutableMapping[str, Any]) -> None:
            if message["type"] != EXTENSION:
                if message["type"] == "http.response.start":
                    cycle.default_headers = [(b"date", _date(int(time.time())))]
                await send(message)
                return
            start, count = message["offset"], message["count"]
            try:
                await files.send(message["file"], start, start + count)
            except ClientGone:
                cycle.disconnected = True
                self.transport.abort()
                raise
            cycle.expected_content_length -= count
            if not message.get("more_body", False):
                await send({"type": "http.response.body"})

        scope["extensions"] = {EXTENSION: {}}
        await self.front(scope, receive, send_files_too)

    def _is_my_turn(self) -> bool:
        """May a request be answered at once? Not before those that came earlier, nor without end."""
        parser = self.parser
        is_plain = parser.get_method() in (b"GET", b"HEAD") and parser.get_http_version() == "1.1"
        is_first = self.cycle is None or self.cycle.response_complete
        may_write = not self.flow.write_paused and not self.transport.is_closing()
        return is_plain and parser.should_keep_alive() and is_first and may_write

    def look(self, passed_s: float) -> None:
        """See whether anything moved since the last look; hang up on a client that keeps us waiting."""
        assert self._files is not None
        unsent = self.transport.get_write_buffer_size()
        now = Progress(self._received, unsent, self._files.sent_bytes)
        is_sending = unsent > 0 or self._files.is_busy
        is_amid_head = self._in_head and self._kept_bytes > 0
        waits_for_client = is_sending or is_amid_head or self._was_short or not self._received
        self.idle_s = self.idle_s + passed_s if waits_for_client and now == self._seen else 0.0
        self._seen = now
        if self.idle_s >= PATIENCE_S:
            self.transport.abort()


@lru_cache(maxsize=1)
def _date(seconds: int) -> bytes:
    return http_date(seconds).encode()


async def watch(connections: Iterable[Any]) -> None:
    """Look at all connections, for ever."""
    while True:
        await asyncio.sleep(LOOK_S)
        for connection in list(connections):
            connection.look(LOOK_S)
