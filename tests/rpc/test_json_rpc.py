"""JSON-RPC 2.0: the fifteen examples of the specification, and what its text says beyond them."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.rpc.errors import ReplyUnfit
from dslab.rpc.json_rpc import JsonCodec
from dslab.rpc.messages import Batch, Context, Invalid, Notification, Request, Response, by_value_only
from dslab.rpc.references import service_with_references

# www.jsonrpc.org/specification, section 7: what the client sends, what the server answers (None: nothing).
EXAMPLES: list[tuple[str, str, str | None]] = [
    (
        "positional parameters",
        '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
        '{"jsonrpc": "2.0", "result": 19, "id": 1}',
    ),
    (
        "positional parameters, the other way round",
        '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        '{"jsonrpc": "2.0", "result": -19, "id": 2}',
    ),
    (
        "named parameters",
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        '{"jsonrpc": "2.0", "result": 19, "id": 3}',
    ),
    (
        "named parameters, the other way round",
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        '{"jsonrpc": "2.0", "result": 19, "id": 4}',
    ),
    ("a notification", '{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    ("a notification of nothing there is", '{"jsonrpc": "2.0", "method": "foobar"}', None),
    (
        "a method that does not exist",
        '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
        '{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"}',
    ),
    (
        "invalid JSON",
        '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
        '{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}',
    ),
    (
        "an invalid request",
        '{"jsonrpc": "2.0", "method": 1, "params": "bar"}',
        '{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}',
    ),
    (
        "a batch of invalid JSON",
        """[
          {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
          {"jsonrpc": "2.0", "method"
        ]""",
        '{"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": null}',
    ),
    (
        "an empty array",
        "[]",
        '{"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}',
    ),
    (
        "an invalid batch, but not an empty one",
        "[1]",
        """[
          {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
        ]""",
    ),
    (
        "an invalid batch",
        "[1,2,3]",
        """[
          {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
          {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
          {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null}
        ]""",
    ),
    (
        "a batch",
        """[
          {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
          {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
          {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
          {"foo": "boo"},
          {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
          {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
        ]""",
        """[
          {"jsonrpc": "2.0", "result": 7, "id": "1"},
          {"jsonrpc": "2.0", "result": 19, "id": "2"},
          {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": null},
          {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "5"},
          {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"}
        ]""",
    ),
    (
        "a batch of notifications",
        """[
          {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
          {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
        ]""",
        None,
    ),
]

LAST = '{"jsonrpc": "2.0", "method": "get_data", "id": "last"}'
LAST_ANSWER = '{"jsonrpc":"2.0","result":["hello",5],"id":"last"}'


class Specified:
    """The methods that the examples call."""

    def subtract(self, minuend: int, subtrahend: int) -> int:
        return minuend - subtrahend

    def sum(self, *numbers: int) -> int:
        return sum(numbers)

    def get_data(self) -> list[Any]:
        return ["hello", 5]

    def update(self, *numbers: int) -> None:
        """Called one-way."""

    notify_sum = update

    def notify_hello(self, number: int) -> None:
        """Called one-way."""


def compact(text: str) -> str:
    """The same JSON, member for member in the same order, without the spaces between."""
    return json.dumps(json.loads(text), separators=(",", ":"))


@pytest.mark.parametrize(("sent", "answer"), [pytest.param(*each[1:], id=each[0]) for each in EXAMPLES])
def test_an_example_of_the_specification_over_tcp(serve: Any, sent: str, answer: str | None) -> None:
    address = serve(Specified(), codec="json")
    expected = ([compact(answer)] if answer else []) + [LAST_ANSWER]
    with socket.create_connection(address.pair, timeout=30) as connection:
        line = sent.replace("\n", " ")  # over TCP a message is a line
        connection.sendall(f"{line}\n{LAST}\n".encode())
        with connection.makefile() as lines:
            assert [lines.readline().rstrip("\n") for _ in expected] == expected


@pytest.mark.parametrize(("sent", "answer"), [pytest.param(*each[1:], id=each[0]) for each in EXAMPLES])
def test_an_example_of_the_specification_over_http(serve: Any, sent: str, answer: str | None) -> None:
    address = serve(Specified(), codec="json-http")
    connection = http.client.HTTPConnection(address.host, address.port, timeout=30)
    try:
        connection.request("POST", "/", sent, {"Content-Type": "application/json"})
        response = connection.getresponse()
        body = response.read().decode().rstrip("\n")
    finally:
        connection.close()
    assert (response.status, body) == ((200, compact(answer)) if answer else (204, ""))


def test_there_are_fifteen() -> None:
    assert len(EXAMPLES) == 15


def ask(address: Address, *lines: str) -> list[Any]:
    """Send lines, half-close, and read all that comes: what netcat does."""
    with socket.create_connection(address.pair, timeout=30) as connection:
        connection.sendall("\n".join(lines).encode())
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile() as answers:
            return [json.loads(line) for line in answers]


def test_a_last_line_without_newline_is_answered_after_a_half_close(serve: Any) -> None:
    address = serve(Specified(), codec="json")
    assert ask(address, LAST) == [json.loads(LAST_ANSWER)]


def test_an_id_of_null_is_a_request_and_not_a_notification(serve: Any) -> None:
    address = serve(Specified(), codec="json")
    (answer,) = ask(address, '{"jsonrpc": "2.0", "method": "sum", "params": [1], "id": null}')
    assert answer == {"jsonrpc": "2.0", "result": 1, "id": None}


@pytest.mark.parametrize(
    "line",
    [
        '{"jsonrpc": "1.0", "method": "sum", "id": 1}',
        '{"method": "sum", "id": 1}',
        '{"jsonrpc": "2.0", "id": 1}',
        '{"jsonrpc": "2.0", "method": "sum", "params": 7, "id": 1}',
        '{"jsonrpc": "2.0", "method": "sum", "params": null, "id": 1}',
    ],
)
def test_an_invalid_request_is_answered_under_its_id(serve: Any, line: str) -> None:
    (answer,) = ask(serve(Specified(), codec="json"), line)
    assert answer == {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": 1}


@pytest.mark.parametrize("number", ["true", "[1]", "{}"])
def test_an_id_of_another_type_is_answered_under_null(serve: Any, number: str) -> None:
    (answer,) = ask(
        serve(Specified(), codec="json"), f'{{"jsonrpc": "2.0", "method": "sum", "id": {number}}}'
    )
    assert answer["id"] is None
    assert answer["error"]["code"] == -32600


def test_an_unknown_member_is_ignored(serve: Any) -> None:
    (answer,) = ask(
        serve(Specified(), codec="json"),
        '{"jsonrpc": "2.0", "method": "sum", "params": [1], "id": 1, "dslab": "whatever", "auth": null}',
    )
    assert answer["result"] == 1


MESSAGES = [
    Request(1, "add", [1, 2]),
    Request("a", "add", {"a": 1}),
    Request(None, "add", []),
    Request(7, "add", [], Context(2**60, 3, 2, 1.5)),
    Response(1, None, {"a": [1.5, None]}),
    Response(1, None, None),
    Response(1, {"code": 1, "message": "no"}),
    Notification("log", ["x"]),
    Batch([Request(1, "a", []), Notification("b", [])]),
]


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_what_is_written_is_read(message: Any) -> None:
    codec = JsonCodec()
    assert codec.decode(codec.encode(message)) == message


def test_too_deep_is_no_json() -> None:
    assert isinstance(JsonCodec().decode(b"[" * 1_000_000), Invalid)


def test_a_batch_of_a_million_is_refused_as_a_whole() -> None:
    assert isinstance(JsonCodec().decode(b"[" + b"1," * 1_000_000 + b"1]"), Invalid)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + b" " * 2_000_000, 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000, 431),
    ],
)
def test_what_http_cannot_carry_is_refused(serve: Any, request_bytes: bytes, status: int) -> None:
    address = serve(Specified(), codec="json-http", max_message_bytes=1_000_000)
    with socket.create_connection(address.pair, timeout=30) as connection:
        with suppress(ConnectionError):  # it hangs up before it has read all of what is too long
            connection.sendall(request_bytes)
        assert connection.recv(65_536).startswith(f"HTTP/1.1 {status} ".encode())


def test_requests_one_after_the_other_on_one_connection(serve: Any) -> None:
    address = serve(Specified(), codec="json-http")
    body = LAST.encode()
    one = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with socket.create_connection(address.pair, timeout=30) as connection:
        connection.sendall(one * 3)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answers:
            assert answers.read().count(LAST_ANSWER.encode()) == 3


def post(body: bytes, *headers: bytes) -> bytes:
    """The bytes of an exchange's first half."""
    fields = b"".join(b"%b\r\n" % header for header in headers)
    return b"POST / HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (fields, len(body), body)


REPLY = b'{"jsonrpc":"2.0","result":1,"id":1}'


@pytest.mark.parametrize("body", [REPLY, b"[%b]" % REPLY, b"[%b,%b]" % (REPLY, REPLY)])
def test_what_has_no_answer_ends_its_exchange_nevertheless(serve: Any, body: bytes) -> None:
    address = serve(Specified(), codec="json-http")
    with socket.create_connection(address.pair, timeout=30) as connection:
        connection.sendall(post(body))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 204 ")


@pytest.mark.parametrize("codec", ["json", "json-http"])
def test_a_stale_copy_leaves_no_gap(serve: Any, codec: str) -> None:
    """Alone it has no answer; in a batch the others have."""
    address = serve(Specified(), codec=codec)

    def exchange(connection: socket.socket, message: Any) -> bytes:
        line = json.dumps(message).encode()
        connection.sendall(post(line) if codec == "json-http" else line + b"\n")
        return connection.recv(65_536)

    with socket.create_connection(address.pair, timeout=30) as connection:
        greeting = exchange(connection, {"jsonrpc": "2.0", "method": "rpc.hello", "id": 0})
        session = json.loads(greeting.splitlines()[-1])["result"][0]
        call = {"jsonrpc": "2.0", "method": "get_data", "id": 1}
        first, second = (
            {**call, "dslab": {"session": session, "number": number, "acknowledged": number}}
            for number in (1, 2)
        )
        assert exchange(connection, first).endswith(b'"id":1}\n')
        assert exchange(connection, second).endswith(b'"id":1}\n')
        assert exchange(connection, [first, {**call, "id": 7}]).endswith(
            b'[{"jsonrpc":"2.0","result":["hello",5],"id":7}]\n'
        )
        if codec == "json-http":
            assert exchange(connection, first).startswith(b"HTTP/1.1 204 ")
            assert exchange(connection, [first, first]).startswith(b"HTTP/1.1 204 ")


def test_a_client_that_asks_whether_to_go_on_is_told(serve: Any) -> None:
    address = serve(Specified(), codec="json-http")
    head, _, body = post(LAST.encode(), b"Expect: 100-continue").partition(b"\r\n\r\n")
    with socket.create_connection(address.pair, timeout=30) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert LAST_ANSWER.encode() in connection.recv(65_536)


def test_a_client_that_asks_whether_to_go_on_with_too_long_a_body_is_told_no(serve: Any) -> None:
    address = serve(Specified(), codec="json-http", max_message_bytes=1_000)
    with socket.create_connection(address.pair, timeout=30) as connection:
        head, _, _ = post(b" " * 2_000, b"Expect: 100-continue").partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")


class Slow:
    def __init__(self) -> None:
        self.release = threading.Event()
        self.noticed = threading.Semaphore(0)

    def wait(self) -> str:
        self.release.wait(60)
        return "waited"

    def notice(self) -> None:
        self.release.wait(60)
        self.noticed.release()


@pytest.fixture
def slow() -> Iterator[Slow]:
    slow = Slow()
    yield slow
    slow.release.set()


def test_the_last_exchange_of_a_connection_is_waited_for(serve: Any, slow: Slow) -> None:
    address = serve(slow, codec="json-http", workers=1)
    call = b'{"jsonrpc":"2.0","method":"wait","id":1}'
    with socket.create_connection(address.pair, timeout=30) as connection:
        connection.sendall(post(call, b"Connection: close"))
        with socket.create_connection(address.pair, timeout=30) as other:  # the server has read both
            other.sendall(post(REPLY))
            assert other.recv(65_536)
        slow.release.set()
        assert b'"waited"' in connection.recv(65_536)


def fill(connection: socket.socket, most_bytes: int) -> int:
    """Send until nobody takes it any more, or so many bytes: gives how many."""
    sent = 0
    connection.settimeout(1.0)
    with suppress(TimeoutError):
        while sent < most_bytes:
            sent += connection.send(b"x" * 1_000_000)
    return sent


def test_who_has_an_exchange_under_way_is_not_read_from_meanwhile(serve: Any, slow: Slow) -> None:
    address = serve(slow, codec="json-http", workers=1)
    with socket.create_connection(address.pair) as connection:
        connection.sendall(post(b'{"jsonrpc":"2.0","method":"wait","id":1}'))
        assert fill(connection, 100_000_000) < 100_000_000
        slow.release.set()
        connection.settimeout(30)
        assert b'"waited"' in connection.recv(65_536)


def test_after_a_slow_exchange_the_next_is_read(serve: Any, slow: Slow) -> None:
    address = serve(slow, codec="json-http", workers=1)
    call = post(b'{"jsonrpc":"2.0","method":"wait","id":1}')
    with socket.create_connection(address.pair, timeout=30) as connection:
        connection.sendall(call * 2)
        connection.sendall(call * 3)
        slow.release.set()
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answers:
            assert answers.read().count(b'"waited"') == 5


def test_one_way_calls_over_http_are_bounded_and_all_executed(serve: Any, slow: Slow) -> None:
    address = serve(slow, codec="json-http", workers=2, max_in_flight=3)
    one = post(b'{"jsonrpc":"2.0","method":"notice"}')
    with socket.create_connection(address.pair, timeout=30) as connection:
        connection.sendall(one * 10)
        answers = b""
        while answers.count(b" 204 ") < 3:
            answers += connection.recv(65_536)
        assert answers.count(b" 204 ") == 3
        slow.release.set()
        while answers.count(b" 204 ") < 10:
            answers += connection.recv(65_536)
        for _ in range(10):
            assert slow.noticed.acquire(timeout=30)


ANYWHERE = '{"dslab.ref": ["elsewhere", 999999, 1, "x"]}'


def test_a_reference_that_cannot_be_used_is_the_fault_of_its_call_alone(run_service: Any) -> None:
    service, _ = service_with_references("json", 1, time.monotonic)
    service.objects.register(Specified())
    address = run_service(service)
    bad = f'{{"jsonrpc": "2.0", "method": "sum", "params": [{ANYWHERE}], "id": 1}}'
    one_way = f'{{"jsonrpc": "2.0", "method": "update", "params": [{ANYWHERE}]}}'
    deep = '{"jsonrpc": "2.0", "method": "sum", "id": 1, "params": ' + "[" * 900 + '"dslab.ref"' + "]" * 901
    alone, within, too_deep, last = ask(address, bad, one_way, f"[{bad}, {LAST}, {one_way}]", deep, LAST)
    assert (alone["id"], alone["error"]["code"]) == (1, -32602)
    assert [part.get("error", {}).get("code") for part in within] == [-32602, None]
    assert (too_deep["id"], too_deep["error"]["code"]) == (None, -32700)
    assert last["result"] == ["hello", 5]


def test_a_reply_with_a_reference_that_cannot_be_used_says_that_the_call_happened() -> None:
    reply = JsonCodec(unmarshal=by_value_only).decode(
        f'{{"jsonrpc": "2.0", "result": {ANYWHERE}, "id": 1}}'.encode()
    )
    assert isinstance(reply, Response)
    assert (reply.id, reply.error["code"]) == (1, ReplyUnfit.code)
