"""A small course to run commands in, and a way to run them as a terminal would."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from dslab.kit.cli.app import main

LAB = """\
title = "Greetings"
chapter = "4.3"
minutes = 30
files = ["greeter.py"]

[[steps]]
id = "1.1"
title = "Say hello"
points = 60
hints = ["Think of a word.", "A short one.", "It is hello."]

[[steps]]
id = "1.2"
title = "Say goodbye"
points = 40
needs = ["1.1"]
hints = ["Think again."]
"""

COMPOSE = """\
services:
  server:
    image: ${DSLAB_IMAGE:-dslab-course}
    command: ["python", "greeter.py", "${SERVER_BIND:-0.0.0.0:7000}"]
    expose: ["7000"]
  client:
    image: ${DSLAB_IMAGE:-dslab-course}
    profiles: [client]
    command: ["python", "caller.py", "${SERVER_ADDR:-server:7000}"]
    depends_on: {server: {condition: service_healthy}}
"""

CHECKS = '''\
"""Checks of the greeting lab."""

from dslab.kit.grader import step


@step("1.1", starts=("server",))
def test_hello(topology):
    """The server says hello."""


@step("1.2", starts=("server",))
def test_goodbye(topology):
    """The server says goodbye."""
'''

SOLUTION = '''\
"""A server that greets."""


def greet(name: str) -> str:
    """Say hello."""
    # BEGIN SOLUTION step-1.1 "say hello to the name"
    return f"hello {name}"
    # END SOLUTION
'''

SKELETON = '''\
"""A server that greets."""


def greet(name: str) -> str:
    """Say hello."""
    # TODO step 1.1: say hello to the name
    raise NotImplementedError("lab 1, step 1.1")
'''


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run one dslab command in this process."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")

    def run_command(*words: str) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = main(words)
        return Ran(status, out.getvalue(), err.getvalue())

    return run_command


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of one lab; it is the current folder."""
    lab, solution = tmp_path / "labs" / "01-greeting", tmp_path / "solutions" / "01-greeting"
    lab.mkdir(parents=True)
    solution.mkdir(parents=True)
    (lab / "lab.toml").write_text(LAB)
    (lab / "compose.yaml").write_text(COMPOSE)
    (lab / "test_greeting.py").write_text(CHECKS)
    (lab / "greeter.py").write_text(SKELETON)
    (solution / "greeter.py").write_text(SOLUTION)
    monkeypatch.chdir(tmp_path)
    return tmp_path
