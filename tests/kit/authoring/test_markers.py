"""Regions are found where they stand, and every mistake in a marker has its line."""

from __future__ import annotations

import textwrap

import pytest

from dslab.kit.authoring.markers import Region, find_regions
from dslab.kit.errors import ConfigError


def regions(text: str) -> list[Region]:
    return find_regions(textwrap.dedent(text).lstrip("\n"), "echo.py")


def error(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        regions(text)
    return str(caught.value)


def test_whole_body_and_tail_and_delete() -> None:
    found = regions('''
        # BEGIN SOLUTION DELETE
        import struct
        # END SOLUTION

        def whole():
            """Docstring."""
            # BEGIN SOLUTION step-1.1 "do it"
            return 1
            # END SOLUTION

        class A:
            async def tail(self):
                x = 1
                # BEGIN SOLUTION step-1.12 "do more, it's easy"
                if x:
                    return x
                return 2
                # END SOLUTION
    ''')
    assert found == [
        Region(1, 3, "", None),
        Region(7, 9, "    ", "1.1", "do it"),
        Region(14, 18, "        ", "1.12", "do more, it's easy"),
    ]


def test_a_marker_in_a_string_is_none() -> None:
    assert regions('text = """\n# BEGIN SOLUTION DELETE\n"""\n') == []


@pytest.mark.parametrize(
    "marker",
    [
        "# BEGIN SOLUTION",
        "# BEGIN SOLUTION step-1.1",
        '# BEGIN SOLUTION step-1.1 ""',
        '# BEGIN SOLUTION step 1.1 "x"',
        '# BEGIN SOLUTION 1.1 "x"',
        "# begin solution delete",
        "#BEGIN SOLUTION DELETE",
        "# BEGIN_SOLUTION DELETE",
        "# END SOLUTION step-1.1",
        "# END SOLUTIONS",
    ],
)
def test_malformed(marker: str) -> None:
    assert error(f"x = 1\n{marker}\n") == (
        f"echo.py:2: malformed marker {marker!r}. "
        'Write # BEGIN SOLUTION step-1.3 "what to do"  or  # BEGIN SOLUTION DELETE,  '
        "closed by  # END SOLUTION."
    )


MISTAKES = {
    "unclosed": (
        "# BEGIN SOLUTION DELETE\nimport a\n",
        "echo.py:1: this region is never closed. Write '# END SOLUTION' after it.",
    ),
    "unopened": ("import a\n# END SOLUTION\n", "echo.py:2: '# END SOLUTION' without a beginning above it."),
    "nested": (
        "# BEGIN SOLUTION DELETE\nimport a\n# BEGIN SOLUTION DELETE\nimport b\n# END SOLUTION\n",
        "echo.py:3: a region begins inside the one of line 1.",
    ),
    "indentation": (
        "def f():\n    # BEGIN SOLUTION DELETE\n    pass\n# END SOLUTION\n",
        "echo.py:4: '# END SOLUTION' is not indented like its beginning in line 2.",
    ),
    "after code": (
        "x = 1  # BEGIN SOLUTION DELETE\ny = 2\n# END SOLUTION\n",
        "echo.py:1: a marker stands on a line of its own.",
    ),
    "empty": ("# BEGIN SOLUTION DELETE\n# nothing\n# END SOLUTION\n", "echo.py:1: this region is empty."),
    "cut in two": (
        "x = [\n# BEGIN SOLUTION DELETE\n    1,\n]\ny = 2\n# END SOLUTION\n",
        "echo.py:2: this region cuts the statement of line 1 in two.",
    ),
    "a word too far": (
        "def f():\n    x = 1\n    # BEGIN SOLUTION DELETE\n    y = 2\nz = 2\n    # END SOLUTION\n",
        "echo.py:3: this region cuts the statement of line 5 in two.",
    ),
    "within one statement": (
        "x = [\n# BEGIN SOLUTION DELETE\n    1,\n# END SOLUTION\n]\n",
        "echo.py:2: this region cuts the statement of line 1 in two.",
    ),
    "not in a function": (
        '# BEGIN SOLUTION step-1.1 "x"\ny = 2\n# END SOLUTION\n',
        "echo.py:1: a region with a step stands inside a function. "
        "For what only the solution needs outside of functions there is  # BEGIN SOLUTION DELETE.",
    ),
    "in the middle": (
        'def f():\n    # BEGIN SOLUTION step-1.1 "x"\n    y = 2\n    # END SOLUTION\n    return y\n',
        "echo.py:2: the region is not the whole body of f(), nor its tail: line 5 follows it.",
    ),
    "in a block": (
        'def f():\n    if 1:\n        # BEGIN SOLUTION step-1.1 "x"\n        y = 2\n        # END SOLUTION\n',
        "echo.py:3: the region is not the whole body of f(), nor its tail: "
        "it lies within the statement of line 2.",
    ),
    "docstring": (
        'def f():\n    # BEGIN SOLUTION step-1.1 "x"\n    """Doc."""\n    return 2\n    # END SOLUTION\n',
        "echo.py:2: the docstring of f() is not part of the solution.",
    ),
    "syntax": ("def f(:\n    pass\n", "echo.py:1: this is not Python: invalid syntax."),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str) -> None:
    text, message = MISTAKES[mistake]
    assert error(text) == message
