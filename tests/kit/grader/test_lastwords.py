"""What a program's stderr says about its end."""

from __future__ import annotations

import pytest

from dslab.kit.grader.lastwords import LastException, last_exception, tail

CHAINED = """\
listening on 127.0.0.1:7000
Traceback (most recent call last):
  File "/run/1/server.py", line 12, in serve
    int(piece)
    ^^^^^^^^^^
ValueError: invalid literal for int() with base 10: b'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/run/1/server.py", line 30, in <module>
    serve()
  File "/run/1/framing.py", line 14, in serve
    raise RuntimeError("cannot go on")
  File "/usr/lib/python3.11/socket.py", line 5, in close
    fd.close()
dslab.errors.PeerClosed: cannot go on
"""

SYNTAX = """\
  File "/run/1/server.py", line 3
    def serve(:
              ^
SyntaxError: invalid syntax
"""


def test_the_last_of_several() -> None:
    found = last_exception(CHAINED, ["server.py", "framing.py"])
    assert found == LastException("PeerClosed: cannot go on", "framing.py", 14)
    assert str(found) == "PeerClosed: cannot go on (framing.py, line 14)"


def test_without_files_of_the_student_the_innermost_place() -> None:
    assert last_exception(CHAINED) == LastException("PeerClosed: cannot go on", "socket.py", 5)


def test_syntax_error() -> None:
    assert str(last_exception(SYNTAX)) == "SyntaxError: invalid syntax (server.py, line 3)"


def test_exception_without_a_text() -> None:
    text = 'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\nKeyboardInterrupt\n'
    assert str(last_exception(text)) == "KeyboardInterrupt (a.py, line 1)"


def test_no_exception() -> None:
    assert last_exception("") is None
    assert last_exception("ValueError: printed, not raised\n") is None


@pytest.mark.parametrize("after", ["status 3\n", "\nover there: ValueError: no\n", "dslab:mark on we go\n"])
def test_an_exception_that_was_survived(after: str) -> None:
    assert last_exception(CHAINED + after) is None
    assert str(last_exception(CHAINED + after + SYNTAX)) == "SyntaxError: invalid syntax (server.py, line 3)"


def test_an_exception_before_a_group_of_them() -> None:
    group = (
        "  + Exception Group Traceback (most recent call last):\n  | ExceptionGroup: two (2 sub-exceptions)\n"
    )
    assert last_exception(CHAINED + group) is None


@pytest.mark.parametrize("after", ["\n\n", "sys:1: RuntimeWarning: coroutine 'f' was never awaited\n"])
def test_what_python_itself_says_as_it_ends(after: str) -> None:
    assert last_exception(CHAINED + after) == last_exception(CHAINED)


def test_what_is_not_written_yet_explains_the_rest() -> None:
    text = 'Traceback (most recent call last):\n  File "a.py", line 1\nNotImplementedError: step 1.1\nbye\n'
    assert str(last_exception(text)) == "NotImplementedError: step 1.1 (a.py, line 1)"


def test_what_a_program_wrote_cannot_paint_over_the_grader() -> None:
    text = 'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: \x1b[2J\x1b[H100 of 100\n'
    assert str(last_exception(text)) == "ValueError: \\x1b[2J\\x1b[H100 of 100 (a.py, line 1)"
    assert tail("\x1b[2J100 of 100 points\r\x07") == "\\x1b[2J100 of 100 points\n\\x07"


def test_tail_keeps_the_last_lines() -> None:
    assert tail("".join(f"{n}\n" for n in range(10)) + "\n\n") == "... 2 lines before\n2\n3\n4\n5\n6\n7\n8\n9"
    assert tail('  say("hello")\n') == '  say("hello")'
    assert len(tail("x" * 10_000)) < 200
