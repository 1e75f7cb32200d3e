"""lab.toml: what is read, and every mistake by file and line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from dslab.kit.errors import ConfigError
from dslab.kit.grader.rubric import read_rubric

GOOD = """\
title = "Sockets"
chapter = "2.1"
minutes = 180
files = ["a.py", "b.py"]

[[steps]]
id = "1.1"
title = "One"
points = 20
hints = ["a", "b", "c"]

[[steps]]
id = "1.2"
title = "Two"
points = 12.1
needs = ["1.1"]
hints = ["a"]

[[steps]]
id = "1.3"
title = "Three"
points = 7
needs = ["1.2"]
hints = ["a"]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "lab.toml"
    path.write_text(text)
    return path


def test_all_of_it(tmp_path: Path) -> None:
    rubric = read_rubric(written(tmp_path, GOOD))
    assert (rubric.title, rubric.chapter, rubric.minutes, rubric.files) == (
        "Sockets",
        "2.1",
        180,
        ("a.py", "b.py"),
    )
    assert [step.id for step in rubric.steps] == ["1.1", "1.2", "1.3"]
    assert rubric.step("1.1").hints == ("a", "b", "c")
    assert rubric.step("1.2").points == Fraction(121, 10)
    assert rubric.max_score == Fraction(391, 10)


def test_a_step_with_all_that_it_needs(tmp_path: Path) -> None:
    rubric = read_rubric(written(tmp_path, GOOD))
    assert [step.id for step in rubric.with_needs("1.3")] == ["1.1", "1.2", "1.3"]
    assert [step.id for step in rubric.with_needs("1.1")] == ["1.1"]


def test_unknown_step(tmp_path: Path) -> None:
    rubric = read_rubric(written(tmp_path, GOOD))
    with pytest.raises(ConfigError, match=r"no step '9'\. The steps are 1\.1, 1\.2, 1\.3\."):
        rubric.step("9")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ('title = "Sockets"', "", 1, "the lab: title is missing"),
        ("minutes = 180", 'minutes = "long"', 3, "minutes must be a whole number"),
        ("minutes = 180", "minutes = true", 3, "minutes must be a whole number"),
        ("minutes = 180", "minuets = 180", 3, "unknown key 'minuets'; did you mean 'minutes'?"),
        ('files = ["a.py", "b.py"]', "", 1, "files is missing"),
        ('files = ["a.py", "b.py"]', "files = [1]", 4, "files must be a list of texts"),
        ('files = ["a.py", "b.py"]', 'files = ["../a.py"]', 4, "'../a.py' in files leads out"),
        ('files = ["a.py", "b.py"]', 'files = ["/a.py"]', 4, "'/a.py' in files leads out"),
        ("points = 12.1", "points = 0", 15, "step 1.2: points must be a positive number, not 0"),
        ("points = 12.1", "points = inf", 15, "points must be a positive number, not inf"),
        ("points = 12.1", "points = nan", 15, "points must be a positive number, not nan"),
        ("points = 12.1", 'points = "12"', 15, "points must be a positive number, not '12'"),
        ("points = 12.1", "point = 12", 15, "step 1.2: unknown key 'point'; did you mean 'points'?"),
        ('id = "1.2"', 'id = "1.1"', 12, "step 1.1 is there twice"),
        ('id = "1.2"', "", 12, "step number 2: id is missing"),
        ('title = "Two"', "", 12, "step 1.2: title is missing"),
        ('needs = ["1.1"]', 'needs = ["1.4"]', 16, "step 1.2 needs 1.4, which is no step of this lab"),
        ('needs = ["1.1"]', 'needs = ["1.3"]', 16, "step 1.2 needs 1.3, which does not stand above it"),
        ('needs = ["1.1"]', 'needs = ["1.2"]', 16, "step 1.2 needs 1.2, which does not stand above it"),
        ('needs = ["1.1"]', 'needs = "1.1"', 16, "step 1.2: needs must be a list of texts"),
        ('hints = ["a", "b", "c"]', "hints = []", 10, "step 1.1: hints are missing"),
    ],
)
def test_mistakes(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        read_rubric(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('title = "x"\nfiles = ["a"]\n', "at least one [[steps]] table"),
        ('title = "x\n', "is not TOML"),
    ],
)
def test_no_rubric_at_all(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_rubric(written(tmp_path, text))
    assert message in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_rubric(tmp_path / "lab.toml")


def test_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_bytes(b'title = "\xff"')
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read_rubric(tmp_path / "lab.toml")
