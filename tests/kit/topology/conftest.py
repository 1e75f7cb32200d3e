"""What the tests of topologies share: a lab made of strings, opened on one of the two backends."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from typing import Any, cast

import pytest

from dslab.kit.topology.backend import BackendName
from dslab.kit.topology.compose import read
from dslab.kit.topology.runfolder import RunFolder
from dslab.kit.topology.running import Topology, open_topology

OpenLab = Callable[..., Topology]
WaitFor = Callable[[Callable[[], object], str], None]
DEADLINE_S = 20.0


@pytest.fixture(scope="session")
def docker_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    """One run for all tests on Docker, as for all checks of a lab: to make one takes a second."""
    course = tmp_path_factory.mktemp("docker") / "course"
    with RunFolder.create(course, lab="1", seed=1, backend="docker") as run:
        yield run


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RunFolder]:
    if "backend" in request.fixturenames and request.getfixturevalue("backend") == "docker":
        yield request.getfixturevalue("docker_run")
        return
    with RunFolder.create(tmp_path / "course", lab="1", seed=1, backend="local") as run:
        yield run


@pytest.fixture
def open_lab(tmp_path: Path, run: RunFolder, request: pytest.FixtureRequest) -> Iterator[OpenLab]:
    """Opens the topology of a compose file and some programs, on the test's backend (local without one)."""
    backend = request.getfixturevalue("backend") if "backend" in request.fixturenames else "local"

    def open_lab(compose: str, programs: Mapping[str, str], **options: Any) -> Topology:
        lab = tmp_path / f"lab-{len(list(tmp_path.iterdir()))}"
        lab.mkdir()
        (lab / "compose.yaml").write_text(dedent(compose))
        for name, program in programs.items():
            (lab / name).write_text(dedent(program))
        spec = read(lab / "compose.yaml", {})
        settings: dict[str, Any] = {
            "run": run,
            "check": "check",
            "seed": 1,
            "submission": lab,
            "provided": lab,
        }
        topology = open_topology(
            spec, backend=cast("BackendName", backend), environment={}, **(settings | options)
        )
        closing.callback(topology.close)
        return topology

    with ExitStack() as closing:
        yield open_lab


@pytest.fixture
def wait_for() -> WaitFor:
    """Waits until something is true."""

    def wait_for(condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"still waiting for {what}"
            time.sleep(0.005)

    return wait_for


@pytest.fixture(params=["local", "docker"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each test that has it runs once per backend; on Docker, if an engine answers."""
    name: str = request.param
    if name == "docker":
        reason = no_engine()
        if reason:
            pytest.skip(reason)
    return name


def no_engine() -> str:
    """Why there is no Docker engine to test with; empty if there is."""
    if shutil.which("docker") is None:
        return "no Docker engine: there is no docker command"
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=5)
        try:
            client.ping()
        finally:
            client.close()
    except DockerException as error:
        return f"no Docker engine answers: {error}"
    return ""
