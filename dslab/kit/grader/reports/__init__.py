"""Every format in which a run is told, one module each: ``write(result, folder)`` writes it anew.

============  =====================  ===================================================
module        file                   for
============  =====================  ===================================================
`results`     ``result.json``        other tools; its schema is ``result.schema.json``
`junit`       ``junit.xml``          continuous integration
`table`       ``results.csv``        a spreadsheet: a heading and one row
`gradescope`  ``results.json``       Gradescope's autograder
`page`        ``report.html``        a person: one page, pictures included
`comment`     ``report.md``          a comment on a pull request
============  =====================  ===================================================

All are written after every check, beside the file and then renamed over it, so that a run that is killed
leaves whole files with what was earned until then. Nothing is ever read back from them.
"""

from __future__ import annotations

from pathlib import Path

from dslab.kit.grader.reports.results import write as write_results
from dslab.kit.grader.verdict import RunResult


class Reports:
    """The files of one run.

    Args:
        run: The run's folder, which gets result.json and holds the pictures.
        report: Where every format goes; None if only result.json is wanted.
    """

    def __init__(self, run: Path, report: Path | None = None) -> None:
        self._run = run
        self._report = report

    def write(self, result: RunResult) -> None:
        """Write everything as it stands."""
        write_results(result, self._run)
        if self._report:
            _write_all(result, self._report, self._run)


def _write_all(result: RunResult, folder: Path, run: Path) -> None:
    # Imported only where it is wanted: the page needs a template engine.
    from dslab.kit.grader.reports.comment import write as write_comment
    from dslab.kit.grader.reports.gradescope import write as write_gradescope
    from dslab.kit.grader.reports.junit import write as write_junit
    from dslab.kit.grader.reports.page import write as write_page
    from dslab.kit.grader.reports.table import write as write_table

    for write in (write_results, write_junit, write_table, write_gradescope, write_comment):
        write(result, folder)
    write_page(result, folder, run)
