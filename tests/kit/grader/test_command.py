"""``dslab test``, as it is typed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[[str], None]


def test_full_marks(lab: Path, run_here: Run) -> None:
    done = run_here("test", "1", "--seed", "7")
    assert done.returncode == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "Lab 1, A tiny lab   seed 7, local"
    assert lines[-3] == "100 of 100 points"
    assert lines[-2].startswith("folder     .dslab/runs/")
    assert lines[-1] == "again      dslab test 1 --seed 7"


def test_failure_prints_how_to_repeat_it(write_checks: Write, run_here: Run) -> None:
    write_checks('''
        @step("1.1")
        def test_wrong(topology, rng):
            """It echoes."""
            message = rng.randbytes(6)
            assert ask(topology, message) == message
    ''')
    done = run_here("test", "1")
    assert done.returncode == 1
    (command,) = {line.split(None, 1)[1] for line in done.stdout.splitlines() if line.endswith("--step 1.1")}
    again = run_here(*command.split()[1:])

    def shown(text: str) -> list[str]:
        return [line for line in text.splitlines() if "came back" in line or "in hex" in line]

    assert shown(done.stdout) == shown(again.stdout) != []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["7"], "There is no lab '7'. The labs are: 01-tiny."),
        (["1", "--submission", "nowhere"], "does not exist"),
        (["1", "--step", "1.9"], "has no step '1.9'. Its steps are 1.1, 1.2, 1.3."),
        (["1", "--broker", "kafka"], "There is no broker 'kafka'."),
        (["1", "--checks", "nowhere"], "There are no checks in nowhere."),
    ],
)
def test_wrong_usage(run_here: Run, words: list[str], message: str) -> None:
    done = run_here("test", *words)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_missing_file_of_the_submission(lab: Path, run_here: Run) -> None:
    (lab / "server.py").unlink()
    done = run_here("test", "1")
    assert done.returncode == 2
    assert "lacks server.py." in done.stderr


def test_broken_lab_toml(lab: Path, run_here: Run) -> None:
    (lab / "lab.toml").write_text((lab / "lab.toml").read_text().replace("points = 20", "points = -1"))
    done = run_here("test", "1")
    assert done.returncode == 2
    assert "lab.toml:9: step 1.1: points must be a positive number" in " ".join(done.stderr.split())


def test_broken_compose_file(lab: Path, run_here: Run) -> None:
    (lab / "compose.yaml").write_text((lab / "compose.yaml").read_text().replace("expose", "exposes"))
    done = run_here("test", "1")
    assert done.returncode == 2
    assert "compose.yaml" in done.stderr
    assert "exposes" in done.stderr


def test_broken_check_file(lab: Path, run_here: Run) -> None:
    (lab / "test_tiny.py").write_text("def test_x(:\n")
    done = run_here("test", "1")
    assert done.returncode == 3
    assert "the checks cannot be loaded" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_docker_engine(run_here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    done = run_here("test", "1", "--backend", "docker")
    assert done.returncode == 3
    assert "No Docker engine answers." in done.stderr
    assert "points" not in done.stdout


def test_debug_shows_the_traceback_of_an_error(write_checks: Write, run_here: Run) -> None:
    write_checks('''
        @step("1.1", starts=())
        def test_broken():
            """Broken."""
            raise OSError("the disk")
    ''')
    quiet, loud = run_here("test", "1"), run_here("test", "1", "--debug")
    assert quiet.returncode == loud.returncode == 3
    assert "Traceback" not in quiet.stdout
    assert 'raise OSError("the disk")' in loud.stdout


def test_report(lab: Path, run_here: Run) -> None:
    run_here("test", "1", "--report", "out")
    assert json.loads((lab.parent.parent / "out" / "result.json").read_text())["score"] == 100


def test_a_folder_that_cannot_be_made_is_one_message(run_here: Run) -> None:
    done = run_here("test", "1", "--report", "/dev/null/reports")
    assert done.returncode == 3
    assert done.stdout == ""
    message, end = done.stderr.split("\n")
    assert message.startswith("dslab: /dev/null/reports/result.json cannot be written: ")
    assert end == ""


def test_hints_that_were_told(lab: Path, run_here: Run) -> None:
    run_here("hint", "1.3")
    run_here("test", "1", "--report", "out")
    found = json.loads((lab.parent.parent / "out" / "result.json").read_text())
    assert [step["hints_used"] for step in found["steps"]] == [0, 0, 1]


def test_repeat_tells_which_checks_waver(lab: Path, write_checks: Write, run_here: Run) -> None:
    write_checks('''
        @step("1.3", starts=())
        def test_wavers(seed):
            """It holds for the first seed only."""
            assert seed == 7
    ''')
    done = run_here("test", "1", "--seed", "7", "--repeat", "3", "--report", "out")
    assert done.returncode == 1
    assert "1 of 3 runs earned full marks" in done.stdout
    assert "run 2, seed " in done.stdout
    (row,) = [line.split(None, 2) for line in done.stdout.splitlines() if line.startswith("1.3 ")]
    assert row[1] == "test_wavers"
    assert row[2].startswith("2 of 3")
    reports = [
        json.loads(path.read_text()) for path in sorted((lab.parent.parent / "out").glob("*/result.json"))
    ]
    assert [found["score"] for found in reports] == [100, 30, 30]
    assert str(reports[1]["seed"]) in row[2]


def test_repeat_tells_checks_of_one_name_apart(tmp_path: Path, write_checks: Write, run_here: Run) -> None:
    wrong = '@step("1.3", starts=())\ndef test_wrong():\n    """{}"""\n    assert False\n'
    write_checks(wrong.format("Ours."))
    private = f"from dslab.kit.grader import step\n\n{wrong.format('Private.')}"
    (tmp_path / "test_a.py").write_text(private)
    (tmp_path / "test_b.py").write_text(private)
    done = run_here("test", "1", "--repeat", "2", "--checks", str(tmp_path))
    assert [line.split()[2] for line in done.stdout.splitlines() if line.startswith("1.3 ")] == ["2"] * 3


def test_repeat_without_a_failure(run_here: Run) -> None:
    done = run_here("test", "1", "--repeat", "2")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "2 of 2 runs earned full marks"


def test_repeat_says_how_far_it_is(run_here: Run) -> None:
    done = run_here("test", "1", "--step", "1.3", "--repeat", "3")
    assert done.stdout.splitlines()[1:] == [
        *(f"run {number} of 3: full marks" for number in (1, 2, 3)),
        "3 of 3 runs earned full marks",
    ]


def test_repeat_that_is_interrupted_tells_what_it_has_seen(write_checks: Write, run_here: Run) -> None:
    write_checks('''
        import os, pathlib, signal

        @step("1.3", starts=())
        def test_wavers(seed):
            """It holds for the first seed only; in the third run somebody presses Ctrl-C."""
            runs = pathlib.Path(__file__).with_name("runs")
            with runs.open("a") as file:
                file.write(".")
            if runs.stat().st_size == 3:
                os.kill(os.getpid(), signal.SIGINT)
            assert seed == 7
    ''')
    done = run_here("test", "1", "--seed", "7", "--repeat", "100")
    assert done.returncode == 130
    assert "1 of 2 runs earned full marks; 100 were wanted" in done.stdout
    (row,) = [line.split(None, 2) for line in done.stdout.splitlines() if line.startswith("1.3 ")]
    assert row[2].startswith("1 of 2")


def test_help_has_an_example(run_here: Run) -> None:
    done = run_here("test", "--help")
    assert done.returncode == 0
    assert "dslab test 1 --step 1.3" in done.stdout
