"""`dslab release OUT.zip` writes one archive, and says what it is."""

from __future__ import annotations

import re
import typing
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., typing.Any]


def test_release(course: Path, run: Run) -> None:
    ran = run("release", "out.zip")
    assert ran.status == 0
    assert (course / "out.zip").is_file()
    assert re.fullmatch(
        r"out\.zip: 6 files, \d kB\n"
        r"Searched for 0 runs of solution lines: none in it\.\n"
        r"SHA-256 [0-9a-f]{64}\n",
        ran.out,
    )


def test_a_name_that_is_no_archive(course: Path, run: Run) -> None:
    ran = run("release", str(course))
    assert (ran.status, ran.err) == (
        2,
        f"dslab: {course} is no zip file's name. As in: dslab release course.zip\n",
    )
