"""A start of a third party's image, with an engine of the test's that refuses or goes at the worst moment."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, NotFound

from dslab.kit.address import Address
from dslab.kit.errors import KitError, MachineError
from dslab.kit.topology import docker_plain
from dslab.kit.topology.backend import Launch
from dslab.kit.topology.docker_plain import PlainProcess
from dslab.kit.topology.spec import Bind, ServiceSpec
from dslab.kit.topology.usage import Usage


class FakeEngine:
    """As much of an engine as one container needs.

    Attributes:
        looked_at: What happens when it is asked about the container while that runs.
        waited_for: What happens when its end is waited for.
    """

    def __init__(self) -> None:
        self.container, self.ours = socket.socketpair()
        self.looked_at: Callable[..., Any] = lambda *_, **__: ""
        self.waited_for: Callable[[], int] = lambda: 3
        self.api = SimpleNamespace(pause=self.run, stats=self.run)

    def attach(self, _: str) -> socket.socket:
        return self.ours

    def start(self, _: str) -> None:
        pass

    def run(self, *of: object, **how: object) -> Any:
        return self.looked_at(*of, **how)

    def signal(self, *_: object) -> None:
        pass

    def wait(self, _: str) -> int:
        return self.waited_for()

    def write(self, data: bytes) -> None:
        self.container.sendall(bytes([1, 0, 0, 0]) + len(data).to_bytes(4, "big") + data)

    def end(self) -> None:
        self.container.close()


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    fake = FakeEngine()
    yield fake
    fake.end()


@pytest.fixture
def process(engine: FakeEngine, tmp_path: Path) -> PlainProcess:
    service = ServiceSpec(name="broker", binds=(Bind("B", Address("0.0.0.0", 5672)),))
    launch = Launch("broker", service, (), {})
    told: Any = engine
    return PlainProcess(told, "c", launch, tmp_path, lambda *_: None)


def refusing(error: Exception) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> None:
        raise error

    return refuse


def test_it_ends(engine: FakeEngine, process: PlainProcess) -> None:
    engine.write(b"said")
    engine.end()
    assert process.wait(10) == 3
    assert process.output("out") == "said"


@pytest.mark.parametrize("refusal", [NotFound("no such container"), OSError("the engine has gone")])
def test_nobody_knows_how_it_ended(engine: FakeEngine, process: PlainProcess, refusal: Exception) -> None:
    engine.waited_for = refusing(refusal)
    engine.end()
    with pytest.raises(KitError, match=r"The container of broker is gone: something removed it\."):
        process.wait(10)


@pytest.mark.parametrize("act", ["is_ready", "usage", "pause"])
def test_it_ends_while_it_is_asked_about(engine: FakeEngine, process: PlainProcess, act: str) -> None:
    def dies(*_: object, **__: object) -> None:
        engine.end()
        raise APIError("container c is not running")

    engine.looked_at = dies
    assert getattr(process, act)() in {False, None, Usage()}
    assert process.wait(10) == 3


def test_an_engine_that_refuses_for_no_good_reason(
    engine: FakeEngine, process: PlainProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_plain, "END_S", 0.01)
    engine.looked_at = refusing(APIError("too tired"))
    for do in (process.is_ready, process.usage, process.pause):
        with pytest.raises(MachineError, match="The Docker engine failed: too tired"):
            do()


def test_a_full_disk_does_not_end_it(engine: FakeEngine, process: PlainProcess, tmp_path: Path) -> None:
    (tmp_path / "broker.out").mkdir()
    engine.write(b"lost")
    engine.end()
    assert process.wait(10) == 3
