"""The work that workers do: slow, and worth a result. Nothing to fill in.

How long it takes is decided elsewhere, in a tuple space of its own (GATES_ADDR): a worker says there that it
has begun, and is at work until somebody puts ("go", job, factor). Its result is the job times that factor. So
whoever watches can see who works at the same time, and nobody has the result before the work is done.

Without GATES_ADDR the work is to sleep for 0.3 s, and the factor is 7.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from dslab.linda.client import connect

SLEEP_S = 0.3
FACTOR = 7


def toil_of(worker: str) -> Callable[[int], int]:
    """The work of that worker."""
    address = os.environ.get("GATES_ADDR")
    if not address:
        return sleep
    gates = connect(address).universe  # a connection of its own, beside that for the tasks

    def pass_gate(job: int) -> int:
        gates.out(("begun", worker, job))
        factor: int = gates.rd(("go", job, int))[2]
        return job * factor

    return pass_gate


def sleep(job: int) -> int:
    """Do that job: sleep."""
    time.sleep(SLEEP_S)
    return job * FACTOR
