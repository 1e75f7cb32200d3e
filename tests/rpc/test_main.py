"""The command line: what can be had together, and what is refused."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dslab.rpc.__main__ import main
from dslab.rpc.client import connect
from dslab.rpc.registry import Registry, lookup

SERVED = """
class Sum:
    def add(self, a: int, b: int) -> int:
        return a + b

class Account:
    def __init__(self, owner: str) -> None:
        self.owner = owner
    def name(self) -> str:
        return self.owner

account = Account("alice")
"""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "served", raising=False)
    (tmp_path / "served.py").write_text(SERVED)
    return str(tmp_path / "served.py")


@pytest.mark.parametrize(
    "options",
    [
        ["--model", "threads"],
        ["--model", "threads", "--codec", "json"],
        ["--codec", "json-http"],
        ["--codec", "json-http", "--workers", "2"],
        ["--udp"],
        ["--udp", "--codec", "json"],
    ],
    ids=" ".join,
)
def test_every_server_registers_itself_and_is_called_from_the_command_line(
    serve: Any, serve_process: Any, served: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    registry = serve(Registry(time.monotonic))
    listening = ["--object", f"{served}:Sum", "--registry", str(registry), "--register", "sum"]
    address, process = serve_process(*listening, *options)
    assert [str(each) for each in lookup(registry, "sum")] == [address]
    same = [each for each in options if each not in ("--model", "threads", "--workers", "2")]
    assert main(["client", "--server", address, "--timeout", "60", *same, "add", "1", "2"]) == 0
    assert capsys.readouterr().out == "3\n"
    process.terminate()
    assert process.wait(60) == 0
    assert lookup(registry, "sum") == []


@pytest.mark.parametrize("model", ["asyncio", "threads"])
def test_a_server_is_advertised_as_it_was_told(
    serve: Any, serve_process: Any, served: str, model: str
) -> None:
    registry = serve(Registry(time.monotonic))
    register = ["--object", f"{served}:Sum", "--registry", str(registry), "--model", model]
    address, _ = serve_process(*register, "--advertise", "192.0.2.1:0")
    port = address.rpartition(":")[2]
    serve_process(*register, "--advertise", "192.0.2.1:7")
    assert [str(each) for each in lookup(registry, "service")] == [f"192.0.2.1:{port}", "192.0.2.1:7"]


def test_an_object_is_served_whose_class_needs_arguments(serve_process: Any, served: str) -> None:
    address, _ = serve_process("--object", f"{served}:account")
    with connect(address, timeout_s=60) as client:
        assert client.call("name") == "alice"


REFUSED = {
    "--model threads --codec json-http": "bare TCP only. Leave --model threads out",
    "--model threads --udp": "bare TCP only. Leave --model threads out",
    "--model threads --workers 2": "there are no workers. Leave out --workers",
    "--udp --codec json-http": "HTTP runs over TCP. Leave --udp out",
    "--register sum": "Nobody said where to register. Add --registry",
    "--advertise 192.0.2.1:7": "Nobody said where to register. Add --registry",
    "--object {served}:Account": "missing a required argument: 'owner'. Make an object",
    "--object {served}:Account --activation per-call": "missing a required argument: 'owner'. Make an object",
    "--object {served}:Nobody": "defines no 'Nobody'",
    "--registry nowhere": "'nowhere' is not an address",
    "--registry 127.0.0.1:1 --advertise here": "'here' is not an address",
}


@pytest.mark.parametrize("model", ["asyncio", "threads"])
@pytest.mark.parametrize(("options", "error"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_had_is_refused(
    served: str, options: str, error: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = options.replace("{served}", served).split()
    given = given if model == "asyncio" or given[0] in ("--model", "--udp") else ["--model", model, *given]
    given = given if "--object" in given else ["--object", f"{served}:Sum", *given]
    assert main(["server", *given]) == 2
    assert error in capsys.readouterr().err


def test_fewer_than_no_workers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("-1", "few"):
        with pytest.raises(SystemExit) as ended:
            main(["server", "--object", "x.py:X", "--workers", number])
        assert ended.value.code == 2
    assert "-1 is below zero" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_what_cannot_be_waited_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["client", "--server", "127.0.0.1:1", "--timeout", seconds, "add"])
    assert ended.value.code == 2
    assert "--timeout" in capsys.readouterr().err


def test_a_client_cannot_have_http_in_datagrams(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["client", "--server", "127.0.0.1:1", "--udp", "--codec", "json-http", "add"]) == 2
    assert "HTTP runs over TCP" in capsys.readouterr().err
