"""Options of the whole suite."""

import multiprocessing
import signal
from collections.abc import Callable, Generator, Iterator

import pytest
from hypothesis import settings

# A loaded machine may be slow; what is tested is never how fast an example runs.
settings.register_profile("dslab", deadline=None)
settings.load_profile("dslab")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-golden",
        action="store_true",
        help="write what wrong submissions show on the terminal to solutions/*/golden; review the diff",
    )


WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SIGNALS = pytest.StashKey[object]()


def signals() -> object:
    """What becomes of a signal that comes now. (SIGALRM is pytest-timeout's.)"""
    handlers = {number: signal.getsignal(number) for number in WATCHED}
    return handlers, signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[SIGNALS] = signals()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    # The next test in this process may be about Ctrl-C.
    yield
    assert signals() == item.stash[SIGNALS], "The test has changed how this process takes signals."


class FailuresAtOnce:
    """Names each failure when it happens: a run that is broken off has told of those before."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            words = getattr(getattr(report.longrepr, "reprcrash", None), "message", report.longreprtext)
            self._terminal.write_line(f"\n{report.nodeid} ({report.when}): {words[:2000]}", red=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: should one of them begin last, one process works and the others wait for it."""

    def timeout_s(item: pytest.Item) -> float:
        mark = item.get_closest_marker("timeout")
        return float(mark.args[0]) if mark else 0.0

    items.sort(key=timeout_s, reverse=True)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    # What a shell without job control starts in the background ignores Ctrl-C, and what nohup starts ignores
    # the end of its terminal; so would the programs that the tests start and interrupt.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(terminal))


@pytest.fixture
def fork_child() -> Iterator[Callable[[], None]]:
    """Fork a child that lives until the test has ended: it has whatever is open when it is called."""
    fork = multiprocessing.get_context("fork")
    began, ends = fork.Event(), fork.Event()

    def outlive() -> None:
        began.set()
        ends.wait(30)

    child = fork.Process(target=outlive)

    def start() -> None:
        child.start()
        assert began.wait(30)

    yield start
    ends.set()
    child.join()
