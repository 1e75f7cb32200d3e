"""Objects and activation; generated stubs; byte order."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerViolation, UsageError
from dslab.rpc import byteorder, http, server, server_threads
from dslab.rpc import objects as objects_module
from dslab.rpc.client import connect
from dslab.rpc.codecs import codec_named
from dslab.rpc.dispatch import Dispatcher
from dslab.rpc.errors import (
    BadArguments,
    Busy,
    NoSuchMethod,
    NotAllowed,
    RemoteError,
    exception_of,
    fault_of,
    named,
)
from dslab.rpc.interceptors import Invocation, Proceed
from dslab.rpc.messages import MalformedMessage, Request, Response
from dslab.rpc.msgpack_rpc import MsgpackCodec
from dslab.rpc.objects import Objects
from dslab.rpc.registry import lookup
from dslab.rpc.service import Service
from dslab.rpc.stubs import argument


class Counter:
    def __init__(self) -> None:
        self.value = 0

    def add(self, amount: int = 1) -> int:
        self.value += amount
        return self.value

    def named(self, *, name: str) -> str:
        return name

    @staticmethod
    def double(number: int) -> int:
        return 2 * number

    def asks_another(self) -> None:
        raise Busy("the other server")


def call(objects: Objects, peer: Any, method: str, *arguments: Any, **named: Any) -> Any:
    return objects.call(peer, Request(1, method, named or list(arguments)))


@pytest.mark.parametrize(
    ("activation", "expected"),
    [("shared", [1, 2, 3, 4]), ("per-client", [1, 1, 2, 2]), ("per-call", [1, 1, 1, 1])],
)
def test_which_instance_serves_a_call(activation: Any, expected: list[int]) -> None:
    objects = Objects()
    objects.register(Counter, activation=activation)
    assert [call(objects, peer, "add") for peer in ("a", "b", "a", "b")] == expected
    objects.forget("a")
    assert call(objects, "a", "add") == {"shared": 5, "per-client": 1, "per-call": 1}[activation]
    assert call(objects, "a", "double", 4) == 8


def test_per_client_is_per_connection(serve: Any, run_service: Any) -> None:
    service = Service(MsgpackCodec(), 1)
    service.objects.register(Counter, activation="per-client")
    address = run_service(service)
    with connect(address) as one, connect(address) as other:
        assert [one.call("add"), one.call("add"), other.call("add")] == [1, 2, 1]
    with connect(address) as later:
        assert later.call("add") == 1


@pytest.mark.parametrize(("by", "codec"), [(server, "msgpack"), (http, "json-http")])
def test_a_client_that_goes_before_its_call_is_executed_leaves_no_instance(
    by: Any, codec: str, run_service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, taken, lost, made = (
        threading.Event(),
        threading.Semaphore(0),
        threading.Event(),
        threading.Event(),
    )
    take, connection_lost = Dispatcher.take, by._Connection.connection_lost

    def take_and_tell(*arguments: Any) -> None:
        take(*arguments)
        taken.release()

    def lose_and_tell(*arguments: Any) -> None:
        connection_lost(*arguments)
        lost.set()

    monkeypatch.setattr(Dispatcher, "take", take_and_tell)
    monkeypatch.setattr(by._Connection, "connection_lost", lose_and_tell)

    class Kept:
        def __init__(self) -> None:
            made.set()

        def use(self) -> None: ...

    def block() -> bool:
        return release.wait(60)

    service = Service(codec_named(codec.removesuffix("-http")), 1)
    service.objects.register(block)
    service.objects.register(Kept, activation="per-client")
    message = service.codec.encode(Request(1, "use", []))
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(message) if by is http else b""
    address = run_service(service, workers=1, by=by)
    with connect(address, codec=codec, timeout_s=60) as other:
        other.begin("block")
        assert taken.acquire(timeout=30)
        with socket.create_connection(address.pair) as going:
            going.sendall(head + message)
            assert taken.acquire(timeout=30)
            going.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # resets
        assert lost.wait(30)
        release.set()
        assert made.wait(30)
        assert other.call("block")  # by the only worker, after that
        assert not service.objects._instances


def test_who_calls_over_and_over_keeps_his_instance_though_many_others_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objects_module, "MAX_PEERS", 2)
    objects = Objects()
    objects.register(Counter, activation="per-client")
    for peer in ("b", "c", "d"):
        call(objects, "a", "add")
        call(objects, peer, "add")
    assert call(objects, "a", "add") == 4


def test_objects_have_names() -> None:
    objects = Objects()
    objects.register(Counter(), "first")
    objects.register(Counter(), "second.inner")
    objects.register(len, "length")
    assert call(objects, "x", "first.add", 5) == 5
    assert call(objects, "x", "second.inner.add") == 1
    assert call(objects, "x", "length", [1]) == 1
    objects.unregister("first")
    with pytest.raises(NoSuchMethod):
        call(objects, "x", "first.add")
    assert "second.inner.add" in objects


@pytest.mark.parametrize("name", ["_private", "a._b", "rpc", "rpc.hello"])
def test_a_private_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        Objects().register(len, name)


def test_a_name_is_given_once() -> None:
    objects = Objects()
    objects.register(len)
    with pytest.raises(UsageError, match="already"):
        objects.register(len)
    with pytest.raises(UsageError, match="no public method"):
        objects.register(object())


@pytest.mark.parametrize(
    ("method", "arguments", "named"),
    [
        ("add", (1, 2), {}),
        ("add", (), {"x": 1}),
        ("named", (), {}),
        ("named", ("x",), {}),
        ("double", (), {}),
    ],
)
def test_wrong_arguments(method: str, arguments: Any, named: Any) -> None:
    objects = Objects()
    objects.register(Counter())
    with pytest.raises(BadArguments):
        call(objects, "x", method, *arguments, **named)


def test_that_a_nested_call_did_not_happen_does_not_mean_that_the_outer_one_did_not(serve: Any) -> None:
    with connect(serve(Counter())) as client, pytest.raises(RemoteError, match="Busy") as raised:
        client.call("asks_another")
    assert raised.value.happened is Happened.YES


# ---- generated stubs

INTERFACE = """
from __future__ import annotations
from dataclasses import dataclass
from typing import Protocol

@dataclass
class Account:
    owner: str
    balance: int = 0

class Bank(Protocol):
    def open(self, account: Account) -> Account: ...
    def deposit(self, owner: str, amount: int = 1) -> int: ...
    def owners(self) -> list[str]: ...
    def close(self) -> None: ...

class Real:
    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
    def open(self, account: Account) -> Account:
        self.accounts[account.owner] = account
        return account
    def deposit(self, owner: str, amount: int = 1) -> int:
        self.accounts[owner].balance += amount
        return self.accounts[owner].balance
    def owners(self) -> list[str]:
        return list(self.accounts)
    def close(self) -> None:
        self.accounts.clear()
"""


@pytest.fixture
def stubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that the command writes."""
    (tmp_path / "bank_interface.py").write_text(INTERFACE)
    command = [sys.executable, "-m", "dslab.rpc", "stubs", f"{tmp_path / 'bank_interface.py'}:Bank"]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (tmp_path / "bank_stubs.py").write_text(written)
    monkeypatch.syspath_prepend(tmp_path)
    import importlib

    yield importlib.import_module("bank_stubs"), importlib.import_module("bank_interface"), tmp_path
    for name in ("bank_stubs", "bank_interface"):
        del sys.modules[name]


def test_generated_stubs_check_and_convert(stubs: Any, serve: Any) -> None:
    module, interface, _ = stubs
    with connect(serve(module.BankServer(interface.Real()))) as client:
        bank = module.BankClient(client.call)
        assert bank.open(interface.Account("alice")) == interface.Account("alice", 0)
        assert (bank.deposit("alice", 5), bank.deposit("alice")) == (5, 6)
        assert bank.owners() == ["alice"]
        with pytest.raises(BadArguments, match="amount") as raised:
            bank.deposit("alice", "much")
        assert raised.value.happened is Happened.NO
        with pytest.raises(BadArguments, match="account"):
            client.call("open", {"balance": 1})
        assert bank.close() is None


def test_a_client_stub_checks_what_comes_back(stubs: Any) -> None:
    module, _, _ = stubs
    bank = module.BankClient(lambda *_: "text")
    with pytest.raises(PeerViolation, match="promise"):
        bank.deposit("alice", 1)


def test_a_type_checker_understands_generated_stubs(stubs: Any) -> None:
    _, _, folder = stubs
    (folder / "use.py").write_text(
        "from bank_interface import Account, Bank\n"
        "from bank_stubs import BankClient, BankServer\n"
        "def use(bank: Bank) -> int:\n"
        "    return bank.deposit('alice', 1)\n"
        "use(BankClient(print))\n"
        "BankServer(BankClient(print))\n"
        "wrong: str = BankClient(print).deposit('alice', 1)\n"
        "BankClient(print).deposit(1)\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache"), "use.py"]
    checked = subprocess.run(
        command, cwd=folder, env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    errors = [line for line in checked.stdout.splitlines() if "error:" in line]
    assert [line.split(":")[:2] for line in errors] == [["use.py", "7"], ["use.py", "8"]], checked.stdout


# ---- byte order


@pytest.mark.parametrize("order", ["big", "little"])
def test_either_order_arrives_where_it_is_told(order: Any) -> None:
    data = byteorder.to_tagged("iqd", 7, -1, 0.5, order=order)
    assert byteorder.from_tagged("iqd", data) == (7, -1, 0.5)
    assert byteorder.from_network("iqd", byteorder.to_network("iqd", 7, -1, 0.5)) == (7, -1, 0.5)


def test_what_native_order_comes_to() -> None:
    assert byteorder.misread("i", 7, written="little", read="big") == (117_440_512,)
    assert byteorder.to_network("i", 7) == b"\x00\x00\x00\x07"


@pytest.mark.parametrize("data", [b"", b"\x02\x00\x00\x00\x00", b"\x00\x00"])
def test_no_such_order_and_too_few_bytes(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        byteorder.from_tagged("i", data)


# ---- the command line


def test_a_server_registers_itself(serve_process: Any, tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text("def add(a, b): return a + b")
    command = [sys.executable, "-m", "dslab.rpc", "registry", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as registry:
        assert registry.stdout is not None
        where = registry.stdout.readline().split()[-1]
        address, _ = serve_process(
            "--object", f"{tmp_path}/served.py:add", "--registry", where, "--register", "adder"
        )
        assert [str(each) for each in lookup(where, "adder")] == [address]
        registry.terminate()


def test_what_a_service_executes_is_a_response() -> None:
    service = Service(MsgpackCodec(), 1)
    service.objects.register(Counter())
    assert service.execute(None, Request(1, "add", [2]), 0.0) == Response(1, None, 2)


# ---- what a procedure may raise


class BadText(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class BadShow:
    def __repr__(self) -> str:
        raise RuntimeError


@dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Says(Exception):
    def __init__(self, code: Any) -> None:
        super().__init__(f"code {code}")


def sent(error: BaseException, *known: type[Exception]) -> Exception:
    """Give what a client makes of it."""
    codec = MsgpackCodec()
    reply = codec.decode(codec.encode(Response(1, fault_of(error))))
    assert isinstance(reply, Response)
    return exception_of(reply.error, "work", named(known))


@pytest.mark.parametrize(
    "error",
    [BadText(), ValueError(BadShow()), ValueError("\udc80"), SystemExit(3)],
    ids=["text", "argument", "surrogate", "exit"],
)
def test_every_exception_travels(error: BaseException) -> None:
    assert isinstance(sent(error), RemoteError | ValueError)


def test_an_exception_comes_back_as_it_was_or_not_as_its_own_type() -> None:
    assert sent(Frozen(3), Frozen) == Frozen(3)
    remote = sent(Says(3), Says)
    assert isinstance(remote, RemoteError)
    assert (remote.type_name, remote.arguments) == ("Says", ("code 3",))
    missing = sent(FileNotFoundError(2, "No such file", "there"))
    assert isinstance(missing, FileNotFoundError)
    assert (missing.filename, str(missing)) == ("there", "[Errno 2] No such file: 'there'")
    moved = sent(FileExistsError(17, "File exists", "here", None, "there"))
    assert isinstance(moved, FileExistsError)
    assert (moved.filename, moved.filename2) == ("here", "there")


class Misbehaves:
    def leave(self) -> None:
        sys.exit(3)

    def bad_text(self) -> None:
        raise BadText

    async def bad_text_later(self) -> None:
        raise BadText

    async def leave_later(self) -> None:
        sys.exit(3)

    async def cancel_another(self) -> None:
        other = asyncio.ensure_future(asyncio.sleep(60))
        other.cancel()
        await other

    async def cancel_itself(self) -> None:
        task = asyncio.current_task()
        assert task
        task.cancel()
        await asyncio.sleep(60)

    def add(self, a: int, b: int) -> int:
        return a + b


@pytest.mark.parametrize("semantics", ["maybe", "at-most-once"])
@pytest.mark.parametrize("server", [{}, {"workers": 1}, {"transport": "threads"}], ids=str)
def test_no_procedure_ends_its_server_or_loses_its_reply(
    serve: Any, server: dict[str, Any], semantics: Any
) -> None:
    address = serve(Misbehaves(), max_in_flight=1, **server)
    with connect(address, timeout_s=30, semantics=semantics) as client:
        for method in (each for each in vars(Misbehaves) if not each.startswith("_") and each != "add"):
            client.notify(method)
            with pytest.raises(RemoteError):
                client.call(method)
        assert client.call("add", 1, 2) == 3


def test_threads_that_call_for_one_client_at_once_meet_one_instance() -> None:
    made: list[int] = []
    inside = threading.Barrier(4)

    class Slow(Counter):
        def __init__(self) -> None:
            super().__init__()
            made.append(1)
            time.sleep(0.01)  # whoever would make another has the time

    objects = Objects()
    objects.register(Slow, activation="per-client")

    def first() -> None:
        inside.wait(30)
        call(objects, "a", "add")

    threads = [threading.Thread(target=first) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


@pytest.mark.parametrize("transport", ["tcp", "threads"])
def test_what_stands_before_a_coroutine_function_refuses_before_it_begins(
    run_service: Any, transport: str
) -> None:
    class Adder:
        async def add(self, a: int) -> int:
            return argument("a", a, int) + 1  # type: ignore[no-any-return]

        async def asks_another(self) -> None:
            raise Busy("the other server")

    async def forbids(invocation: Invocation, proceed: Proceed) -> Any:
        if invocation.params == ["forbidden"]:
            raise NotAllowed("not this")
        return await proceed(invocation)

    service = Service(MsgpackCodec(), 1)
    service.objects.register(Adder())
    with ExitStack() as stack:
        address = (
            stack.enter_context(server_threads.serving(Address("127.0.0.1", 0), service))
            if transport == "threads"
            else run_service(service)
        )
        for semantics in ("maybe", "at-most-once"):
            with connect(address, timeout_s=60, semantics=semantics) as client:
                service.objects.interceptors.clear()
                for wrong, kind in (("x", BadArguments), ("forbidden", NotAllowed)):
                    with pytest.raises(kind) as refused:
                        client.call("add", wrong)
                    assert refused.value.happened is Happened.NO
                    service.objects.interceptors.append(forbids)
                with pytest.raises(RemoteError, match="Busy") as raised:
                    client.call("asks_another")
                assert raised.value.happened is Happened.YES
                assert client.call("add", 1) == 2


def test_what_only_we_mean_by_an_error_may_be_nonsense_of_others() -> None:
    error = exception_of({"code": -32601, "message": "no", "data": {"dslab.error": 5}}, "add", {})
    assert isinstance(error, NoSuchMethod)
    assert str(error) == "add: 5."


@pytest.mark.parametrize("text", ["not 'a..b' but '...'", "it ends by itself."])
def test_an_error_says_its_text_with_one_stop_at_the_end(text: str) -> None:
    error = exception_of(fault_of(BadArguments(text)), "add", {})
    assert str(error) == f"add: {text.removesuffix('.')}."
