"""The blocking client against our own server, over real sockets."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerClosed, PeerRefused, PeerSilent, UsageError
from dslab.rpc import client as client_module
from dslab.rpc import server_threads, threaded
from dslab.rpc.client import Client, connect
from dslab.rpc.codecs import codec_named
from dslab.rpc.errors import (
    BadArguments,
    Busy,
    CallFailed,
    DoesNotTravel,
    NoSuchMethod,
    NotAllowed,
    RemoteError,
    ReplyForgotten,
    ReplyUnfit,
    SessionLost,
    TooLate,
    Uncertain,
)
from dslab.rpc.messages import MalformedMessage, Response
from dslab.rpc.service import Service


class Overdrawn(Exception):
    pass


class Bank:
    def __init__(self) -> None:
        self.balance = 0
        self.noticed = threading.Event()

    def deposit(self, amount: int) -> int:
        self.balance += amount
        return self.balance

    def withdraw(self, amount: int) -> int:
        if amount > self.balance:
            raise Overdrawn("only", self.balance)
        return self.deposit(-amount)

    def divide(self, by: int) -> float:
        return self.balance / by

    def name(self, first: str, last: str = "", *, title: str = "") -> str:
        return f"{title}{first}{last}"

    def notice(self) -> None:
        self.noticed.set()

    def unfit(self) -> object:
        return object()

    def echo(self, value: Any) -> Any:
        return value

    async def later(self, delay_s: float, value: Any) -> Any:
        await asyncio.sleep(delay_s)
        return value

    async def when_noticed(self, value: Any) -> Any:
        while not self.noticed.is_set():
            await asyncio.sleep(0.001)
        return value

    def _private(self) -> int:
        return self.balance


CODECS = ("msgpack", "json")
SEMANTICS = ("maybe", "at-least-once", "at-most-once")


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture
def address(serve: Any, bank: Bank, codec: str) -> Address:
    return serve(bank, codec=codec)  # type: ignore[no-any-return]


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_a_call_looks_like_a_local_one(address: Address, codec: str, semantics: Any) -> None:
    with connect(address, codec=codec, semantics=semantics, timeout_s=30, retry_s=30) as client:
        bank = client.proxy()
        assert bank.deposit(100) == 100
        assert client.call("deposit", 20) == 120
        assert client.call("name", first="Ada", title="Lady ") == "Lady Ada"


def test_values_come_back_as_they_went(address: Address, codec: str) -> None:
    value = {"list": [1, -2, 3.5, None, True], "text": "höhe", "map": {"a": [[], {}]}, "big": 2**60}
    with connect(address, codec=codec) as client:
        assert client.call("echo", value) == value


def test_a_long_argument_and_a_long_result(address: Address, codec: str) -> None:
    text = "x" * 3_000_000
    with connect(address, codec=codec, timeout_s=30) as client:
        assert client.call("echo", text) == text
        assert client.call("echo", "short") == "short"


def test_an_exception_comes_back_as_its_own_type_with_the_remote_traceback(
    address: Address, codec: str
) -> None:
    with connect(address, codec=codec, exceptions=[Overdrawn]) as client:
        with pytest.raises(Overdrawn) as raised:
            client.call("withdraw", 5)
        assert raised.value.args == ("only", 0)
        assert "in withdraw" in raised.value.remote_traceback  # type: ignore[attr-defined]
        with pytest.raises(ZeroDivisionError, match="division by zero") as divided:
            client.call("divide", 0)
        assert any("in divide" in note for note in divided.value.__notes__)


def test_an_exception_of_a_type_unknown_here_keeps_its_name(address: Address, codec: str) -> None:
    with connect(address, codec=codec) as client, pytest.raises(RemoteError, match="Overdrawn") as raised:
        client.call("withdraw", 5)
    assert raised.value.type_name == "Overdrawn"
    assert raised.value.arguments == ("only", 0)
    assert raised.value.happened is Happened.YES


@pytest.mark.parametrize("method", ["nothing", "_private", "deposit.__call__", "rpc.nothing", "__init__", ""])
def test_what_is_not_offered_cannot_be_called(address: Address, codec: str, method: str) -> None:
    with connect(address, codec=codec) as client, pytest.raises(NoSuchMethod) as raised:
        client.call(method)
    assert raised.value.happened is Happened.NO


@pytest.mark.parametrize(
    ("arguments", "named_arguments"),
    [((), {}), ((1, 2), {}), ((), {"amounts": 1}), ((), {"amount": 1, "more": 2})],
)
def test_wrong_arguments_are_refused_before_the_procedure_begins(
    address: Address, bank: Bank, codec: str, arguments: tuple[int, ...], named_arguments: dict[str, int]
) -> None:
    with connect(address, codec=codec) as client, pytest.raises(BadArguments) as raised:
        client.call("deposit", *arguments, **named_arguments)
    assert raised.value.happened is Happened.NO
    assert bank.balance == 0


def test_arguments_go_all_in_order_or_all_by_name(address: Address, codec: str) -> None:
    with connect(address, codec=codec) as client, pytest.raises(UsageError, match="in order"):
        client.call("name", "Ada", last="Lovelace")


def test_a_result_that_does_not_travel_says_that_it_happened(address: Address, codec: str) -> None:
    with connect(address, codec=codec) as client, pytest.raises(ReplyUnfit, match="object") as raised:
        client.call("unfit")
    assert raised.value.happened is Happened.YES


def test_an_argument_that_does_not_travel_is_not_sent(address: Address, codec: str) -> None:
    with connect(address, codec=codec) as client:
        with pytest.raises(DoesNotTravel):
            client.call("echo", object())
        assert client.call("echo", 1) == 1
        assert len(client.stub) == 0


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_a_bad_first_argument_is_its_own_callers(address: Address, codec: str, semantics: Any) -> None:
    with connect(address, codec=codec, semantics=semantics, retry_s=0.01) as client:
        with pytest.raises(DoesNotTravel):
            client.begin("echo", object())
        assert [client.call("echo", number) for number in range(3)] == [0, 1, 2]
        assert len(client.stub) == 0


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_arguments_are_copied_in_when_the_call_begins(address: Address, codec: str, semantics: Any) -> None:
    with connect(address, codec=codec, semantics=semantics, deadlines=True) as client:
        words = ["a"]
        alone = client.begin("echo", words)
        words.append("b")
        with client.batch():
            in_a_batch = client.begin("echo", words)
            words.clear()
        assert (alone.result(), in_a_batch.result()) == (["a"], ["a", "b"])


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_a_batch_that_is_given_up_did_not_happen(
    address: Address, bank: Bank, codec: str, semantics: Any
) -> None:
    with connect(address, codec=codec, semantics=semantics, timeout_s=30, retry_s=30) as client:
        with pytest.raises(DoesNotTravel), client.batch():
            good = client.begin("deposit", 100)
            client.begin("deposit", object())
        with pytest.raises(PeerSilent, match="never sent") as raised:
            good.result()
        assert raised.value.happened is Happened.NO
        assert client.call("deposit", 1) == bank.balance == 1


def test_what_does_not_fit_a_datagram_is_its_own_callers(serve: Any, bank: Bank) -> None:
    address = serve(bank, transport="udp")
    with connect(address, transport="udp", semantics="at-most-once", retry_s=0.01) as client:
        with pytest.raises(UsageError, match="datagram"):
            client.call("echo", "x" * 70_000)
        assert [client.call("deposit", 1) for _ in range(3)] == [1, 2, 3]


def test_deferred_synchronous_calls_are_answered_out_of_order(
    address: Address, bank: Bank, codec: str
) -> None:
    with connect(address, codec=codec, timeout_s=30) as client:
        slow = client.begin("when_noticed", "slow")
        quick = client.begin("echo", "quick")
        assert quick.result() == "quick"
        assert not slow.done()
        bank.noticed.set()
        assert slow.result() == "slow"
        assert slow.done()


def test_one_way_calls_are_executed_and_not_answered(address: Address, bank: Bank, codec: str) -> None:
    with connect(address, codec=codec) as client:
        client.notify("notice")
        client.notify("nothing of that name")
        assert bank.noticed.wait(30)
        assert client.call("deposit", 1) == 1
        assert client.stub.discarded == 0


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_one_way_calls_find_a_server_that_was_started_again(reserved: Address, semantics: Any) -> None:
    arrived: list[int] = []

    def log(number: int) -> None:
        arrived.append(number)

    def service(session: int) -> Service:
        service = Service(codec_named("msgpack"), session)
        service.objects.register(log)
        return service

    with server_threads.serving(reserved, service(1)) as address:
        client = connect(address, semantics=semantics, timeout_s=30, retry_s=30)
        client.call("log", 0)
    with pytest.raises(PeerRefused):
        client.notify("log", -1)
    with server_threads.serving(address, service(1_000)), client:
        for number in range(1, 6):
            client.notify("log", number)
        if semantics != "at-most-once":  # the server has forgotten the session
            client.call("log", 6)
        else:
            with pytest.raises(SessionLost):
                client.call("log", 6)
    assert arrived[:6] == [0, 1, 2, 3, 4, 5]


def test_a_batch_is_answered_part_by_part(address: Address, codec: str) -> None:
    with connect(address, codec=codec, timeout_s=30) as client:
        with client.batch():
            deposits = [client.begin("deposit", amount) for amount in range(1, 5)]
            waits = client.begin("later", 0.05, "late")
            wrong = client.begin("nothing")
        assert [each.result() for each in deposits] == [1, 3, 6, 10]
        assert waits.result() == "late"
        with pytest.raises(NoSuchMethod):
            wrong.result()


@pytest.mark.parametrize(
    "options",
    [
        {"semantics": "at_most_once"},
        {"transport": "pigeon"},
        {"transport": "udp", "codec": "json-http"},
        {"timeout_s": 0},
        {"timeout_s": float("nan")},
        {"retry_s": 0.0},
    ],
)
@pytest.mark.parametrize("connected", [connect, threaded.connect], ids=["blocking", "threaded"])
def test_what_is_no_way_to_call_is_refused(address: Address, connected: Any, options: Any) -> None:
    with pytest.raises(UsageError):
        connected(address, **options)


@pytest.mark.parametrize("codec", ["msgpack", "json"])
def test_a_batch_may_be_a_datagram(serve: Any, bank: Bank, codec: str) -> None:
    address = serve(bank, codec=codec, transport="udp")
    with connect(address, codec=codec, transport="udp", timeout_s=30, semantics="at-least-once") as client:
        with client.batch():
            echoes = [client.begin("echo", number) for number in range(4)]
            wrong = client.begin("nothing")
        assert [each.result() for each in echoes] == [0, 1, 2, 3]
        with pytest.raises(NoSuchMethod):
            wrong.result()


def test_of_a_batch_that_went_out_in_part_nothing_is_sent_again_under_maybe() -> None:
    def take_a_byte(connection: socket.socket) -> None:
        with connection:  # resets it in the end: more has come
            connection.recv(1)

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        connect(Address(*listener.getsockname()), timeout_s=30) as client,
    ):
        with client.batch():
            calls = [client.begin("deposit", 1), client.begin("echo", b"x" * 20_000_000)]
            taking = threading.Thread(target=take_a_byte, args=(listener.accept()[0],))
            taking.start()
        taking.join(30)
        for call in calls:
            with pytest.raises(PeerClosed) as raised:
                call.result()
            assert raised.value.happened is Happened.UNKNOWN
        assert not select.select([listener], [], [], 0)[0]


def test_of_a_batch_whose_sending_was_interrupted_nobody_says_that_it_did_not_happen(
    address: Address, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with connect(address, codec=codec, timeout_s=30) as client:
        with pytest.raises(KeyboardInterrupt), client.batch():
            call = client.begin("deposit", 1)
            monkeypatch.setattr(client._connection, "send", interrupted)
        with pytest.raises(PeerClosed) as raised:
            call.result()
        assert raised.value.happened is Happened.UNKNOWN


def test_nobody_listens(reserved: Address) -> None:
    with pytest.raises(PeerRefused) as raised:
        connect(reserved, timeout_s=float("inf"))
    assert raised.value.happened is Happened.NO


@pytest.mark.parametrize("codec", ["msgpack", "json-http"])
@pytest.mark.parametrize("host", ["a..b", "a" * 70])
def test_nobody_has_a_name_that_is_none(host: str, codec: str) -> None:
    with pytest.raises(PeerRefused, match="nobody has that name"):
        connect(Address(host, 80), codec=codec)
    if codec == "msgpack":
        with pytest.raises(PeerRefused, match="nobody has that name"):
            threaded.connect(Address(host, 80))


@contextmanager
def scripted(*replies: bytes) -> Iterator[str]:
    """A server that answers the n-th piece that it reads with the n-th reply, then hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            for reply in replies:
                connection.recv(65_536)
                connection.sendall(reply)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join(30)
        listener.close()


def test_a_connection_that_ends_before_the_reply_leaves_it_unknown() -> None:
    with scripted(b"") as address, connect(address) as client, pytest.raises(PeerClosed) as raised:
        client.call("deposit", 1)
    assert raised.value.happened is Happened.UNKNOWN


def test_a_reply_that_came_before_a_write_failed_is_a_reply() -> None:
    with scripted(b"\x94\x01\x01\xc0\x08") as address, connect(address, timeout_s=60) as client:
        first = client.begin("deposit", 1)
        while client._connection is not None:
            client.begin("deposit", 2)
        assert first.result() == 8


@contextmanager
def in_a_thread(serve: Callable[[socket.socket], Any], at: Address | None = None) -> Iterator[Address]:
    """A server of one's own."""
    with socket.create_server(at or ("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield Address(*listener.getsockname())
        thread.join(30)


def test_a_reply_that_came_while_a_long_message_was_sent_is_a_reply() -> None:
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1)
            connection.sendall(b"\x94\x01\x01\xc0\x08")
            connection.shutdown(socket.SHUT_WR)
            done.wait(30)

    with in_a_thread(serve) as address, connect(address, timeout_s=60) as client:
        first, long = client.begin("deposit", 1), client.begin("echo", b"x" * 20_000_000)
        assert first.result() == 8
        with pytest.raises(PeerClosed) as raised:
            long.result()
        assert raised.value.happened is Happened.UNKNOWN
        done.set()


def test_a_reply_over_http_is_a_reply_though_the_next_request_cannot_be_posted(reserved: Address) -> None:
    body = b'{"jsonrpc":"2.0","result":8,"id":1}'

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, listener:
            connection.recv(65_536)
            listener.close()  # nobody gets in any more
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )

    with in_a_thread(serve, reserved) as address, connect(address, codec="json-http", timeout_s=60) as client:
        first, next_one = client.begin("deposit", 1), client.begin("deposit", 2)
        assert first.result() == 8
        with pytest.raises(PeerClosed, match="refused"):
            next_one.result()


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"], ids=["keep-alive", "close"])
def test_a_reply_over_http_may_come_in_pieces(more: bytes) -> None:
    body = b'{"jsonrpc":"2.0","result":8,"id":1}'
    began, goes_on = threading.Event(), threading.Event()

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n{" % (more, len(body)))
            began.set()
            assert goes_on.wait(30)
            connection.sendall(body[1:])

    options: Any = {"codec": "json-http", "semantics": "at-least-once", "retry_s": 0.01, "timeout_s": 30.0}
    with in_a_thread(serve) as address, connect(address, **options) as client:
        later = client.begin("deposit", 1)
        assert began.wait(30)
        while client.stub.sent < 4:
            assert not later.done()
        goes_on.set()
        assert later.result() == 8


def test_an_idle_connection_that_an_http_server_has_ended_is_not_posted_to() -> None:
    def serve(listener: socket.socket) -> None:
        for number in (1, 2):
            with listener.accept()[0] as connection:
                connection.recv(65_536)
                body = b'{"jsonrpc":"2.0","result":8,"id":%d}' % number
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with in_a_thread(serve) as address, connect(address, codec="json-http", timeout_s=30) as client:
        assert client.call("deposit", 1) == 8
        made: Any = client._connection
        assert select.select([made._socket], [], [], 30)[0]
        assert client.call("deposit", 1) == 8


def test_a_call_that_http_answers_with_nothing_waits_without_asking_over_and_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered, done = threading.Event(), threading.Event()

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            answered.set()
            assert done.wait(30)

    with in_a_thread(serve) as address, connect(address, codec="json-http", timeout_s=30) as client:
        made: Any = client._connection
        receive, asked = made.receive, []

        def receive_and_count(wait_s: float) -> Any:
            asked.append(wait_s)
            return receive(wait_s)

        monkeypatch.setattr(made, "receive", receive_and_count)
        client.timeout_s = 1.0
        later = client.begin("deposit", 1)
        assert answered.wait(30)
        with pytest.raises(PeerSilent):
            later.result()
        assert len(asked) < 100
        done.set()


def test_what_waits_in_the_queue_of_http_beyond_its_deadline_is_not_posted() -> None:
    came: list[bytes] = []
    goes_on = threading.Event()

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            for number in (1, 3):
                came.append(connection.recv(65_536))
                assert goes_on.wait(30)
                body = b'{"jsonrpc":"2.0","result":8,"id":%d}' % number
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with in_a_thread(serve) as address, connect(address, codec="json-http", timeout_s=30) as client:
        first = client.begin("first")
        client.timeout_s = 0.01
        with pytest.raises(PeerSilent):
            client.call("second")
        made: Any = client._connection
        while made._unsent[0][0] > time.monotonic():  # it was put there a moment after the call began
            time.sleep(0.001)
        client.timeout_s = 30.0
        third = client.begin("third")
        goes_on.set()
        assert (first.result(), third.result()) == (8, 8)
    assert [b"third" in each for each in came] == [False, True]


def test_a_reply_over_http_that_hardly_comes_holds_nobody_beyond_the_deadline() -> None:
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as connection, suppress(OSError):
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not done.wait(0.02):
                connection.sendall(b"X: y\r\n")

    with (
        in_a_thread(serve) as address,
        connect(address, codec="json-http", timeout_s=30) as client,
    ):
        client.timeout_s = 0.2
        with pytest.raises(PeerSilent):
            client.call("deposit", 1)
        done.set()


def test_a_reply_over_http_may_not_be_longer_than_a_message() -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b" " * 3000
    with (
        scripted(reply) as address,
        connect(address, codec="json-http", max_message_bytes=2000, timeout_s=30) as client,
        pytest.raises(MalformedMessage, match="longer than 2,000 bytes"),
    ):
        client.call("deposit", 1)


@pytest.mark.parametrize("codec", ["msgpack", "json-http"])
def test_a_name_with_several_numbers_is_tried_by_all(
    serve: Any, bank: Bank, codec: str, reserved: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = serve(bank, codec=codec)
    numbers = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", each.pair) for each in (reserved, address)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: numbers)
    with connect(Address("localhost", address.port), codec=codec, timeout_s=30) as client:
        assert client.call("deposit", 5) == 5


@pytest.mark.parametrize("order", [1, -1])
def test_a_name_may_have_a_number_of_a_kind_that_this_machine_does_not_know(
    address: Address, codec: str, order: int, reserved: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address.pair)]
    unknown = (9999, *known[0][1:])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [unknown, *known][::order])
    with connect("localhost:1", codec=codec, timeout_s=30) as client:
        assert client.call("deposit", 5) == 5
    known = [(*known[0][:-1], reserved.pair)]
    with pytest.raises(PeerRefused, match="took no connection"):
        connect("localhost:1", codec=codec, timeout_s=30)


def test_who_waits_for_ever_may_send_what_is_long(address: Address, codec: str) -> None:
    with connect(address, codec=codec, timeout_s=float("inf")) as client:
        assert client.call("name", "x" * 15_000_000) == "x" * 15_000_000


@pytest.mark.parametrize("codec", ["msgpack", "json", "json-http"])
def test_a_client_that_was_interrupted_can_call_again(
    serve: Any, bank: Bank, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(serve(bank, codec=codec), codec=codec, timeout_s=5) as client:
        made: Any = client._connection
        receive = made.receive

        def interrupted(wait_s: float) -> None:
            receive(wait_s)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(made, "receive", interrupted)
            client.call("deposit", 1)
        assert client.call("deposit", 1) == 2


def test_over_http_too_a_deferred_call_is_done_one_day(serve: Any, bank: Bank) -> None:
    with connect(serve(bank, codec="json-http"), codec="json-http", timeout_s=60) as client:
        later = client.begin("later", 0.01, "x")
        deadline_s = time.monotonic() + 30
        while not later.done():
            assert time.monotonic() < deadline_s
            time.sleep(0.001)
        assert later.result() == "x"


@pytest.mark.parametrize("connected", [connect, threaded.connect], ids=["blocking", "asyncio"])
def test_a_server_that_hangs_up_at_once_is_not_called_without_a_pause(connected: Any) -> None:
    met: list[None] = []
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        listener.settimeout(0.01)
        while not done.is_set():
            with suppress(TimeoutError), listener.accept()[0] as connection:
                if not met:
                    connection.settimeout(30)
                    connection.recv(1)
                met.append(None)

    options: Any = {"semantics": "at-least-once", "retry_s": 0.1, "timeout_s": 2.0}
    with in_a_thread(serve) as address:
        with connected(address, **options) as client, pytest.raises(PeerSilent):
            client.call("deposit", 1)
        done.set()
    assert 2 <= len(met) <= 25


def test_a_reply_that_nobody_asked_for_is_not_taken_for_another() -> None:
    stray, own = b"\x94\x01\x63\xc0\x07", b"\x94\x01\x01\xc0\x08"  # ids 99 and 1, results 7 and 8
    with scripted(stray + own) as address, connect(address) as client:
        assert client.call("deposit", 1) == 8
        assert client.stub.discarded == 1


@pytest.mark.parametrize("semantics", SEMANTICS)
@pytest.mark.parametrize("codec", ["msgpack", "json", "json-http"])
def test_nonsense_in_the_place_of_a_reply_does_not_tell_whether_it_happened(
    semantics: Any, codec: str
) -> None:
    nonsense = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found"
    options: Any = {"codec": codec, "semantics": semantics, "timeout_s": 30.0, "retry_s": 30.0}
    with (
        scripted(nonsense) as address,
        connect(address, **options) as client,
        pytest.raises(MalformedMessage) as raised,
    ):
        client.call("deposit", 1)
    sent = semantics != "at-most-once"  # there the session is asked for first
    assert raised.value.happened is (Happened.UNKNOWN if sent else Happened.NO)


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"], ids=["keep-alive", "close"])
def test_an_empty_answer_that_says_not_found_is_no_reply(more: bytes) -> None:
    with (
        scripted(b"HTTP/1.1 404 Not Found\r\n%bContent-Length: 0\r\n\r\n" % more) as address,
        connect(address, codec="json-http", timeout_s=30) as client,
    ):
        first, _ = client.begin("deposit", 1), client.begin("deposit", 2)
        with pytest.raises(MalformedMessage, match="404 Not Found"):
            first.result()


@pytest.mark.parametrize("code", [-32000, -32001, -32002, -32003, -32004, -32005, -32006, -32603, -32050, 7])
def test_what_a_foreign_code_means_is_not_known(code: int) -> None:
    error = f'{{"code": {code}, "message": "Payment done, mail failed"}}'
    reply = f'{{"jsonrpc": "2.0", "id": 1, "error": {error}}}\n'
    with (
        scripted(reply.encode()) as address,
        connect(address, codec="json", timeout_s=30) as client,
        pytest.raises(RemoteError, match="mail failed") as raised,
    ):
        client.call("pay", 1)
    assert raised.value.happened is Happened.UNKNOWN


@pytest.mark.parametrize(
    "kind", [TooLate, Busy, SessionLost, ReplyForgotten, NotAllowed, Uncertain, ReplyUnfit]
)
def test_the_errors_of_our_own_servers_are_known_as_such(codec: str, kind: type[CallFailed]) -> None:
    reply = codec_named(codec).encode(Response(1, kind("no more room").to_fault()))
    with (
        scripted(reply) as address,
        connect(address, codec=codec, timeout_s=30) as client,
        pytest.raises(kind, match="pay: no more room") as raised,
    ):
        client.call("pay", 1)
    assert raised.value.happened is kind.happened


@pytest.mark.parametrize("semantics", ["maybe", "at-least-once"])
def test_a_server_that_hardly_reads_holds_nobody_beyond_the_deadline(semantics: Any) -> None:
    enough = threading.Event()

    def read_slowly(listener: socket.socket) -> None:
        reader, _ = listener.accept()
        with reader:
            while reader.recv(20_000) and not enough.wait(0.02):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=read_slowly, args=[listener])
        thread.start()
        with connect(Address(*listener.getsockname()), semantics=semantics, timeout_s=30) as client:
            client.timeout_s = 0.2
            began_s = time.monotonic()
            with pytest.raises((PeerClosed, PeerSilent)) as raised:
                client.call("echo", b"x" * 15_000_000)
            took_s = time.monotonic() - began_s
        enough.set()
        thread.join(30)
    assert raised.value.happened is Happened.UNKNOWN
    assert took_s < 5  # to be read it takes some ten


class Slow:
    """A clock, and a connection by which it goes."""

    now_s = 100.0

    def __init__(self, takes_s: list[float]) -> None:
        self.takes_s = takes_s

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, wait_s: float) -> None:
        self.now_s += wait_s

    def send(self, data: bytes, wait_s: float) -> None:
        needed_s = self.takes_s.pop(0) if len(self.takes_s) > 1 else self.takes_s[0]
        self.now_s += min(needed_s, wait_s)
        if needed_s > wait_s:
            raise TimeoutError

    def receive(self, wait_s: float) -> None:
        self.now_s += max(wait_s, 0.0)

    def close(self) -> None: ...


@pytest.mark.parametrize("semantics", ["maybe", "at-least-once"])
@pytest.mark.parametrize("takes_s", [[0.8], [0.0, 5.0]], ids=["at-once", "again"])
def test_what_a_message_takes_to_be_sent_is_part_of_its_calls_time(
    semantics: Any, takes_s: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow([*takes_s])
    monkeypatch.setattr(client_module, "time", slow)
    monkeypatch.setattr(Client, "_connect", lambda *_: slow)
    with (
        connect("127.0.0.1:1", semantics=semantics, timeout_s=1.0, retry_s=0.7) as client,
        pytest.raises(PeerSilent),
    ):
        client.call("echo", 1)
    assert slow.now_s == pytest.approx(101.0)


def test_what_a_batch_takes_to_be_made_and_sent_is_part_of_its_calls_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Slow([5.0])
    monkeypatch.setattr(client_module, "time", slow)
    monkeypatch.setattr(Client, "_connect", lambda *_: slow)
    with connect("127.0.0.1:1", semantics="at-least-once", timeout_s=1.0) as client:
        with client.batch():
            slow.sleep(0.2)
            first = client.begin("echo", 1)
            slow.sleep(0.4)
            second = client.begin("echo", 2)
            slow.sleep(0.4)
        assert slow.now_s == pytest.approx(101.6)
        for call in (first, second):
            with pytest.raises(PeerSilent):
                call.result()
        assert slow.now_s == pytest.approx(101.6)


@contextmanager
def out_of_reach() -> Iterator[Client]:
    """A client, patient when it connected, whose server has closed the connection and takes no other."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        address = Address(*listener.getsockname())
        client = stack.enter_context(connect(address, timeout_s=30, semantics="at-least-once", retry_s=0.01))
        listener.accept()[0].close()
        for _ in range(3):  # nobody accepts these, and there is no room for more
            other = stack.enter_context(socket.socket())
            other.setblocking(False)
            with suppress(BlockingIOError):
                other.connect(address.pair)
        yield client


def test_to_connect_again_takes_no_longer_than_the_call_may() -> None:
    with out_of_reach() as client:
        client.timeout_s = 0.2
        began_s = time.monotonic()
        with pytest.raises(PeerSilent):
            client.call("deposit", 1)
        assert time.monotonic() - began_s < 10


def test_to_ask_whether_a_call_is_done_does_not_wait_for_a_connection() -> None:
    with out_of_reach() as client:
        later = client.begin("deposit", 1)
        began_s = time.monotonic()
        assert not any(later.done() for _ in range(10))
        assert time.monotonic() - began_s < 10


def test_silence_ends_at_the_deadline_and_leaves_it_unknown(serve: Any) -> None:
    release = threading.Event()
    address = serve(release.wait, workers=1)
    try:
        with connect(address, timeout_s=30) as client:
            client.timeout_s = 0.2
            with pytest.raises(PeerSilent) as raised:
                client.call("wait", 30)
    finally:
        release.set()
    assert raised.value.happened is Happened.UNKNOWN
    assert "0.2 s" in str(raised.value)


@contextmanager
def losing_the_first(server: Address) -> Iterator[str]:
    """A way to a server over UDP on which the first datagram is lost."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as relay:
        relay.bind(("127.0.0.1", 0))
        address = relay.getsockname()

        def carry() -> None:
            _, client = relay.recvfrom(65_535)
            while datagram := relay.recvfrom(65_535):
                data, sender = datagram
                if sender == address:
                    return
                relay.sendto(data, client if sender == server.pair else server.pair)

        thread = threading.Thread(target=carry)
        thread.start()
        try:
            yield f"127.0.0.1:{address[1]}"
        finally:
            for _ in range(2):  # the first may be lost
                relay.sendto(b"", address)
            thread.join(30)


def test_a_greeting_that_is_lost_is_sent_again_long_before_the_deadline(serve: Any, bank: Bank) -> None:
    address = serve(bank, transport="udp")
    options: Any = {"transport": "udp", "semantics": "at-most-once", "retry_s": 0.02, "timeout_s": 10.0}
    with losing_the_first(address) as way, connect(way, **options) as client:
        assert client.call("deposit", 1) == 1
        assert client.stub.sent >= 3  # the greeting twice, the call once


class Silence:
    """A connection on which nothing comes; time passes only while somebody waits."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s

    def send(self, data: bytes, wait_s: float) -> None:
        pass

    def receive(self, wait_s: float) -> None:
        self.now_s += max(0.0, wait_s)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_a_reply_that_is_fetched_late_is_not_waited_for_beyond_its_deadline(
    semantics: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    silence = Silence()
    monkeypatch.setattr(Client, "_connect", lambda *_: silence)
    monkeypatch.setattr(client_module, "time", silence)
    client = connect("127.0.0.1:7000", semantics=semantics, timeout_s=10.0)
    later = client.begin("deposit", 1)
    silence.now_s += 9.0  # the caller does something else
    with pytest.raises(PeerSilent):
        later.result()
    assert silence.now_s == 110.0


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_a_client_that_is_closed_says_so(serve: Any, bank: Bank, semantics: Any) -> None:
    client = connect(serve(bank), timeout_s=30, semantics=semantics)
    under_way = client.begin("deposit", 1)
    client.close()
    with pytest.raises(PeerClosed, match="deposit: the client closed its connection"):
        under_way.result()
    for use in (client.call, client.begin, client.notify):
        with pytest.raises(PeerClosed, match="deposit: this client is closed") as raised:
            use("deposit", 1)
        assert raised.value.happened is Happened.NO
    with pytest.raises(PeerClosed, match="this batch: this client is closed"), client.batch():
        pass
    with pytest.raises(PeerClosed, match="open: this client is closed"):
        client.open()
    client.close()
