"""report.html: a run for a person, on one page that needs nothing else. The pictures are in it.

Every text is written escaped, and a picture stands in a frame of its own that may do nothing to the page.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dslab.kit.grader.reports.files import write_whole
from dslab.kit.grader.reports.plain import explanation
from dslab.kit.grader.verdict import CheckResult, RunResult, Verdict, count, shown

if TYPE_CHECKING:
    from jinja2 import Template

FILE = "report.html"
TEMPLATE = "page.html"
MAX_PICTURES_BYTES = 20 * 1024 * 1024  # all together; a browser still opens that


def write(result: RunResult, folder: Path, run: Path) -> None:
    """Write it into a folder; the pictures are in the run's folder."""
    write_whole(folder / FILE, to_html(result, run))


def to_html(result: RunResult, run: Path) -> str:
    """The whole page."""
    return _template().render(
        result=result,
        pictures=_pictures(result, run),
        explanation=explanation,
        shown=shown,
        count=count,
        Verdict=Verdict,
    )


def _pictures(result: RunResult, run: Path) -> dict[CheckResult, str]:
    """The page of each picture; those beyond the limit are left out, and the report names their files."""
    pictures: dict[CheckResult, str] = {}
    room = MAX_PICTURES_BYTES
    for check in result.checks:
        path = run / check.trace
        if check.trace and path.is_file() and (room := room - path.stat().st_size) >= 0:
            pictures[check] = path.read_text(encoding="utf-8", errors="replace")
    return pictures


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE)
