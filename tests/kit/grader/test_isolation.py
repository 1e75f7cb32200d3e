"""What a submission brings along never runs in the grader's process, and whatever it does earns nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# Run by whoever imports it: leaves a file behind and makes every check pass.
CHEAT = """\
import pathlib, sys
pathlib.Path({mark!r}).touch()
runner = sys.modules.get("_pytest.runner")
if runner:
    made = runner.CallInfo
    made.from_call = lambda func, when, **_: made(None, None, 0, 0, 0, when, _ispytest=True)
"""

BROKEN_SERVER = "raise SystemExit(1)\n"

FILES = {
    "conftest.py": CHEAT,
    "sitecustomize.py": CHEAT,
    "usercustomize.py": CHEAT,
    "pytest.py": CHEAT,
    "_pytest/__init__.py": CHEAT,
    "dslab/__init__.py": CHEAT,
    "dslab/kit/__init__.py": CHEAT,
    "rich/__init__.py": CHEAT,
    "socket.py": CHEAT,
    "test_cheat.py": CHEAT + "def test_cheat(): pass\n",
    "__init__.py": CHEAT,
    "cheat.py": CHEAT,
    "pytest.ini": "[pytest]\naddopts = -p cheat\npythonpath = .\n",
    "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-p cheat"\npythonpath = ["."]\n',
    "tox.ini": "[pytest]\naddopts = -p cheat\n",
}


def plant(folder: Path, mark: Path) -> None:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{mark!r}", repr(str(mark))))
    (folder / "server.py").write_text(BROKEN_SERVER)


def score(lab: Path) -> float:
    (path,) = (lab.parent.parent / ".dslab" / "runs").glob("*/result.json")
    found = json.loads(path.read_text())
    assert found["complete"]
    return float(found["score"])


@pytest.fixture
def submission(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere" / "submission"
    folder.mkdir(parents=True)
    plant(folder, tmp_path / "it-ran")
    return folder


def test_dslab_test(lab: Path, submission: Path, tmp_path: Path, run_tool: Run) -> None:
    done = run_tool("test", "1", "--submission", str(submission))
    assert done.returncode == 1, done.stderr
    assert score(lab) == 70
    assert not (tmp_path / "it-ran").exists()


def test_dslab_test_in_the_submission(lab: Path, submission: Path, tmp_path: Path, run_tool: Run) -> None:
    done = run_tool("test", str(lab), "--submission", ".", cwd=submission)
    assert done.returncode == 1, done.stderr
    assert not (tmp_path / "it-ran").exists()


def test_the_lab_itself_as_submission(lab: Path, tmp_path: Path, run_tool: Run) -> None:
    plant(lab, tmp_path / "it-ran")
    done = run_tool("test", "1")
    assert done.returncode == 1, done.stderr
    assert score(lab) == 70
    assert not (tmp_path / "it-ran").exists()


def test_pytest_with_the_lab_named_first(lab: Path, submission: Path, tmp_path: Path, run_tool: Run) -> None:
    (lab.parent.parent / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")  # as every course has it
    done = run_tool("labs/01-tiny", "--submission", str(submission), module="pytest")
    assert done.returncode == 1, done.stderr
    assert score(lab) == 70
    assert not (tmp_path / "it-ran").exists()


def test_pytest_configured_by_the_lab_folder_is_refused(lab: Path, run_tool: Run) -> None:
    (lab / "pytest.ini").write_text("[pytest]\n")
    done = run_tool("labs/01-tiny", module="pytest")
    assert done.returncode == 2
    assert "may be a student's" in done.stderr + done.stdout


@pytest.mark.parametrize(
    "action",
    [
        "open('result.json', 'w').write(FORGED); open('../result.json', 'w').write(FORGED)",
        "[path.write_text(FORGED) for path in RUN.rglob('result.json')]",
        "[(path.unlink(), path.mkdir()) for path in RUN.glob('result.json')]",
        "[(path.unlink(), path.symlink_to('/dev/null')) for path in RUN.glob('result.json')]",
        "print('100 of 100 points', flush=True); print('\\x1b[2J\\x1b[H100 of 100 points', file=sys.stderr)",
        "open('/dev/tty', 'w').write('100 of 100 points')",
    ],
)
def test_programs_that_forge_the_result(lab: Path, run_here: Run, action: str) -> None:
    forged = json.dumps({"score": 100, "max_score": 100, "complete": True})
    (lab / "server.py").write_text(
        "import pathlib, sys\n"
        "RUN = pathlib.Path.cwd().parents[1]\n"
        f"FORGED = {forged!r}\n"
        f"{action}\n"
        "raise SystemExit(1)\n"
    )
    done = run_here("test", "1")
    assert done.returncode == 1, done.stderr
    assert score(lab) == 70
    assert "\n70 of 100 points\n" in done.stdout
    assert "\x1b" not in done.stdout


def test_program_that_kills_its_parent(lab: Path, run_tool: Run) -> None:
    (lab / "server.py").write_text("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n")
    done = run_tool("test", "1")
    assert done.returncode != 0
    (path,) = (lab.parent.parent / ".dslab" / "runs").glob("*/result.json")
    found = json.loads(path.read_text())
    assert found["steps"][0]["earned"] == found["steps"][1]["earned"] == 0
