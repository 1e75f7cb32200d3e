"""Nothing outlives a run with local processes, however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from dslab.kit.errors import KitError
from dslab.kit.topology import keeper_client, processes
from dslab.kit.topology.addresses import Addresses
from dslab.kit.topology.compose import read
from dslab.kit.topology.local import end_leftovers
from dslab.kit.topology.runfolder import RunFolder
from dslab.kit.topology.running import Topology, open_topology

OpenLab = Callable[..., Topology]
WaitFor = Callable[[Callable[[], object], str], None]

# A service in many processes, most of them hard to end. They count themselves by files in the scratch folder,
# and share a lock that is free when the last of them has gone: to look for processes is not enough, for one
# that forks and exits all the time is seldom seen.
UNRULY = """
import fcntl, os, signal, sys, time

held = open("alive", "w")
os.set_inheritable(held.fileno(), True)
fcntl.flock(held, fcntl.LOCK_SH)

def own_file():
    return os.path.join(os.environ["HOME"], str(os.getpid()))

def note():
    open(own_file(), "w").close()

def sleep():
    note()
    time.sleep(1000)

def become_daemon():
    os.setsid()
    if os.fork():
        os._exit(0)
    while os.getppid() == os.getsid(0):  # it counts only once its parent is gone
        time.sleep(0.001)

match sys.argv[1]:
    case "children":
        for _ in range(50):
            if os.fork() == 0:
                sleep()
    case "daemon":
        if os.fork() == 0:
            become_daemon()
            sleep()
    case "bare-daemon":
        if os.fork() == 0:
            become_daemon()
            program = '> "$0"; exec /bin/sleep 1000'  # counted once its environment is thrown away
            os.execve("/bin/sh", ["sh", "-c", program, own_file()], {})
    case "deaf":
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    case "tree":
        for _ in range(6):
            os.fork()
    case "endless":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        note()
        while True:
            if os.fork() == 0:
                time.sleep(0.1)
                os._exit(0)
    case "hopping":
        if os.fork() == 0:
            note()
            while os.fork() == 0:
                os.setpgid(0, 0)
            os._exit(0)
sleep()
"""
KINDS = {"children": 51, "daemon": 2, "bare-daemon": 2, "deaf": 1, "tree": 64, "endless": 1, "hopping": 2}
COMPOSE = "services: {{s: {{command: python unruly.py {kind}}}}}"


def noted(service_scratch: Path) -> int:
    return len(list(service_scratch.iterdir()))


def all_gone(topology: Topology) -> bool:
    """Whether nobody holds the lock of its services any more."""
    with (topology.folder / "work" / "alive").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def living(topology_or_run: str) -> set[int]:
    return processes.marked(f"{topology_or_run}/")


@pytest.mark.parametrize("kind", KINDS)
def test_kill_ends_all_that_a_service_started(
    kind: str, open_lab: OpenLab, run: RunFolder, wait_for: WaitFor
) -> None:
    topology = open_lab(COMPOSE.format(kind=kind), {"unruly.py": UNRULY})
    topology.start()
    service = topology["s"]
    wait_for(lambda: noted(service.scratch) >= KINDS[kind], "its processes")
    assert not all_gone(topology)
    service.kill()
    # A daemon that has thrown its environment away could be any service's: it ends with the topology.
    assert all_gone(topology) is (kind != "bare-daemon")
    assert living(run.run_id) == set()
    topology.close()
    assert all_gone(topology)
    assert descendants_of_keeper(run) == []


@pytest.mark.parametrize("kind", KINDS)
def test_closing_ends_all(kind: str, open_lab: OpenLab, run: RunFolder, wait_for: WaitFor) -> None:
    topology = open_lab(COMPOSE.format(kind=kind), {"unruly.py": UNRULY})
    topology.start()
    wait_for(lambda: noted(topology["s"].scratch) >= KINDS[kind], "its processes")
    topology.close()
    assert all_gone(topology)
    assert living(run.run_id) == set()
    assert descendants_of_keeper(run) == []


def test_what_an_ended_service_leaves_behind_is_ended(
    open_lab: OpenLab, run: RunFolder, wait_for: WaitFor
) -> None:
    program = UNRULY.replace(
        "\nsleep()\n", "\nwhile len(os.listdir(os.environ['HOME'])) < 1: pass\nsys.exit(4)\n"
    )
    topology = open_lab(COMPOSE.format(kind="daemon"), {"unruly.py": program})
    topology.start()
    assert topology["s"].wait() == 4
    assert living(run.run_id) == set()


def test_other_topologies_of_the_run_live_on(open_lab: OpenLab, run: RunFolder, wait_for: WaitFor) -> None:
    one = open_lab(COMPOSE.format(kind="daemon"), {"unruly.py": UNRULY})
    two = open_lab(COMPOSE.format(kind="daemon"), {"unruly.py": UNRULY})
    one.start()
    two.start()
    wait_for(lambda: noted(one["s"].scratch) + noted(two["s"].scratch) >= 4, "their processes")
    one.close()
    assert two["s"].running
    assert len(living(run.run_id)) == 2


def test_names_that_begin_alike(open_lab: OpenLab, run: RunFolder, wait_for: WaitFor) -> None:
    compose = "services: {s: {command: python unruly.py daemon}, s2: {command: python unruly.py daemon}}"
    topology = open_lab(compose, {"unruly.py": UNRULY})
    topology.start()
    wait_for(lambda: all(noted(service.scratch) >= 2 for service in topology.services.values()), "all four")
    topology["s"].kill()
    assert {processes.mark_of(pid).rpartition("/")[2] for pid in living(run.run_id)} == {"s2"}
    assert len(living(run.run_id)) == 2


def test_an_exception_in_the_check(open_lab: OpenLab, run: RunFolder) -> None:
    def check() -> None:
        with open_lab(COMPOSE.format(kind="children"), {"unruly.py": UNRULY}) as topology:
            topology.start()
            raise AssertionError("the check failed")

    with pytest.raises(AssertionError, match="the check failed"):
        check()
    assert living(run.run_id) == set()


def descendants_of_keeper(run: RunFolder) -> list[psutil.Process]:
    keeper = psutil.Process(json.loads((run.path / "run.json").read_text())["pids"][1])
    return [child for child in keeper.children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]


# Where the system is not Linux: one loopback address, no /proc, no subreaper, no PDEATHSIG.

NOT_LINUX = """
import sys
sys.path += sys.argv[3:]
import psutil
from dslab.kit.topology import keeper_client, processes
from dslab.kit.topology.addresses import Addresses
from dslab.kit.topology.keeper import main
sys.platform, processes.LINUX = "darwin", False
main()
"""


@pytest.mark.parametrize("kind", ["children", "daemon", "tree"])
def test_without_linux(
    kind: str, open_lab: OpenLab, run: RunFolder, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_client, "START", NOT_LINUX)
    run.shared(Addresses, lambda: Addresses(all_of_127=False))
    listen = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[2][10:])))\n"
    compose = f"services: {{s: {{command: 'python unruly.py {kind} ${{BIND:-0.0.0.0:7000}}'}}}}"
    topology = open_lab(compose, {"unruly.py": listen + UNRULY})
    topology.start()
    assert topology["s"].address().host == "127.0.0.1"
    wait_for(lambda: noted(topology["s"].scratch) >= KINDS[kind], "its processes")
    topology["s"].pause()
    topology["s"].kill()
    assert living(run.run_id) == set()
    topology["s"].start()
    topology.close()
    assert living(run.run_id) == set()


# The keeper is killed.


def keeper_of(run: RunFolder) -> int:
    pid: int = json.loads((run.path / "run.json").read_text())["pids"][1]
    return pid


def test_the_keeper_is_killed(open_lab: OpenLab, run: RunFolder, wait_for: WaitFor) -> None:
    topology = open_lab(COMPOSE.format(kind="children"), {"unruly.py": UNRULY})
    topology.start()
    wait_for(lambda: noted(topology["s"].scratch) >= 51, "its processes")
    os.kill(keeper_of(run), signal.SIGKILL)
    wait_for(lambda: not living(run.run_id), "the end of its processes")
    with pytest.raises(KitError, match="The keeper of this run is gone"):
        topology["s"].wait()
    with pytest.raises(KitError, match="The keeper of this run is gone"):
        _ = topology["s"].running
    topology.close()
    again = open_lab(COMPOSE.format(kind="deaf"), {"unruly.py": UNRULY})
    again.start()
    assert again["s"].running, "the next check has a new keeper"


# The grader is killed, or interrupted.

GRADER = """
import os, signal, sys, time
from contextlib import suppress
from pathlib import Path
from dslab.kit.topology.compose import read
from dslab.kit.topology.runfolder import RunFolder
from dslab.kit.topology.running import open_topology

lab = Path(sys.argv[1])
signal.signal(signal.SIGINT, signal.default_int_handler)
with RunFolder.create(lab.parent / "course", lab="1", seed=1, backend="local") as run:
    print(run.path, flush=True)
    spec = read(lab / "compose.yaml", {})
    with open_topology(spec, run=run, check="check", seed=1, submission=lab, provided=lab) as topology:
        topology.start()
        if "fork" in sys.argv and os.fork() == 0:
            os.closerange(0, 3)
            time.sleep(30)  # holds copies of all descriptors of the grader
            os._exit(0)
        print("started", flush=True)
        time.sleep(30)
"""


@pytest.fixture
def grader(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a grader in a process of its own, on a service in 51 processes."""
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "compose.yaml").write_text(COMPOSE.format(kind="children"))
    (lab / "unruly.py").write_text(UNRULY)
    started = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        program = subprocess.Popen(
            [sys.executable, "-c", dedent(GRADER), str(lab), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        started.append(program)
        return program

    yield start
    for program in started:
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        assert program.stdout is not None
        program.stdout.close()


def line(program: subprocess.Popen[str]) -> str:
    assert program.stdout is not None
    return program.stdout.readline().strip()


def is_gone(run: Path) -> bool:
    """No service of that run lives, and not its keeper."""
    pids = json.loads((run / "run.json").read_text())["pids"][1:]
    return not living(run.name) and not any(pid in processes.process_table() for pid in pids)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_grader_is_killed(
    number: signal.Signals, grader: Callable[..., subprocess.Popen[str]], wait_for: WaitFor
) -> None:
    program = grader()
    run = Path(line(program))
    assert line(program) == "started"
    wait_for(lambda: len(living(run.name)) == 51, "its processes")
    program.send_signal(number)
    program.wait(20)
    wait_for(lambda: is_gone(run), "the end of the run")


def test_a_fork_of_the_grader_lives_on(
    grader: Callable[..., subprocess.Popen[str]], wait_for: WaitFor
) -> None:
    program = grader("fork")
    run = Path(line(program))
    assert line(program) == "started"
    program.kill()
    program.wait(20)
    wait_for(lambda: is_gone(run), "the end of the run")


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.08, 0.12, 0.2])
def test_interrupted_during_the_start(
    after_s: float, grader: Callable[..., subprocess.Popen[str]], wait_for: WaitFor
) -> None:
    program = grader()
    run = Path(line(program))
    threading.Event().wait(after_s)  # a moment during the start, which one does not matter
    program.send_signal(signal.SIGINT)
    program.wait(20)
    wait_for(lambda: is_gone(run), "the end of the run")


def test_grader_and_keeper_are_killed_at_the_same_moment(
    grader: Callable[..., subprocess.Popen[str]], wait_for: WaitFor
) -> None:
    program = grader()
    run = Path(line(program))
    assert line(program) == "started"
    wait_for(lambda: len(living(run.name)) == 51, "its processes")
    keeper = json.loads((run / "run.json").read_text())["pids"][1]
    program.send_signal(signal.SIGSTOP)
    os.kill(keeper, signal.SIGKILL)
    program.kill()
    program.wait(20)
    end_leftovers(run.parent)  # the next run does it
    assert living(run.name) == set()


# Side by side.


def test_eight_at_once(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    (lab / "compose.yaml").write_text("services: {s: {command: 'python s.py ${BIND:-0.0.0.0:7000}'}}")
    program = """
    import socket, sys
    host, port = sys.argv[1].rsplit(":", 1)
    listener = socket.create_server((host, int(port)))
    while True:
        listener.accept()[0].close()
    """
    (lab / "s.py").write_text(dedent(program))
    spec = read(lab / "compose.yaml", {})

    def one(number: int) -> str:
        with RunFolder.create(tmp_path / f"course-{number % 2}", lab="1", seed=1, backend="local") as run:
            for check in range(2):
                name = f"check-{check}"
                with open_topology(
                    spec, run=run, check=name, seed=1, submission=lab, provided=lab
                ) as topology:
                    topology.start()
                    assert topology["s"].running
            return run.run_id

    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(one, range(8)))
    assert len(set(runs)) == 8
    assert [run for run in runs if living(run)] == []
