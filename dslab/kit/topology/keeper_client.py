"""The grader's end of the keeper: starts it, asks it, and hears what became of the nodes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from dslab.kit.errors import KitError, MachineError
from dslab.kit.topology import processes

ANSWER_S = 30.0
CLOSE_S = 10.0
GONE = "The keeper of this run is gone: something killed it."
# Without `site`, and whatever the environment says, the interpreter starts in half the time. The two folders
# are those of dslab and psutil.
START = "import sys; sys.path += sys.argv[3:]; from dslab.kit.topology.keeper import main; main()"
IMPORTED_FROM = (str(Path(__file__).parents[3]), str(Path(psutil.__file__).parents[1]))

Hear = Callable[[Mapping[str, Any]], None]


class Channel:
    """A control channel to a keeper, wherever that runs.

    Args:
        connection: What requests are sent on.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._ours = connection
        self._sending = threading.Lock()
        self._answers: dict[int, Future[dict[str, Any]]] = {}
        self._listeners: dict[str, Hear] = {}
        self._requests = 0
        self._gone = False
        self._reader = threading.Thread(target=self._read, name="keeper", daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Whether the keeper still serves."""
        return not self._gone

    def listen(self, mark: str, hear: Hear) -> None:
        """Have `hear` called, in the reading thread, with what is told about the node of that mark."""
        self._listeners[mark] = hear

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """One request, and its answer.

        Raises:
            KitError: The keeper is gone, or does not answer.
            MachineError: The machine does not let the keeper do it.
        """
        answer: Future[dict[str, Any]] = Future()
        with self._sending:
            if self._gone:
                raise KitError(GONE)
            self._requests += 1
            self._answers[self._requests] = answer
            request = json.dumps({"id": self._requests, "do": do, **fields})
            with suppress(OSError):  # then the reader finds the end, and fails the answer
                self._ours.sendall(request.encode() + b"\n")
        try:
            result = answer.result(ANSWER_S)
        except TimeoutError as error:
            raise KitError(f"The keeper did not answer {do!r} within {ANSWER_S:g} s.") from error
        if "failed" in result:
            raise MachineError(f"The keeper cannot {do}: {result['failed']}.")
        return result

    def close(self) -> None:
        """Let the keeper go, with every node that it keeps."""
        with suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)
        self._reader.join()

    def _lines(self) -> Iterator[bytes]:
        """What the keeper sends, up to the end of the channel."""
        with self._ours.makefile("rb") as lines:
            yield from lines

    def _mop_up(self) -> None:
        """End whoever is left, now that the keeper is gone."""

    def _read(self) -> None:
        with self._ours, suppress(OSError):
            for line in self._lines():
                self._take(json.loads(line))
        with self._sending:
            self._gone = True
        self._mop_up()
        for answer in self._answers.values():
            answer.set_exception(KitError(GONE))
        for mark, hear in list(self._listeners.items()):
            hear({"lost": mark})

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers.pop(message["id"]).set_result(message)
            return
        if "exited" in message:  # nothing more is told about that node
            hear = self._listeners.pop(message["exited"], None)
        else:
            hear = self._listeners.get(message["noted"])
        if hear:
            hear(message)


class Keeper(Channel):
    """A running keeper on this machine.

    Args:
        run_id: The run's id: with what its marks begin.
        log: Where the keeper's own stderr goes.
    """

    def __init__(self, run_id: str, log: Path) -> None:
        self._run_id = run_id
        ours, theirs = socket.socketpair()
        with theirs, log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-ISc", START, str(theirs.fileno()), run_id, *IMPORTED_FROM],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd="/",
                env={},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        super().__init__(ours)

    @property
    def pid(self) -> int:
        """The keeper's process."""
        return self._process.pid

    def close(self) -> None:
        """End every node of the run, and the keeper."""
        with suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _mop_up(self) -> None:
        """If the keeper did not go by itself, whoever it kept may still be there."""
        processes.end_marked(f"{self._run_id}/")
