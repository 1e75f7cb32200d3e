"""The command lines of ``python -m dslab.echo``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dslab.echo import demo
from dslab.echo.demo import running_server


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dslab.echo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("model", "options"), [("threads", ()), ("udp", ("--udp",))])
def test_client_prints_the_replies(model: str, options: tuple[str, ...]) -> None:
    with running_server(model) as (address, _):
        completed = run("client", "--server", address, *options, "Hello World", "grüezi")
    assert completed.stdout.splitlines() == ["Hello World*", "grüezi*"]
    assert (completed.returncode, completed.stderr) == (0, "")


def test_raw_client() -> None:
    with running_server("iterative", "--framing", "raw") as (address, _):
        assert run("client", "--server", address, "--framing", "raw", "Hello").stdout == "Hello*\n"


def test_client_without_a_server() -> None:
    completed = run("client", "--server", "127.0.0.1:1", "Hello")
    assert (completed.returncode, completed.stdout) == (1, "")
    assert completed.stderr == "127.0.0.1:1 took no connection: Connection refused.\n"


@pytest.mark.parametrize("option", ["--timeout", "--idle-timeout"])
@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        ("0", "0 is not longer than no time at all"),
        ("nan", "nan is not longer than no time at all"),
        ("inf", "inf is longer than 1,000,000 s"),
        ("1e9", "1e9 is longer than 1,000,000 s"),
        ("soon", "invalid seconds value: 'soon'"),
    ],
)
def test_durations_that_are_none(option: str, seconds: str, told: str) -> None:
    if option == "--timeout":
        completed = run("client", "--server", "127.0.0.1:1", option, seconds, "Hello")
    else:
        completed = run("server", option, seconds)
    assert completed.returncode == 2
    assert completed.stderr.splitlines()[-1].endswith(f"argument {option}: {told}")


def test_the_longest_wait() -> None:
    with running_server("threads", "--idle-timeout", "1000000") as (address, _):
        for options in ((), ("--timeout", "1000000")):
            assert run("client", "--server", address, *options, "Hello").stdout == "Hello*\n"


def test_a_message_that_is_no_text() -> None:
    with running_server("selectors") as (address, _):
        completed = subprocess.run(
            [sys.executable, "-m", "dslab.echo", "client", "--server", address, b"\xff"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (completed.returncode, completed.stdout) == (0, "\N{REPLACEMENT CHARACTER}*\n")


def test_a_server_imports_nothing_heavy() -> None:
    program = (
        "import sys; before = set(sys.modules)\n"  # a coverage run brings modules of its own
        "import dslab.echo.__main__, dslab.echo.server_selectors\n"
        "print(*set(sys.modules) - before)"
    )
    imported = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"asyncio", "typer", "rich", "psutil", "multiprocessing"} & set(imported.stdout.split())


def test_demo_shows_who_waits() -> None:
    completed = run("demo")
    assert completed.returncode == 0, completed.stderr
    rows = {row.split()[0]: row.split() for row in completed.stdout.splitlines() if row.split()}
    assert rows["iterative"][1:3] == ["0", "everybody"]
    for model in ("threads", "processes", "selectors", "asyncio"):
        assert rows[model][2] == "nobody", completed.stdout


def test_demo_counts_processes_and_threads() -> None:
    processes = demo.measure("processes", clients=5)
    assert (processes.answered, processes.processes, processes.threads) == (5, 7, 7)
    threads = demo.measure("threads", clients=5)
    assert (threads.answered, threads.processes, threads.threads) == (5, 1, 7)
