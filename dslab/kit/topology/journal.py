"""Puts what became of the nodes on record: NODE and MARK events, in ``<check>/nodes.jsonl``."""

from __future__ import annotations

import time
from pathlib import Path

from dslab.kit.topology.backend import Report
from dslab.kit.trace.event import Event, Kind, NodeState
from dslab.kit.trace.recorder import Recorder

FILE = "nodes.jsonl"


class Journal:
    """The record of one topology's nodes.

    Args:
        folder: The check's folder.
        epoch_s: When the run began.
    """

    def __init__(self, folder: Path, epoch_s: float) -> None:
        self._recorder = Recorder(folder / FILE, epoch_s)
        self._killed: set[str] = set()  # nodes whose end is on record already

    def node(self, node: str, state: NodeState, note: str = "", at_s: float | None = None) -> None:
        """A node changed its state, now or at that time (as `time.time` has it)."""
        t_s = (time.time() if at_s is None else at_s) - self._recorder.epoch_s
        self._recorder.record(Event(t_s=t_s, link=node, kind=Kind.NODE, label=state, note=note))
        if state is NodeState.KILLED:
            self._killed.add(node)
        elif state is NodeState.STARTED:
            self._killed.discard(node)

    def tell(self, node: str, report: Report, detail: str, at_s: float) -> None:
        """What a backend reports: a `dslab.kit.topology.backend.Tell`."""
        if report is Report.MARK:
            t_s = at_s - self._recorder.epoch_s
            self._recorder.record(Event(t_s=t_s, link=node, kind=Kind.MARK, label=detail))
        elif node not in self._killed:
            self.node(node, NodeState.EXITED, f"exit status {detail}", at_s)

    def close(self) -> None:
        """Complete the file.

        Raises:
            MachineError: Not all could be written.
        """
        self._recorder.close()
