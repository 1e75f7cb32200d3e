"""`dslab up` runs a topology; `dslab fault` and `dslab down` act on it from elsewhere."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import typing
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

import pytest

from dslab.kit.address import Address
from dslab.kit.cli.down import sweep_processes
from dslab.kit.cli.remote import Remote, running, served
from dslab.kit.cli.tail import Tails
from dslab.kit.cli.up import Stop, _is_over
from dslab.kit.errors import KitError, ServiceFailed, UsageError
from dslab.kit.grader.course import Course
from dslab.kit.topology.processes import marked
from dslab.kit.topology.runfolder import RunFolder

Run = Callable[..., typing.Any]
END_S = 60.0


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests' containers are none of ours."""
    monkeypatch.setattr("dslab.kit.cli.looks_optional.engine_answers", lambda: False)


class Up:
    """A `dslab up` without a terminal."""

    def __init__(self, course: Path, *words: str) -> None:
        self.output = course / "up.txt"
        command = [sys.executable, "-m", "dslab", "up", "1", "--submission", "solutions/01-greeting", *words]
        with self.output.open("wb") as out:
            environment = {**os.environ, "COLUMNS": "100"}
            self.process = subprocess.Popen(command, cwd=course, env=environment, stdout=out, stderr=out)
        self.until("Ctrl-C ends it")
        [self.remote] = running(Course(course))

    @property
    def said(self) -> str:
        return self.output.read_text()

    def until(self, words: str) -> str:
        """Wait until it has printed this."""
        deadline_s = time.monotonic() + END_S
        while words not in self.said:
            assert time.monotonic() < deadline_s, self.said
            assert self.process.poll() is None, self.said
            time.sleep(0.02)
        return self.said

    def reach(self, service: str = "server") -> Address:
        """Where its table says that the service is reached."""
        row = next(line for line in self.said.splitlines() if line.startswith(service))
        return Address.parse(row.split()[-1])

    def end(self) -> int:
        return self.process.wait(END_S)


@pytest.fixture
def up(course: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start(*words: str) -> Up:
        started.append(Up(course, *words))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


def ask(address: Address, words: str = "hello Bob", timeout_s: float = 5) -> str:
    with socket.create_connection(address.pair, timeout_s) as connection:
        connection.sendall(words.encode())
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(100), b"")).decode()


def test_a_topology_to_play_with(up: Callable[..., Up], course: Path, run: Run) -> None:
    one = up("--seed", "5")
    assert "Starting 01-greeting   seed 5, local" in one.said
    rows = [line.split() for line in one.said.splitlines()]
    assert ["client", "not", "started"] in rows
    assert ["client->server", "0", "0", "0", "0"] in rows
    assert ask(one.reach()) == "hello to Bob"

    # Links: what stands is seen, and ends with the heal.
    assert run("fault", "grader->server", "delay", "0.3").out == (
        "grader->server: delay 0.3 s. To end it: dslab fault 'grader->server' heal\n"
    )
    began_s = time.monotonic()
    assert ask(one.reach()) == "hello to Bob"
    assert time.monotonic() - began_s > 0.55
    assert run("fault", "grader->server", "heal").out == "grader->server is healed.\n"
    assert run("fault", "grader->server", "refuse").status == 0
    with pytest.raises(ConnectionRefusedError):
        ask(one.reach())
    assert run("fault", "all", "heal").out == "All links are healed.\n"

    # Services.
    assert run("fault", "server", "pause").out == "server: pause, done.\n"
    with pytest.raises(TimeoutError):
        ask(one.reach(), timeout_s=0.2)
    assert run("fault", "server", "resume").status == 0
    assert run("fault", "server", "kill").status == 0
    with pytest.raises(OSError, match=r"reset|not connected|pipe"):  # the link accepts, and finds nobody
        ask(one.reach())
    assert run("fault", "server", "restart").status == 0
    assert ask(one.reach()) == "hello to Bob"

    # A service that waits to be asked for, with a value; what it prints is shown.
    assert run("fault", "client", "start", "WORDS=goodbye Eve").out == "client: start, done.\n"
    one.until("client | goodbye to Eve")

    assert run("down").out == "01-greeting: ended.\n"
    assert one.end() == 0
    assert one.said.endswith(f"All ended.   dslab trace {one.remote.folder.name}\n")
    assert not marked(one.remote.folder.name)
    assert (one.remote.folder / "up" / "trace.jsonl").stat().st_size > 0
    assert run("down").out == "Nothing runs.\n"
    assert course.is_dir()


def test_mistakes_from_the_second_terminal(up: Callable[..., Up], run: Run) -> None:
    up()
    assert run("fault").out.splitlines()[:3] == [
        "01-greeting runs.",
        "links      client->server, grader->server",
        "services   server, client",
    ]
    services = "It can start, stop, kill, restart, pause, resume."
    kinds = (
        "There are: delay, fragment, coalesce, throttle, stall, partition, cut, reset, half_close, refuse, "
        "lose, duplicate, reorder, corrupt; and heal."
    )
    for words, message in {
        ("servr", "kill"): "There is no service 'servr'. Did you mean 'server'?",
        ("client->servr", "cut"): "There is no service 'servr'. Did you mean 'server'?",
        ("clint->server", "cut"): "There is no service 'clint'. Did you mean 'client'?",
        ("server",): f"What should server do? {services}",
        ("server", "jump"): f"A service cannot 'jump'. {services}",
        ("server", "cut"): "'cut' is for links, and server is a service. "
        "Its links are: client->server, grader->server.",
        ("client->server",): f"What should happen to client->server? {kinds}",
        ("client->server", "dely", "1"): f"There is no fault 'dely'. {kinds}",
        ("client->server", "kill"): "'kill' is for services, and client->server is a link. "
        "For example: dslab fault server kill",
        ("client->server", "delay"): "delay needs s.",
        ("client->server", "delay", "-1"): "delay: s is at least 0, not -1.",
        ("client->server", "delay", "soon"): "delay: s is a number, not 'soon'.",
        ("client->server", "delay", "1", "2", "3"): "delay takes no '3'.",
        ("client", "start", "hello"): "'hello' gives no value to a variable. Write it as NAME=VALUE.",
        ("client", "start", "WORD=a"): "client has no variable WORD. Did you mean 'WORDS'?",
        ("client", "pause"): "client has not been started.",
        ("server", "start"): "server runs already.",
        ("server", "kill", "client"): "kill takes no 'client'.",
        ("client->server", "heal", "1"): "heal takes no '1'.",
        ("all", "heal", "now"): "heal takes no 'now'.",
    }.items():
        ran = run("fault", *words)
        assert (ran.status, ran.err) == (2, f"dslab: {message}\n"), words


def test_nothing_runs(course: Path, run: Run) -> None:
    assert course.is_dir()
    assert run("fault", "server", "kill").err == (
        "dslab: No topology runs. Start one in another terminal: dslab up 1\n"
    )
    assert run("fault", "--lab", "1", "server", "kill").err == (
        "dslab: No topology of 01-greeting runs. Start one in another terminal: dslab up 1\n"
    )
    assert run("down", "7").status == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_tear_down(number: int, up: Callable[..., Up]) -> None:
    one = up()
    one.process.send_signal(number)
    assert one.end() == 0
    assert not marked(one.remote.folder.name)


def test_after_kill_9_nothing_is_found_and_nothing_is_left(
    up: Callable[..., Up], course: Path, run: Run
) -> None:
    one = up()
    one.process.kill()
    one.process.wait()
    assert running(Course(course)) == []
    assert run("down").status == 0
    assert not marked(one.remote.folder.name)


def test_a_run_that_begins_just_now_is_left_alone(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = course / ".dslab" / "runs" / "x"
    folder.mkdir(parents=True)
    ended: list[str] = []
    with (folder / "lock").open("w") as lock:
        (folder / "lock").rename(folder / "no lock yet")

        def marked(_prefix: str) -> set[int]:
            (folder / "no lock yet").rename(folder / "lock")
            fcntl.flock(lock, fcntl.LOCK_EX)
            return {1}

        monkeypatch.setattr("dslab.kit.topology.processes.marked", marked)
        monkeypatch.setattr("dslab.kit.topology.processes.end_marked", ended.append)
        assert (sweep_processes(Course(course)), ended) == (0, [])


def test_one_that_does_not_end_is_ended(
    up: Callable[..., Up], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = up()
    monkeypatch.setattr("dslab.kit.cli.remote.ANSWER_S", 0.3)
    monkeypatch.setattr("dslab.kit.cli.down.END_S", 0.3)
    one.process.send_signal(signal.SIGSTOP)
    assert run("down").out.startswith("01-greeting: ended.\n")
    assert one.end() == -signal.SIGKILL


def test_a_skeleton_has_no_service_to_play_with(course: Path, run: Run) -> None:
    (course / "labs" / "01-greeting" / "greeter.py").write_text("raise NotImplementedError('step 1.1')\n")
    ran = run("up", "1")
    assert ran.status == 1
    assert ran.err.startswith(
        "dslab: server ended with status 1 before it was ready: NotImplementedError: step 1.1."
    )
    assert "  | NotImplementedError: step 1.1\n" in ran.err


def test_in_a_terminal(terminal: Run, course: Path) -> None:
    assert course.is_dir()
    one = terminal("up", "1", "--submission", "solutions/01-greeting")
    assert "running" in one.until("Ctrl-C ends it")
    one.process.send_signal(signal.SIGINT)
    assert one.end() == 0
    assert "All ended." in one.screen


def test_an_interrupt_may_come_at_any_step_of_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dslab.kit.cli.up.REFRESH_S", 0.001)
    stop: Stop = SimpleQueue()
    before = sys.gettrace()

    def is_over(interrupt_at: int) -> bool:
        steps = count()

        def trace(frame: FrameType, event: str, argument: object) -> typing.Any:
            frame.f_trace_opcodes = True
            if next(steps) == interrupt_at:
                raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            return _is_over(stop)
        finally:
            sys.settrace(before)

    for step in count():
        try:
            assert not is_over(step)
        except KeyboardInterrupt:
            continue
        break
    assert step > 10
    stop.put(None)
    assert _is_over(stop)


def test_mistakes(course: Path, run: Run) -> None:
    assert course.is_dir()
    for words, message in {
        (
            "1",
            "--submission",
            "nowhere",
        ): "There is no folder nowhere. --submission names the folder of your files.",
        ("1", "servr"): "There is no service 'servr'. Did you mean 'server'?",
        ("9",): "There is no lab '9'. The labs are: 01-greeting.",
    }.items():
        ran = run("up", *words)
        assert (ran.status, ran.err) == (2, f"dslab: {message}\n")


@pytest.fixture
def run_folder(tmp_path: Path) -> Iterator[RunFolder]:
    (tmp_path / "labs").mkdir()
    with RunFolder.create(tmp_path, lab="1", seed=1, backend="local") as folder:
        yield folder


def test_only_the_owner_may_read_the_token(run_folder: RunFolder, tmp_path: Path) -> None:
    with served(run_folder.path, "01-greeting", lambda request: request["words"]):
        path = run_folder.path / "control.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        [remote] = running(Course(tmp_path))
        assert remote.ask("act", words=["a"]) == ["a"]
        thief = Remote(remote.folder, remote.lab, remote.address, "guess")
        with pytest.raises(UsageError, match=r"^The token is wrong\.$"):
            thief.ask("act")
    assert not path.exists()
    with pytest.raises(KitError, match=r"does not answer"):
        remote.ask("act")


def test_a_service_that_does_not_start_is_no_bug(run_folder: RunFolder, tmp_path: Path) -> None:
    def restart(_request: dict[str, typing.Any]) -> None:
        raise ServiceFailed("server ended with status 1 before it was ready.")

    with served(run_folder.path, "01-greeting", restart):
        [remote] = running(Course(tmp_path))
        with pytest.raises(UsageError, match=r"^server ended with status 1 before it was ready\.$"):
            remote.ask("act")


def test_a_bug_in_a_request_is_told_and_survived(run_folder: RunFolder, tmp_path: Path) -> None:
    with served(run_folder.path, "01-greeting", lambda request: 1 // request["n"]):
        [remote] = running(Course(tmp_path))
        with pytest.raises(KitError, match=r"^dslab up failed: ZeroDivisionError"):
            remote.ask("act", n=0)
        assert remote.ask("act", n=1) == 1


def test_several_topologies_need_a_name(course: Path, run: Run) -> None:
    other = course / "labs" / "02-other"
    other.mkdir()
    for name in ("lab.toml", "compose.yaml"):
        (other / name).write_text((course / "labs" / "01-greeting" / name).read_text())
    (other / "test_other.py").write_text("")
    with (
        RunFolder.create(course, lab="1", seed=1, backend="local") as one,
        RunFolder.create(course, lab="2", seed=1, backend="local") as two,
        served(one.path, "01-greeting", lambda _: "one"),
        served(two.path, "02-other", lambda _: "two"),
    ):
        assert run("fault", "a", "kill").err == (
            "dslab: Several topologies run: 01-greeting, 02-other. Say which: --lab N\n"
        )
        assert run("fault", "--lab", "2", "a", "kill").out == "two\n"


def test_a_control_file_that_is_being_written(course: Path) -> None:
    folder = course / ".dslab" / "runs" / "x"
    folder.mkdir(parents=True)
    (folder / "control.json").write_text(json.dumps({"lab": "01-greeting"}))
    assert running(Course(course)) == []


def test_tails_give_whole_lines_once(tmp_path: Path) -> None:
    tails = Tails(tmp_path, ["a", "b"])
    assert list(tails.new_lines()) == []
    (tmp_path / "a.out").write_bytes(b"one\ntw")
    (tmp_path / "b.err").write_bytes(b"\xff!\r\n")
    assert list(tails.new_lines()) == [("a", "one"), ("b", "\ufffd!")]
    with (tmp_path / "a.out").open("ab") as out:
        out.write(b"o\nthree\n")
    assert list(tails.new_lines()) == [("a", "two"), ("a", "three")]
