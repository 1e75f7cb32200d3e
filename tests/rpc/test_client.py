"""The blocking client against our own server, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerClosed, PeerRefused, PeerSilent, UsageError
from dslab.rpc import client as client_module
from dslab.rpc import connection
from dslab.rpc.client import connect
from dslab.rpc.errors import BadArguments, DoesNotTravel, NoSuchMethod, RemoteError, ReplyUnfit


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
    with connect(address, codec=codec, semantics=semantics) as client:
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


def test_deferred_synchronous_calls_are_answered_out_of_order(address: Address, codec: str) -> None:
    with connect(address, codec=codec, timeout_s=30) as client:
        slow = client.begin("later", 0.2, "slow")
        quick = client.begin("echo", "quick")
        assert quick.result() == "quick"
        assert not slow.done()
        assert slow.result() == "slow"
        assert slow.done()


def test_one_way_calls_are_executed_and_not_answered(address: Address, bank: Bank, codec: str) -> None:
    with connect(address, codec=codec) as client:
        client.notify("notice")
        client.notify("nothing of that name")
        assert bank.noticed.wait(30)
        assert client.call("deposit", 1) == 1
        assert client.stub.discarded == 0


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


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(PeerRefused) as raised:
        connect(f"127.0.0.1:{port}")
    assert raised.value.happened is Happened.NO


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


def test_a_reply_that_nobody_asked_for_is_not_taken_for_another() -> None:
    stray, own = b"\x94\x01\x63\xc0\x07", b"\x94\x01\x01\xc0\x08"  # ids 99 and 1, results 7 and 8
    with scripted(stray + own) as address, connect(address) as client:
        assert client.call("deposit", 1) == 8
        assert client.stub.discarded == 1


def test_silence_ends_at_the_deadline_and_leaves_it_unknown(serve: Any) -> None:
    release = threading.Event()
    address = serve(release.wait, workers=1)
    try:
        with connect(address, timeout_s=0.2) as client, pytest.raises(PeerSilent) as raised:
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

    def send(self, data: bytes) -> None:
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
    monkeypatch.setattr(connection, "connect", lambda *_: silence)
    monkeypatch.setattr(client_module, "time", silence)
    client = connect("127.0.0.1:7000", semantics=semantics, timeout_s=10.0)
    later = client.begin("deposit", 1)
    silence.now_s += 9.0  # the caller does something else
    with pytest.raises(PeerSilent):
        later.result()
    assert silence.now_s == 110.0
