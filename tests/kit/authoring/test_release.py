"""What students get has no solution in it, and is the same bytes for the same course."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from dslab.kit.authoring.release import collect, make_release, without_private_checks, write_release
from dslab.kit.errors import ConfigError, UsageError
from dslab.kit.grader.course import Course

LAB = """\
title = "Greetings"
files = ["greeter.py", "words.txt"]

[[steps]]
id = "1.1"
title = "Say hello"
points = 100
hints = ["Think."]
"""

SOLUTION = '''\
"""A server that greets."""

WORD = "hello"


def greet(name: str) -> str:
    """Say hello."""
    # BEGIN SOLUTION step-1.1 "say hello to the name"
    first, _, rest = name.partition(" ")
    greeting = f"{WORD} {first.title()}"
    if rest:
        greeting += f" of the {rest.title()}s"
    return greeting
    # END SOLUTION
'''

ALTERNATIVE = """\
def greet(name):
    words = name.split()
    length = len(words)
    return words, length, name
"""

CHECKS = '''\
"""Checks."""

from dslab.kit.grader import step


@step("1.1")
def test_hello():
    """It says hello."""


@step("1.1", private=True)
def test_secret_name():
    """It says hello to a name that nobody knows."""
    assert "xyzzy"


@step("1.1", private=False)
def test_again():
    """It says hello again."""
'''


# In Markdown, and in the HTML that stands for a picture.
LINK = re.compile(r"""(?:\]\(|(?:src|srcset|href)=")(?!https?:|\#)([^)"#]+)""")


@pytest.fixture
def course(tmp_path: Path) -> Course:
    root = tmp_path / "course"
    files = {
        "labs/01-greeting/lab.toml": LAB,
        "labs/01-greeting/compose.yaml": "services: {}\n",
        "labs/01-greeting/test_greeting.py": CHECKS,
        "labs/01-greeting/greeter.py": "a student's half-finished work\n",
        "labs/01-greeting/README.md": "# Greetings\n",
        "labs/01-greeting/PROOF.md": "mutants\n",
        "labs/01-greeting/__pycache__/greeter.cpython-311.pyc": "junk",
        "solutions/01-greeting/greeter.py": SOLUTION,
        "solutions/01-greeting/words.txt": "hello\n",
        "solutions/01-greeting/wrong/silent.py": "# test_hello\n",
        "solutions/01-greeting/alternative/greeter.py": ALTERNATIVE,
        "README.md": "# A course\n",
        "dslab/__init__.py": "",
        "notes/private.md": "nothing for students\n",
        ".env": "SECRET=1\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Course(root)


def names(archive: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return [name.removeprefix("dslab-course/") for name in opened.namelist()]


def test_what_is_packed(course: Course) -> None:
    made = make_release(course)
    assert names(made.archive) == [
        "README.md",
        "dslab/__init__.py",
        "labs/01-greeting/README.md",
        "labs/01-greeting/compose.yaml",
        "labs/01-greeting/greeter.py",
        "labs/01-greeting/lab.toml",
        "labs/01-greeting/test_greeting.py",
        "labs/01-greeting/words.txt",
        "skeletons/01-greeting/greeter.py",
        "skeletons/01-greeting/words.txt",
    ]
    assert made.files == 10
    assert made.searched == 3 + 2  # runs of three lines: of five in the region, of four in the alternative


def test_students_get_the_skeleton_whatever_stands_in_labs(course: Course) -> None:
    members = collect(course)
    assert b"TODO step 1.1: say hello to the name" in members["labs/01-greeting/greeter.py"]
    assert members["labs/01-greeting/greeter.py"] == members["skeletons/01-greeting/greeter.py"]


def test_the_same_course_gives_the_same_bytes(course: Course) -> None:
    first = make_release(course)
    for path in course.root.rglob("*"):
        os.utime(path, (1, 1))
    assert make_release(course).digest == first.digest


def test_only_what_git_tracks(course: Course) -> None:
    git = ["git", "-C", str(course.root), "-c", "user.name=a", "-c", "user.email=a@b"]
    (course.root / "labs" / "01-greeting" / "answers.md").write_text("not for students\n")
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "labs/01-greeting/[!a]*", "README.md"], check=True)
    packed = names(make_release(course).archive)
    assert "labs/01-greeting/README.md" in packed
    assert not {"labs/01-greeting/answers.md", "dslab/__init__.py"} & set(packed)


LEAKS = {
    "lines of a region": (
        "labs/01-greeting/README.md",
        'So:\n\n    greeting = f"{WORD} {first.title()}"\n\n    if rest:\n'
        '        greeting += f" of the {rest.title()}s"\n',
        "labs/01-greeting/README.md, line 3, has lines of solutions/01-greeting/greeter.py",
    ),
    "the alternative": (
        "README.md",
        ALTERNATIVE.partition("\n")[2],
        "README.md, line 1, has lines of solutions/01-greeting/alternative/greeter.py",
    ),
    "a whole wrong submission": (
        "labs/01-greeting/x.py",
        "# test_hello\n",
        "labs/01-greeting/x.py is the same as solutions/01-greeting/wrong/silent.py",
    ),
    "markers": (
        "labs/01-greeting/x.py",
        "# BEGIN SOLUTION\n",
        "labs/01-greeting/x.py, still has a solution's markers",
    ),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_stops_the_release(leak: str, course: Course) -> None:
    name, text, message = LEAKS[leak]
    (course.root / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        make_release(course)
    assert str(caught.value) == (
        f"The archive was not written, since it would hand out solutions: {message}. "
        "Take these lines out of the files that students get."
    )


def test_lines_of_a_region_leak_whatever_characters_stand_in_them(course: Course) -> None:
    """Some look like the end of a line to ``str.splitlines``, and are none in Python."""
    name, text, message = LEAKS["lines of a region"]
    solution = course.root / "solutions" / "01-greeting" / "greeter.py"
    for path, source in ((solution, SOLUTION), (course.root / name, text)):
        path.write_text(source.replace(" of the ", " of\u2028the "))
    with pytest.raises(ConfigError, match=message):
        make_release(course)


def test_what_the_reading_material_says_is_no_secret(course: Course) -> None:
    (course.root / "dslab" / "echo.py").write_text(SOLUTION.replace("SOLUTION", ""))
    (course.root / "README.md").write_text(LEAKS["lines of a region"][1])
    assert make_release(course).searched == 2


def test_private_checks_are_left_out() -> None:
    assert without_private_checks(CHECKS.encode(), "test_x.py").decode() == (
        CHECKS[: CHECKS.index('@step("1.1", private=True)')]
        + CHECKS[CHECKS.index('@step("1.1", private=False)') :]
    )
    assert without_private_checks(f"\x0c\n{CHECKS}".encode(), "test_x.py") == (
        b"\x0c\n" + without_private_checks(CHECKS.encode(), "test_x.py")
    )
    private = '@step("1.1", private=True)\n{}def test_secret():\n    """Secret."""\n    # Secret, too.\n\n\n'
    for kind in ("", "async "):
        text = f"ONE = 1\n\n\n# Secret: what a cheat would send.\n{private.format(kind)}TWO = 2\n"
        assert without_private_checks(text.encode(), "test_x.py") == b"ONE = 1\n\n\nTWO = 2\n"
    with pytest.raises(ConfigError, match=r"^labs/test_x\.py:1: this is not Python"):
        without_private_checks(b"def", "labs/test_x.py")


def test_what_is_not_for_students_is_left_out_of_pages(course: Course) -> None:
    page = "# A course\n\n{}One.\n\n{}Two.\n"
    marked = "<!-- not for students -->\n[Proof](labs/01-greeting/PROOF.md)\n<!-- for students again -->\n\n"
    (course.root / "README.md").write_text(page.format(marked, marked))
    assert collect(course)["README.md"].decode() == page.format("", "")
    (course.root / "README.md").write_text(page.format(marked, "<!-- not for students -->\n"))
    with pytest.raises(ConfigError, match=r"^README\.md: the line <!-- .* --> has no partner\."):
        collect(course)


@pytest.mark.parametrize("name", ["README.md", "labs/01-greeting/test_greeting.py"])
def test_what_is_no_text_is_named(course: Course, name: str) -> None:
    (course.root / name).write_bytes(b"# caf\xe9\n")
    with pytest.raises(ConfigError, match=rf"^{re.escape(name)}: is not UTF-8 text"):
        collect(course)


def test_no_page_of_the_real_course_s_release_has_a_dead_link() -> None:
    members = collect(Course(Path(__file__).parents[3]))
    there = {*members, *(str(folder) for name in members for folder in PurePosixPath(name).parents)}
    dead = {
        f"{name}: {target}"
        for name, data in members.items()
        if name.endswith(".md")
        for target in LINK.findall(data.decode())
        if os.path.normpath(PurePosixPath(name).parent / target) not in there
    }
    assert not dead
    assert b"solutions/" not in members["README.md"]
    assert b"bench" not in members["README.md"]


def test_a_course_without_solutions_is_a_release_already(tmp_path: Path) -> None:
    (tmp_path / "labs").mkdir()
    with pytest.raises(UsageError, match=r"has no solutions/, so it is what students get already\."):
        make_release(Course(tmp_path))


def test_writing(course: Course, tmp_path: Path) -> None:
    made = make_release(course)
    write_release(made, tmp_path / "out.zip")
    assert (tmp_path / "out.zip").read_bytes() == made.archive
    assert not (tmp_path / "out.zip.part").exists()
    with pytest.raises(UsageError, match=r"^There is no folder .*/nowhere\. Make it first\.$"):
        write_release(made, tmp_path / "nowhere" / "out.zip")


def test_a_student_can_work_with_the_real_course_s_release(tmp_path: Path) -> None:
    source = Path(__file__).parents[3]
    made = make_release(Course(source))
    with zipfile.ZipFile(io.BytesIO(made.archive)) as archive:
        archive.extractall(tmp_path)
    root = tmp_path / "dslab-course"
    environment = {**os.environ, "PYTHONPATH": str(root), "NO_COLOR": "1"}

    def dslab(*words: str) -> str:
        command = [sys.executable, "-m", "dslab", *words]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    installed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    for module in installed["wheel"]["only-include"]:
        name = module.removesuffix(".py")
        found = subprocess.check_output(
            [sys.executable, "-c", f"import {name}; print({name}.__file__)"],
            cwd=root,
            env=environment,
            text=True,
        )
        assert Path(found.strip()).is_relative_to(root), f"{module} is not in what students get"
    assert "Sockets and layered protocols" in dslab("labs")
    (root / "labs" / "01-sockets" / "echo_server.py").write_text("broken\n")
    assert dslab("reset", "1").endswith("echo_server.py is as given.\n")
    assert not list(root.rglob("solutions"))
    assert {"Makefile", "pyproject.toml", "constraints.txt", "README.md"} <= {
        path.name for path in root.iterdir()
    }
