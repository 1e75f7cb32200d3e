"""Generated blocks of Markdown pages."""

from pathlib import Path

import pytest

from dslab.kit.authoring import docs
from dslab.kit.authoring.docs import Reference
from dslab.kit.errors import ConfigError
from dslab.kit.grader.course import Course

SOURCE = '''\
import socket


class Framer:
    """Messages out of a stream."""

    @property
    def pending(self) -> int:
        return 0


def serve() -> None:
    pass
'''


@pytest.fixture
def course(tmp_path: Path) -> Course:
    (tmp_path / "labs").mkdir()
    (tmp_path / "framing.py").write_text(SOURCE)
    return Course(tmp_path)


def page(course: Course, text: str) -> Path:
    path = course.root / "README.md"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("a/b.py", Reference("a/b.py")),
        ("a/b.py#Framer.feed", Reference("a/b.py", name="Framer.feed")),
        ("a/b.py:3-9", Reference("a/b.py", lines=(3, 9))),
    ],
)
def test_reference_forms(text: str, reference: Reference) -> None:
    assert Reference.parse(text) == reference


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        ("framing.py#serve", "def serve() -> None:\n    pass"),
        ("framing.py#Framer.pending", "@property\ndef pending(self) -> int:\n    return 0"),
        ("framing.py:1-1", "import socket"),
    ],
)
def test_include_shows_the_named_piece(course: Course, reference: str, shown: str) -> None:
    path = page(course, f"Before\n<!-- include: {reference} -->\nold\n<!-- end -->\nAfter\n")
    expected = f"Before\n<!-- include: {reference} -->\n```python\n{shown}\n```\n<!-- end -->\nAfter\n"
    assert docs.refresh(path, course) == expected


def test_lines_are_counted_as_an_editor_counts_them(course: Course) -> None:
    (course.root / "pages.py").write_text('"""Two: \x0c \u2028"""\n\x0c\nfirst = 1\nsecond = 2\n')
    path = page(course, "<!-- include: pages.py:3-4 -->\n<!-- end -->\n")
    assert "```python\nfirst = 1\nsecond = 2\n```" in docs.refresh(path, course)


def test_refresh_twice_changes_nothing(course: Course) -> None:
    path = page(course, "<!-- include: framing.py -->\n<!-- end -->\n")
    path.write_text(docs.refresh(path, course))
    assert docs.refresh(path, course) == path.read_text()


def test_outputs_are_made_anew_only_with_a_runner(course: Course) -> None:
    path = page(course, "<!-- output: dslab labs -->\nold\n<!-- end -->\n")
    assert docs.refresh(path, course) == path.read_text()
    renewed = docs.refresh(path, course, run=lambda command: f"ran {command}\n")
    assert (
        renewed
        == "<!-- output: dslab labs -->\n```console\n$ dslab labs\nran dslab labs\n```\n<!-- end -->\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- include: framing.py -->\nno end\n", "has no end"),
        ("<!-- include: gone.py -->\n<!-- end -->\n", "gone.py, which is not there"),
        ("<!-- include: framing.py#gone -->\n<!-- end -->\n", "framing.py defines no gone"),
        ("<!-- include: framing.py:0-1 -->\n<!-- end -->\n", "framing.py has no lines 0 to 1"),
        ("<!-- include: framing.py:2-1 -->\n<!-- end -->\n", "framing.py has no lines 2 to 1"),
        ("<!-- include: framing.py:1-999 -->\n<!-- end -->\n", "framing.py has no lines 1 to 999"),
        ("<!-- include: README.md#name -->\n<!-- end -->\n", "README.md is not Python"),
    ],
)
def test_a_broken_block_is_named(course: Course, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        docs.refresh(page(course, text), course)


def test_a_screen_becomes_a_picture_that_loads_nothing(course: Course) -> None:
    path = page(course, "<!-- screen: docs/pictures/labs.svg: dslab labs -->\n<!-- end -->\n")
    renewed = docs.refresh(path, course, run=lambda _command: "\x1b[32m100 of 100\x1b[0m\n")
    assert "![What dslab labs prints](docs/pictures/labs.svg)" in renewed
    picture = (course.root / "docs/pictures/labs.svg").read_text()
    assert "100&#160;of&#160;100" in picture
    assert "url(http" not in picture and "@font-face" not in picture
