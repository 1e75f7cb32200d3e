"""The asyncio and the threaded client."""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerClosed, PeerRefused, PeerSilent, UsageError
from dslab.rpc import aclient, threaded
from dslab.rpc.client import dial_by
from dslab.rpc.codecs import codec_named
from dslab.rpc.errors import DoesNotTravel, NoSuchMethod
from dslab.rpc.inbox import Inbox
from dslab.rpc.interceptors import Invocation, Proceed
from dslab.rpc.messages import MalformedMessage
from dslab.rpc.multicast import multicast
from dslab.rpc.references import by_reference, service_with_references


class Numbers:
    def __init__(self) -> None:
        self.total = 0

    def add(self, amount: int) -> int:
        self.total += amount
        return self.total

    def divide(self, a: int, b: int) -> float:
        return a / b

    def echo(self, value: Any) -> Any:
        return value

    async def later(self, delay_s: float, value: Any) -> Any:
        await asyncio.sleep(delay_s)
        return value


@pytest.fixture
def address(serve: Any) -> Address:
    return serve(Numbers())  # type: ignore[no-any-return]


@pytest.mark.parametrize("semantics", ["maybe", "at-least-once", "at-most-once"])
def test_many_calls_at_once(address: Address, semantics: Any) -> None:
    async def run() -> None:
        async with await aclient.connect(address, semantics=semantics, timeout_s=60) as client:
            numbers = client.proxy()
            assert await numbers.add(5) == 5
            replies = await asyncio.gather(*(numbers.echo(number) for number in range(1_000)))
            assert replies == list(range(1_000))

    asyncio.run(run())


def test_slow_calls_overlap(address: Address) -> None:
    async def run() -> float:
        async with await aclient.connect(address, timeout_s=60) as client:
            began_s = asyncio.get_running_loop().time()
            await asyncio.gather(*(client.call("later", 0.2, number) for number in range(50)))
            return asyncio.get_running_loop().time() - began_s

    assert asyncio.run(run()) < 50 * 0.2 / 2


def test_errors_are_their_own_callers(address: Address) -> None:
    async def run() -> list[Any]:
        async with await aclient.connect(address) as client:
            calls = [client.call("divide", 1, 0), client.call("nothing"), client.call("add", 1)]
            with pytest.raises(DoesNotTravel):
                await client.call("echo", object())
            return await asyncio.gather(*calls, return_exceptions=True)

    divided, missing, added = asyncio.run(run())
    assert isinstance(divided, ZeroDivisionError)
    assert isinstance(missing, NoSuchMethod)
    assert added == 1


@pytest.mark.parametrize("semantics", ["maybe", "at-least-once", "at-most-once"])
@pytest.mark.parametrize("values", [(object(), 5), (5, object())])
def test_a_bad_first_argument_is_its_own_callers(
    address: Address, semantics: Any, values: tuple[object, object]
) -> None:
    async def run() -> list[Any]:
        async with await aclient.connect(address, semantics=semantics, timeout_s=60) as client:
            calls = [client.call("echo", value) for value in values]
            return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = dict(zip(values, asyncio.run(run()), strict=True))
    assert outcomes.pop(5) == 5
    assert [type(outcome) for outcome in outcomes.values()] == [DoesNotTravel]


@pytest.mark.parametrize("semantics", ["maybe", "at-least-once", "at-most-once"])
def test_arguments_are_copied_in_when_the_call_begins(address: Address, semantics: Any) -> None:
    async def run() -> None:
        options: Any = {"semantics": semantics, "deadlines": True, "timeout_s": 60}
        async with await aclient.connect(address, **options) as client:
            words = ["a"]
            alone = client.begin("echo", words)
            words.append("b")
            with client.batch():
                in_a_batch = client.begin("echo", words)
                words.clear()
            assert (await alone, await in_a_batch) == (["a"], ["a", "b"])

    asyncio.run(run())


def test_a_batch_that_is_given_up_did_not_happen(address: Address) -> None:
    async def run() -> None:
        async with await aclient.connect(address, timeout_s=60) as client:
            with pytest.raises(DoesNotTravel), client.batch():
                good = client.begin("add", 100)
                client.begin("add", object())
            with pytest.raises(PeerSilent, match="never sent") as raised:
                await good
            assert raised.value.happened is Happened.NO
            assert await client.call("add", 1) == 1

    asyncio.run(run())


def test_a_server_that_never_reads_holds_nobody_beyond_the_deadline() -> None:
    async def run(address: Address) -> None:
        client = await aclient.connect(address, timeout_s=30)
        client.timeout_s = 0.2
        first = client.begin("echo", b"x" * 10_000_000)
        await asyncio.sleep(0)
        with pytest.raises(PeerSilent, match="never sent") as raised:
            await client.call("echo", 1)
        assert raised.value.happened is Happened.NO
        with pytest.raises(PeerSilent):
            await first
        await client.close()

    async def run_in_time(address: Address) -> None:
        async with asyncio.timeout(30):
            await run(address)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        asyncio.run(run_in_time(Address(*listener.getsockname())))


def test_what_waits_for_the_server_to_read_is_sent_when_it_does(serve: Any) -> None:
    reads = threading.Event()

    async def run(address: Address) -> None:
        async with await aclient.connect(address, timeout_s=60) as client:
            client.begin("wait", 30)
            long = client.begin("echo", b"x" * 10_000_000)
            await asyncio.sleep(0)
            assert client.stub.full
            short = [client.begin("echo", number) for number in range(3)]
            reads.set()
            assert [await each for each in short] == [0, 1, 2]
            assert len(await long) == 10_000_000

    asyncio.run(run(serve(Numbers(), reads.wait)))


def test_one_way_calls_wait_for_the_server_to_read() -> None:
    async def run(address: Address) -> None:
        client = await aclient.connect(address, timeout_s=30)
        client.timeout_s = 0.1
        for _ in range(30):
            client.notify("add", b"x" * 1_000_000)
            await asyncio.sleep(0)
        assert client._wire is not None
        assert client._wire.transport.get_write_buffer_size() < 10_000_000
        await client.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        asyncio.run(run(Address(*listener.getsockname())))


def test_one_way_calls_that_wait_for_the_server_to_read_are_sent_before_the_end() -> None:
    closes = threading.Event()

    def read(listener: socket.socket) -> int:
        connected, _ = listener.accept()
        inbox = Inbox(codec_named("msgpack"))
        assert closes.wait(30)
        came = 0
        with connected:
            while count := connected.recv_into(inbox.get_buffer()):
                came += len(inbox.received(count))
        return came

    async def run(address: Address) -> None:
        client = await aclient.connect(address, timeout_s=60)
        for _ in range(100):
            client.notify("add", b"x" * 200_000)
            await asyncio.sleep(0)
        assert len(client.stub)
        closes.set()
        await client.close()

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:
        reading = pool.submit(read, listener)
        asyncio.run(run(Address(*listener.getsockname())))
        assert reading.result(30) == 100


def test_one_way_calls_wait_for_the_next_connection(address: Address) -> None:
    async def run() -> None:
        async with await aclient.connect(address, timeout_s=60) as client:
            await client.call("add", 1)
            assert client._wire is not None
            client._wire.transport.abort()
            while client._wire is not None:
                await asyncio.sleep(0)
            for _ in range(5):
                client.notify("add", 1)
            assert await client.call("add", 1) == 7

    asyncio.run(run())


def test_a_batch_outlives_the_connection_that_ends_while_it_is_made(address: Address) -> None:
    async def run() -> None:
        async with await aclient.connect(address, timeout_s=60) as client:
            await client.call("add", 1)
            with client.batch():
                client.notify("add", 1)
                later = client.begin("add", 1)
                assert client._wire is not None
                client._wire.transport.abort()
                while client._wire is not None:
                    await asyncio.sleep(0)
            assert await later == 3

    asyncio.run(run())


def test_nonsense_does_not_tell_whether_it_happened() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        await reader.read()
        writer.close()

    async def run(codec: str) -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            address = Address(*server.sockets[0].getsockname())
            async with await aclient.connect(address, codec=codec, timeout_s=60) as client:
                with pytest.raises(MalformedMessage) as raised:
                    await client.call("add", 1)
                assert raised.value.happened is Happened.UNKNOWN

    for codec in ("msgpack", "json"):
        asyncio.run(run(codec))


@pytest.mark.parametrize("why", [socket.gaierror("no such name"), OSError("Multiple exceptions: ...")])
def test_a_server_that_cannot_be_found_did_not_do_it(why: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_: Any, **__: Any) -> Any:
        raise why

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(PeerRefused) as raised:
        asyncio.run(aclient.connect("nowhere:1"))
    assert raised.value.happened is Happened.NO


def test_a_deadline_and_a_cancellation_end_only_their_own_call(address: Address) -> None:
    async def run() -> None:
        async with await aclient.connect(address, timeout_s=60) as client:
            held = asyncio.create_task(client.call("later", 50.0, "never"))
            await client.call("echo", 1)
            held.cancel()
            await asyncio.gather(held, return_exceptions=True)
            assert held.cancelled()
            client.timeout_s = 0.1
            with pytest.raises(PeerSilent) as raised:
                await client.call("later", 50.0, "never")
            assert raised.value.happened is Happened.UNKNOWN
            client.timeout_s = 60
            assert await client.call("echo", 2) == 2
            assert len(client.stub) == 0

    asyncio.run(run())


def test_a_long_message_both_ways(address: Address) -> None:
    async def run() -> None:
        async with await aclient.connect(address, timeout_s=60) as client:
            data = bytes(range(256)) * 16_384
            assert await client.call("echo", data) == data
            assert await asyncio.gather(*(client.call("echo", data) for _ in range(3))) == [data] * 3

    asyncio.run(run())


def test_a_batch(serve: Any) -> None:
    address = serve(Numbers(), codec="json")

    async def run() -> list[int]:
        async with await aclient.connect(address, codec="json") as client:
            with client.batch():
                calls = [client.begin("add", number) for number in range(1, 4)]
            return [await call for call in calls]

    assert asyncio.run(run()) == [1, 3, 6]


def test_a_connection_that_breaks_is_made_anew_where_calls_may_be_sent_again(address: Address) -> None:
    async def run() -> None:
        async with await aclient.connect(address, semantics="at-most-once", timeout_s=60) as client:
            assert await client.call("add", 1) == 1
            waiting = client.begin("later", 0.2, "kept")
            await client.call("echo", 1)
            assert client._wire is not None
            client._wire.transport.abort()
            assert await waiting == "kept"
            assert await client.call("add", 1) == 2

        async with await aclient.connect(address, timeout_s=60) as client:
            waiting = client.begin("later", 60.0, "lost")
            await client.call("echo", 1)
            assert client._wire is not None
            client._wire.transport.abort()
            with pytest.raises(PeerClosed) as raised:
                await waiting
            assert raised.value.happened is Happened.UNKNOWN

    asyncio.run(run())


def test_threads_share_a_client(address: Address) -> None:
    with (
        threaded.connect(address, timeout_s=60) as client,
        concurrent.futures.ThreadPoolExecutor(8) as pool,
    ):
        assert sorted(pool.map(client.call, ["add"] * 100, [1] * 100)) == list(range(1, 101))


def test_a_callback_is_called_with_the_reply(address: Address) -> None:
    called = threading.Event()
    seen: list[Any] = []

    def callback(reply: concurrent.futures.Future[Any]) -> None:
        seen.append(reply.result())
        called.set()

    with threaded.connect(address) as client:
        client.submit("later", 0.05, "x").add_done_callback(callback)
        assert called.wait(30)
        client.notify("add", 2)
        assert client.proxy().add(1) == 3
    assert seen == ["x"]


def test_the_arguments_of_a_submitted_call_are_copied_in_at_once(address: Address) -> None:
    with threaded.connect(address, timeout_s=60) as client:
        words = ["a"]
        later = client.submit("echo", words)
        words.clear()
        assert later.result() == ["a"]
        with pytest.raises(DoesNotTravel):
            client.submit("echo", object())


def test_nobody_listens(address: Address) -> None:
    with pytest.raises(PeerRefused):
        threaded.connect("127.0.0.1:1")


# ---- giving up


async def hand_on(invocation: Invocation, proceed: Proceed) -> Any:
    return await proceed(invocation)


@pytest.mark.parametrize("how", ["call", "begin", "intercepted"])
def test_a_call_that_is_cancelled_is_given_up(address: Address, how: str) -> None:
    async def run() -> None:
        async with await aclient.connect(address, semantics="at-least-once", timeout_s=60) as client:
            if how == "intercepted":
                client.interceptors.append(hand_on)
            begun = client.begin if how == "begin" else client.call
            waiting = asyncio.ensure_future(begun("later", 60.0, "never"))
            while not client.stub.sent:
                await asyncio.sleep(0)
            assert await client.call("echo", 1) == 1  # by now the server has begun the other
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert waiting.cancelled()
            assert len(client.stub) == 0

    asyncio.run(run())


@pytest.mark.parametrize("how", ["call", "begin"])
def test_what_waits_behind_a_call_that_is_cancelled_is_sent_at_once(serve: Any, how: str) -> None:
    address = serve(Numbers(), window=1)

    async def run() -> None:
        options: Any = {"semantics": "at-most-once", "retry_s": 60.0, "timeout_s": 60.0}
        async with await aclient.connect(address, **options) as client:
            await client.call("echo", 0)
            begun = client.begin if how == "begin" else client.call
            slow = asyncio.ensure_future(begun("later", 60.0, "never"))
            behind = asyncio.ensure_future(client.call("echo", 1))
            while len(client.stub) < 2:
                await asyncio.sleep(0)
            slow.cancel()
            async with asyncio.timeout(30):
                assert await behind == 1

    asyncio.run(run())


def test_a_batch_with_an_interceptor_that_lets_nothing_begin_within_it_is_refused(address: Address) -> None:
    async def run() -> None:
        async with await aclient.connect(address, timeout_s=60) as client:
            client.interceptors.append(hand_on)
            with pytest.raises(UsageError, match="coroutine function"), client.batch():
                pytest.fail("it was let in")
            assert await client.call("echo", 1) == 1

    asyncio.run(run())


# ---- the end


def test_a_client_that_is_closed_says_so(address: Address) -> None:
    async def run() -> None:
        client = await aclient.connect(address, timeout_s=60)
        under_way = client.begin("later", 60.0, "never")
        await client.call("echo", 1)
        await client.close()
        with pytest.raises(PeerClosed, match="later: the client closed its connection"):
            await under_way
        for use in (client.call, client.begin, client.notify):
            with pytest.raises(PeerClosed, match="echo: this client is closed") as raised:
                await use("echo", 1)  # type: ignore[misc]
            assert raised.value.happened is Happened.NO

    asyncio.run(run())


@pytest.mark.parametrize("use", ["call", "submit", "notify"])
def test_threads_that_call_beside_the_end_of_their_client_return(address: Address, use: str) -> None:
    client = threaded.connect(address, timeout_s=60)
    begun = threading.Semaphore(0)

    def body() -> None:
        with pytest.raises(PeerClosed):
            while True:
                begun_call = getattr(client, use)("echo", 1)
                if use == "submit":
                    begun_call.result()
                begun.release()

    threads = [threading.Thread(target=body, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        assert begun.acquire(timeout=30)
    client.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    with pytest.raises(PeerClosed) as raised:
        client.call("echo", 1)
    assert raised.value.happened is Happened.NO
    client.close()


def test_calls_of_a_reference_that_a_threaded_client_received_wait(run_service: Any) -> None:
    words = ["a", "b"]
    service, exports = service_with_references("msgpack", 1, time.monotonic)
    service.objects.register(lambda: by_reference(words), name="words")
    with threaded.connect(run_service(service), timeout_s=60) as client:
        with client.call("words") as ref:
            assert ref.count("a") == 1
        assert len(exports) == 0
        third = client.submit("words").result()
    assert dial_by("msgpack")(client_address(third))(f"@{third.data.object}.count", "b") == 1


def client_address(ref: Any) -> Address:
    return Address(ref.data.host, ref.data.port)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # so warns CPython from 3.12 on
def test_the_child_of_a_process_is_told_to_connect_for_itself(address: Address) -> None:
    with threaded.connect(address, timeout_s=60) as client, multicast([address], timeout_s=60) as group:
        assert client.call("echo", 1) == 1
        assert group.call("echo", 1).results == {address: 1}

        def use_in_child() -> None:
            for use in (client.call, client.notify, group.call):
                with pytest.raises(UsageError, match="Connect after the fork"):
                    use("echo", 1)
            client.close()
            group.close()

        child = multiprocessing.get_context("fork").Process(target=use_in_child)
        child.start()
        child.join(30)
        child.kill()
        child.join()
        assert child.exitcode == 0
        assert client.call("echo", 2) == 2
