"""`dslab skeletons` writes labs/ from solutions/, and never over somebody's work."""

from __future__ import annotations

import subprocess
import typing
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., typing.Any]


@pytest.fixture
def student_file(course: Path) -> Path:
    return course / "labs" / "01-greeting" / "greeter.py"


@pytest.fixture
def solution(course: Path) -> Path:
    return course / "solutions" / "01-greeting" / "greeter.py"


def git(course: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(course), *identity, *words], check=True, capture_output=True, timeout=30)


def test_check_finds_nothing(student_file: Path, run: Run) -> None:
    ran = run("skeletons", "--check")
    assert (ran.status, ran.out) == (0, "01-greeting: 1 files, all as the solution gives them.\n")
    assert student_file.exists()


def test_check_prints_a_diff_and_writes_nothing(student_file: Path, run: Run) -> None:
    student_file.write_text(student_file.read_text().replace("Say hello.", "Say hi."))
    before = student_file.read_bytes()
    ran = run("skeletons", "--check", "1")
    assert ran.status == 1
    assert ran.out == (
        "--- labs/01-greeting/greeter.py\n"
        "+++ labs/01-greeting/greeter.py (from the solution)\n"
        "@@ -5,7 +5,7 @@\n"
        " \n"
        " \n"
        " def greet(name: str) -> str:\n"
        '-    """Say hi."""\n'
        '+    """Say hello."""\n'
        "     # TODO step 1.1: say hello to the name\n"
        '     raise NotImplementedError("lab 1, step 1.1")\n'
        " \n"
        "01-greeting: 1 of 1 files differ from what the solution gives. `dslab skeletons 1` writes them.\n"
    )
    assert student_file.read_bytes() == before


def test_a_missing_file_is_written(student_file: Path, run: Run) -> None:
    given = student_file.read_bytes()
    student_file.unlink()
    ran = run("skeletons")
    assert (ran.status, ran.out) == (0, "01-greeting: wrote greeter.py\n")
    assert student_file.read_bytes() == given


def test_an_author_s_round(student_file: Path, solution: Path, run: Run) -> None:
    student_file.unlink()
    for word in ("hi", "hey", "hello there"):
        solution.write_text(solution.read_text().replace("greets", f"greets with {word}"))
        assert run("skeletons").out == "01-greeting: wrote greeter.py\n"
    assert run("skeletons").out == "01-greeting: nothing to write\n"


def test_a_fresh_clone_has_no_record(course: Path, student_file: Path, solution: Path, run: Run) -> None:
    git(course, "init")
    git(course, "add", "labs", "solutions")
    git(course, "commit", "-m", "all")
    solution.write_text(solution.read_text().replace("Say", "Now say"))
    assert run("skeletons").out == "01-greeting: wrote greeter.py\n"
    assert "Now say" in student_file.read_text()


def test_a_student_s_work_is_left_alone(student_file: Path, run: Run) -> None:
    student_file.write_text("my own work\n")
    ran = run("skeletons")
    assert ran.status == 1
    assert ran.out == (
        "01-greeting: nothing to write\n"
        "01-greeting: greeter.py was edited by hand and is left as it is. "
        "Carry the change over to solutions/01-greeting/greeter.py, or use --force.\n"
    )
    assert student_file.read_text() == "my own work\n"


def test_force_keeps_a_backup(course: Path, student_file: Path, run: Run) -> None:
    student_file.write_text("my own work\n")
    ran = run("skeletons", "--force")
    assert ran.status == 0
    [kept] = (course / ".dslab" / "backups").glob("*/01-greeting/greeter.py")
    assert kept.read_text() == "my own work\n"
    folder = kept.parent.parent.relative_to(course)
    assert ran.out == (f"01-greeting: kept greeter.py as edited in {folder}\n01-greeting: wrote greeter.py\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda path: path.write_text(path.read_text().replace("# END SOLUTION", "")),
            "dslab: solutions/01-greeting/greeter.py:16: a region begins inside the one of line 9.\n",
        ),
        (
            lambda path: path.write_text(path.read_text().replace("step-1.1", "step-1.7")),
            "dslab: solutions/01-greeting/greeter.py:9: lab.toml has no step 1.7. Its steps are 1.1, 1.2.\n",
        ),
        (
            lambda path: path.with_name("more.py").touch(),
            "dslab: solutions/01-greeting/more.py is not listed under `files` in lab.toml. "
            "List it, or move it into solutions/01-greeting/alternative/.\n",
        ),
        (
            lambda path: path.unlink(),
            "dslab: solutions/01-greeting/greeter.py is missing; `files` in lab.toml lists it.\n",
        ),
    ],
    ids=["marker", "step", "unlisted", "missing"],
)
def test_mistakes(change: Callable[[Path], None], message: str, solution: Path, run: Run) -> None:
    change(solution)
    ran = run("skeletons", "--check")
    assert (ran.status, ran.err) == (2, message)


def test_a_course_as_students_get_it(course: Path, solution: Path, run: Run) -> None:
    solution.unlink()
    solution.parent.rmdir()
    ran = run("skeletons", "--check")
    assert (ran.status, ran.err) == (
        2,
        f"dslab: There is neither solutions/01-greeting/ nor skeletons/01-greeting/ in {course}. "
        "Unpack the course again: it should have one of them.\n",
    )


def test_no_such_lab(course: Path, run: Run) -> None:
    ran = run("skeletons", "9")
    assert course.is_dir()
    assert (ran.status, ran.err) == (2, "dslab: There is no lab '9'. The labs are: 01-greeting.\n")
