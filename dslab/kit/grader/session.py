"""One graded run inside one pytest session: which checks run, in which order, what becomes of them.

`plugin` makes a `GradingSession` when a lab is asked for on pytest's command line, `run` does when
`dslab test` grades. Both then go the same way::

    open                            the compose file is read, the run's folder made
    pytest_collection_modifyitems   the checks are planned, sorted by step, deselected
    pytest_runtest_protocol         a check; its result is entered and all reports are written
    pytest_sessionfinish            the last reports, and the exit status
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from dslab.kit.errors import DslabError, MachineError
from dslab.kit.grader.bench import Bench
from dslab.kit.grader.classify import message_of, verdict_of
from dslab.kit.grader.collecting import ignored, key_of, planned, refuse_empty, reorder, step_mark
from dslab.kit.grader.compare import compare
from dslab.kit.grader.evidence import Evidence
from dslab.kit.grader.history import carry_over, enter
from dslab.kit.grader.ledger import Ledger, Planned
from dslab.kit.grader.loading import CheckFile
from dslab.kit.grader.marks import StepMark
from dslab.kit.grader.outcome import Happened, blank_result, repeat_command, result_of
from dslab.kit.grader.progress import Watcher
from dslab.kit.grader.reports import Reports
from dslab.kit.grader.request import GradeRequest
from dslab.kit.grader.syntax import syntax_errors
from dslab.kit.grader.timeouts import give_lines
from dslab.kit.grader.verdict import Verdict

if TYPE_CHECKING:
    from dslab.kit.topology.running import Topology

T = TypeVar("T")

INTERRUPTED = 130  # as a shell has it for a program that Ctrl-C ended


class GradingSession:
    """The plugin that grades. Its public attributes are read when pytest is done.

    Attributes:
        request: What is graded.
        result: How it stands.
        failure: What made grading impossible; None if it was possible.
        interrupted: Whether Ctrl-C ended it.
    """

    def __init__(self, request: GradeRequest, watcher: Watcher | None = None) -> None:
        self.request = request
        self.watcher = watcher or Watcher()
        self.failure: BaseException | None = None
        self.interrupted = False
        self._begun_s = time.monotonic()
        self.result = blank_result(request)
        self._bench: Bench | None = None
        self._ledger: Ledger | None = None
        self._reports: Reports | None = None
        self._planned: dict[str, Planned] = {}
        self._marks: dict[str, StepMark] = {}
        self._happened = Happened()
        self._has_had_topology = False

    @property
    def begun(self) -> bool:
        """Whether the checks are planned."""
        return self._ledger is not None

    @property
    def folder(self) -> Path | None:
        """The run's folder, once it is there."""
        return self._bench.run.path if self._bench else None

    # Set-up

    def open(self) -> None:
        """Read the compose file, make the run's folder; before pytest is started or as it starts.

        Raises:
            DslabError: Grading is impossible.
        """
        self._whatever(lambda: carry_over(self.request.course), None)  # before old runs are removed
        self._bench = Bench(self.request)
        try:
            self._reports = Reports(self._bench.run.path, self.request.report)
        except BaseException:
            self._bench.close()
            raise
        for line in syntax_errors(self.request.submission, self.request.lab.rubric.files):
            self._note(line)

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave out what lies in the lab's folder and is no check file of the lab."""
        return ignored(self.request, collection_path)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Take the lab's folder for a folder, even if somebody made a package of it."""
        if path.is_relative_to(self.request.lab.folder):
            return pytest.Dir.from_parent(parent, path=path)
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Module:
        """Load check files our way."""
        return CheckFile.from_parent(parent, path=module_path)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Plan the checks, and put them in order."""
        if self.failure:
            return  # a check file could not be loaded
        with self._stopping():
            refuse_empty(self.request, items)
            plan = {key_of(item): planned(item, self.request) for item in items}
            self._ledger = Ledger(self.request.lab.rubric, self.request.steps, plan.values(), self.result)
        self._planned = plan
        self._marks = {key_of(item): mark for item in items if (mark := step_mark(item))}
        reorder(config, items, [check.key for check in self._ledger.order])
        for item in items:
            item.add_marker(pytest.mark.timeout(self._marks[key_of(item)].timeout_s))

    def pytest_collection_finish(self) -> None:
        """Write the first reports, in which nothing has run yet."""
        if self._ledger and self._bench:
            self._write()
            self.watcher.begun(self.request, self._bench.run.path, self.result)

    # One check

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Run a check, enter its result, write the reports."""
        check = self._planned[key_of(item)]
        assert self._bench
        assert self._ledger
        self._bench.forget()
        self._happened = Happened(blocked=self._ledger.blocked(check.step))
        order = self._ledger.order
        self.watcher.check_begun(check, order.index(check) + 1, len(order))
        begun_s = time.monotonic()
        outcome = yield
        self._happened.duration_s = time.monotonic() - begun_s
        self._enter(check, self._bench, self._ledger)
        return outcome

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Spare a check that cannot pass, before any of its fixtures is made."""
        if self._happened.blocked:
            pytest.skip(self._happened.blocked.message)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        """Note how a phase of the check ended."""
        if call.excinfo is not None:
            error = call.excinfo.value
            give_lines(error)
            call.excinfo = pytest.ExceptionInfo.from_exception(error)
            self._happened.errors.append(error)
            self._happened.keep_comparison_of(error)
            if self._bench and verdict_of(error) is not Verdict.SKIPPED:
                self._happened.failed_at_s = call.stop - self._bench.run.epoch_s
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str]:
        """Keep the operands of a comparison that did not hold, and say it in our words."""
        comparison = compare(op, left, right)
        self._happened.comparison = comparison
        return [comparison.headline, *comparison.rows]

    @contextmanager
    def topology(self, item: pytest.Item) -> Iterator[Topology]:
        """The topology of a check (see `Fixtures`)."""
        assert self._bench
        key = key_of(item)
        try:
            with self._bench.topology(self._planned[key], self._marks[key], self._happened) as topology:
                self._has_had_topology = True
                yield topology
        except MachineError as error:
            # What the first topology lacks, the others will lack: an engine, an image.
            if not self._has_had_topology:
                self.failure = error
                item.session.shouldstop = str(error)
            raise

    def _enter(self, check: Planned, bench: Bench, ledger: Ledger) -> None:
        happened = self._happened
        evidence = self._whatever(lambda: bench.gather(check, happened), Evidence())
        repeat = repeat_command(self.request, [check.step], Path.cwd())
        result = result_of(check, happened, evidence, repeat)
        picture = self._whatever(lambda: bench.draw(check, happened, result), "")
        entered = ledger.enter(check.key, replace(result, trace=picture))
        self._write()
        self.watcher.check_ended(check, entered)

    def _whatever(self, make: Callable[[], T], otherwise: T) -> T:
        """What is only there to be looked at takes no points from anybody if it cannot be made."""
        try:
            return make()
        except Exception as error:  # noqa: BLE001 - whatever breaks in a picture, the verdict stands
            self._note(f"A report is incomplete: {message_of(error)}.")
            return otherwise

    # The end

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Remember Ctrl-C. What pytest itself raises to end a session comes by here, too."""
        self.interrupted = self.interrupted or excinfo.type is KeyboardInterrupt

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Remember what broke."""
        self.failure = self.failure or excinfo.value

    def pytest_exception_interact(
        self, node: pytest.Item | pytest.Collector, call: pytest.CallInfo[Any]
    ) -> None:
        """Remember that a check file could not be loaded."""
        if isinstance(node, pytest.Collector) and call.excinfo:
            self.failure = self.failure or call.excinfo.value

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Close everything, write the last reports, set the exit status."""
        self.pytest_unconfigure()
        if session.config.getoption("collectonly", False):
            return
        if self._ledger:
            self._write()
            self._whatever(lambda: enter(self.request.course, self.result.to_json()), None)
            if self.failure is None or self._has_had_topology:
                self.watcher.ended(self.result)
        if self._ledger or self.failure:
            session.exitstatus = self.exit_status

    def pytest_unconfigure(self) -> None:
        """Close everything, in a session that never began, too."""
        if self._bench:
            self._bench.close()

    @property
    def exit_status(self) -> int:
        """As `dslab test` has it."""
        if self.interrupted:
            return INTERRUPTED
        if isinstance(self.failure, DslabError):
            return self.failure.exit_status
        return 3 if self.failure else self.result.exit_status

    def _note(self, line: str) -> None:
        self.result = replace(self.result, notes=(*self.result.notes, line))

    def _write(self) -> None:
        assert self._ledger
        assert self._reports
        duration_s = time.monotonic() - self._begun_s
        self.result = replace(self._ledger.result(duration_s=duration_s), notes=self.result.notes)
        self._reports.write(self.result)

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """End the session where grading is impossible, with our message and status not a traceback."""
        try:
            yield
        except DslabError as error:
            self.failure = error
            pytest.exit(str(error), returncode=error.exit_status)
