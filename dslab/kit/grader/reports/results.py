"""result.json: for other tools. `RunResult.to_json` says what is in it, result.schema.json what may be."""

from __future__ import annotations

from pathlib import Path

import msgspec

from dslab.kit.grader.reports.files import write_whole
from dslab.kit.grader.verdict import RunResult

FILE = "result.json"


def write(result: RunResult, folder: Path) -> None:
    """Write it into a folder."""
    # It is written after every check: json would take as long for an indented text as a small check does.
    text = msgspec.json.format(msgspec.json.encode(result.to_json()), indent=2)
    write_whole(folder / FILE, text.decode() + "\n")
