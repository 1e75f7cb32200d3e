"""A student's file is the solution without its regions, and otherwise the same bytes."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslab.kit.authoring.skeleton import make_skeleton, solution_lines
from dslab.kit.errors import ConfigError

SOLUTION = '''
"""An echo server."""

import socket
# BEGIN SOLUTION DELETE
import struct
# END SOLUTION
import sys

LIMIT = 3  # kept:   as it is


def serve(listener: socket.socket) -> None:
    """Answer every client."""
    # BEGIN SOLUTION step-1.1 "accept clients one after the other"
    while True:
        reply(listener.accept()[0], struct.pack("!I", LIMIT))
    # END SOLUTION


# BEGIN SOLUTION DELETE
def reply(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
# END SOLUTION


def main() -> None:
    """Run."""
    print("listening", file=sys.stderr)
    # BEGIN SOLUTION step-1.2 "begin to serve"
    serve(socket.create_server(("", 7000)))
    # END SOLUTION
'''.lstrip()

SKELETON = '''
"""An echo server."""

import socket
import sys

LIMIT = 3  # kept:   as it is


def serve(listener: socket.socket) -> None:
    """Answer every client."""
    # TODO step 1.1: accept clients one after the other
    raise NotImplementedError("lab 1, step 1.1")


def main() -> None:
    """Run."""
    print("listening", file=sys.stderr)
    # TODO step 1.2: begin to serve
    raise NotImplementedError("lab 1, step 1.2")
'''.lstrip()


def skeleton(text: str) -> str:
    return make_skeleton(text.encode(), "echo.py").decode()


def error(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        skeleton(textwrap.dedent(text).lstrip("\n"))
    return str(caught.value)


def test_a_whole_file() -> None:
    assert skeleton(SOLUTION) == SKELETON


def test_a_skeleton_is_its_own_skeleton() -> None:
    assert skeleton(SKELETON) == SKELETON


def test_what_ends_a_line_only_for_some() -> None:
    above = 'PAGE = "a\u2028b\x85"  # \x0c \x1c\n\x0c\n'
    skeleton = make_skeleton(f"{above}{SOLUTION}".encode(), "solutions/01-x/x.py").decode()
    assert skeleton == f"{above}{make_skeleton(SOLUTION.encode(), 'solutions/01-x/x.py').decode()}"
    name = "solutions/01-x/x.py"
    assert solution_lines(f"{above}{SOLUTION}", name) == solution_lines(SOLUTION, name)


def test_windows_line_ends_stay() -> None:
    windows = SOLUTION.replace("\n", "\r\n").encode()
    assert make_skeleton(windows, "echo.py") == SKELETON.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("above", "below", "left"), [(0, 0, 0), (1, 2, 2), (2, 1, 2), (2, 2, 2), (0, 1, 1), (2, 0, 2)]
)
def test_blank_lines_around_a_deleted_region(above: int, below: int, left: int) -> None:
    region = "# BEGIN SOLUTION DELETE\ny = 1\n# END SOLUTION\n"
    text = "x = 1\n" + "\n" * above + region + "\n" * below + "z = 1\n"
    assert skeleton(text) == "x = 1\n" + "\n" * left + "z = 1\n"


def test_a_deleted_region_at_the_end_leaves_no_blank_lines() -> None:
    assert skeleton("x = 1\n\n\n# BEGIN SOLUTION DELETE\ny = 1\n# END SOLUTION\n") == "x = 1\n"


def test_an_import_for_the_solution_alone() -> None:
    text = '''
        import struct


        def f(n):
            """Mentions struct."""
            # BEGIN SOLUTION step-1.1 "pack it"
            return struct.pack("!I", n)
            # END SOLUTION
    '''
    assert error(text) == (
        "echo.py:1: struct is imported here and used only in the solution. "
        "Put the import between  # BEGIN SOLUTION DELETE  and  # END SOLUTION."
    )


def test_an_import_that_nobody_uses_is_the_linter_s_business() -> None:
    assert skeleton("import os\n") == "import os\n"


def test_an_empty_block_is_left() -> None:
    assert error("if 1:\n    # BEGIN SOLUTION DELETE\n    x = 1\n    # END SOLUTION\n").startswith(
        "echo.py: what is left for the student is not Python: expected an indented block"
    )


def test_other_files_are_handed_out_as_they_are() -> None:
    assert make_skeleton(b"queue: a\n", "queues.yaml") == b"queue: a\n"
    with pytest.raises(ConfigError, match=r"^queues.yaml:2: markers work in Python files only\.$"):
        make_skeleton(b"a: b\n# BEGIN SOLUTION DELETE\n", "queues.yaml")
    with pytest.raises(ConfigError, match=r"^a.txt: is not UTF-8 text\.$"):
        make_skeleton(b"\xff", "a.txt")


def test_lines_that_must_not_be_handed_out() -> None:
    assert solution_lines(SOLUTION, "echo.py") == [
        "import struct",
        "while True:",
        'reply(listener.accept()[0], struct.pack("!I", LIMIT))',
        "def reply(connection: socket.socket, data: bytes) -> None:",
        "connection.sendall(data)",
        'serve(socket.create_server(("", 7000)))',
    ]


LINES = st.lists(st.sampled_from(["x = 1", "y = 'a'", "", "# a comment", "z = [1,", "2]"]), max_size=8)


@given(LINES, LINES)
def test_what_stands_outside_of_regions_stays_byte_for_byte(above: list[str], below: list[str]) -> None:
    body = ["def f():", '    # BEGIN SOLUTION step-2.1 "go"', "    return 1", "    # END SOLUTION"]
    left = ["def f():", "    # TODO step 2.1: go", '    raise NotImplementedError("lab 2, step 2.1")']
    try:
        compile("\n".join([*above, *body, *below, ""]), "x", "exec")
    except SyntaxError:
        return
    assert skeleton("\n".join([*above, *body, *below, ""])) == "\n".join([*above, *left, *below, ""])
