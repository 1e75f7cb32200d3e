"""Grading with pytest alone: ``pytest labs/01-tiny --submission DIR``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[[str], None]


def results(lab: Path) -> list[dict[str, object]]:
    runs = sorted((lab.parent.parent / ".dslab" / "runs").glob("*/result.json"))
    return [json.loads(path.read_text()) for path in runs]


def test_full_marks(lab: Path, run_tool: Run) -> None:
    done = run_tool("labs/01-tiny", "--submission", "labs/01-tiny", "--seed", "7", module="pytest")
    assert done.returncode == 0, done.stdout
    assert "score   100 of 100\nseed    7\n" in done.stdout
    assert results(lab)[0]["score"] == 100


def test_from_another_folder(lab: Path, tmp_path: Path, run_tool: Run) -> None:
    submission = tmp_path / "submission"
    submission.mkdir()
    (submission / "server.py").write_text("")
    done = run_tool(str(lab), "--submission", "submission", module="pytest", cwd=tmp_path)
    assert done.returncode == 1
    assert results(lab)[0]["submission"] == str(submission)


def test_inside_the_lab(lab: Path, run_tool: Run) -> None:
    assert run_tool("--step", "1.3", module="pytest", cwd=lab).returncode == 0
    assert results(lab)[0]["max_score"] == 70


def test_private_checks(lab: Path, tmp_path: Path, run_tool: Run) -> None:
    secret = '@step("1.1", starts=())\ndef test_secret():\n    """Secret."""\n    assert False\n'
    (tmp_path / "test_a.py").write_text(f"from dslab.kit.grader import step\n\n{secret}")
    (tmp_path / "test_b.py").write_text(f"from dslab.kit.grader import step\n\n{secret}")
    done = run_tool("labs/01-tiny", "--checks", "..", module="pytest")
    assert done.returncode == 1, done.stdout
    (result,) = (lab.parent.parent / ".dslab" / "runs").glob("*/result.json")
    checks = json.loads(result.read_text())["steps"][0]["checks"]
    found = [(check["verdict"], check["private"]) for check in checks]
    assert found == [("pass", False), ("fail", True), ("fail", True)]


def test_private_checks_in_a_folder_whose_name_means_something_to_pytest(
    lab: Path, tmp_path: Path, run_tool: Run
) -> None:
    assert lab.is_dir()
    (tmp_path / "a::b [1]").mkdir()
    private = tmp_path / "a::b [1]" / "test_a.py"
    secret = '@step("1.1", starts=())\ndef test_secret():\n    """Secret."""\n'
    private.write_text(f"from dslab.kit.grader import step\n\n{secret}")
    done = run_tool("labs/01-tiny", "-k", "secret", "--checks", str(private), module="pytest")
    assert "1 passed, 3 deselected" in done.stdout, done.stdout


def test_paths_from_home(lab: Path, tmp_path: Path, run_tool: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(lab))
    words = ["--submission=~", "--checks=~", "--report=~/../../out"]  # as the shell leaves them
    assert run_tool("labs/01-tiny", *words, module="pytest").returncode == 0
    assert (tmp_path / "course" / "out" / "result.json").is_file()


def test_errors_make_status_3(write_checks: Write, run_tool: Run) -> None:
    write_checks('''
        @step("1.1", starts=())
        def test_broken():
            """Broken."""
            raise OSError
    ''')
    assert run_tool("labs/01-tiny", module="pytest").returncode == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["labs/01-tiny", "--submission", "nowhere"], "nowhere does not exist"),
        (["labs/01-tiny", "--step", "4.4"], "has no step '4.4'"),
        (["labs/01-tiny", "--backend", "cloud"], "There is no backend 'cloud'"),
        (["labs/01-tiny", "-n", "2"], "run one after the other"),
    ],
)
def test_usage_makes_status_2(run_tool: Run, words: list[str], message: str) -> None:
    done = run_tool(*words, module="pytest")
    assert done.returncode == 2
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


def test_only_collecting_changes_nothing(lab: Path, run_tool: Run) -> None:
    done = run_tool("labs/01-tiny", "--collect-only", "-q", module="pytest")
    assert done.returncode == 0
    assert "3 tests collected" in done.stdout


def test_a_run_that_grades_no_lab_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\n\ndef test_other():\n"
        "    loaded = {name for name in sys.modules if name.startswith(('dslab', 'jinja2', 'psutil'))}\n"
        "    grader = 'dslab.kit.grader'\n"
        "    assert loaded == {'dslab', 'dslab.kit', grader, f'{grader}.marks', f'{grader}.plugin'}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout


def test_another_plugin_may_have_the_short_names(lab: Path, tmp_path: Path, run_tool: Run) -> None:
    # Plugins named with -p are loaded before those that are installed.
    (tmp_path / "course" / "early.py").write_text(
        "def pytest_addoption(parser):\n    parser.getgroup('early').addoption('--seed', default='theirs')\n"
    )
    done = run_tool("-p", "early", "-o", "pythonpath=.", "labs/01-tiny", "--dslab-seed", "7", module="pytest")
    assert done.returncode == 0, done.stderr
