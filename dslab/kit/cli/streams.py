"""Standard output and error as they are to be: whatever is printed gets through."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TextIO


def make_ready() -> None:
    """Let a terminal that does not know a letter show its code; print to nowhere where there is no output.

    What students' programs wrote is told in all languages, but not every terminal speaks UTF-8.
    """
    # None is what was closed by whoever started us.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")
