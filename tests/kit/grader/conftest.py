"""A course with one tiny lab, made in a temporary folder."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from dslab.kit.cli.app import main
from dslab.kit.grader.course import Course
from dslab.kit.grader.progress import Watcher
from dslab.kit.grader.request import make_request
from dslab.kit.grader.run import grade
from dslab.kit.grader.verdict import RunResult

LAB_TOML = """\
title = "A tiny lab"
chapter = "4.3"
minutes = 5
files = ["server.py"]

[[steps]]
id = "1.1"
title = "Answer"
points = 20
hints = ["one", "two", "three"]

[[steps]]
id = "1.2"
title = "Answer again"
points = 10
needs = ["1.1"]
hints = ["one", "two", "three"]

[[steps]]
id = "1.3"
title = "Something else"
points = 70
hints = ["one", "two", "three"]
"""

COMPOSE = """\
services:
  server:
    command: [python, server.py, "${SERVER_BIND:-0.0.0.0:7000}"]
    expose: ["7000"]
"""

SERVER = """\
import socket, sys

host, _, port = sys.argv[1].rpartition(":")
with socket.create_server((host, int(port))) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            while piece := connection.recv(1024):
                connection.sendall(piece + b"*")
"""

PREAMBLE = """\
import socket
import time

import pytest

from dslab.kit.errors import KitError, PeerClosed, PeerSilent
from dslab.kit.grader import sent, step


def ask(topology, message):
    with socket.create_connection(topology["server"].address().pair, timeout=5) as connection:
        connection.sendall(message)
        return connection.recv(1024)

"""

PASSING = '''
@step("1.1")
def test_answer(topology, rng):
    """The reply is the message and a star."""
    message = rng.randbytes(8)
    assert ask(topology, message) == message + b"*"


@step("1.2", starts=())
def test_again():
    """Twice."""


@step("1.3", starts=())
def test_else():
    """Else."""
'''


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """The folder of a lab whose checks pass."""
    folder = tmp_path / "course" / "labs" / "01-tiny"
    folder.mkdir(parents=True)
    (folder / "lab.toml").write_text(LAB_TOML)
    (folder / "compose.yaml").write_text(COMPOSE)
    (folder / "server.py").write_text(SERVER)
    (folder / "test_tiny.py").write_text(PREAMBLE + PASSING)
    return folder


@pytest.fixture
def write_checks(lab: Path) -> Callable[[str], None]:
    """Replace the checks of some steps; the other steps get one that passes."""

    def write(text: str) -> None:
        text = textwrap.dedent(text)
        for number in ("1.1", "1.2", "1.3"):
            if f'"{number}"' not in text:
                name = number.replace(".", "_")
                text += f'\n\n@step("{number}", starts=())\ndef test_filler_{name}():\n    """Filler."""\n'
        (lab / "test_tiny.py").write_text(PREAMBLE + text)

    return write


GradeLab = Callable[..., RunResult]


@pytest.fixture
def grade_lab(lab: Path) -> GradeLab:
    """Grade the lab in this process."""

    def run(watcher: Watcher | None = None, **options: object) -> RunResult:
        course = Course(lab.parent.parent)
        request = make_request("1", course=course, **{"seed": 7, **options})  # type: ignore[arg-type]
        return grade(request, watcher)

    return run


RunTool = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_tool(lab: Path) -> RunTool:
    """Run `dslab`, or another module, in the course's folder."""

    def run(*words: str, module: str = "dslab", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        return subprocess.run(
            [sys.executable, "-P", "-m", module, *words],
            cwd=cwd or lab.parent.parent,
            env=environment | {"COLUMNS": "80"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def run_here(lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunTool:
    """Run the `dslab` command in this process, which is faster."""
    monkeypatch.chdir(lab.parent.parent)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        status = main(words)
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(words, status, out, err)

    return run
