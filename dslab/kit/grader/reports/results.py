"""result.json: for other tools. `RunResult.to_json` says what is in it, result.schema.json what may be."""

from __future__ import annotations

import json
from pathlib import Path

from dslab.kit.grader.reports.files import write_whole
from dslab.kit.grader.verdict import RunResult

FILE = "result.json"


def write(result: RunResult, folder: Path) -> None:
    """Write it into a folder."""
    write_whole(folder / FILE, json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n")
