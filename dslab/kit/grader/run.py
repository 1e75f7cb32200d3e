"""Runs pytest around a `GradingSession`: `grade` for `dslab test`, `take_over` for pytest itself.

What belongs to a submission never runs in this process. pytest gets our configuration and no other, loads no
``conftest.py`` and no plugin but ours and pytest-timeout, imports check files alone (see `loading`), and has
nothing of the submission on ``sys.path``.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import pytest_timeout

from dslab.kit.errors import DslabError, KitError, UsageError
from dslab.kit.grader.collecting import add_checks, collect
from dslab.kit.grader.course import find_course
from dslab.kit.grader.fixtures import Fixtures
from dslab.kit.grader.plugin import OPTIONS
from dslab.kit.grader.progress import Watcher
from dslab.kit.grader.request import GradeRequest, at_home, make_request
from dslab.kit.grader.session import GradingSession
from dslab.kit.grader.timeouts import TimeoutPlugin
from dslab.kit.grader.verdict import RunResult, shown

CONFIGURATION = Path(__file__).with_name("checks.ini")
# unraisableexception collects garbage five times as it ends, which takes as long as a check.
_NOT_NEEDED = (
    "cacheprovider",
    "doctest",
    "unittest",
    "junitxml",
    "pastebin",
    "faulthandler",
    "unraisableexception",
)
_NOT_OURS = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")


def grade(request: GradeRequest, watcher: Watcher | None = None) -> RunResult:
    """Run the checks that are asked for; pytest itself prints nothing.

    Raises:
        DslabError: Grading was impossible; the error says whose fault it is.
        KeyboardInterrupt: Ctrl-C. Everything is cleaned up, and the reports hold what was earned.
    """
    session = GradingSession(request, watcher)
    session.open()
    with _isolated(request):
        # As an object: what pytest imports by name, it rewrites the assertions of, at each start.
        plugins = [*_plugins(session), Mute(), OnlyTheChecks(request), pytest_timeout]
        status = pytest.main(_arguments(request), plugins=plugins)
    if session.interrupted:
        raise KeyboardInterrupt
    if isinstance(session.failure, DslabError):
        raise session.failure
    if session.failure:
        raise KitError(f"The run broke off: {session.failure}.") from session.failure
    if not session.begun:
        raise KitError(f"The run never began: pytest ended with status {int(status)}.")
    return session.result


class TakeOver:
    """Makes a pytest session that somebody started by hand a graded run."""

    def __init__(self, labs: Sequence[Path]) -> None:
        self._labs = labs
        self._session: GradingSession | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Read the options, and register what grades."""
        try:
            self._session = GradingSession(_request_of(config, self._labs))
            self._session.open()
        except DslabError as error:
            pytest.exit(str(error), returncode=error.exit_status)
        for plugin in _plugins(self._session):
            config.pluginmanager.register(plugin)

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> Generator[None, Any, Any]:
        """Add the private checks before anybody plans or deselects."""
        assert self._session
        add_checks(session, items, self._session.request.private)
        return (yield)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say the score, the seed and the folder."""
        collecting = terminalreporter.config.getoption("collectonly", False)
        if self._session and self._session.folder and not collecting:
            result = self._session.result
            terminalreporter.section(f"dslab: {result.lab}")
            terminalreporter.line(f"score   {shown(result.score)} of {shown(result.max_score)}")
            terminalreporter.line(f"seed    {result.seed}")
            terminalreporter.line(f"folder  {self._session.folder}")


class Mute:
    """Silences pytest's own terminal: `dslab test` has its own."""

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Let the reporter, which other plugins rely on, write to nowhere."""
        config.pluginmanager.unregister(name="terminalreporter")
        config.pluginmanager.register(pytest.TerminalReporter(config, io.StringIO()), "terminalreporter")


class OnlyTheChecks:
    """Collects the lab's checks and the private ones, wherever they are."""

    def __init__(self, request: GradeRequest) -> None:
        self._files = (*request.lab.checks, *request.private)

    def pytest_collection(self, session: pytest.Session) -> bool:
        """Take pytest's place: what returns true first has collected."""
        collect(session, self._files)
        return True


class OneVoice:
    """Leaves it to `GradingSession` alone to say why a comparison did not hold.

    pytest asks every plugin, then takes the first answer. Its own answer is nowhere shown here, but where the
    variable CI is set it is a whole diff: for half a megabyte of random bytes that takes hours.
    """

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Put a plugin that does not answer in the place of pytest's, which has more to do."""
        theirs = config.pluginmanager.unregister(name="assertion")
        silent = ModuleType("assertion")
        for hook in ("pytest_collection", "pytest_runtest_protocol", "pytest_sessionfinish"):
            setattr(silent, hook, getattr(theirs, hook))
        config.pluginmanager.register(silent, "assertion")


def _plugins(session: GradingSession) -> list[object]:
    return [session, Fixtures(session), TimeoutPlugin(), OneVoice()]


def _arguments(request: GradeRequest) -> list[str]:
    options = [
        "-c",
        str(CONFIGURATION),
        "--rootdir",
        str(request.lab.folder),
        "--noconftest",
        "--capture=sys",
        "--tb=no",  # `Mute` shows none; to cut one out of a check's source takes longer than many a check
    ]
    for name in _NOT_NEEDED:
        options += ["-p", f"no:{name}"]
    return options


@contextmanager
def _isolated(request: GradeRequest) -> Iterator[None]:
    """Keep out of this process what could bring code of the submission into it."""
    environment = dict(os.environ)
    for name in _NOT_OURS:
        os.environ.pop(name, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    path = list(sys.path)
    sys.path[:] = [entry for entry in path if not _leads_into(Path(entry), request)]
    try:
        yield
    finally:
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(environment)


def _leads_into(entry: Path, request: GradeRequest) -> bool:
    entry = entry.resolve()  # an empty entry is the current folder
    return any(entry.is_relative_to(folder.resolve()) for folder in (request.submission, request.lab.folder))


def _request_of(config: pytest.Config, labs: Sequence[Path]) -> GradeRequest:
    options = {name: config.getoption(f"dslab_{name}") for name in OPTIONS}
    here = config.invocation_params.dir
    for name in ("submission", "report", "checks"):
        options[name] = here / at_home(Path(options[name])) if options[name] else None
    options["step"] = options["step"] or ()
    if len(labs) > 1:
        raise UsageError("Only one lab can be graded at a time.", remedy="Name one of them.")
    if config.getoption("numprocesses", None):
        raise UsageError("The checks of a lab run one after the other.", remedy="Leave out -n.")
    request = make_request(labs[0], course=find_course(labs[0]), **options)
    inipath = config.inipath
    if inipath and any(inipath.is_relative_to(f) for f in (request.submission, request.lab.folder)):
        raise UsageError(
            f"pytest took its configuration from {inipath}, which may be a student's.",
            remedy="Name the lab first: `pytest labs/01-sockets --submission DIR`. Or use `dslab test`.",
        )
    return request
