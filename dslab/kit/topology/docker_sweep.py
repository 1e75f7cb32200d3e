"""The sweeper: a small process per run, which removes the run's containers and network if the run cannot.

It waits for the end of its stdin. A run that ends in good order has removed everything by then, and says so
with a line; a run that was killed says nothing, and the sweeper sweeps. It is out of reach of Ctrl-C. Should
it be killed too, the nodes' containers still end by themselves, at the end of their own stdin, and the next
run removes the rest.

``python -m dslab.kit.topology.docker_sweep LABEL``, the label as ``key=value``.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

DONE = b"done\n"
SETTLED_S = 0.5  # what the engine was asked for just before the run was killed turns up within this time
ATTEMPTS = 120
CLOSE_S = 10.0


class Sweeper:
    """The run's end of its sweeper.

    Args:
        label: What bears it is the run's.
        log: Where the sweeper's stderr goes.
    """

    def __init__(self, label: str, log: Path) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, label],
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def close(self) -> None:
        """Let it go: everything has been removed."""
        try:
            self._process.communicate(DONE, timeout=CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def sweep(label: str) -> None:
    """Remove what bears that label, until nothing new turns up."""
    # The engine's library takes a quarter of a second to load; most sweepers never need it.
    from dslab.kit.errors import DslabError
    from dslab.kit.topology.docker_engine import REFUSED, Engine

    for _ in range(ATTEMPTS):
        try:
            with Engine() as engine:
                if not engine.sweep(label):
                    return
        except (DslabError, *REFUSED) as error:
            print(f"{label}: {error}", file=sys.stderr, flush=True)  # noqa: T201 - into its log
        time.sleep(SETTLED_S)


def main() -> None:
    """Wait; sweep, if that is needed."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() != DONE:
        sweep(sys.argv[1])


if __name__ == "__main__":
    main()
