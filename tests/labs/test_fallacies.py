"""labs/FALLACIES.md can be typed as it stands: each command works, and shows what the page says it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "labs" / "FALLACIES.md"
BLOCK = re.compile(r"^```(?P<language>console|text)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
PATIENCE_S = 30.0
ENVIRONMENT = os.environ | {
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    "COLUMNS": "120",
    "NO_COLOR": "1",
}


def blocks() -> list[tuple[str, list[str]]]:
    found = BLOCK.finditer(PAGE.read_text(encoding="utf-8"))
    return [(match["language"], match["body"].splitlines()) for match in found]


def shape(line: str) -> str:
    """The line without what differs from run to run.

    That is times, ports, the byte that a corrupted one became, and how a client learns that a server is gone.
    """
    line = re.sub(r"He.lo World", "He.lo World", line)
    line = re.sub(r"\(did not happen\): PeerRefused", "(unknown): PeerClosed", line)
    return re.sub(r"[\d.,]+", "0", line)


def until(seen: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not seen():
        assert time.monotonic() < deadline_s, what()
        time.sleep(0.05)


@contextmanager
def first_terminal(command: str, shown: Path) -> Iterator[Callable[[], str]]:
    """Run a command as in a terminal of its own; give a function that tells what it has shown."""
    with (
        shown.open("w") as file,
        subprocess.Popen(command, shell=True, cwd=ROOT, env=ENVIRONMENT, stdout=file, stderr=file) as process,
    ):
        try:
            yield lambda: shown.read_text(encoding="utf-8")
            process.wait(PATIENCE_S)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()


def type_in(command: str) -> None:
    """Type a command, and again while the visitor of the last one has said its words but not ended yet."""
    deadline_s = time.monotonic() + PATIENCE_S
    while (done := run(command)).returncode:
        is_early = command.startswith("dslab fault ") and "runs already" in done.stderr
        assert is_early and time.monotonic() < deadline_s, f"$ {command}\n{done.stdout}{done.stderr}"


def run(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        shell=True,
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.timeout(180)
def test_every_fallacy_is_shown(tmp_path: Path) -> None:
    (_, (first,)), *others = blocks()
    with first_terminal(first.removeprefix("$ "), tmp_path / "shown") as shown:
        until(lambda: "listening" in shown(), shown)
        for (language, lines), (following, wanted) in pairwise([*others, ("", [])]):
            before = len(shown())
            for command in lines if language == "console" else []:
                # A reader looks at the first terminal before the link is healed.
                if command.endswith(" heal") and following == "text":
                    until(partial(is_part, wanted, shown, before), shown)
                type_in(command.removeprefix("$ "))
            if following == "text":
                until(partial(is_part, wanted, shown, before), shown)


def is_part(wanted: list[str], shown: Callable[[], str], start: int) -> bool:
    """Whether each of these lines has been shown from there on, as often as it is wanted."""
    lines = [shape(line) for line in shown()[start:].splitlines()]
    return all(lines.count(shape(line)) >= wanted.count(line) for line in wanted)


def test_there_are_eight() -> None:
    headings = re.findall(r"^## (\d)\. ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == list("12345678")
