"""Runs a service's health command as a process beside it, again and again, until it exits with 0."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from dslab.kit.topology import processes
from dslab.kit.topology.backend import Launch, Place
from dslab.kit.topology.keeper import HEALTH
from dslab.kit.topology.keeper_client import Channel

MAX_INTERVAL_S = 0.25  # a container may be asked every 30 s, but here a student waits


class LocalHealth:
    """The health command of one start of one node. It has the node's environment and current folder.

    Args:
        keeper: The control channel of the node's keeper.
        mark: The node's mark.
        launch: The start.
        environment: The node's environment.
        place: Where the topology runs.
    """

    def __init__(
        self, keeper: Channel, mark: str, launch: Launch, environment: Mapping[str, str], place: Place
    ) -> None:
        self._keeper = keeper
        self._mark = mark + HEALTH
        self._command = launch.health
        self._check = launch.service.healthcheck
        self._environment = {**environment, processes.MARK: self._mark}
        self._place = place
        self._log = str(place.folder / f"{launch.node}.health")
        self._status: int | None = None
        self._began_s = 0.0  # when the command that runs now began; 0 if none runs
        self._next_s = 0.0

    def passed(self) -> bool:
        """Whether the command has exited with 0. Begins the next one when it is time."""
        now_s = time.monotonic()
        if self._began_s:
            self._end_if_late(now_s)
        elif self._status != 0 and now_s >= self._next_s:
            self._begin(now_s)
        return self._status == 0

    def doubt(self) -> str:
        """What the command said last."""
        command = " ".join(self._command)
        if self._status is None:
            return f"its healthcheck {command!r} has not ended"
        return f"its healthcheck {command!r} exits with {self._status}"

    def _begin(self, now_s: float) -> None:
        self._began_s = now_s
        self._keeper.listen(self._mark, self._hear)
        self._keeper.ask(
            "spawn",
            mark=self._mark,
            argv=self._command,
            env=self._environment,
            cwd=str(self._place.work),
            out=self._log,
            err=self._log,
        )

    def _end_if_late(self, now_s: float) -> None:
        if self._check and now_s - self._began_s > self._check.timeout_s:
            self._keeper.ask("kill", mark=self._mark)

    def _hear(self, message: Mapping[str, Any]) -> None:
        if "exited" in message:
            interval_s = self._check.interval_s if self._check else MAX_INTERVAL_S
            self._next_s = time.monotonic() + min(interval_s, MAX_INTERVAL_S)
            self._status = message["status"]
            self._began_s = 0.0
