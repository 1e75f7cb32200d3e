"""What a run works with: its compose file, its folder, and one fresh topology per check."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dslab.kit.errors import KitError, PeerClosed, PeerRefused
from dslab.kit.grader.evidence import (
    PICTURE,
    Evidence,
    causes,
    last_sent,
    last_words,
    programs,
    read_stderr,
    stated,
    without_goodbyes,
    work_prefix,
)
from dslab.kit.grader.ledger import Planned
from dslab.kit.grader.marks import SENT, StepMark
from dslab.kit.grader.outcome import Happened
from dslab.kit.grader.request import GradeRequest, derived_seed
from dslab.kit.grader.verdict import CheckResult
from dslab.kit.topology.compose import read as read_compose
from dslab.kit.topology.runfolder import RunFolder
from dslab.kit.trace.event import Event, Kind, to_json
from dslab.kit.trace.recorder import read as read_trace

if TYPE_CHECKING:
    from dslab.kit.topology.running import Topology

CHECK_TRACE = (
    "check.jsonl"  # when the check began and failed; beside what the links and the services recorded
)
WORKING_FOLDERS = ("work", "scratch")
LAST_WORDS_S, LOOK_S = 1.5, 0.01


class Bench:
    """The workbench of one run.

    Raises:
        ConfigError: The lab's compose file is wrong.
        MachineError: The run's folder cannot be made.
    """

    def __init__(self, request: GradeRequest) -> None:
        self.request = request
        environment = dict(os.environ) | {"DSLAB_BROKER": request.broker}
        self.spec = read_compose(request.lab.compose, environment)
        self.programs = programs(self.spec, request.lab.rubric.files)
        number = str(request.lab.number)
        self.run = RunFolder.create(
            request.course.root, lab=number, seed=request.seed, backend=request.backend
        )
        self.folder: Path | None = None  # that of the check that runs now; None if it has no topology

    def close(self) -> None:
        """End what the run shares. Harmless when repeated."""
        self.run.close()

    def now_s(self) -> float:
        """Seconds since the run began, as traces count them."""
        return time.time() - self.run.epoch_s

    @contextmanager
    def topology(self, check: Planned, mark: StepMark, happened: Happened) -> Generator[Topology]:
        """The topology of a check, with the services that it asks for up and ready.

        Raises:
            ServiceFailed: A service did not get ready.
            KitError: The check passed, but a fault that it applied never fired: it has tested nothing.
        """
        from dslab.kit.topology.running import open_topology

        with open_topology(
            self.spec,
            backend=self.request.backend,
            run=self.run,
            check=check.name,
            seed=derived_seed(self.request.seed, check.name),
            submission=self.request.submission,
            provided=self.request.lab.folder,
            edited=self.request.lab.rubric.files,
        ) as topology:
            self.folder = topology.folder
            self._note("begin", self.now_s(), check.name)
            if mark.starts is None:
                topology.start()
            elif mark.starts:
                topology.start(*mark.starts)
            try:
                yield topology
            finally:
                happened.names = topology.targets()
                happened.earlier = {node: topology[node].earlier_errors for node in self.programs}
            if not happened.errors:
                refuse_idle_faults(topology)
            elif any(isinstance(error, PeerClosed | PeerRefused) for error in happened.errors):
                await_last_words(topology, self.programs)

    def gather(self, check: Planned, happened: Happened) -> Evidence:
        """What the check left behind; call it when its topology has been torn down."""
        sent = stated(SENT.value, happened.comparison) if SENT.stated else ""
        if self.folder is None:
            return Evidence(sent=sent)
        if happened.failed_at_s is None:
            self._tidy(self.folder)
            return Evidence()
        self._note("failed", happened.failed_at_s, check.statement)
        stderr = read_stderr(self.folder, self.programs, happened.earlier)
        if happened.comparison:
            stderr = without_goodbyes(stderr)
        events = read_trace(*sorted(self.folder.glob("*.jsonl")))
        return Evidence(
            sent=sent or last_sent(events),
            stderr=last_words(stderr),
            causes=causes(stderr, self.request.lab.rubric.files),
            work=work_prefix(self.folder),
        )

    def draw(self, check: Planned, happened: Happened, result: CheckResult) -> str:
        """Draw what happened in a failed check; the picture's path relative to the run's folder."""
        if self.folder is None or happened.failed_at_s is None:
            return ""
        from dslab.kit.trace.diagram import write_html
        from dslab.kit.trace.runs import Run, TracedCheck

        # As `dslab trace` will read it from the run's files, so that both pictures say the same.
        facts = {"lab": self.request.lab.name, "seed": self.request.seed, "backend": self.request.backend}
        traced = TracedCheck(check.name, self.folder, check.step, result.to_json())
        caption = traced.caption(Run(self.run.path, facts, {}))
        events = traced.events
        columns = [service for service in self.spec.services if _takes_part(service, events)]
        path = self.folder / PICTURE
        write_html(events, columns, check.name, path, happened.failed_at_s, caption)
        return path.relative_to(self.run.path).as_posix()

    def forget(self) -> None:
        """Before the next check."""
        self.folder = None
        SENT.clear()

    def _tidy(self, folder: Path) -> None:
        if not self.request.keep:
            for name in WORKING_FOLDERS:
                shutil.rmtree(folder / name, ignore_errors=True)

    def _note(self, label: str, t_s: float, note: str) -> None:
        assert self.folder is not None
        event = Event(t_s=t_s, link="", kind=Kind.CHECK, label=label, note=note)
        with (self.folder / CHECK_TRACE).open("a", encoding="utf-8") as trace:
            trace.write(to_json(event) + "\n")


def await_last_words(topology: Topology, nodes: Iterable[str]) -> None:
    """Give a program that hung up a moment to say why.

    A Python program that dies of an exception closes its connections first and writes its traceback then.
    Looks are counted, and not time: where the whole machine stands still, it has had no moment.
    """
    dying = [topology[node] for node in nodes if topology[node].running]
    looks = round(LAST_WORDS_S / LOOK_S)
    while dying and all(node.running for node in dying) and looks:
        time.sleep(LOOK_S)
        looks -= 1


def refuse_idle_faults(topology: Topology) -> None:
    """Refuse a check that passed although a fault that it applied never fired.

    Raises:
        KitError: There is one.
    """
    idle = topology.idle_faults()
    if idle:
        raise KitError(
            f"The check has tested nothing: the fault never fired ({', '.join(idle)}).",
            remedy="Send enough traffic through the link for its fault to happen.",
        )


def _takes_part(service: str, events: list[Event]) -> bool:
    return any(service in {event.sender, event.receiver} for event in events)
