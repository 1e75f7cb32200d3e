"""Standard output and error as they are to be: whatever is printed gets through."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path


def make_ready() -> None:
    """Let a terminal that does not know a letter show its code; print to nowhere where there is no output.

    What students' programs wrote is told in all languages, but not every terminal speaks UTF-8.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed by whoever started us
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for good
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
