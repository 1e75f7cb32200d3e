"""One run of one lab's checks: what counts, what happened, and how it is told.

Reading order::

    what counts
        rubric.py    lab.toml: the steps of a lab, their points and hints
        course.py    which labs there are, and where
        request.py   what is to be graded, and how
        marks.py     what a check says about itself: `step`, `sent`
    the books
        verdict.py   the result of a run: checks, steps, points (this is result.json)
        ledger.py    the same while the run goes on: what is planned, decided, blocked
        classify.py  whose fault an exception was: pass, fail, skipped, error
        outcome.py   from what happened in a check to its result
    for the reader
        render.py    any value in one line; compare.py: what came back beside what was expected
        lastwords.py what a program's stderr says; evidence.py: what a check leaves behind
        reports/     one module per format; live.py and repeat.py: `dslab test` on a terminal
    the run
        plugin.py    the pytest plugin, as light as can be
        run.py       pytest around a session.py, which is one graded run
        loading.py   check files alone; collecting.py: the plan; timeouts.py: the last resort
        bench.py     a topology for each check; fixtures.py: what a check asks for by name

The grader stays outside: student code only ever runs as a service of the topology. Nothing of a submission
is imported by the process that decides the grade, and no result is ever read back from a disk.
"""

from dslab.kit.grader.marks import sent, step

__all__ = ["sent", "step"]
