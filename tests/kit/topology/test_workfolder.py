from __future__ import annotations

import os
from pathlib import Path

import pytest

from dslab.kit.errors import UsageError
from dslab.kit.topology import workfolder
from dslab.kit.topology.workfolder import fill_work_folder


def make(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_labs_files_win_but_for_those_that_students_edit(tmp_path: Path) -> None:
    lab = make(tmp_path / "lab", server_py="skeleton", given_py="given", data__table="data")
    mine = make(tmp_path / "mine", server_py="mine", given_py="changed", extra_py="extra")
    fill_work_folder(tmp_path / "work", submission=mine, provided=lab, edited=["server.py"])
    work = tmp_path / "work"
    assert names(work) == {"server.py", "given.py", "extra.py", "data/table"}
    assert (work / "server.py").read_text() == "mine"
    assert (work / "given.py").read_text() == "given"


def test_what_the_student_left_out_is_not_filled_in(tmp_path: Path) -> None:
    lab, mine = make(tmp_path / "lab", server_py="skeleton"), make(tmp_path / "mine", other_py="")
    fill_work_folder(tmp_path / "work", submission=mine, provided=lab, edited=["server.py"])
    assert names(tmp_path / "work") == {"other.py"}


def test_in_place(tmp_path: Path) -> None:
    lab = make(tmp_path / "lab", server_py="mine", given_py="given")
    fill_work_folder(tmp_path / "work", submission=lab, provided=lab, edited=["server.py"])
    assert names(tmp_path / "work") == {"server.py", "given.py"}


def test_checks_handout_and_litter_stay_behind(tmp_path: Path) -> None:
    mine = make(tmp_path / "mine", main_py="", test_lab_py="", conftest_py="", wrong__a__main_py="")
    make(mine / ".git", HEAD="")
    make(mine / "__pycache__", main_pyc="")
    make(mine / "pictures", **{"one.svg": ""})
    make(mine, **{"README.md": "the handout"})
    (mine / "link").symlink_to("/etc/hostname")
    os.mkfifo(mine / "pipe")
    fill_work_folder(tmp_path / "work", submission=mine, provided=mine, edited=())
    assert names(tmp_path / "work") == {"main.py"}


def test_a_file_to_be_run_stays_one(tmp_path: Path) -> None:
    mine = make(tmp_path / "mine", run="#!/bin/sh")
    (mine / "run").chmod(0o700)
    fill_work_folder(tmp_path / "work", submission=mine, provided=mine, edited=())
    assert os.access(tmp_path / "work" / "run", os.X_OK)


def test_no_such_submission(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no folder .*mine\."):
        fill_work_folder(tmp_path / "work", submission=tmp_path / "mine", provided=tmp_path, edited=())


def test_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workfolder, "MAX_FILES", 3)
    mine = make(tmp_path / "mine", a="", b="", c="", d="")
    with pytest.raises(UsageError, match=r"holds more than 3 files or 100 MiB\. Is it the right folder"):
        fill_work_folder(tmp_path / "work", submission=mine, provided=mine, edited=())
