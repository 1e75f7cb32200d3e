"""The handles by which a check acts on one service: `Service`. The same for both backends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dslab.kit.address import Address

READY_TIMEOUT_S = 20.0


class Service:
    """One node of a running topology. Get it with ``topology["server"]``."""

    name: str

    def start(self, **variables: str) -> None:
        """Start it and what it depends on, and wait until it is ready.

        Args:
            **variables: Values for variables of its compose entry: ``start(MESSAGE="hello")``.

        Raises:
            ServiceFailed: It ended before it was ready, or was not ready in time.
        """
        raise NotImplementedError

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ask it to end (SIGTERM); kill it if it has not ended after that time."""
        raise NotImplementedError

    def kill(self) -> None:
        """End it at once, with everything that it started (SIGKILL). A crash, as its peers see it."""
        raise NotImplementedError

    def restart(self, **variables: str) -> None:
        """Kill it and start it again, at the same address and with the same scratch folder."""
        raise NotImplementedError

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its connections stay open, and it says nothing."""
        raise NotImplementedError

    def resume(self) -> None:
        """Let it go on after `pause`."""
        raise NotImplementedError

    def wait(self, timeout_s: float = 10.0) -> int:
        """Wait for its end; its exit status, as a shell has it in ``$?`` (128 + n if signal n ended it).

        Raises:
            PeerSilent: It still runs after that time.
        """
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether it has started and not ended."""
        raise NotImplementedError

    @property
    def exit_status(self) -> int | None:
        """How it ended; None if it runs, or never started."""
        raise NotImplementedError

    @property
    def scratch(self) -> Path:
        """Its own writable folder, as the grader sees it."""
        raise NotImplementedError

    def logs(self) -> str:
        """All of its stdout so far."""
        raise NotImplementedError

    def errors(self) -> str:
        """All of its stderr so far."""
        raise NotImplementedError

    def address(self, port: int | None = None, source: str = "grader") -> Address:
        """Where `source` reaches it: the address of the link's proxy.

        Args:
            port: Which of its ports; its only one, if it has only one.
            source: Whose link; that of the grader, if not said otherwise.
        """
        raise NotImplementedError
