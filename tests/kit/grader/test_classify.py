"""Whose fault an exception was."""

from __future__ import annotations

import pytest

from dslab.kit.errors import ConfigError, KitError, PeerRefused, ServiceFailed
from dslab.kit.grader.classify import CheckTimedOut, message_of, traceback_of, verdict_of
from dslab.kit.grader.verdict import Verdict


def raised(error: BaseException) -> BaseException:
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (AssertionError("no"), Verdict.FAIL),
        (PeerRefused("Nobody listens there."), Verdict.FAIL),
        (ServiceFailed("It ended."), Verdict.FAIL),
        (pytest.fail.Exception("DID NOT RAISE"), Verdict.FAIL),
        (pytest.skip.Exception("not here"), Verdict.SKIPPED),
        (KitError("broken"), Verdict.ERROR),
        (ConfigError("broken"), Verdict.ERROR),
        (CheckTimedOut("too long"), Verdict.ERROR),
        (ConnectionResetError(), Verdict.ERROR),
        (SystemExit(0), Verdict.ERROR),
        (
            BaseExceptionGroup("all", [AssertionError(), BaseExceptionGroup("in", [PeerRefused("x")])]),
            Verdict.FAIL,
        ),
        (BaseExceptionGroup("some", [AssertionError(), OSError()]), Verdict.ERROR),
        (BaseExceptionGroup("some", [PeerRefused("x"), CheckTimedOut()]), Verdict.ERROR),
    ],
)
def test_verdict(error: BaseException, verdict: Verdict) -> None:
    assert verdict_of(raised(error)) is verdict


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            AssertionError("The server\ndid not close\nassert False\n +  where ..."),
            "The server did not close",
        ),
        (AssertionError(""), ""),
        (PeerRefused("Nobody listens.", remedy="Listen."), "Nobody listens. Listen."),
        (ConnectionResetError(104, "reset"), "ConnectionResetError: [Errno 104] reset"),
        (KeyError(), "KeyError"),
        (ExceptionGroup("two", [PeerRefused("a."), PeerRefused("b.")]), "a. (and 1 more)"),
    ],
)
def test_message(error: BaseException, message: str) -> None:
    assert message_of(error) == message


def test_traceback_begins_with_the_check() -> None:
    text = traceback_of(raised(KitError("broken")))
    assert text.startswith("Traceback (most recent call last):")
    assert text.rstrip().endswith("KitError: broken")
