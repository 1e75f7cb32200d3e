"""A small course to run commands in, and a way to run them as a terminal would."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    command: ["python", "caller.py", "${SERVER_ADDR:-server:7000}", "${WORDS:-hello Ann}"]
    depends_on: {server: {condition: service_healthy}}
"""

CHECKS = '''\
"""Checks of the greeting lab."""

import socket

from dslab.kit.grader import step


def ask(topology, words):
    with socket.create_connection(topology["server"].address().pair, 5) as connection:
        connection.sendall(words)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(100), b""))


@step("1.1", starts=("server",))
def test_hello(topology):
    """The server says hello."""
    assert ask(topology, b"hello Ann") == b"hello to Ann"


@step("1.2", starts=("server",))
def test_goodbye(topology):
    """The server says goodbye."""
    assert ask(topology, b"goodbye Ann") == b"goodbye to Ann"
'''

CALLER = '''\
"""Says something to the server, and prints what it answers. Given, not written by a student."""

import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
with socket.create_connection((host, int(port))) as connection:
    connection.sendall(sys.argv[2].encode())
    connection.shutdown(socket.SHUT_WR)
    print(connection.makefile().read())
'''

SOLUTION = '''\
"""A server that greets."""

import socket
import sys


def greet(name: str) -> str:
    """Say hello."""
    # BEGIN SOLUTION step-1.1 "say hello to the name"
    return f"hello to {name}"
    # END SOLUTION


def part(name: str) -> str:
    """Say goodbye."""
    # BEGIN SOLUTION step-1.2 "say goodbye to the name"
    return f"goodbye to {name}"
    # END SOLUTION


def main() -> None:
    """Answer one client after the other."""
    host, _, port = sys.argv[1].rpartition(":")
    with socket.create_server((host, int(port))) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                word, _, name = connection.recv(100).decode().partition(" ")
                connection.sendall((greet if word == "hello" else part)(name).encode())


if __name__ == "__main__":
    main()
'''

SKELETON = SOLUTION.replace(
    """\
    # BEGIN SOLUTION step-1.1 "say hello to the name"
    return f"hello to {name}"
    # END SOLUTION
""",
    """\
    # TODO step 1.1: say hello to the name
    raise NotImplementedError("lab 1, step 1.1")
""",
).replace(
    """\
    # BEGIN SOLUTION step-1.2 "say goodbye to the name"
    return f"goodbye to {name}"
    # END SOLUTION
""",
    """\
    # TODO step 1.2: say goodbye to the name
    raise NotImplementedError("lab 1, step 1.2")
""",
)


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


class Terminal:
    """A dslab command at a terminal of its own: what it shows, and keys for it.

    Args:
        words: The command line after ``dslab``.
        folder: Its current folder.
    """

    def __init__(self, words: Sequence[str], folder: Path) -> None:
        self.screen = ""
        self._own, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", "LINES": "40", "TERM": "xterm"}
        self._theirs = theirs
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dslab", *words],
            cwd=folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )

    def until(self, words: str, timeout_s: float = 60) -> str:
        """Wait for words on the screen; what was shown up to them. They are not found twice."""
        deadline_s = time.monotonic() + timeout_s
        while words not in self.screen:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([self._own], [], [], left_s)[0]:
                raise AssertionError(f"no {words!r} within {timeout_s} s on the screen:\n{self.screen}")
            self._take()
        shown, _, self.screen = self.screen.partition(words)
        return shown

    def _take(self) -> None:
        """Take some of what it has shown."""
        self.screen += os.read(self._own, 65_536).decode(errors="replace").replace("\r\n", "\n")

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._own, keys.encode())

    def end(self, timeout_s: float = 60) -> int:
        """Wait for the end of the command, and take what it shows until then; its exit status."""
        deadline_s = time.monotonic() + timeout_s
        while self.process.poll() is None and time.monotonic() < deadline_s:
            if select.select([self._own], [], [], 0.02)[0]:
                self._take()
        status: int = self.process.wait(0.1)
        while select.select([self._own], [], [], 0)[0]:  # its last words, which it did not wait to see taken
            self._take()
        return status

    @property
    def modes(self) -> list[Any]:
        """The terminal's modes now."""
        return termios.tcgetattr(self._theirs)

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._own)
        os.close(self._theirs)


@pytest.fixture
def terminal(course: Path) -> Iterator[Callable[..., Terminal]]:
    """Run dslab commands at terminals of their own."""
    opened: list[Terminal] = []

    def open_terminal(*words: str) -> Terminal:
        opened.append(Terminal(words, course))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


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
    (lab / "caller.py").write_text(CALLER)
    (solution / "greeter.py").write_text(SOLUTION)
    monkeypatch.chdir(tmp_path)
    return tmp_path
