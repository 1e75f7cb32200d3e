"""Finding a course and its labs."""

from __future__ import annotations

from pathlib import Path

import pytest

from dslab.kit.errors import ConfigError, UsageError
from dslab.kit.grader.course import Course, find_course


@pytest.mark.parametrize("key", ["1", "01", "001", "tiny", "01-tiny"])
def test_names_of_a_lab(lab: Path, key: str) -> None:
    found = Course(lab.parent.parent).lab(key)
    assert (found.number, found.name, found.title, found.folder) == (1, "01-tiny", "A tiny lab", lab)
    assert found.checks == (lab / "test_tiny.py",)


def test_path_of_a_lab(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    course = Course(lab.parent.parent)
    assert course.lab(lab).number == 1
    monkeypatch.chdir(lab)
    assert course.lab(".").number == 1


def test_only_its_own_test_file_has_checks(lab: Path) -> None:
    (lab / "test_of_a_student.py").write_text("raise SystemExit")
    assert Course(lab.parent.parent).lab("1").checks == (lab / "test_tiny.py",)


def test_unknown_lab_lists_the_labs(lab: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no lab '7'\. The labs are: 01-tiny\."):
        Course(lab.parent.parent).lab("7")


@pytest.mark.parametrize("missing", ["compose.yaml", "test_tiny.py"])
def test_lab_without_a_needed_file(lab: Path, missing: str) -> None:
    (lab / missing).unlink()
    with pytest.raises(ConfigError, match=f"{missing}: is missing"):
        Course(lab.parent.parent).lab("1")


def test_course_is_found_from_below(lab: Path) -> None:
    assert find_course(lab).root == lab.parent.parent
    assert [found.name for found in find_course(lab).labs()] == ["01-tiny"]


def test_elsewhere_the_course_that_dslab_came_with_is_found(tmp_path: Path) -> None:
    assert (find_course(tmp_path).root / "dslab" / "kit").is_dir()


def test_folders_that_are_no_labs(lab: Path) -> None:
    for name in ("drafts", "02-without-a-rubric", "__pycache__"):
        (lab.parent / name).mkdir()
    assert Course(lab.parent.parent).lab_names == ("01-tiny",)
