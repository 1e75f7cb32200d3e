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

from dslab.kit.grader.reports import results
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
        results.write(result, self._run)
        if self._report:
            from dslab.kit.grader.reports import comment, gradescope, junit, page, table

            results.write(result, self._report)
            for form in (junit, table, gradescope, comment):
                form.write(result, self._report)
            page.write(result, self._report, self._run)
