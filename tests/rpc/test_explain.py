"""The ten steps, told live and drawn."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dslab.rpc import aclient, demo
from dslab.rpc.client import connect
from dslab.rpc.codecs import codec_named
from dslab.rpc.errors import BadArguments, Busy, RemoteError
from dslab.rpc.explain import ExplainingCodec, explaining
from dslab.rpc.messages import Request
from dslab.rpc.service import Service


class Bank:
    def add(self, a: int, b: int) -> int:
        return a + b

    def fail(self) -> None:
        raise KeyError("nobody")

    def ask(self) -> None:
        raise Busy("another server is")

    async def add_later(self, a: int, b: int) -> int:
        await asyncio.sleep(0)
        return a + b

    async def fail_later(self) -> None:
        await asyncio.sleep(0)
        raise KeyError("nobody")


def numbers(steps: list[str]) -> list[int]:
    return [int(step.split()[0]) for step in steps]


def test_the_ten_steps_are_told_in_order(serve_process: Any, tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text("def add(a, b): return a + b")
    steps: list[str] = []
    address, _ = serve_process("--object", f"{tmp_path}/served.py:add", "--explain")
    with connect(address, explain=steps.append, timeout_s=60) as client:
        assert client.call("add", 1, 2) == 3
    assert [int(step.split()[0]) for step in steps] == [1, 2, 3, 9, 10]
    assert "add(1, 2)" in steps[0]


def test_a_server_tells_its_steps(serve_process: Any, tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text("def add(a, b): return a + b")
    command = [
        sys.executable,
        "-m",
        "dslab.rpc",
        "server",
        "--object",
        f"{tmp_path}/served.py:add",
        "--explain",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        address = server.stdout.readline().split()[-1]
        with connect(address, timeout_s=60) as client:
            client.call("add", 1, 2)
        steps = [server.stderr.readline() for _ in range(5)]
        server.terminate()
    assert [int(step.split()[0]) for step in steps] == [4, 5, 6, 7, 8]


@pytest.fixture
def explained(run_service: Any, request: pytest.FixtureRequest) -> Any:
    """A server that tells its steps: its address, and what it has told."""
    service = Service(codec_named(getattr(request, "param", "msgpack")), 1)
    service.objects.register(Bank())
    steps: list[str] = []
    service.codec = ExplainingCodec(service.codec, "server", steps.append)
    service.objects.interceptors.append(explaining(steps.append))
    return run_service(service), steps


@pytest.mark.parametrize(
    ("method", "error", "told"),
    [
        ("fail", KeyError, "fail raises KeyError: 'nobody'"),
        ("fail_later", KeyError, "fail_later raises KeyError: 'nobody'"),
        ("ask", RemoteError, "ask raises Busy: another server is"),
        ("add", BadArguments, "add is not executed: add takes 2 arguments, 0 were given"),
    ],
)
def test_an_error_is_told_as_a_result_is(explained: Any, method: str, error: Any, told: str) -> None:
    address, at_server = explained
    steps: list[str] = []
    with connect(address, explain=steps.append, timeout_s=60) as client, pytest.raises(error):
        client.call(method)
    assert (numbers(at_server), numbers(steps)) == ([4, 5, 6, 7, 8], [1, 2, 3, 9, 10])
    assert told in at_server[2]
    assert told.rsplit(": ", maxsplit=1)[-1] in steps[-1]


def test_what_a_coroutine_function_returns_is_told(explained: Any) -> None:
    address, at_server = explained
    with connect(address, timeout_s=60) as client:
        assert client.call("add_later", 1, 2) == 3
    assert at_server[2] == " 6  add_later returns 3 to the server stub"


def test_deferred_one_way_and_batched_calls_are_told(explained: Any) -> None:
    address, _ = explained
    steps: list[str] = []
    with connect(address, explain=steps.append, timeout_s=60) as client:
        client.notify("add", 1, 2)
        assert client.begin("add", 1, 2).result() == 3
        assert numbers(steps) == [1, 2, 3, 1, 2, 3, 9, 10]
        steps.clear()
        with client.batch():
            later = [client.begin("add", 1, number) for number in (2, 3)]
        assert [each.result() for each in later] == [3, 4]
    told = numbers(steps)
    assert [told.count(number) for number in (1, 2, 3, 10)] == [2, 1, 1, 2]


class Slow:
    def __init__(self) -> None:
        self.release = False

    async def wait(self) -> str:
        while not self.release:
            await asyncio.sleep(0.001)
        return "waited"


def test_a_request_that_is_sent_again_is_no_new_call(serve: Any) -> None:
    slow, steps = Slow(), list[str]()
    options: Any = {"transport": "udp", "semantics": "at-most-once", "retry_s": 0.01, "timeout_s": 60}
    with connect(serve(slow, transport="udp"), explain=steps.append, **options) as client:
        later = client.begin("wait")
        while 1 not in numbers(steps):  # the server is greeted first
            assert not later.done()
        sent = client.stub.sent
        while client.stub.sent == sent:
            assert not later.done()
        slow.release = True
        assert later.result() == "waited"
    assert [numbers(steps).count(number) for number in (1, 10)] == [1, 1]
    assert sum("rpc.hello" in step for step in steps) == 0


@pytest.mark.parametrize("codec", ["msgpack", "json"])
@pytest.mark.parametrize("params", [[1, "a"], {"x": 1}])
def test_arguments_that_are_marshalled_already_are_told_all_the_same(codec: str, params: Any) -> None:
    steps: list[str] = []
    explained = ExplainingCodec(codec_named(codec), "client", steps.append)
    frozen: Any = explained.freeze(params)
    explained.encode(Request(1, "add", frozen))
    explained.encode(Request(2, "add", params))
    assert steps[0] == steps[3]


@pytest.mark.parametrize("explained", ["msgpack", "json"], indirect=True, ids=["msgpack", "json"])
def test_the_asyncio_client_tells_its_steps(explained: Any, request: pytest.FixtureRequest) -> None:
    address, _ = explained
    codec = request.node.callspec.id
    steps: list[str] = []

    async def run() -> None:
        async with await aclient.connect(address, codec=codec, explain=steps.append, timeout_s=60) as client:
            assert await client.call("add", 1, 2) == 3
            with pytest.raises(KeyError):
                await client.call("fail")

    asyncio.run(run())
    assert numbers(steps) == [1, 2, 3, 9, 10] * 2
    assert steps[4] == "10  the client stub unpacks the result, and returns 3"


def test_the_demonstration_tells_ten_steps_and_the_three_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    break_down = demo.Bank.break_down

    def break_down_late(bank: demo.Bank) -> None:
        time.sleep(1.2)  # longer than it waits for the call that nobody answers
        break_down(bank)

    monkeypatch.setattr(demo.Bank, "break_down", break_down_late)
    lines: list[str] = []
    demo.main(lines.append)
    steps = [line.split()[0] for line in lines if line[:2].strip().isdigit()]
    assert steps == [str(number) for number in range(1, 11)]
    (drawn,) = [line for line in lines if line.lstrip().startswith("ms ")]
    assert all(f" {number} " in drawn for number in steps)
    assert "3 add(100, 3) #1" in drawn
    assert "8 #1 -> 103" in drawn
    answers = ("did not happen", "happened ", "unknown")
    assert [any(answer in line for line in lines) for answer in answers] == [True] * 3
