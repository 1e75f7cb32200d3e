from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import time
from pathlib import Path

import pytest

from dslab.kit.errors import MachineError
from dslab.kit.topology import runfolder
from dslab.kit.topology.runfolder import KEPT_RUNS, RunFolder, is_alive, prune


def create(course: Path) -> RunFolder:
    return RunFolder.create(course, lab="1", seed=7, backend="local")


class Shared:
    """Something that a run shares."""

    def __init__(self) -> None:
        self.alive = True
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_layout(tmp_path: Path) -> None:
    before = time.time()
    with create(tmp_path) as run:
        assert re.fullmatch(r"\d{8}-\d{6}-lab1-[0-9a-f]{4}", run.run_id)
        assert run.path == tmp_path / ".dslab" / "runs" / run.run_id
        facts = json.loads((run.path / "run.json").read_text())
        assert before <= facts.pop("epoch_s") == run.epoch_s <= time.time()
        assert facts == {"lab": "1", "seed": 7, "backend": "local", "pids": [os.getpid()]}
        run.note(pids=[1, 2])
        assert json.loads((run.path / "run.json").read_text())["pids"] == [1, 2]


def test_check_folders_are_unique(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        names = [run.check_folder(name).name for name in ("test_a", "test_a", "test[b/c]", "..", "test_a")]
    assert names == ["test_a", "test_a-2", "test-b-c", "check", "test_a-3"]


def test_folders_are_unique(tmp_path: Path) -> None:
    runs = [create(tmp_path) for _ in range(10)]
    assert len({run.path for run in runs}) == 10
    for run in runs:
        run.close()


def test_the_newest_are_kept(tmp_path: Path) -> None:
    runs = tmp_path / ".dslab" / "runs"
    for number in range(KEPT_RUNS + 5):
        (runs / f"20200101-0000{number:02}-lab1-0000" / "check").mkdir(parents=True)
    with create(tmp_path) as run:
        kept = sorted(folder.name for folder in runs.iterdir())
        assert len(kept) == KEPT_RUNS
        assert kept[0] == "20200101-000006-lab1-0000"
        assert kept[-1] == run.run_id


def test_a_run_is_not_taken_for_dead_while_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_others_begin = []

    def take_lock(path: Path) -> int:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            may_others_begin.append(True)
        except BlockingIOError:
            may_others_begin.append(False)
        finally:
            os.close(folder)
        return take(path)

    take = runfolder._take_lock
    monkeypatch.setattr(runfolder, "_take_lock", take_lock)
    create(tmp_path).close()
    create(tmp_path).close()
    assert may_others_begin == [False, False]


def test_a_file_system_that_locks_no_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_nfs(file: int, operation: int) -> None:
        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(file, operation)

    flock = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", of_nfs)
    with create(tmp_path) as run:
        assert is_alive(run.path)


def test_a_run_that_lives_is_kept(tmp_path: Path) -> None:
    with create(tmp_path) as run, create(tmp_path) as other:
        assert is_alive(run.path)
        prune(run.path.parent, keep=0)
        assert run.path.exists()
        assert other.path.exists()
        other.close()
        assert not is_alive(other.path)
        prune(run.path.parent, keep=0)
        assert run.path.exists()
        assert not other.path.exists()


def test_shared_once_and_closed_with_the_run(tmp_path: Path) -> None:
    with create(tmp_path) as run:
        shared = run.shared(Shared, Shared)
        assert run.shared(Shared, Shared) is shared
        shared.alive = False
        renewed = run.shared(Shared, Shared)
        assert renewed is not shared
        assert renewed.closed == 0
    assert renewed.closed == 1
    run.close()
    assert renewed.closed == 1


def test_no_place_for_it(tmp_path: Path) -> None:
    (tmp_path / ".dslab").write_text("a file, where a folder should be")
    with pytest.raises(MachineError, match="No run folder in"):
        create(tmp_path)
