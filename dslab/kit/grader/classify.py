"""Whose fault was it? Turns an exception that ended a check into a verdict and a line for the student.

=============================================  =========  ==============================================
what ended the check                           verdict    why
=============================================  =========  ==============================================
AssertionError of the check, `pytest.fail`     fail       what the student's program did was not right
PeerError (in the set-up of the check, too)    fail       it refused, closed, was silent, broke a protocol
AssertionError raised inside dslab             error      a bug of ours, however it is called
CheckTimedOut                                  error      the check waited for something without a limit
`pytest.skip`                                  skipped    the check itself says that it cannot run here
anything else                                  error      the kit, the machine or the check broke
=============================================  =========  ==============================================

A group of exceptions (fifty clients at once) is a *fail* only if every one in it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from traceback import TracebackException, walk_tb

import pytest

import dslab
from dslab.kit.errors import DslabError, PeerError
from dslab.kit.grader.render import cut, harmless, written
from dslab.kit.grader.verdict import Verdict

MAX_MESSAGE_CHARACTERS = 1_000
NOT_SO = "This does not hold:"
_PACKAGE = Path(dslab.__file__).resolve().parent


class CheckTimedOut(BaseException):
    """A check's last resort expired.

    Not an Exception, so that a check's own ``except Exception`` cannot swallow it.
    """


def verdict_of(error: BaseException) -> Verdict:
    """What becomes of a check that this exception ended."""
    match error:
        case BaseExceptionGroup():
            every = {verdict_of(inner) for inner in error.exceptions}
            return Verdict.FAIL if every == {Verdict.FAIL} else Verdict.ERROR
        case pytest.skip.Exception():
            return Verdict.SKIPPED
        case PeerError() | pytest.fail.Exception():
            return Verdict.FAIL
        case AssertionError():
            return Verdict.ERROR if _raised_in_dslab(error) else Verdict.FAIL
        case _:
            return Verdict.ERROR


def message_of(error: BaseException) -> str:
    """One line that says what went wrong; empty if the exception itself has no words.

    A student's program may have a part in the words (the end of its stderr), so they are made harmless.
    """
    match error:
        case BaseExceptionGroup():
            first, *others = leaves(error)
            more = f" (and {len(others)} more)" if others else ""
            return f"{message_of(first)}{more}"
        case AssertionError():
            words = _own_words(written(error, str)) or _asserted(error)
        case DslabError() | CheckTimedOut() | pytest.skip.Exception() | pytest.fail.Exception():
            words = written(error, str)
        case _:
            words = f"{type(error).__name__}: {written(error, str)}".removesuffix(": ")
    return harmless(cut(" ".join(words.split()), MAX_MESSAGE_CHARACTERS))


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The single exceptions in a group of groups."""
    for inner in group.exceptions:
        if isinstance(inner, BaseExceptionGroup):
            yield from leaves(inner)
        else:
            yield inner


def traceback_of(error: BaseException) -> str:
    """The traceback from the check on, for whoever has to repair the kit or the check."""
    told = TracebackException.from_exception(error, compact=True)
    around = [number for number, frame in enumerate(told.stack) if _runs_checks(Path(frame.filename))]
    if around and around[-1] + 1 < len(told.stack):
        del told.stack[: around[-1] + 1]
    lines = "".join(told.format()).splitlines()
    return "\n".join(harmless(cut(line, MAX_MESSAGE_CHARACTERS)) for line in lines)


def _runs_checks(file: Path) -> bool:
    return bool({"_pytest", "pluggy"} & set(file.parts))


def _own_words(text: str) -> str:
    """What the check's author wrote after the comma; pytest appends ``assert ...`` on a line of its own."""
    own = takewhile(lambda line: not line.startswith("assert "), text.splitlines())
    return " ".join(line.strip() for line in own if line.strip())


def _asserted(error: AssertionError) -> str:
    """The condition as it stands in the check; empty where there is no source to read."""
    frames = TracebackException.from_exception(error).stack
    line = (frames[-1].line or "") if frames else ""
    return f"{NOT_SO} {line.removeprefix('assert ')}" if line.startswith("assert ") else ""


def _raised_in_dslab(error: BaseException) -> bool:
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return bool(frames) and Path(frames[-1].f_code.co_filename).is_relative_to(_PACKAGE)
