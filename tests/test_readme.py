"""A reader can type what README says: every command in it is run, in a fresh copy of the tree.

A command is a line ``$ ...`` in a ``console`` block. The few that take minutes, or need what not every
machine has, are not run here but asked whether they exist; `SLOW` says why for each.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The last is what a cheat of tests/test_labs.py writes there, beside which this may run.
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".dslab", ".*_cache", "__pycache__", ".hypothesis", "results", "wheels", "result.json"
)
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
SLOW = {
    "make test": "it runs this very test",
    "make check": "run beside make test",
    "make bench": "takes minutes of a quiet machine",
    "make watch-1": "runs until it is stopped; tests/kit/cli tests it in a terminal",
    "make images": "wants an image registry; .ci/run calls it with OFFLINE=1",
}
DOCKER = ("BACKEND=docker", "docker compose")
# Exit statuses other than 0 that are what README says of a fresh copy: nothing is filled in, so checks fail.
# `make` ends with 2 whenever a recipe fails, and shows the recipe's own status: "Error 1".
EXPECTED_STATUS = {"make lab-1": 2, ".venv/bin/dslab test 1 --step 1.1": 1}


def commands(page: Path) -> list[str]:
    """Every command of a page, without its comment."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line.removeprefix("$ ").split("  #")[0].strip() for line in lines]


COMMANDS = commands(ROOT / "README.md")
QUICK = [
    command for command in COMMANDS if command not in SLOW and not any(word in command for word in DOCKER)
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as a clone would have it: no .venv, no caches, no earlier runs."""
    target = tmp_path_factory.mktemp("fresh") / "dslab"
    shutil.copytree(ROOT, target, ignore=LEFT_OUT, symlinks=True)
    return target


def run(command: str, cwd: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL"}
    }
    return subprocess.run(
        command,
        shell=True,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.mark.timeout(600)
def test_every_command_does_what_readme_says(copy: Path) -> None:
    for command in QUICK:
        done = run(command, copy, timeout_s=240)
        printed = done.stdout + done.stderr
        assert done.returncode == EXPECTED_STATUS.get(command, 0), f"$ {command}\n{printed}"
        assert "Traceback" not in printed, f"$ {command}\n{printed}"


@pytest.mark.parametrize("command", [command for command in COMMANDS if command in SLOW])
def test_a_slow_command_exists(command: str) -> None:
    done = run(f"make --dry-run {command.removeprefix('make ')}", ROOT, timeout_s=30)
    assert done.returncode == 0, done.stderr


def test_every_slow_command_is_in_readme() -> None:
    assert set(SLOW) <= set(COMMANDS)


def test_links_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("labs/**/*.md"), *ROOT.glob("docs/**/*.md")]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (page.parent / target).exists(), (
                f"{page.relative_to(ROOT)} links to {target}, which is not there"
            )
