"""What a service takes of its machine: memory, open descriptors, threads, processes.

A server that forgets one descriptor per client works for a thousand clients and then no longer. Nothing that
it says on its sockets shows that before, so a check looks at its processes from outside.

In a container, ``python -m dslab.kit.topology.usage`` prints the `Usage` of all that runs there but itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree holds at one moment. Memory is what is resident; shared pages count per process."""

    memory_bytes: int = 0
    descriptors: int = 0
    threads: int = 0
    processes: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.memory_bytes + other.memory_bytes,
            self.descriptors + other.descriptors,
            self.threads + other.threads,
            self.processes + other.processes,
        )


def of(pids: Iterable[int]) -> Usage:
    """What those processes hold; nothing of one that has ended."""
    import psutil

    total = Usage()
    for pid in pids:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                total += Usage(process.memory_info().rss, process.num_fds(), process.num_threads(), 1)
        except psutil.Error:
            continue  # it ended while we looked, or is not the service's
    return total


def of_everything_else() -> Usage:
    """What all processes but this one hold: inside a container, what the service does."""
    import psutil

    return of(pid for pid in psutil.pids() if pid != os.getpid())


def to_json(usage: Usage) -> str:
    """One line of JSON."""
    return json.dumps(asdict(usage))


def from_json(text: str) -> Usage:
    """Read what `to_json` wrote."""
    return Usage(**json.loads(text))


if __name__ == "__main__":
    print(to_json(of_everything_else()))  # noqa: T201
