"""Interceptors on both sides."""

from __future__ import annotations

from typing import Any

import pytest

from dslab.kit.errors import Happened, PeerClosed
from dslab.rpc.client import connect
from dslab.rpc.errors import Busy, NotAllowed
from dslab.rpc.interceptors import Invocation, authenticated, authenticating, chain, logging, retrying
from dslab.rpc.msgpack_rpc import MsgpackCodec
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
