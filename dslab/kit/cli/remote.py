"""How ``dslab fault`` and ``dslab down`` reach the ``dslab up`` that runs in another terminal.

``up`` listens on a port of 127.0.0.1 and writes address and token to ``control.json`` in its run folder. Only
its owner may read that: every user of this machine can reach the port, and must not be able to do anything
with it. One request per connection, in the form of `dslab.kit.links.control`.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslab.kit.address import Address
from dslab.kit.errors import DslabError, KitError, PeerError, UsageError
from dslab.kit.grader.course import Course
from dslab.kit.links.control import MAX_LINE_BYTES, decode_reply, decode_request, encode, encode_error
from dslab.kit.topology.runfolder import is_alive

CONTROL = "control.json"
ANSWER_S = 60.0  # a restart waits until the service is ready

Do = Callable[[dict[str, Any]], Any]


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, token: str, do: Do) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = token
        self.do = do


class _Handler(socketserver.StreamRequestHandler):
    server: _Server
    timeout = 10.0

    def handle(self) -> None:
        """Answer one request."""
        line = self.rfile.readline(MAX_LINE_BYTES)
        try:
            reply = encode({"ok": self.server.do(decode_request(line, self.server.token))})
        except PeerError as error:  # a service that does not start: neither dslab's fault nor the machine's
            reply = encode_error(UsageError(error.message, remedy=error.remedy))
        except DslabError as error:
            reply = encode_error(error)
        except Exception as error:  # noqa: BLE001 - it must not end the topology; the one who asked is told
            reply = encode_error(KitError(f"dslab up failed: {error!r}."))
        self.wfile.write(reply)


@contextmanager
def served(run_folder: Path, lab: str, do: Do) -> Iterator[None]:
    """Take requests as long as the block lasts.

    Args:
        run_folder: Where others find us.
        lab: The lab's name, for those who have several running.
        do: Carries out a request; called from other threads.
    """
    token = secrets.token_hex(16)
    path = run_folder / CONTROL
    with _Server(token, do) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="remote", daemon=True)
        thread.start()
        fields = {"address": str(Address(*server.server_address[:2])), "token": token, "lab": lab}  # type: ignore[arg-type]
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as control:
            json.dump(fields, control)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True)
class Remote:
    """A ``dslab up`` that runs.

    Attributes:
        folder: Its run folder.
        lab: Its lab's name.
        address: Where it listens.
        token: What it wants to see.
    """

    folder: Path
    lab: str
    address: Address
    token: str

    def ask(self, do: str, **fields: Any) -> Any:
        """Have it do something, and return what it answers.

        Raises:
            DslabError: It refused, or is gone.
        """
        line = encode({"token": self.token, "do": do, **fields})
        try:
            with socket.create_connection(self.address.pair, ANSWER_S) as connection:
                connection.sendall(line)
                with connection.makefile("rb") as replies:
                    reply = replies.readline()
        except OSError as error:
            raise KitError(
                f"The dslab up of {self.lab} does not answer: {error}.", remedy="End it with: dslab down"
            ) from error
        return decode_reply(reply)


def running(course: Course) -> list[Remote]:
    """Every ``dslab up`` of this course that is alive, the newest first."""
    found = []
    for path in sorted((course.root / ".dslab" / "runs").glob(f"*/{CONTROL}"), reverse=True):
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            remote = Remote(path.parent, fields["lab"], Address.parse(fields["address"]), fields["token"])
        except (OSError, ValueError, KeyError):
            continue  # it ends just now
        if is_alive(path.parent):
            found.append(remote)
    return found


def the_one(course: Course, lab: str | None) -> Remote:
    """The ``dslab up`` that is meant.

    Raises:
        UsageError: None runs, or several do and no lab was named.
    """
    found = [one for one in running(course) if lab is None or one.lab == course.lab(lab).name]
    if not found:
        what = f"No topology of {course.lab(lab).name} runs." if lab else "No topology runs."
        number = course.lab(lab).number if lab else 1
        raise UsageError(what, remedy=f"Start one in another terminal: dslab up {number}")
    if len({one.lab for one in found}) > 1:
        raise UsageError(
            f"Several topologies run: {', '.join(sorted(one.lab for one in found))}.",
            remedy="Say which: --lab N",
        )
    return found[0]


def wait_for_end(remotes: Sequence[Remote], timeout_s: float, pause: Callable[[float], None]) -> list[Remote]:
    """Wait until they are gone; those that are not in time."""
    left, waited_s = list(remotes), 0.0
    while (left := [one for one in left if is_alive(one.folder)]) and waited_s < timeout_s:
        pause(0.05)
        waited_s += 0.05
    return left
