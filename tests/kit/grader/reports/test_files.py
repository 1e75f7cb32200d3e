"""Files appear whole, whatever stands in their place."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dslab.kit.errors import MachineError
from dslab.kit.grader.reports.files import write_whole


def test_makes_its_folder(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b" / "c.txt", "text\n")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "text\n"
    assert stat.S_IMODE((tmp_path / "a" / "b" / "c.txt").stat().st_mode) == 0o644


def test_replaces_a_link_instead_of_following_it(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    (tmp_path / "result.json").symlink_to(elsewhere)
    write_whole(tmp_path / "result.json", "ours")
    assert elsewhere.read_text() == "theirs"
    assert (tmp_path / "result.json").read_text() == "ours"
    assert not (tmp_path / "result.json").is_symlink()


def test_replaces_a_folder(tmp_path: Path) -> None:
    (tmp_path / "result.json" / "deep").mkdir(parents=True)
    write_whole(tmp_path / "result.json", "ours")
    assert (tmp_path / "result.json").read_text() == "ours"


def test_leaves_nothing_beside_it(tmp_path: Path) -> None:
    for _ in range(3):
        write_whole(tmp_path / "result.json", "ours")
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_text_that_is_no_unicode(tmp_path: Path) -> None:
    write_whole(tmp_path / "x", "lone surrogate \udc80")
    assert (tmp_path / "x").read_text() == "lone surrogate \\udc80"


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot be written"):
        write_whole(tmp_path / "file" / "x", "text")
