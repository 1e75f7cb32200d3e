"""The five TCP servers side by side: 50 clients each, and one that is slow. Who waits, and who does not?

The slow client comes first, sends half a message and stops. The 50 come all at once, each with one short
message, and stay connected. As soon as all are answered, or nothing has happened for a while, the server's
processes and threads are counted. Then the slow client sends its other half, and whoever still waits gets a
turn.

Source: ch. 3, Threads in distributed systems; Servers (general design issues).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from statistics import median
from threading import Event

import psutil
from rich import box
from rich.console import Console
from rich.table import Table

from dslab.echo.client import connect
from dslab.echo.messages import frame
from dslab.kit.errors import KitError

CLIENTS = 50
QUIET_S = 3.0  # a client who waits for nobody may have no turn for a second, on a busy machine
PATIENCE_S = 10.0
MODELS = ("iterative", "threads", "processes", "selectors", "asyncio")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the clients of one server met.

    Attributes:
        model: The server's.
        waits_s: From each client's connect to its reply.
        answered: How many clients were answered while the slow one kept its message back.
        processes: How many the server consisted of then.
        threads: In all of these together.
    """

    model: str
    waits_s: tuple[float, ...]
    answered: int
    processes: int
    threads: int


def main() -> None:
    """Run all five and print the table."""
    console = Console()
    outcomes = []
    with console.status("") as status:
        for model in MODELS:
            status.update(f"{model}: {CLIENTS} clients, and one that is slow")
            outcomes.append(measure(model))
    console.print(table(outcomes))


def measure(model: str, clients: int = CLIENTS, quiet_s: float = QUIET_S) -> Outcome:
    """Let the clients meet one server."""
    whole = frame(b"I am not in a hurry")
    waits_s: SimpleQueue[float] = SimpleQueue()
    with running_server(model) as (address, server), connect(address, timeout_s=PATIENCE_S) as slow:
        slow.send(whole[: len(whole) // 2])
        with crowd(address, clients, waits_s) as leaving:
            meanwhile_s = collect(waits_s, clients, quiet_s)
            processes, threads = census(server)
            slow.send(whole[len(whole) // 2 :])
            slow.close()
            leaving.set()
            late_s = collect(waits_s, clients - len(meanwhile_s), PATIENCE_S)
    return Outcome(model, (*meanwhile_s, *late_s), len(meanwhile_s), processes, threads)


@contextmanager
def running_server(model: str, *options: str) -> Iterator[tuple[str, psutil.Process]]:
    """Run a server: gives its address and its process."""
    command = [sys.executable, "-m", "dslab.echo", "server", "--model", model, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            *_, address = server.stdout.readline().split() or [""]
            if not address:
                raise KitError(f"The {model} server did not start.")
            yield address, psutil.Process(server.pid)
        finally:
            server.terminate()


@contextmanager
def crowd(address: str, clients: int, waits_s: SimpleQueue[float]) -> Iterator[Event]:
    """Send the clients in. They leave once the event that this gives is set; each must have been answered."""
    leaving = Event()
    with ThreadPoolExecutor(clients) as pool:
        asked: list[Future[None]] = [pool.submit(ask, address, waits_s, leaving) for _ in range(clients)]
        try:
            yield leaving
        finally:
            leaving.set()
    for question in asked:
        question.result()


def ask(address: str, waits_s: SimpleQueue[float], leaving: Event) -> None:
    """Be one client: ask one thing, note how long the answer took, stay until told to leave."""
    began_s = time.monotonic()
    with connect(address, timeout_s=PATIENCE_S) as connection:
        connection.request(b"Hello World")
        waits_s.put(time.monotonic() - began_s)
        leaving.wait()


def collect(waits_s: SimpleQueue[float], most: int, patience_s: float) -> list[float]:
    """Take what comes until there are ``most``, or until nothing more has come for so long."""
    collected: list[float] = []
    with suppress(Empty):
        while len(collected) < most:
            collected.append(waits_s.get(timeout=patience_s))
    return collected


def census(server: psutil.Process) -> tuple[int, int]:
    """Count the server's processes, and the threads in all of them."""
    processes = [server, *server.children()]
    return len(processes), sum(process.num_threads() for process in processes)


def table(outcomes: list[Outcome]) -> Table:
    """Lay the outcomes side by side."""
    shown = Table(title=f"{CLIENTS} clients, and one that keeps half of its message back", box=box.SIMPLE)
    shown.add_column("server")
    for heading in ("answered", "who waits", "median", "worst", "processes", "threads"):
        shown.add_column(heading, justify="right")
    for outcome in outcomes:
        shown.add_row(
            outcome.model,
            str(outcome.answered),
            who_waits(outcome),
            f"{median(outcome.waits_s) * 1000:.0f} ms",
            f"{max(outcome.waits_s) * 1000:.0f} ms",
            str(outcome.processes),
            str(outcome.threads),
        )
    return shown


def who_waits(outcome: Outcome) -> str:
    """Put into a word how many of the quick clients waited for the slow one."""
    waiting = len(outcome.waits_s) - outcome.answered
    return {0: "nobody", len(outcome.waits_s): "everybody"}.get(waiting, str(waiting))
