"""`dslab prove` grades right, wrong and mutated submissions, and writes what it found."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import typing
from collections.abc import Callable
from pathlib import Path

import pytest

from dslab.kit.authoring.trials import verdicts

Run = Callable[..., typing.Any]

WRONG = "# caught by: test_goodbye\n# replaces: greeter.py\n# Thinks that goodbye is a name.\n"
CHEAT = "# caught by: everything\n# replaces: greeter.py\n# Prints a full score.\nprint('100 of 100')\n"
EQUIVALENT = """\
[[equivalent]]
file = "greeter.py"
function = "greet"
change = "return f'hello to {name}' -> return None"
reason = "none; this is a test"
"""


@pytest.fixture
def solutions(course: Path) -> Path:
    folder = course / "solutions" / "01-greeting"
    text = (folder / "greeter.py").read_text()
    (folder / "wrong" / "cheats").mkdir(parents=True)
    (folder / "wrong" / "no_goodbye.py").write_text(WRONG + text.replace("goodbye to", "see you"))
    (folder / "wrong" / "cheats" / "prints.py").write_text(CHEAT)
    return folder


def interrupted(course: Path, *words: str) -> int:
    """Press Ctrl-C when a trial has begun to run its last check; the exit status."""
    checks = course / "labs" / "01-greeting" / "test_greeting.py"
    begun = course / "begun"
    slow = f"    open({str(begun)!r}, 'w').close()\n    import time; time.sleep(50)\n"
    whole = checks.read_text()
    checks.write_text(f'{whole}\n\n@step("1.2", starts=())\ndef test_slow():\n    """Slow."""\n{slow}')
    command = [sys.executable, "-m", "dslab", *words]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL) as proving:
        deadline_s = time.monotonic() + 40
        while not begun.exists() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        has_begun = begun.exists()
        proving.send_signal(signal.SIGINT)
        status = proving.wait(25)
    assert has_begun, "the trial took too long to come to its last check"
    checks.write_text(whole)
    return status


def test_an_interrupted_proof_ends_at_once_and_remembers_nothing_half(course: Path, solutions: Path) -> None:
    assert interrupted(course, "prove", "1", "--repeat", "1", "--mutants", "0", "--jobs", "1") == 130
    assert not list((course / ".dslab" / "prove").glob("*"))


@pytest.mark.parametrize(("complete", "known"), [(True, {"a": "pass", "b": "fail"}), (False, {"b": "fail"})])
def test_a_run_that_was_cut_short_tells_only_what_failed(
    tmp_path: Path, complete: bool, known: dict[str, str]
) -> None:
    checks = [{"name": "a", "verdict": "pass"}, {"name": "b", "verdict": "fail"}]
    result = {"complete": complete, "steps": [{"checks": checks}]}
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert verdicts(tmp_path / "result.json") == known


def test_a_proof(course: Path, solutions: Path, run: Run) -> None:
    assert run("prove", "--check").out == (
        "labs/01-greeting/PROOF.md is missing. Make it with: dslab prove 1\n"
    )
    ran = run("prove", "1", "--repeat", "1")
    assert ran.out.splitlines() == [
        "01-greeting: 6 runs; what was remembered did not run again",
        "false failures   0 in 1 runs of right submissions",
        "wrong            1 of 1 as they should",
        "cheats           1 of 1 as they should",
        "mutants          2 of 2 caught, 100.0%",
        "labs/01-greeting/PROOF.md is written.",
    ]
    assert ran.status == 0
    page = (course / "labs" / "01-greeting" / "PROOF.md").read_text()
    assert "| mutants caught, of those that make a difference | 2 of 2, 100.0% |" in page
    assert not (course / ".dslab" / "runs").exists()

    # What is remembered does not run again; the page does not depend on it.
    assert "01-greeting: 0 runs" in run("prove", "1", "--repeat", "1").out
    assert (course / "labs" / "01-greeting" / "PROOF.md").read_text() == page
    assert run("prove", "--check").out == "labs/01-greeting/PROOF.md is of what there is now.\n"

    # A wrong submission that is caught by another check than it says.
    path = solutions / "wrong" / "no_goodbye.py"
    path.write_text(path.read_text().replace("test_goodbye", "test_hello"))
    left_by_tools = course / "labs" / "01-greeting" / ".cache" / "x.db"
    left_by_tools.parent.mkdir()
    left_by_tools.write_text("not of the lab")
    (solutions / "equivalent.toml").write_text(EQUIVALENT)
    stale = run("prove", "--check")
    assert stale.status == 1
    assert stale.out == (
        "labs/01-greeting/PROOF.md is stale: wrong, equivalent changed since. "
        "Make it anew with: dslab prove 1\n"
    )
    short = run("prove", "1", "--repeat", "1", "--mutants", "2")
    assert short.status == 1
    assert "  wrong/no_goodbye.py says test_hello, but was caught by test_goodbye\n" in short.out
    assert "  said to be equivalent, but caught: greeter.py:10 greet: return f'hello to {name}'" in short.out
    assert (course / "labs" / "01-greeting" / "PROOF.md").read_text() == page


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "wrong/x.py",
            "print()\n",
            "/wrong/x.py:1: does not say which checks catch it. "
            "Its first two lines are: # caught by: test_...  and  # replaces: FILE\n",
        ),
        (
            "equivalent.toml",
            EQUIVALENT.replace("None", "0"),
            "/equivalent.toml: there is no mutant \"return f'hello to {name}' -> return 0\" in greet "
            "of greeter.py. "
            "`dslab prove` prints those that survive as they are written here.\n",
        ),
    ],
)
def test_mistakes(name: str, text: str, message: str, solutions: Path, run: Run) -> None:
    (solutions / name).write_text(text)
    ran = run("prove", "1")
    assert ran.status == 2
    assert ran.err == f"dslab: {solutions}{message}"


def test_a_course_as_students_get_it(course: Path, run: Run) -> None:
    (course / "solutions").rename(course / "elsewhere")
    ran = run("prove", "1")
    assert (ran.status, ran.err) == (
        2,
        f"dslab: There is no solutions/01-greeting/ in {course}, so there is nothing to try.\n",
    )
