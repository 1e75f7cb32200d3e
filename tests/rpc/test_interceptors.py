"""Interceptors on both sides."""

from __future__ import annotations

import asyncio
import socket
import time
from queue import Queue
from typing import Any

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import Happened, PeerClosed
from dslab.rpc import aclient, threaded
from dslab.rpc.client import connect
from dslab.rpc.errors import Busy, NotAllowed, RemoteError
from dslab.rpc.interceptors import Invocation, authenticated, authenticating, chain, logging, retrying
from dslab.rpc.msgpack_rpc import MsgpackCodec
from dslab.rpc.references import by_reference, service_with_references
from dslab.rpc.service import Service


def add(a: int, b: int) -> int:
    return a + b


@pytest.fixture
def service() -> Service:
    service = Service(MsgpackCodec(), 1)
    service.objects.register(add)
    return service


def test_the_first_is_the_outermost() -> None:
    order = []

    def named(name: str) -> Any:
        def intercept(invocation: Invocation, proceed: Any) -> Any:
            order.append(name)
            result = proceed(invocation)
            order.append(name.upper())
            return result

        return intercept

    assert chain([named("a"), named("b")], lambda invocation: invocation.method)(Invocation("m", [])) == "m"
    assert order == ["a", "b", "B", "A"]


def test_a_token_is_added_and_checked(service: Service, run_service: Any) -> None:
    service.objects.interceptors.append(authenticated("secret"))
    with connect(run_service(service), semantics="at-most-once") as client:
        with pytest.raises(NotAllowed) as raised:
            client.call("add", 1, 2)
        assert raised.value.happened is Happened.NO
        client.interceptors.append(authenticating("wrong"))
        with pytest.raises(NotAllowed):
            client.call("add", 1, 2)
        client.interceptors[:] = [authenticating("secret")]
        assert client.call("add", 1, 2) == 3
        assert client.call("add", a=1, b=2) == 3


def test_references_are_renewed_and_released_with_the_token_and_not_without(run_service: Any) -> None:
    service, exports = service_with_references("msgpack", 1, time.monotonic)
    words = ["a"]
    service.objects.register(lambda: by_reference(words), "words")
    service.objects.interceptors.append(authenticated("secret"))
    address = run_service(service)
    with connect(address) as client, connect(address) as stranger:
        client.interceptors.append(authenticating("secret"))
        reference = client.call("words")
        for method in ("rpc.renew", "rpc.release"):
            with pytest.raises(NotAllowed):
                stranger.call(method, reference.data.object)
        assert reference.renew() == exports.lease_s
        assert reference.release() == 0
    assert not len(exports)


def test_a_token_is_added_to_calls_that_nobody_waits_for(service: Service, run_service: Any) -> None:
    noted: Queue[str] = Queue()
    service.objects.register(noted.put, name="note")
    service.objects.interceptors.append(authenticated("secret"))
    address = run_service(service)
    with connect(address) as client:
        client.interceptors.append(authenticating("secret"))
        assert client.begin("add", 1, 2).result() == 3
        client.notify("note", "one-way")
        assert noted.get(timeout=30) == "one-way"
    with threaded.connect(address) as shared:
        shared.interceptors.append(authenticating("secret"))
        assert shared.call("add", 1, 2) == shared.submit("add", 1, 2).result() == 3
        shared.notify("note", "threaded")
        assert noted.get(timeout=30) == "threaded"

    async def run() -> None:
        async with await aclient.connect(address) as client:
            client.interceptors.append(authenticating("secret"))
            assert await client.call("add", 1, 2) == await client.begin("add", 1, 2) == 3
            client.notify("note", "asyncio")
            assert await asyncio.to_thread(noted.get, timeout=30) == "asyncio"

    asyncio.run(run())


def test_an_interceptor_may_answer_itself_and_with_asyncio_wait(service: Service, run_service: Any) -> None:
    def knows(invocation: Invocation, proceed: Any) -> Any:
        return "known" if invocation.method == "known" else proceed(invocation)

    async def patient(invocation: Invocation, proceed: Any) -> Any:
        for _ in range(3):
            try:
                return await proceed(invocation)
            except TypeError:
                invocation = Invocation("add", [1, 2])
        return None

    async def run() -> None:
        async with await aclient.connect(address) as client:
            client.interceptors.append(knows)
            assert await client.call("known") == await client.begin("known") == "known"
            client.interceptors[:] = [patient]
            assert await client.call("add", 1, "x") == 3

    address = run_service(service)
    asyncio.run(run())
    with connect(address) as client, threaded.connect(address) as shared:
        client.interceptors.append(knows)
        shared.interceptors.append(knows)
        assert client.call("known") == client.begin("known").result() == "known"
        assert shared.call("known") == shared.submit("known").result() == "known"


def test_both_sides_write_down_what_is_called(service: Service, run_service: Any) -> None:
    here: list[str] = []
    there: list[str] = []
    service.objects.interceptors.append(logging(there.append))
    with connect(run_service(service)) as client:
        client.interceptors.append(logging(here.append))
        client.call("add", 1, 2)
        with pytest.raises(TypeError):
            client.call("add", 1, "x")
    assert here[0] == there[0] == "add gave 3"
    assert here[1].startswith("add raised TypeError")


def test_a_server_writes_down_the_error_of_a_call_that_the_procedure_made(
    run_service: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    there: list[str] = []

    def calls_on() -> None:
        raise Busy("elsewhere")

    async def calls_on_later() -> None:
        raise Busy("elsewhere")

    service = Service(MsgpackCodec(), 1)
    service.objects.register(calls_on)
    service.objects.register(calls_on_later)
    service.objects.interceptors.append(logging(there.append))
    with connect(run_service(service), timeout_s=60) as client:
        client.notify("calls_on")
        client.notify("calls_on_later")
        with pytest.raises(RemoteError, match="Busy: elsewhere"):
            client.call("calls_on")
        with pytest.raises(RemoteError, match="Busy: elsewhere"):
            client.call("calls_on_later")
    assert there[0] == "calls_on raised Busy: elsewhere"
    complaints = capsys.readouterr().err.splitlines()
    assert complaints == ["one-way calls_on: Busy: elsewhere", "one-way calls_on_later: Busy: elsewhere"]


def test_only_what_did_not_happen_is_called_again() -> None:
    pauses: list[int] = []
    outcomes: list[Any] = [Busy("busy"), Busy("busy"), "done"]

    def proceed(_: Invocation) -> Any:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    retry = retrying(5, pauses.append)
    assert retry(Invocation("m", []), proceed) == "done"
    assert pauses == [1, 2]
    outcomes[:] = [PeerClosed("gone"), "never asked"]
    with pytest.raises(PeerClosed):
        retry(Invocation("m", []), proceed)
    assert outcomes == ["never asked"]
    outcomes[:] = [Busy("busy")] * 6
    with pytest.raises(Busy):
        retry(Invocation("m", []), proceed)
    assert outcomes == []


def test_a_one_way_call_that_an_interceptor_delays_is_sent_before_its_client_ends(run_service: Any) -> None:
    service = Service(MsgpackCodec(), 1)
    came: Queue[int] = Queue()
    service.objects.register(came.put, "put")

    async def delayed(invocation: Invocation, proceed: Any) -> Any:
        await asyncio.sleep(0.01)
        return proceed(invocation)

    async def run() -> None:
        async with await aclient.connect(run_service(service), timeout_s=30) as client:
            client.interceptors.append(delayed)
            client.notify("put", 7)

    asyncio.run(run())
    assert came.get(timeout=30) == 7


def test_a_client_whose_end_is_cancelled_while_it_waits_for_an_interceptor_has_ended() -> None:
    async def stuck(invocation: Invocation, proceed: Any) -> Any:
        await asyncio.Event().wait()

    async def run(address: Address) -> None:
        client = await aclient.connect(address, timeout_s=600)
        call = client.begin("add", 1)
        client.interceptors.append(stuck)
        client.notify("put", 7)
        closing = asyncio.ensure_future(client.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(PeerClosed):
            await asyncio.wait_for(call, 30)
        assert closing.cancelled()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        asyncio.run(run(Address(*listener.getsockname())))
