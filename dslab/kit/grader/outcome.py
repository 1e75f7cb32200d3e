"""From what happened in a check to its result. Pure, but for the traceback of an error.

A check has three phases: set-up (its topology starts), call, teardown (its topology ends). Each may end in an
exception; the gravest decides: error, then fail, then skipped.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dslab.kit.grader.classify import NOT_SO, leaves, message_of, traceback_of, verdict_of
from dslab.kit.grader.compare import Comparison
from dslab.kit.grader.evidence import Evidence
from dslab.kit.grader.lastwords import NOT_WRITTEN, LastException
from dslab.kit.grader.ledger import Blocked, Planned
from dslab.kit.grader.render import written
from dslab.kit.grader.request import GradeRequest
from dslab.kit.grader.verdict import CheckResult, RunResult, StepResult, Verdict

_GRAVITY = (Verdict.PASS, Verdict.SKIPPED, Verdict.FAIL, Verdict.ERROR)


def blank_result(request: GradeRequest) -> RunResult:
    """The result of a run in which nothing has happened yet."""
    steps = tuple(
        StepResult(step.id, step.title, step.points, (), request.hints_used.get(step.id, 0))
        for step in request.steps
    )
    return RunResult(
        lab=request.lab.name,
        title=request.lab.title,
        seed=request.seed,
        backend=request.backend,
        submission=str(request.submission),
        steps=steps,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        complete=False,
    )


@dataclass(slots=True)
class Happened:
    """What happened in one check.

    Attributes:
        errors: The exceptions that ended its phases.
        comparison: The last comparison that did not hold, if an assertion ended the check with it.
        blocked: Why it did not run at all.
        names: The service behind each address that was dialled.
        earlier: How many characters of each program's stderr are of earlier starts in the check.
        failed_at_s: When it failed; seconds since the run began.
        duration_s: How long it took, teardown included.
    """

    errors: list[BaseException] = field(default_factory=list)
    comparison: Comparison | None = None
    blocked: Blocked | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    earlier: Mapping[str, int] = field(default_factory=dict)
    failed_at_s: float | None = None
    duration_s: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The gravest of its phases."""
        if self.blocked:
            return Verdict.SKIPPED
        return max(map(verdict_of, self.errors), key=_GRAVITY.index, default=Verdict.PASS)

    def keep_comparison_of(self, error: BaseException) -> None:
        """Forget the last comparison unless it is what this exception is about."""
        raised = leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
        if self.comparison and not any(self.comparison.headline in written(one, str) for one in raised):
            self.comparison = None

    @property
    def decisive(self) -> BaseException | None:
        """The exception behind the verdict."""
        return next((error for error in self.errors if verdict_of(error) is self.verdict), None)


def result_of(check: Planned, happened: Happened, evidence: Evidence, repeat: str) -> CheckResult:
    """Make a check's result."""
    verdict = happened.verdict
    failed = verdict in {Verdict.FAIL, Verdict.ERROR}
    comparison = happened.comparison if verdict is Verdict.FAIL else None
    return CheckResult(
        name=check.name,
        statement=check.statement,
        verdict=verdict,
        message=_message(happened, comparison, evidence),
        sent=evidence.sent if failed else "",
        actual=comparison.actual if comparison else "",
        expected=comparison.expected if comparison else "",
        detail=_detail(happened, comparison),
        stderr=evidence.stderr if failed else "",
        hint=check.step,
        trace=evidence.picture,
        repeat=repeat if failed else "",
        duration_s=happened.duration_s,
        private=check.private,
        undecided=verdict is Verdict.ERROR or _says_nothing(happened),
    )


def _says_nothing(happened: Happened) -> bool:
    if happened.blocked:
        return happened.blocked.undecided
    return happened.verdict is Verdict.SKIPPED


def _message(happened: Happened, comparison: Comparison | None, evidence: Evidence) -> str:
    if happened.blocked:
        return happened.blocked.message
    if happened.decisive is None:
        return ""
    message = message_of(happened.decisive)
    if comparison and (not message or message.startswith(NOT_SO)):
        message = comparison.summary[:1].upper() + comparison.summary[1:] + "."
    for address, name in happened.names.items():
        # A student knows the server, not the address that it had in this run.
        message = message.replace(address, name)
    message = evidence.short(message)  # before it is compared with what stderr says
    if happened.verdict is Verdict.FAIL:
        for node, cause in evidence.causes.items():
            message = _with_cause(message, node, cause)
    return message


def _with_cause(message: str, node: str, cause: LastException) -> str:
    """Add what a program raised; only where, if the message has the rest already."""
    if cause.text.startswith(NOT_WRITTEN):
        return f"Not written yet: {node} raised {cause}."
    if cause.text in message:
        return message.replace(cause.text, str(cause), 1)
    return f"{message} {node} raised {cause}."


def _detail(happened: Happened, comparison: Comparison | None) -> str:
    if comparison:
        return "\n".join(comparison.rows)
    if happened.verdict is Verdict.ERROR and happened.decisive:
        return traceback_of(happened.decisive)
    return ""


def repeat_command(request: GradeRequest, steps: Iterable[str], here: Path) -> str:
    """The command, typed in the folder `here`, that repeats those steps, or all, with the same payloads."""
    words = ["dslab", "test", str(request.lab.number or shortest(request.lab.folder, here))]
    if request.submission != request.lab.folder:
        words += ["--submission", shortest(request.submission, here)]
    if request.backend != "local":
        words += ["--backend", request.backend]
    if request.broker != "embedded":
        words += ["--broker", request.broker]
    if request.checks:
        words += ["--checks", shortest(request.checks, here)]
    words += ["--seed", str(request.seed)]
    return shlex.join([*words, *(word for step in steps for word in ("--step", step))])


def shortest(path: Path, here: Path) -> str:
    """The path as one would type it in the folder `here`."""
    try:
        return str(path.relative_to(here))
    except ValueError:
        return str(path)
