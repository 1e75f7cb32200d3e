"""Which of a student's files Python cannot even read: told once, before 25 checks fail for that one reason.

The files are parsed by another process. A file that crashes the parser (there are such) is then an empty
answer, not the end of the grader.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TIMEOUT_S = 10.0

_PROGRAM = """
import ast, json, sys
for name in sys.argv[1:]:
    try:
        ast.parse(open(name, "rb").read(), name)
    except SyntaxError as error:
        print(json.dumps([name, error.lineno or 0, error.msg]))
    except ValueError as error:
        print(json.dumps([name, 0, str(error)]))
"""


def syntax_errors(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """One line for each of the Python files in the folder that is none: file, line, what is wrong."""
    files = [str(folder / name) for name in names if name.endswith(".py")]
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM, *files]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return ()
    return tuple(_line(folder, *json.loads(line)) for line in done.stdout.splitlines())


def _line(folder: Path, name: str, line: int, message: str) -> str:
    file = Path(name).relative_to(folder).as_posix()
    return f"{file}, line {line}: SyntaxError: {message}" if line else f"{file}: SyntaxError: {message}"
