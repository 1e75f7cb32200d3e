"""A process that has imported all that a graded run needs, and waits: what makes ``dslab watch`` fast.

It is started before it is needed, reads one request from its stdin (a line of JSON), grades, and writes
the result to the descriptor of its first argument. A fresh process for each run has the check
files, and whatever else they import, as they are on the disk.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from dslab.kit.cli.failures import explain
from dslab.kit.cli.hints import told
from dslab.kit.cli.streams import make_ready
from dslab.kit.errors import DslabError
from dslab.kit.grader.course import find_course
from dslab.kit.grader.live import TerminalWatcher
from dslab.kit.grader.request import make_request
from dslab.kit.grader.run import grade
from dslab.kit.grader.verdict import RunResult
from dslab.kit.topology import running as _running  # noqa: F401 - imported early: each run needs it

INTERRUPTED = 130


class Reporter(TerminalWatcher):
    """Shows the run as ``dslab test`` does, and remembers where it left its files."""

    def folder(self) -> Path:
        """The run's folder."""
        return self._folder


def main() -> int:
    """Wait for a request, grade, report."""
    out = int(sys.argv[1])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    make_ready()
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # see `warm.Worker.start`
        line = sys.stdin.readline()
        if not line:
            return 0
        return _work(json.loads(line), out)
    except KeyboardInterrupt:
        return INTERRUPTED


def _work(fields: dict[str, str | int | None], out: int) -> int:
    console = Console(file=sys.stdout, highlight=False)  # this stdout: pytest puts another in its place
    watcher = Reporter(console)
    try:
        result, folder = _grade(fields, watcher)
    except DslabError as error:
        return explain(error, debug=False)
    finally:
        watcher.stop()
    # All is cleaned up: an interrupt would only end in a traceback. Who wants no result closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError), os.fdopen(out, "w", encoding="utf-8") as report:
        report.write(json.dumps({"result": result.to_json(), "folder": str(folder)}) + "\n")
    return result.exit_status


def _grade(fields: dict[str, str | int | None], watcher: Reporter) -> tuple[RunResult, Path]:
    course = find_course()
    submission, step, seed = fields["submission"], fields["step"], fields["seed"]
    request = make_request(
        str(fields["lab"]),
        course=course,
        submission=Path(str(submission)) if submission else None,
        backend=str(fields["backend"]),
        step=() if step is None else (str(step),),
        seed=None if seed is None else int(seed),
    )
    return grade(request.with_hints(told(course, request.lab)), watcher), watcher.folder()


if __name__ == "__main__":
    sys.exit(main())
