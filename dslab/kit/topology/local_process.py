"""One start of one node as a process family, as the grader sees it: `LocalProcess`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dslab.kit.address import Address
from dslab.kit.errors import KitError
from dslab.kit.topology import usage
from dslab.kit.topology.backend import Launch, Place, Report, Stream, Tell
from dslab.kit.topology.keeper_client import GONE, Channel
from dslab.kit.topology.listening import Listener, everybody, listeners
from dslab.kit.topology.local_health import LocalHealth
from dslab.kit.topology.spec import Port
from dslab.kit.topology.usage import Usage


class LocalProcess:
    """A `dslab.kit.topology.backend.Process` that the keeper runs.

    Args:
        keeper: The control channel of the node's keeper.
        mark: The node's mark.
        launch: What to start.
        environment: All of its environment.
        place: Where the topology runs.
        listens: Where it is told to listen.
        tell: To call when it has exited, and for each mark that it prints.
    """

    def __init__(
        self,
        keeper: Channel,
        mark: str,
        launch: Launch,
        *,
        environment: Mapping[str, str],
        place: Place,
        listens: Mapping[Port, Address],
        tell: Tell,
    ) -> None:
        self._keeper = keeper
        self._mark = mark
        self._node = launch.node
        self._listens = listens
        self._tell = tell
        self._files: dict[Stream, Path] = {
            "out": place.folder / f"{launch.node}.out",
            "err": place.folder / f"{launch.node}.err",
        }
        self._status: int | None = None
        self._lost = False
        self._ended = threading.Event()
        self._health = LocalHealth(keeper, mark, launch, environment, place) if launch.health else None
        keeper.listen(mark, self._hear)
        keeper.ask(
            "spawn",
            mark=mark,
            argv=launch.command,
            env=environment,
            cwd=str(place.work),
            out=str(self._files["out"]),
            err=str(self._files["err"]),
        )

    @property
    def exit_status(self) -> int | None:
        """None while it runs.

        Raises:
            KitError: Nobody knows, because the keeper was killed.
        """
        if self._lost:
            raise KitError(GONE)
        return self._status

    def is_ready(self) -> bool:
        """Whether it listens where it should, or its healthcheck has passed."""
        if self._listens:
            return self._may_be_heard() and not self._unheard(self._heard())
        return self._health is None or self._health.passed()

    def doubt(self) -> str:
        """Why it is not ready."""
        if not self._listens:
            return self._health.doubt() if self._health else "it has not started"
        heard = self._heard()
        wanted = " and ".join(self._unheard(heard))
        instead = f"on {', '.join(sorted(map(str, heard)))}" if heard else "nowhere"
        return f"it should listen on {wanted}, but listens {instead}"

    def terminate(self) -> None:
        """SIGTERM."""
        self._ask("term")

    def kill(self) -> None:
        """SIGKILL to the family."""
        self._ask("kill")

    def pause(self) -> None:
        """SIGSTOP to the family."""
        self._ask("pause")

    def resume(self) -> None:
        """SIGCONT to the family."""
        self._ask("resume")

    def wait(self, timeout_s: float) -> int | None:
        """Its exit status, or None after that time."""
        self._ended.wait(timeout_s)
        return self.exit_status

    def usage(self) -> Usage:
        """What the family holds."""
        return usage.of(self._family())

    def output(self, stream: Stream) -> str:
        """What it has written so far; what is in the pipe between it and the keeper included."""
        if self._keeper.alive:
            self._ask("flush")
        return self._files[stream].read_text(encoding="utf-8", errors="replace")

    def _ask(self, what: str) -> None:
        if not self._ended.is_set():
            self._keeper.ask(what, mark=self._mark)

    def _hear(self, message: Mapping[str, Any]) -> None:
        if "noted" in message:
            self._tell(self._node, Report.MARK, message["text"], message["at"])
            return
        if "lost" in message:
            self._lost = self._status is None
        else:
            self._status = message["status"]
            self._tell(self._node, Report.EXITED, str(self._status), message["at"])
        self._ended.set()

    def _heard(self) -> set[Listener]:
        """Where the family listens."""
        return listeners(self._family())

    def _family(self) -> list[int]:
        """Its processes, those that have left their parent included, which only the keeper knows."""
        pids: list[int] = [] if self._ended.is_set() else self._keeper.ask("members", mark=self._mark)["pids"]
        return pids

    def _may_be_heard(self) -> bool:
        """Whether anybody listens where it should. Cheap to see; whose that is takes the process table."""
        seen = everybody()
        return seen is None or not self._unheard(seen)

    def _unheard(self, heard: set[Listener]) -> list[str]:
        return [
            f"{address}/{port.transport}"
            for port, address in self._listens.items()
            if not any(one.serves(address.host, Port(address.port, port.transport)) for one in heard)
        ]
