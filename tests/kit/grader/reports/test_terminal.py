"""The whole story on a terminal, letter by letter."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from dslab.kit.grader.reports.terminal import Telling, heading, told
from dslab.kit.grader.verdict import RunResult

TELLING = Telling(repeat="dslab test 1 --seed 7", folder=Path("/here/.dslab/runs/r"), here=Path("/here"))


def printed(result: RunResult, telling: Telling = TELLING, width: int = 80, *, color: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=color, highlight=False)
    console.print(heading(result))
    for part in told(result, telling):
        console.print(part, soft_wrap=isinstance(part, Text))
    return out.getvalue()


def without_private(result: RunResult) -> RunResult:
    return replace(result, steps=result.steps[:2])


def test_the_whole_story(result: RunResult) -> None:
    assert (
        printed(without_private(result))
        == """\
Lab 1, A tiny lab   seed 7, local

1.1 fail: The reply is the text and a star.
    Byte 5 differs.
    sent       "Hello World" (11 bytes)
    came back  "Hello* World*"
    expected   "Hello World*"
                     ^ byte 5 of 13
    in hex     48 65 6c 6c 6f 2a 20 57 6f 72 6c 64 2a
               48 65 6c 6c 6f 20 57 6f 72 6c 64 2a
                              ^^
    stderr     Traceback (most recent call last):
               ValueError: no
    hint       dslab hint 1.1
    picture    .dslab/runs/r/test_two/picture.html
    again      dslab test 1 --seed 7 --step 1.1

1.1 error: Three holds.
    The links program is gone.
    This is not your fault. --debug shows where it broke.
    again      dslab test 1 --seed 7 --step 1.1

step                checks               points
1.1   Answer        1 of 3, 1 error  6.67 of 20
1.2   Answer again  skipped             0 of 10

6.67 of 30 points, 6.67 undecided: they count neither for nor against you
folder     .dslab/runs/r
again      dslab test 1 --seed 7
"""
    )


def test_debug_shows_where_it_broke(result: RunResult) -> None:
    text = printed(result, replace(TELLING, debug=True))
    assert "    KitError: The links program is gone.\n" in text


def test_later_failures_in_a_line_each(result: RunResult) -> None:
    step = result.steps[0]
    many = tuple(replace(step.checks[1], name=f"test_{n}", stderr="") for n in range(6))
    text = printed(replace(result, steps=(replace(step, checks=many),)))
    assert text.count("came back") == 3
    assert "3 more, in short; --step N.M shows those of a step whole:" in text
    assert "\n1.1 fail  test_3 and 2 more  Byte 5 differs.\n" in text


def test_of_one_step_all_is_told(result: RunResult) -> None:
    step = result.steps[0]
    many = tuple(replace(step.checks[1], name=f"test_{n}", message=f"Byte {n} differs.") for n in range(12))
    text = printed(replace(result, steps=(replace(step, checks=many),)), replace(TELLING, step="1.1"))
    assert text.count("came back") == 10
    assert "\n2 more, in short:\n" in text
    text = printed(replace(result, steps=(replace(step, checks=many),)), replace(TELLING, step="1.2"))
    assert "11 more, in short; --step N.M shows" in text


def test_failures_with_one_cause_are_told_once(result: RunResult) -> None:
    step = result.steps[0]
    many = tuple(replace(step.checks[1], name=f"test_{n}") for n in range(3))
    for telling in (TELLING, replace(TELLING, step="1.1")):
        text = printed(replace(result, steps=(replace(step, checks=many),)), telling)
        assert text.count("came back") == 1


def test_syntax_error_is_told_at_the_top_only(result: RunResult) -> None:
    note = "server.py, line 1: SyntaxError: invalid syntax"
    failed = replace(
        result.checks[1], message="server raised SyntaxError: invalid syntax (server.py, line 1)."
    )
    text = printed(replace(result, notes=(note,), steps=(replace(result.steps[0], checks=(failed,)),)))
    assert text.splitlines()[1] == note
    assert "came back" not in text


def test_what_is_not_written_yet_needs_no_traceback(result: RunResult) -> None:
    failed = replace(result.checks[1], message="Not written yet: server raised NotImplementedError: lab 1.")
    text = printed(replace(result, steps=(replace(result.steps[0], checks=(failed,)),)))
    assert "came back" not in text
    assert "stderr" not in text
    assert "dslab hint 1.1" in text


def test_full_marks(result: RunResult) -> None:
    step = replace(result.steps[0], checks=(replace(result.checks[0], points=result.steps[0].points),))
    assert "\n20 of 20 points\n" in printed(replace(result, steps=(step,)))


def test_cut_short(result: RunResult) -> None:
    text = printed(replace(without_private(result), complete=False))
    assert "6.67 of 30 points, and not every check had its turn\n" in text


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_width(result: RunResult, width: int) -> None:
    step = result.steps[0]
    wordy = replace(
        step.checks[1], statement="word " * 60, message="word " * 60, stderr="x" * 300, sent="y" * 64
    )
    wordy = replace(wordy, detail="", trace="", repeat="")
    text = printed(
        replace(result, steps=(replace(step, checks=(wordy,)),)), replace(TELLING, width=width), width
    )
    free = [line for line in text.splitlines() if not line.startswith(("again", "folder"))]
    assert max(map(len, free)) <= width


def test_nothing_moves_the_cursor(result: RunResult) -> None:
    text = printed(replace(result, steps=result.steps[:1]))
    assert "\x1b" not in text
    assert not any(line.endswith(" ") for line in text.splitlines() if line.strip())
