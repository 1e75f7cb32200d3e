"""Who wants to know how a run goes on: the terminal, `dslab watch`, a batch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dslab.kit.grader.ledger import Planned
    from dslab.kit.grader.request import GradeRequest
    from dslab.kit.grader.verdict import CheckResult, RunResult


class Watcher:
    """Told what happens in a run. This one does nothing; override what you need."""

    def begun(self, request: GradeRequest, folder: Path, plan: RunResult) -> None:
        """The checks are collected; the run's folder is there."""

    def check_begun(self, check: Planned, number: int, total: int) -> None:
        """Check `number` of `total` starts; they count from 1."""

    def check_ended(self, check: Planned, result: CheckResult) -> None:
        """A check has its verdict."""

    def ended(self, result: RunResult) -> None:
        """All is over and cleaned up; `RunResult.complete` tells whether every check had its turn."""
