"""The command line starts fast, and every mistake ends in one paragraph and an exit status."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.main import get_command

from dslab.kit.cli import commands
from dslab.kit.cli.app import app, main
from dslab.kit.cli.commands import COMMANDS, load
from dslab.kit.errors import (
    ConfigError,
    DslabError,
    KitError,
    MachineError,
    PeerError,
    PeerRefused,
    ServiceFailed,
    UsageError,
)

Run = Callable[..., typing.Any]
HEAVY = ("pytest", "_pytest", "docker", "psutil", "yaml", "jinja2", "watchfiles", "asyncio")


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Python keeps what it compiled, so that only the first process has to."""
    return tmp_path_factory.mktemp("bytecode")


def python(code: str, bytecode: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, with its byte code kept in a folder."""
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(bytecode), "COLUMNS": "80", **environment}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=30)


def test_help_is_fast_and_imports_nothing_heavy(bytecode: Path) -> None:
    code = (
        "import sys, time, dslab.kit.cli.app as a\n"
        "a.main(['--help'])\n"
        f"heavy = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "print(time.process_time(), *heavy, file=sys.stderr)"
    )
    spent_s = [math.inf]
    while min(spent_s) > 0.25 and len(spent_s) < 20:  # the first has to compile; some meet a busy machine
        took_s, *heavy = python(code, bytecode).stderr.split()
        assert heavy == []
        spent_s.append(float(took_s))
    assert min(spent_s) < 0.25


def test_help_lists_every_command_with_its_summary(run: Run) -> None:
    ran = run("--help")
    assert ran.status == 0
    for entry in COMMANDS:
        assert f" {entry.name} " in ran.out
        assert entry.summary in ran.out


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_every_command_has_help_with_an_example(entry: commands.Command, run: Run) -> None:
    ran = run(entry.name, "--help")
    assert ran.status == 0
    assert f"Usage: dslab {entry.name}" in ran.out
    assert "Example" in ran.out
    assert (load(entry.name).help or "").split("\n")[0] == entry.summary


def test_version(run: Run) -> None:
    assert run("--version").out.startswith("dslab 0.")


def test_unknown_command(run: Run) -> None:
    ran = run("lab")
    assert ran.status == 2
    assert "No such command 'lab'. Did you mean 'labs'?" in ran.err


def test_python_dash_m(bytecode: Path) -> None:
    ran = python("import runpy, sys; sys.argv = ['dslab', '--version']; runpy.run_module('dslab', "
                 "run_name='__main__')", bytecode)  # fmt: skip
    assert ran.stdout.startswith("dslab 0."), ran.stderr


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make `dslab labs` raise."""

    def fail_with(error: BaseException) -> None:
        def labs() -> None:
            raise error

        fresh = commands.new_app()
        fresh.command("labs")(labs)
        monkeypatch.setattr(commands, "load", lambda _name: get_command(fresh))

    return fail_with


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UsageError("No lab 9.", remedy="The labs are: 1."), 2, "dslab: No lab 9. The labs are: 1.\n"),
        (MachineError("No engine."), 3, "dslab: No engine.\n"),
        (KitError("A proxy died."), 3, "dslab: A proxy died.\n"),
        (PeerRefused("Nobody listens."), 1, "dslab: Nobody listens.\n"),
        (
            ServiceFailed("server ended.", stderr="Traceback\nOops\n"),
            1,
            "dslab: server ended.\n  | Traceback\n  | Oops\n",
        ),
        (
            PermissionError(13, "Permission denied", "/course/.dslab"),
            3,
            "dslab: No permission to read or write /course/.dslab. See who owns it with: "
            "ls -ld /course/.dslab  (a run with sudo may have left it).\n",
        ),
        (
            OSError(28, "No space left on device"),
            3,
            "dslab: No space left on device. `dslab doctor` looks over this machine.\n",
        ),
    ],
)
def test_known_errors(
    error: Exception, status: int, message: str, failing: Callable[[Exception], None], run: Run
) -> None:
    failing(error)
    ran = run("labs")
    assert (ran.status, ran.out, ran.err) == (status, "", message)


def test_a_bug_is_called_one(failing: Callable[[Exception], None], run: Run) -> None:
    failing(ZeroDivisionError("division by zero"))
    ran = run("labs")
    assert ran.status == 3
    assert ran.err.startswith(
        "dslab: This is a bug in dslab, not in your work: ZeroDivisionError: division by zero ("
    )
    assert ran.err.endswith(
        "To report it, run the same command with --debug and send all that it prints, "
        "together with the output of `dslab doctor --json`, to those who run your course.\n"
    )
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("words", [("--debug", "labs"), ("labs", "--debug")])
def test_debug_shows_the_traceback(
    words: tuple[str, ...], failing: Callable[[Exception], None], run: Run
) -> None:
    failing(UsageError("No lab 9."))
    ran = run(*words)
    assert ran.status == 2
    assert ran.err.startswith("Traceback (most recent call last):")
    assert ran.err.endswith("dslab: No lab 9.\n")


def test_debug_from_the_environment(
    failing: Callable[[Exception], None], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSLAB_DEBUG", "1")
    failing(UsageError("No lab 9."))
    assert "Traceback" in run("labs").err


def test_ctrl_c_is_quiet(failing: Callable[[BaseException], None], run: Run) -> None:
    failing(KeyboardInterrupt())
    ran = run("labs")
    assert (ran.status, ran.out, ran.err) == (130, "", "")


def test_every_kind_of_dslab_error_has_an_exit_status() -> None:
    kinds: list[type[DslabError]] = [DslabError, UsageError, ConfigError, MachineError, KitError, PeerError]
    assert [kind.exit_status for kind in kinds] == [3, 2, 2, 3, 3, 1]


def test_completion_of_commands_and_of_labs(course: Path, bytecode: Path) -> None:
    code = (
        f"import os, sys; os.chdir({str(course)!r}); from dslab.kit.cli.app import main; sys.exit(main([]))"
    )

    def complete(line: str) -> str:
        words = line.split(" ")
        return python(
            code, bytecode, _DSLAB_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1)
        ).stdout

    assert complete("dslab doc").split() == ["doctor", "docs"]
    assert complete("dslab labs --he").split() == ["--help"]
    assert complete("dslab skeletons ").split() == ["1"]


def test_main_needs_no_arguments_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["dslab", "--version"])
    assert main() == 0
    assert app.info.help is not None


def test_letters_that_the_terminal_does_not_know(course: Path) -> None:
    lab = course / "labs" / "01-greeting" / "lab.toml"
    lab.write_text(lab.read_text().replace("Greetings", "Grüße"))
    command = [sys.executable, "-P", "-m", "dslab", "labs"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Gr\\xfc\\xdfe" in done.stdout


def test_without_a_standard_error(course: Path) -> None:
    assert course.is_dir()
    command = f"exec {sys.executable} -P -m dslab test 99 2>&-"
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, b"")


def test_without_a_standard_output(course: Path) -> None:
    assert course.is_dir()
    command = f"exec {sys.executable} -P -m dslab test 1 --step 1.1 >&-"
    done = subprocess.run(command, shell=True, stderr=subprocess.PIPE, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"")


def test_without_a_standard_error_the_exit_status_is_the_same(course: Path) -> None:
    assert course.is_dir()
    command = f"exec {sys.executable} -P -m dslab hint 99.1 2>&-"
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, b"")
