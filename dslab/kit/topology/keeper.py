"""The keeper: one small process per run, the parent of all of its services. Nothing outlives a run.

However the grader ends, be it by kill -9, the keeper reads the end of its control channel, ends every service
with whatever it started, and goes. It lives in a session of its own, out of reach of Ctrl-C.

======================================  ==================================================================
what happens                            what is done about it
======================================  ==================================================================
the grader is gone, in whatever way     the control channel is at its end: everything is ended
a service leaves its session, or its    the keeper is its *subreaper* (Linux): orphans become children of the
parent                                  keeper; elsewhere the mark in their environment tells
a service forks while it is killed      all are stopped first, then killed (`processes.end`)
a service ends, its children do not     they are ended with it, as they would be in a container; so is its
                                        health command
the keeper is killed                    the kernel kills the services (Linux, PDEATHSIG); the grader ends
                                        whoever is left, by the mark
a service prints for ever               output is pumped through the keeper, which throws away what is beyond
                                        a limit: the disk does not fill, and the service is not stopped by it
======================================  ==================================================================

The control channel is a pair of sockets. A message is one line of JSON. Nodes are named by their *mark*,
``<run>/<number of the topology>/<node>``, which stands in their environment too.

==========  ===========================  =================================================================
``do``      other fields                 the answer (with the ``id`` of the request) means
==========  ===========================  =================================================================
``spawn``   ``mark argv env cwd out      it runs; ``pid``. A program that cannot be run ends with status 127
            err``                        and says why; a health command without its node does not begin
``term``    ``mark``                     SIGTERM is sent
``kill``    ``mark``                     it is gone, with all that it started
``pause``   ``mark``                     it is stopped, with all that it started
``resume``  ``mark``                     it goes on
``flush``   ``mark``                     what it wrote so far is in its files
``members`` ``mark``                     it consists of those; ``pids``
``end``     ``prefix``                   the nodes of that topology are gone; ``left`` would not go
==========  ===========================  =================================================================

An answer may instead be ``failed``, with what the system said: too many processes, too many files. Unasked
the keeper tells ``{"exited": mark, "status": n, "at": t}``, after the last output is in its file, and
``{"noted": mark, "text": "...", "at": t}`` for a line on stderr that begins with ``dslab:mark``.

Source: prctl(2), PR_SET_CHILD_SUBREAPER and PR_SET_PDEATHSIG.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, NoReturn

from dslab.kit.topology import processes
from dslab.kit.topology.pump import Pump

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CHECK_PARENT_S = 1.0
HEALTH = "/health"  # what the mark of a node's health command has beyond the node's
CANNOT_RUN = 127  # the shell's status for a program that cannot be run
IGNORED = (signal.SIGINT, signal.SIGHUP)
# What Python or the keeper ignores would be ignored by services too: exec keeps that.
RESTORED = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGCHLD, *IGNORED)

Request = dict[str, Any]


def _prctl() -> Callable[[int, int], object]:
    """Linux's prctl; elsewhere nothing that does anything."""
    if sys.platform != "linux":
        return lambda _option, _value: None
    import ctypes

    library = ctypes.CDLL(None)
    return lambda option, value: library.prctl(option, value, 0, 0, 0)


class Node:
    """One running node: its process, and the pumps of its output."""

    def __init__(self, mark: str, pid: int, pumps: list[Pump]) -> None:
        self.mark = mark
        self.pid = pid
        self.pumps = pumps
        self.ended = False


class Keeper:
    """The keeper's loop. Single-threaded: PDEATHSIG counts from the death of the thread that forked.

    Args:
        control: This end of the control channel.
        run_id: With what the marks of this run begin.
    """

    def __init__(self, control: socket.socket, run_id: str) -> None:
        self._control = control
        self._run_id = run_id
        self._received = bytearray()
        self._nodes: dict[str, Node] = {}
        self._selector = selectors.DefaultSelector()
        self._prctl = _prctl()
        self._prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._pid, self._parent = os.getpid(), os.getppid()
        self._orphanage = self._pid if processes.LINUX else 1  # whose children orphans become
        self._running = True

    def run(self) -> None:
        """Serve until the control channel ends; then end everything."""
        self._watch_children()
        self._selector.register(self._control, selectors.EVENT_READ, self._receive)
        try:
            while self._running and os.getppid() == self._parent:
                for key, _ in self._selector.select(CHECK_PARENT_S):
                    key.data()
        finally:
            self._end_ours(f"{self._run_id}/", spared=[])

    # What the grader wants.

    def _receive(self) -> None:
        part = b""
        with suppress(OSError):  # a reset is an end too
            part = self._control.recv(65_536)
        if not part:
            self._running = False
        self._received += part
        *lines, rest = self._received.split(b"\n")
        self._received = rest
        for line in lines:
            request = json.loads(line)
            try:
                answer = self._answer(request)
            except OSError as error:  # no process, no descriptor, no file: the machine is full
                answer = {"failed": error.strerror or str(error)}
            self._send({"id": request["id"], **answer})

    def _answer(self, request: Request) -> dict[str, Any]:
        if request["do"] == "spawn":
            return {"pid": self._spawn(request)} if self._is_wanted(request["mark"]) else {}
        if request["do"] == "end":
            return {"left": sorted(self._end(request["prefix"]))}
        node = self._nodes.get(request["mark"])
        if request["do"] == "members":
            return {"pids": sorted(self._members(node)) if node is not None else []}
        if node is not None:  # else it has ended meanwhile, and there is nothing to do
            self._act(request["do"], node)
        return {}

    def _act(self, what: str, node: Node) -> None:
        match what:
            case "term":
                os.kill(node.pid, signal.SIGTERM)
            case "kill":
                if not self._end_node(node) and not node.ended:
                    self._await_end(node)
            case "pause":
                processes.freeze(lambda: self._members(node), lambda mark: mark == node.mark)
            case "resume":
                processes.send(signal.SIGCONT, self._members(node))
            case "flush":
                for pump in node.pumps:
                    pump.drain()

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self._running = False

    # Starting.

    def _is_wanted(self, mark: str) -> bool:
        """Not a health command whose node has ended before the grader heard of it: nobody would end it."""
        return not mark.endswith(HEALTH) or mark.removesuffix(HEALTH) in self._nodes

    def _spawn(self, request: Request) -> int:
        mark = request["mark"]
        with ExitStack() as abandoned:  # the machine may refuse any of these
            out = Pump(request["out"], self._selector)
            abandoned.callback(out.abandon)
            err = Pump(request["err"], self._selector, lambda text, at: self._note(mark, text, at))
            abandoned.callback(err.abandon)
            pid = os.fork()
            if pid == 0:
                self._become(request, out, err)
            abandoned.pop_all()
        for pump in (out, err):
            pump.start()
        self._nodes[mark] = Node(mark, pid, [out, err])
        return pid

    def _become(self, request: Request, out: Pump, err: Pump) -> NoReturn:
        """In the child: turn into the service. Every descriptor but these three closes by itself on exec."""
        cwd = request["cwd"]
        try:
            os.setsid()
            self._prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self._pid:
                os._exit(CANNOT_RUN)  # the keeper died before the line above
            for number in RESTORED:
                signal.signal(number, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out.write_end, 1)
            os.dup2(err.write_end, 2)
            os.chdir(cwd)
            os.execvpe(request["argv"][0], request["argv"], request["env"])
        except (OSError, ValueError) as error:  # the latter: no system call takes such a string
            reason = error.strerror if isinstance(error, OSError) else error
            where = f" in {cwd}" if getattr(error, "filename", None) == cwd else ""
            os.write(2, f"dslab: cannot run {request['argv'][0]!r}{where}: {reason}\n".encode())
        finally:
            os._exit(CANNOT_RUN)

    def _note(self, mark: str, text: str, at: float) -> None:
        self._send({"noted": mark, "text": text, "at": at})

    # Ending.

    def _watch_children(self) -> None:
        receiver, sender = socket.socketpair()
        for end in (receiver, sender):
            end.setblocking(False)
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)
        for number in IGNORED:
            signal.signal(number, signal.SIG_IGN)
        self._wake_up = (receiver, sender)  # kept open
        self._selector.register(receiver, selectors.EVENT_READ, self._child_changed)

    def _stop(self, *_: object) -> None:
        """End at the next turn. An exception could be raised where Python throws it away: in a destructor."""
        self._running = False

    def _child_changed(self) -> None:
        self._wake_up[0].recv(4096)
        self._reap()

    def _reap(self) -> None:
        """Take note of every child that has ended: a node, or an orphan that we inherited."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                node = next((node for node in self._nodes.values() if node.pid == pid), None)
                if node is not None:
                    self._node_ended(node, status)

    def _await_end(self, node: Node) -> None:
        """Take note of the end of a node that is dead.

        One with threads is dead for a moment before it can be waited for. Should that be noticed only after
        the node's next start, it would pass for the end of that one.
        """
        deadline = time.monotonic() + processes.PATIENCE_S
        self._reap()
        while not node.ended and time.monotonic() < deadline:
            time.sleep(0.001)
            self._reap()

    def _node_ended(self, node: Node, status: int) -> None:
        at, node.ended = time.time(), True
        self._end_node(node)
        for pump in node.pumps:
            pump.close()
        del self._nodes[node.mark]
        if (health := self._nodes.get(node.mark + HEALTH)) is not None:
            self._act("kill", health)
        exit_status = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        self._send({"exited": node.mark, "status": exit_status, "at": at})

    def _end(self, prefix: str) -> set[int]:
        """End the nodes of one topology, and every orphan that belongs to nobody any more."""
        others = [node for mark, node in self._nodes.items() if not mark.startswith(prefix)]
        left = self._end_ours(prefix, spared=others)
        self._reap()
        return left

    def _end_node(self, node: Node) -> set[int]:
        return processes.end(lambda: self._members(node), lambda mark: mark == node.mark)

    def _end_ours(self, prefix: str, spared: list[Node]) -> set[int]:
        return processes.end(
            lambda: self._ours(prefix).difference(*(self._members(node) for node in spared)),
            lambda mark: mark.startswith(prefix),
        )

    def _members(self, node: Node) -> set[int]:
        """Who belongs to a node: its process, its session, its orphans, and all of their descendants."""
        table = processes.process_table()
        # The number of a process that has ended may be another's by now; that of its session is not, while it
        # has members.
        itself = set() if node.ended else {node.pid}
        session = {pid for pid, row in table.items() if row.session == node.pid}
        orphans = {pid for pid, mark in self._orphans(table) if mark == node.mark}
        return processes.family(itself | session | orphans, table)

    def _orphans(self, table: processes.Table) -> Iterator[tuple[int, str]]:
        """Those who have lost their parent, with their marks."""
        known = {node.pid for node in self._nodes.values()}
        for pid, row in table.items():
            if row.parent == self._orphanage and pid not in known:
                yield pid, processes.mark_of(pid)

    def _ours(self, prefix: str) -> set[int]:
        """All of our descendants; where orphans go elsewhere, those too whose mark begins so."""
        table = processes.process_table()
        orphans = {pid for pid, mark in self._orphans(table) if mark.startswith(prefix)}
        return processes.family({self._pid} | orphans, table) - {self._pid}


def main() -> None:
    """``keeper DESCRIPTOR RUN``: serve the control channel that was inherited under that number."""
    with socket.socket(fileno=int(sys.argv[1])) as control:
        control.set_inheritable(False)  # no service may hold this, or speak on it
        Keeper(control, run_id=sys.argv[2]).run()
