"""The ledger of a run while it goes on: what is planned, what is decided, what has become pointless. Pure.

At any moment `Ledger.result` is a whole `RunResult`, so that reports can be written after every check and a
run that is killed leaves what was earned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from dslab.kit.errors import ConfigError
from dslab.kit.grader.rubric import Rubric, Step
from dslab.kit.grader.verdict import CheckResult, RunResult, StepResult, Verdict

NOT_RUN = "The run ended before its turn."


@dataclass(frozen=True, slots=True)
class Planned:
    """A check that was collected.

    Attributes:
        key: Unique in the run.
        name: The test function's name, with its parameters.
        statement: The property that it checks.
        step: The step that it belongs to.
        private: Hidden from students until the grades are published.
    """

    key: str
    name: str
    statement: str
    step: str
    private: bool = False


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why a step need not run."""

    step: str
    undecided: bool

    @property
    def message(self) -> str:
        """For the student."""
        why = "could not be decided" if self.undecided else "did not pass"
        return f"It needs step {self.step}, which {why}."


class Ledger:
    """Plans the checks of the wanted steps, and takes their results one by one.

    Raises:
        ConfigError: A check belongs to no step, or a step has no check.
    """

    def __init__(
        self, rubric: Rubric, wanted: Sequence[Step], checks: Iterable[Planned], run: RunResult
    ) -> None:
        self._run = run
        self._steps = tuple(wanted)
        self._planned = _by_step(rubric, checks)
        self._results: dict[str, CheckResult] = {}
        self._unfold()

    def _unfold(self) -> None:
        for step in self._steps:
            share = step.points / len(self._planned[step.id])
            for check in self._planned[step.id]:
                self._results[check.key] = _outstanding(check, share)
        self._open = set(self._results)

    @property
    def order(self) -> tuple[Planned, ...]:
        """The checks of the wanted steps in the order in which they should run."""
        return tuple(check for step in self._steps for check in self._planned[step.id])

    @property
    def complete(self) -> bool:
        """Whether every check has had its turn."""
        return not self._open

    def share(self, key: str) -> Fraction:
        """What that check is worth."""
        return self._results[key].points

    def enter(self, key: str, result: CheckResult) -> CheckResult:
        """Take a check's result; its worth is the ledger's business. Returns it as entered."""
        entered = replace(result, points=self.share(key))
        self._results[key] = entered
        self._open.discard(key)
        return entered

    def blocked(self, step_id: str) -> Blocked | None:
        """The step, direct or indirect, because of which this one cannot pass; None if there is none."""
        found = [cause for need in self._step(step_id).needs if (cause := self._cause(need))]
        # A needed step that failed settles the matter, whatever became of the others.
        return min(found, key=lambda cause: cause.undecided, default=None)

    def result(self, *, duration_s: float = 0.0) -> RunResult:
        """The whole run as it stands."""
        steps = tuple(self._step_result(step) for step in self._steps)
        return replace(self._run, steps=steps, duration_s=duration_s, complete=self.complete)

    def _cause(self, step_id: str) -> Blocked | None:
        verdicts = {self._results[check.key].verdict for check in self._planned[step_id]}
        if Verdict.FAIL in verdicts:
            return Blocked(step_id, undecided=False)
        if Verdict.ERROR in verdicts:
            return Blocked(step_id, undecided=True)
        if Verdict.SKIPPED in verdicts:
            return self.blocked(step_id) or Blocked(step_id, undecided=True)
        return None

    def _step(self, step_id: str) -> Step:
        return next(step for step in self._steps if step.id == step_id)

    def _step_result(self, step: Step) -> StepResult:
        checks = tuple(self._results[check.key] for check in self._planned[step.id])
        hints_used = next((known.hints_used for known in self._run.steps if known.id == step.id), 0)
        return StepResult(step.id, step.title, step.points, checks, hints_used)


def _outstanding(check: Planned, share: Fraction) -> CheckResult:
    return CheckResult(
        name=check.name,
        statement=check.statement,
        verdict=Verdict.SKIPPED,
        message=NOT_RUN,
        hint=check.step,
        points=share,
        private=check.private,
        undecided=True,
    )


def _by_step(rubric: Rubric, checks: Iterable[Planned]) -> dict[str, list[Planned]]:
    planned: dict[str, list[Planned]] = {step.id: [] for step in rubric.steps}
    for check in checks:
        if check.step not in planned:
            known = ", ".join(planned)
            raise ConfigError(
                f'{check.key}: says @step("{check.step}"), but {rubric.path} has no such step.',
                remedy=f"The steps are {known}.",
            )
        planned[check.step].append(check)
    for step_id, found in planned.items():
        if not found:
            raise ConfigError(
                f"{rubric.path}: step {step_id} has no check.",
                remedy=f'Write a test with @step("{step_id}") above it, or remove the step.',
            )
    return planned
