"""The line that moves, on a terminal that is one."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Write = Callable[[str], None]


def on_a_terminal(course: Path, *words: str) -> str:
    """All that `dslab` writes to a terminal of 80 columns. The file `shown` tells its checks of the first."""
    ours, theirs = pty.openpty()
    environment = dict(os.environ) | {"TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-P", "-m", "dslab", *words]
    with subprocess.Popen(command, cwd=course, env=environment, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        written = b""
        try:
            while piece := os.read(ours, 65_536):
                written += piece
                if b"1 of 3" in written:
                    (course / "shown").touch()
        except OSError:
            pass  # on Linux, the end of a terminal whose last writer is gone
        finally:
            os.close(ours)
    return written.decode()


def test_says_which_check_runs(lab: Path, write_checks: Write) -> None:
    course = lab.parent.parent
    write_checks(f'''
        import os

        @step("1.1", starts=())
        def test_prints():
            """It prints while it runs, and runs until it is seen to."""
            print("this is not for the terminal")
            while not os.path.exists({str(course / "shown")!r}):
                time.sleep(0.02)
    ''')
    written = on_a_terminal(course, "test", "1")
    assert "1 of 3  1.1 It prints while it runs" in written
    assert "3 of 3  1.3 Filler." in written
    assert "this is not for the terminal" not in written
    last = written[written.rindex("3 of 3") :]
    assert "\x1b[2K" in last  # the line is taken away again
    assert "100 of 100 points" in last


def test_repetitions(lab: Path) -> None:
    written = on_a_terminal(lab.parent.parent, "test", "1", "--step", "1.3", "--repeat", "2")
    assert "run 2 of 2, check 1 of 1  1.3 test_else" in written
    assert "2 of 2 runs earned full marks" in written
