"""Grade many submissions, each by a ``dslab test`` of its own, and remember what came of it.

A trial's outcome depends on what is in its key: the submission's files, the lab's (checks, compose file,
rubric), the seed and the step. Outcomes are kept in ``.dslab/prove/`` under that key, so that after a change
of one wrong submission only that one runs again. The kit's own code is not part of the key; ``--fresh`` runs
everything.

The runs happen in a course of their own (a folder with a link to labs/), so that they do not push a person's
runs out of ``.dslab/runs``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import dslab
from dslab.kit.authoring.submissions import Sort, Submission
from dslab.kit.grader.course import Course, Lab

HIDDEN = re.compile(r"(^|/)\.")
TIMEOUT_S = 300.0
HUNG = 124


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one trial.

    Attributes:
        status: The exit status of ``dslab test``.
        verdicts: The verdict of each check.
    """

    status: int
    verdicts: Mapping[str, str]

    def named(self, *verdicts: str) -> frozenset[str]:
        """The checks that ended so."""
        return frozenset(name for name, verdict in self.verdicts.items() if verdict in verdicts)

    @property
    def failed(self) -> frozenset[str]:
        """The checks that failed."""
        return self.named("fail")

    @property
    def broke(self) -> frozenset[str]:
        """The checks that ended in error: they say nothing about the submission."""
        return self.named("error")


class Trials:
    """Grades submissions to one lab.

    Args:
        course: The course.
        lab: The lab.
        jobs: How many at a time.
        fresh: Do not believe what is remembered.
    """

    def __init__(self, course: Course, lab: Lab, *, jobs: int, fresh: bool = False) -> None:
        self._lab = lab
        self._jobs = jobs
        self._fresh = fresh
        self._cache = course.root / ".dslab" / "prove"
        self._given = digest(provided(lab))
        self._running: set[subprocess.Popen[bytes]] = set()
        self._interrupted = False
        self.ran = 0

    def run(
        self, wanted: Iterable[tuple[Submission, int]], done: Callable[[Submission], None]
    ) -> list[tuple[Submission, int, Outcome]]:
        """Grade submissions with seeds, some at a time; the outcomes are in the order of what is wanted.

        Raises:
            KeyboardInterrupt: Ctrl-C; what ran then has ended, and cleaned up.
        """

        def one(pair: tuple[Submission, int]) -> tuple[Submission, int, Outcome]:
            submission, seed = pair
            outcome = self._try(submission, seed)
            done(submission)
            return submission, seed, outcome

        with ThreadPoolExecutor(self._jobs) as pool:
            try:
                return list(pool.map(one, wanted))
            except BaseException:
                self._interrupt()
                raise

    def _interrupt(self) -> None:
        """End what runs now: each has a process group of its own, so that Ctrl-C at a terminal misses it."""
        self._interrupted = True
        for process in list(self._running):
            process.send_signal(signal.SIGINT)

    def _try(self, submission: Submission, seed: int) -> Outcome:
        """A mutant first meets the checks of its own step, which catch most; one that survives meets all."""
        step = submission.mutant.step if submission.mutant else None
        if submission.sort is Sort.MUTANT and step is not None:
            outcome = self._settled(submission, seed, step)
            if outcome.failed:
                return outcome
        return self._settled(submission, seed, None)

    def _settled(self, submission: Submission, seed: int, step: str | None) -> Outcome:
        """An outcome without an error in the kit or the machine, if a second try brings one."""
        outcome = self._remembered(submission, seed, step)
        if outcome.broke or not outcome.verdicts:
            outcome = self._grade(submission, seed, step)
        return outcome

    def _remembered(self, submission: Submission, seed: int, step: str | None) -> Outcome:
        path = self._cache / f"{digest([self._given, files_digest(submission), str(seed), str(step)])}.json"
        if not self._fresh:
            with suppress(FileNotFoundError, ValueError, TypeError):
                return Outcome(**json.loads(path.read_text(encoding="utf-8")))
        outcome = self._grade(submission, seed, step)
        if outcome.verdicts and not outcome.broke:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_suffix(f".{os.getpid()}")
            aside.write_text(json.dumps(asdict(outcome)), encoding="utf-8")
            aside.replace(path)
        return outcome

    def _grade(self, submission: Submission, seed: int, step: str | None) -> Outcome:
        self.ran += 1
        with tempfile.TemporaryDirectory(prefix="dslab-prove-") as place:
            root = Path(place)
            (root / "labs").symlink_to(self._lab.folder.parent, target_is_directory=True)
            for name, data in submission.files.items():
                path = root / "submission" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            command = [sys.executable, "-m", "dslab", "test", self._lab.name, "--submission", "submission"]
            command += ["--seed", str(seed), "--report", "report", *(["--step", step] if step else [])]
            status = self._run(command, root)
            if self._interrupted:
                raise CancelledError
            return Outcome(status, verdicts(root / "report" / "result.json"))

    def _run(self, command: list[str], folder: Path) -> int:
        """Run a command to its end, or to the end of our patience; its exit status."""
        environment = {**os.environ, "PYTHONPATH": str(Path(dslab.__file__).parent.parent)}
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdin=quiet, stdout=quiet, stderr=quiet, process_group=0
        ) as process:
            self._running.add(process)
            try:
                if self._interrupted:  # before it was known
                    process.send_signal(signal.SIGINT)
                return process.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)  # it cleans up, and writes what it knows
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()
                return HUNG
            finally:
                self._running.discard(process)


def verdicts(path: Path) -> dict[str, str]:
    """The verdict of each check; of a run that was cut short, those that failed until then, and no others."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    checks = [check for step in result["steps"] for check in step["checks"]]
    return {
        check["name"]: check["verdict"]
        for check in checks
        if result["complete"] or check["verdict"] == "fail"
    }


def provided(lab: Lab) -> list[str]:
    """What of a lab's folder decides about verdicts: not what students write, nor prose, nor hidden files."""
    texts = []
    for path in sorted(lab.folder.rglob("*")):
        name = path.relative_to(lab.folder).as_posix()
        is_read = path.suffix not in {".md", ".pyc"} and not HIDDEN.search(name)
        if path.is_file() and is_read and name not in lab.rubric.files:
            texts.append(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}")
    return texts


def files_digest(submission: Submission) -> str:
    """A digest of a submission's files."""
    return digest(
        f"{name}\0{hashlib.sha256(data).hexdigest()}" for name, data in sorted(submission.files.items())
    )


def digest(texts: Iterable[str]) -> str:
    """A digest of texts in their order."""
    return hashlib.sha256("\1".join(texts).encode()).hexdigest()[:32]
