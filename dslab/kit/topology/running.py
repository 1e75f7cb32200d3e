"""A running topology: `open_topology` and `Topology`. The same for both backends."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from types import TracebackType

from dslab.kit.topology.backend import BackendName
from dslab.kit.topology.runfolder import RunFolder
from dslab.kit.topology.service import Service
from dslab.kit.topology.spec import TopologySpec


def open_topology(
    spec: TopologySpec,
    *,
    backend: BackendName = "local",
    run: RunFolder,
    check: str,
    seed: int,
    submission: Path,
    provided: Path,
    edited: Collection[str] = (),
) -> Topology:
    """Make a topology ready to start. Nothing runs yet; its folder is made.

    Args:
        spec: What the compose file says.
        backend: Where it runs.
        run: The run that it belongs to.
        check: The name of its folder in the run folder.
        seed: Every random choice of its links comes from it.
        submission: The folder with the student's files.
        provided: The lab's folder. Its files stand beside the student's, and win over files of the same name.
        edited: The names of the files that the student writes: never taken from `provided`.
    """
    raise NotImplementedError


class Topology:
    """The services and links of one check. A context manager: nothing of it is left after the ``with``."""

    folder: Path  # <run>/<check>

    def start(self, *names: str) -> None:
        """Start these services and what they depend on, and wait until they are ready.

        Args:
            *names: Services, or nodes of replicated ones; none means all that have no profile.

        Raises:
            ServiceFailed: One ended before it was ready, or was not ready in time.
        """
        raise NotImplementedError

    def __getitem__(self, name: str) -> Service:
        """The node of that name: ``server``, or ``server-2`` if it is replicated."""
        raise NotImplementedError

    def close(self) -> None:
        """End every service and every link. Harmless when repeated."""
        raise NotImplementedError

    def __enter__(self) -> Topology:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
