"""The images, how they are built without a registry, and the course's compose files as Compose sees them."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from dslab.kit.topology.docker_image import COURSE_IMAGE, COURSE_LABEL, REQUIRES_LABEL, requirements

ROOT = Path(__file__).parents[3]
LABS = sorted(ROOT.glob("labs/*/compose.yaml"))


def run(*words: str | Path, **options: Any) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def module(name: str) -> ModuleType:
    """A module of docker/, which is no package: its programs run where nothing is installed yet."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docker" / f"{name}.py")
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def image() -> Mapping[str, Any]:
    """What the engine says about the course image."""
    found = subprocess.run(
        ["docker", "image", "inspect", COURSE_IMAGE], capture_output=True, text=True, check=False
    )
    if found.returncode:
        pytest.skip(f"no {COURSE_IMAGE} here (make images), or no Docker engine")
    description: Mapping[str, Any] = json.loads(found.stdout)[0]
    return description


def inside(*command: str) -> str:
    return run("docker", "run", "--rm", "--network=none", COURSE_IMAGE, *command)


# The recipe.


def test_sources_of_another_suite() -> None:
    machine = """\
Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
"""
    expected = """\
Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: trixie
Components: main
"""
    assert module("debian").sources_of(machine, "trixie") == expected


def test_the_image_gets_the_projects_own_requirements() -> None:
    wanted = module("requirements").requirements(ROOT / "pyproject.toml")
    assert sorted(wanted) == requirements().split(", ")


def test_no_mirror_is_named() -> None:
    for file in (*ROOT.glob("docker/*"), ROOT / ".ci/engine", ROOT / "docker-compose.yml"):
        if file.is_file():
            assert "http" not in file.read_text().replace("http://127.0.0.1", ""), file


# The course image.


def test_the_image_says_what_it_was_built_for(image: Mapping[str, Any]) -> None:
    labels = image["Config"]["Labels"]
    assert COURSE_LABEL in labels
    assert labels.get(REQUIRES_LABEL, requirements()) == requirements()


def test_the_image_runs_as_nobody(image: Mapping[str, Any]) -> None:
    assert image["Config"]["User"] == "65534:65534"
    assert inside("id", "-u") == "65534\n"


def test_the_image_holds_what_dslab_needs(image: Mapping[str, Any]) -> None:
    assert image
    program = "import dslab, docker, jinja2, psutil, pytest, rich, sqlite3, ssl, typer, watchfiles, yaml"
    inside("python", "-c", program)
    assert inside("python", "-c", "import sys; print(sys.version_info[:2])") == "(3, 13)\n"


def test_what_is_unchanged_is_not_built_again(image: Mapping[str, Any]) -> None:
    assert image
    if not run("docker", "images", "--quiet", "dslab-base:offline"):
        pytest.skip("the images here come from a registry, which need not answer now")
    lines = run(sys.executable, ROOT / "docker" / "build.py", "--offline").splitlines()
    current = {line.split()[0] for line in lines if line.endswith("up to date")}
    assert current >= {"dslab-base:offline", "dslab-rabbitmq:offline"}
    assert lines[-1].startswith("Images are ready (")


# Compose, by hand.


@pytest.fixture(scope="module")
def compose() -> list[str]:
    """The command; skips where there is none."""
    command = ["docker", "compose"]
    if subprocess.run([*command, "version"], capture_output=True, check=False).returncode:
        pytest.skip("no docker compose here")
    return command


def profile_of(lab: Path) -> str:
    return f"lab-{int(lab.parent.name.partition('-')[0])}"


@pytest.mark.parametrize("lab", LABS, ids=profile_of)
def test_a_profile_starts_a_labs_services(compose: list[str], lab: Path) -> None:
    services = yaml.safe_load(lab.read_text())["services"]
    always = {name for name, service in services.items() if not service.get("profiles")}
    listed = run(*compose, "--profile", profile_of(lab), "config", "--services", cwd=ROOT)
    assert set(listed.split()) == always
    assert set(run(*compose, "config", "--services", cwd=lab.parent).split()) == always


def test_without_a_profile_nothing_starts(compose: list[str]) -> None:
    assert run(*compose, "config", "--services", cwd=ROOT) == ""


@pytest.fixture
def by_hand(compose: list[str], image: Mapping[str, Any], tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Compose in a folder with a lab's compose file and its solution, under a name of its own."""
    assert image
    for file in (ROOT / "labs/01-sockets/compose.yaml", *ROOT.glob("solutions/01-sockets/*.py")):
        shutil.copy(file, tmp_path)
    tmp_path.chmod(0o755)
    command = [*compose, "--project-name", f"dslab-test-{os.getpid()}"]
    options: dict[str, Any] = {"cwd": tmp_path, "env": {**os.environ, "DSLAB_PULL_POLICY": "never"}}
    yield lambda *words: run(*command, *words, **options)
    run(*command, "--profile", "on-demand", "down", "--timeout", "0", **options)


def test_lab_1_by_hand(by_hand: Callable[..., str]) -> None:
    by_hand("up", "--detach", "raw-reference", "server")
    assert by_hand("run", "--rm", "client") == "Hello World*\n"
    assert set(by_hand("ps", "--services").split()) == {"raw-reference", "server"}
