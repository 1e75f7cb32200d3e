"""Options of the whole suite."""

import signal

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-golden",
        action="store_true",
        help="write what wrong submissions show on the terminal to solutions/*/golden; review the diff",
    )


class FailuresAtOnce:
    """Names each failure when it happens: a run that is broken off has told of those before."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            words = getattr(getattr(report.longrepr, "reprcrash", None), "message", report.longreprtext)
            self._terminal.write_line(f"\n{report.nodeid} ({report.when}): {words[:2000]}", red=True)


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
