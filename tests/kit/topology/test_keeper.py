"""The keeper by itself: what it starts, carries and tells. How it ends things is in test_teardown."""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from dslab.kit.errors import ConfigError, KitError, MachineError
from dslab.kit.topology import processes, pump
from dslab.kit.topology.keeper import HEALTH
from dslab.kit.topology.keeper_client import Keeper

WaitFor = Callable[[Callable[[], object], str], None]


class Kept:
    """A keeper, and what it told."""

    def __init__(self, keeper: Keeper, run_id: str, folder: Path) -> None:
        self.keeper = keeper
        self.mark = f"{run_id}/1/s"
        self.out, self.err = folder / "out", folder / "err"
        self.told: list[Mapping[str, Any]] = []
        self._folder = folder

    def spawn(self, program: str, *arguments: str, **fields: Any) -> int:
        self.keeper.listen(self.mark, self.told.append)
        request = {
            "mark": self.mark,
            "argv": [sys.executable, "-c", program, *arguments],
            "env": {"DSLAB_RUN": self.mark, "PATH": os.defpath},
            "cwd": str(self._folder),
            "out": str(self.out),
            "err": str(self.err),
        }
        pid: int = self.keeper.ask("spawn", **request | fields)["pid"]
        return pid

    def ask(self, do: str) -> None:
        self.keeper.ask(do, mark=self.mark)

    def open_files(self) -> int:
        """How many descriptors the keeper has; none where there is no /proc."""
        self.ask("flush")
        folder = Path(f"/proc/{self.keeper.pid}/fd")
        return len(list(folder.iterdir())) if folder.is_dir() else 0

    def exit_status(self) -> int | None:
        return next((message["status"] for message in self.told if "exited" in message), None)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    run_id = f"test-{os.urandom(4).hex()}"
    keeper = Keeper(run_id, tmp_path / "keeper.log")
    yield Kept(keeper, run_id, tmp_path)
    keeper.close()
    assert (tmp_path / "keeper.log").read_text() == ""


def test_what_a_service_finds(kept: Kept, wait_for: WaitFor, tmp_path: Path) -> None:
    program = """
import os, signal, sys
print(os.getcwd(), sys.stdin.read() == "", os.getpid() == os.getsid(0), sorted(os.listdir("/proc/self/fd")))
print(sorted(os.environ))
print({signal.getsignal(n) == signal.SIG_DFL for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)})
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    kept.spawn(program)
    wait_for(lambda: kept.exit_status() is not None, "its end")
    lines = kept.out.read_text().splitlines()
    # Its own three, and the one that lists the others: nothing of the keeper's.
    assert lines[0] == f"{tmp_path} True True ['0', '1', '2', '3']"
    assert lines[1] == "['DSLAB_RUN', 'LC_CTYPE', 'PATH']"
    assert lines[2:] == ["{True}", "set()"]


@pytest.mark.parametrize(
    ("program", "status"),
    [("", 0), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 128 + 9), ("1 / 0", 1)],
)
def test_exit_status(kept: Kept, wait_for: WaitFor, program: str, status: int) -> None:
    kept.spawn(program)
    wait_for(lambda: kept.exit_status() is not None, "its end")
    assert kept.exit_status() == status


def test_output_is_complete_when_the_end_is_told(kept: Kept, wait_for: WaitFor) -> None:
    kept.spawn("import sys; sys.stdout.write('x' * 3_000_000)")
    wait_for(lambda: kept.exit_status() is not None, "its end")
    assert kept.out.stat().st_size == 3_000_000


def test_flush(kept: Kept) -> None:
    kept.spawn("import os, time; os.write(1, b'before'); open('done', 'w'); time.sleep(1000)")
    while not (kept.out.parent / "done").exists():
        time.sleep(0.001)
    kept.ask("flush")
    assert kept.out.read_text() == "before"


def test_a_pump_may_be_closed_in_the_turn_that_announced_more(tmp_path: Path) -> None:
    with selectors.DefaultSelector() as selector:
        carrier = pump.Pump(str(tmp_path / "out"), selector)
        writer = os.dup(carrier.write_end)
        carrier.start()
        os.write(writer, b"last words")
        announced = selector.select(1)
        carrier.close()
        for key, _ in announced:
            key.data()
        os.close(writer)
    assert (tmp_path / "out").read_text() == "last words"


def test_a_service_that_prints_too_much_goes_on(kept: Kept, wait_for: WaitFor) -> None:
    program = "import sys; sys.stdout.write('0123456789\\n' * 2_000_000); print('end', file=sys.stderr)"
    kept.spawn(program)
    wait_for(lambda: kept.exit_status() is not None, "its end")
    assert kept.exit_status() == 0
    assert kept.err.read_text() == "end\n"
    text = kept.out.read_text()
    assert pump.MAX_FILE_BYTES <= len(text) <= pump.MAX_FILE_BYTES + 100
    assert text.endswith("\n[dslab: cut here, at 8 MiB; the rest was thrown away]\n")


def test_a_service_that_never_stops_printing(kept: Kept) -> None:
    kept.spawn("while True: print('x' * 1000)")
    for _ in range(3):
        kept.ask("flush")
    kept.ask("kill")
    assert kept.exit_status() == 128 + 9
    assert kept.out.stat().st_size <= pump.MAX_FILE_BYTES + 100


def test_marks(kept: Kept, wait_for: WaitFor) -> None:
    program = f"""
import os, sys, time
say = sys.stderr.write
say("dslab:mark one\\nnoise\\nx dslab:mark no\\ndslab:mark \\xe4\\ndslab:ma")
sys.stderr.flush()
while not os.path.exists("go"):
    time.sleep(0.001)
say("rk two\\ndslab:mark " + "y" * 10_000 + "\\n" + "z" * 300_000 + "\\n")
for _ in range({pump.MAX_MARKS + 10}):
    say("dslab:mark again\\n")
"""
    before = time.time()
    kept.spawn(program)
    wait_for(lambda: len(kept.told) == 2, "the first of them")
    (kept.out.parent / "go").touch()
    wait_for(lambda: kept.exit_status() is not None, "its end")
    notes = [message for message in kept.told if "noted" in message]
    assert [note["text"] for note in notes[:3]] == ["one", "ä", "two"]
    assert notes[3]["text"] == "y" * pump.MAX_MARK_BYTES
    assert notes[4]["text"] == "again"
    assert len(notes) == pump.MAX_MARKS
    assert before <= notes[0]["at"] < notes[2]["at"] <= time.time()
    assert "dslab:mark one\n" in kept.err.read_text()


def test_pause_stops_the_whole_family(kept: Kept, wait_for: WaitFor) -> None:
    program = """
import os, time
path = "child" if os.fork() == 0 else "parent"
while True:
    with open(path, "a") as file:
        file.write("x")
    time.sleep(0.001)
"""
    service = psutil.Process(kept.spawn(program))
    files = [kept.out.parent / name for name in ("child", "parent")]

    def sizes() -> list[int]:
        return [file.stat().st_size if file.exists() else 0 for file in files]

    wait_for(lambda: all(sizes()), "both of them")
    kept.ask("pause")
    # Who is in the middle of a system call is stopped at its end.
    both = [service, *service.children()]
    wait_for(lambda: all(one.status() == psutil.STATUS_STOPPED for one in both), "their stop")
    before = sizes()
    time.sleep(0.05)
    assert sizes() == before
    kept.ask("resume")
    wait_for(lambda: all(now > then for now, then in zip(sizes(), before, strict=True)), "both of them")


def test_what_has_ended_can_be_acted_on(kept: Kept, wait_for: WaitFor) -> None:
    kept.spawn("")
    wait_for(lambda: kept.exit_status() is not None, "its end")
    for do in ("term", "kill", "pause", "resume", "flush"):
        kept.ask(do)


def test_terminate_asks_only_the_service_itself(kept: Kept, wait_for: WaitFor) -> None:
    program = """
import os, signal, time

def wait_for(name):
    while not os.path.exists(name):
        time.sleep(0.001)

asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
if os.fork() == 0:
    open("child", "w").close()
    wait_for("all-asked")
    open("child-was-asked" if asked else "child-was-not", "w").close()
    time.sleep(1000)
open("parent", "w").close()
wait_for("child-told")
os._exit(7 if asked else 1)
"""
    folder = kept.out.parent
    kept.spawn(program)
    wait_for(lambda: (folder / "child").exists() and (folder / "parent").exists(), "both")
    kept.ask("term")
    (folder / "all-asked").touch()  # whoever was sent the signal finds it before this
    wait_for(lambda: list(folder.glob("child-was-*")), "the child's word")
    (folder / "child-told").touch()
    wait_for(lambda: kept.exit_status() is not None, "its end")
    assert kept.exit_status() == 7
    assert [file.name for file in folder.glob("child-was-*")] == ["child-was-not"]


def test_ctrl_c_does_not_reach_it(kept: Kept) -> None:
    kept.ask("flush")
    os.kill(kept.keeper.pid, signal.SIGINT)
    os.kill(kept.keeper.pid, signal.SIGHUP)
    assert os.getsid(kept.keeper.pid) == kept.keeper.pid
    kept.ask("flush")


def test_a_keeper_that_is_asked_to_end_ends_its_services(kept: Kept, wait_for: WaitFor) -> None:
    service = kept.spawn("import time; print('up', flush=True); time.sleep(60)")
    wait_for(lambda: kept.out.read_text() == "up\n", "its output")
    os.kill(kept.keeper.pid, signal.SIGTERM)
    wait_for(lambda: not kept.keeper.alive, "the keeper's end")
    assert service not in processes.process_table()


def test_a_keeper_that_is_gone(tmp_path: Path, wait_for: WaitFor) -> None:
    keeper = Keeper("test-gone", tmp_path / "log")
    os.kill(keeper.pid, signal.SIGKILL)
    wait_for(lambda: not keeper.alive, "its end")
    with pytest.raises(KitError, match="The keeper of this run is gone"):
        keeper.ask("flush", mark="test-gone/1/s")
    keeper.close()


def test_what_the_machine_refuses(kept: Kept) -> None:
    kept.out = kept.out / "no" / "such" / "folder"
    with pytest.raises(MachineError, match=r"^The keeper cannot spawn: (No such file|Not a) .*directory\.$"):
        kept.spawn("")
    kept.ask("flush")


def test_what_could_not_be_started_leaves_no_descriptor(kept: Kept) -> None:
    before = kept.open_files()
    kept.err = kept.out / "no" / "such" / "folder"
    for _ in range(5):
        with pytest.raises(MachineError):
            kept.spawn("")
    assert kept.open_files() == before


@pytest.mark.parametrize(
    ("argv", "env"), [(["a\0b"], {}), (["a", "\ud800"], {}), (["a"], {"": "x"}), (["a"], {"A": "\0"})]
)
def test_what_no_system_can_run(kept: Kept, wait_for: WaitFor, argv: list[str], env: dict[str, str]) -> None:
    kept.spawn("", argv=argv, env=env)
    wait_for(lambda: kept.exit_status() is not None, "its end")
    assert kept.exit_status() == 127
    assert kept.err.read_text().startswith("dslab: cannot run 'a")


def test_a_folder_that_is_gone(kept: Kept, wait_for: WaitFor) -> None:
    gone = kept.err.parent / "no" / "such"
    kept.spawn("", cwd=str(gone))
    wait_for(lambda: kept.exit_status() is not None, "its end")
    assert kept.err.read_text().endswith(f"' in {gone}: No such file or directory\n")


def test_a_health_command_ends_with_its_service(kept: Kept, wait_for: WaitFor) -> None:
    service = kept.mark
    kept.spawn("import time; time.sleep(1000)")
    kept.mark += HEALTH
    pid = kept.spawn("import time; time.sleep(1000)")
    kept.mark = service
    kept.ask("kill")
    assert not processes.living({pid})


def test_a_health_command_does_not_begin_after_its_service(kept: Kept, wait_for: WaitFor) -> None:
    kept.spawn("")
    wait_for(lambda: kept.exit_status() is not None, "its end")
    before = kept.open_files()
    with pytest.raises(KeyError, match="pid"):
        kept.spawn("import time; time.sleep(1000)", mark=kept.mark + HEALTH)
    assert kept.open_files() == before


def test_it_starts_fast(tmp_path: Path) -> None:
    """The best of some: a quiet machine takes about 35 ms, a loaded one several times as long."""
    fastest_s = 10.0
    for number in range(5):
        before = time.perf_counter()
        keeper = Keeper(f"test-fast-{number}", tmp_path / "log")
        keeper.ask("flush", mark="none")
        fastest_s = min(fastest_s, time.perf_counter() - before)
        keeper.close()
    assert fastest_s < 1.0


def test_no_descriptor_is_left(kept: Kept, wait_for: WaitFor) -> None:
    before = kept.open_files()
    for _ in range(20):
        kept.told.clear()
        kept.spawn("")
        wait_for(lambda: kept.exit_status() is not None, "its end")
    assert kept.open_files() == before


def test_an_image_without_a_command_needs_docker(open_lab: Callable[..., Any]) -> None:
    topology = open_lab("services: {s: {image: broker}, t: {command: '${X:-}'}}", {})
    with pytest.raises(ConfigError, match=r"t: its command is empty, now that its variables are filled in\."):
        topology.start("t")
    with pytest.raises(ConfigError, match=r"s has no command, and images run in Docker only\. Write x-dslab"):
        topology.start("s")
