"""One run of one lab's checks: what counts, what happened, and how it is told.

Reading order::

    rubric.py    lab.toml: the steps of a lab, their points and hints
    course.py    which labs there are, and where
    marks.py     what a check says about itself: `step`, `sent`
    verdict.py   the result of a run: checks, steps, points (pure; this is result.json)
    compare.py   what came back beside what was expected, for a reader (pure)
    classify.py  whose fault an exception was: pass, fail, skipped, error
    plugin.py    the pytest plugin, as light as can be; session.py is what it loads when a lab is graded
    reports/     one module per format

The grader stays outside: student code only ever runs as a service of the topology. Nothing of a submission
is imported by the process that decides the grade, and no result is ever read back from a disk.
"""

from dslab.kit.grader.marks import sent, step

__all__ = ["sent", "step"]
