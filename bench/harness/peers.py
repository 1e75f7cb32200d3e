"""The other programs of a benchmark: servers as processes, and who is left out as not installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec

from bench.harness.machine import cpu_s, rss_bytes
from dslab.kit.address import Address
from dslab.kit.errors import MachineError

EXTRA = "pip install -e '.[bench]' -c constraints.txt"
START_S = 120.0
END_S = 5.0


@dataclass(frozen=True, slots=True)
class Needs:
    """What a peer cannot do without.

    Attributes:
        modules: Python modules.
        programs: Programs.
        install: How to get them.
        ruby: Libraries of Ruby, as its ``require`` calls them.
    """

    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    install: str = EXTRA
    ruby: tuple[str, ...] = ()

    def missing(self) -> str:
        """Say in one line what is not there, and how to get it; empty if all is there."""
        absent = [module for module in self.modules if find_spec(module) is None]
        absent += [program for program in self.programs if shutil.which(program) is None]
        absent += [library for library in self.ruby if not _is_in_ruby(library)]
        return f"{', '.join(absent)} not installed: {self.install}" if absent else ""


NOTHING = Needs()


def _is_in_ruby(library: str) -> bool:
    command = ["ruby", "-r", library, "-e", ""]
    return bool(
        shutil.which("ruby") and not subprocess.run(command, capture_output=True, check=False).returncode
    )


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is running.

    Attributes:
        address: Where it listens.
        pid: Its process.
    """

    address: Address
    pid: int

    def cpu_s(self) -> float:
        """Say how much CPU time it has taken, with its children."""
        return cpu_s(self.pid)

    def rss_bytes(self) -> int:
        """Say what it has in memory, with its children."""
        return rss_bytes(self.pid)


@contextmanager
def server(command: Sequence[str]) -> Iterator[Server]:
    """Start a server, which prints a line that ends with its address, and end it afterwards.

    Raises:
        MachineError: It ended without that line.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline().split()
            if not line:
                raise MachineError(f"{' '.join(command)} did not start.")
            yield Server(Address.parse(line[-1]), process.pid)
        finally:
            end(process)


@contextmanager
def server_at(command: Sequence[str], address: Address) -> Iterator[Server]:
    """Start a server that is told where to listen, and does not say that it does; end it afterwards.

    Raises:
        MachineError: It ended, or took no connection in all of `START_S`.
    """
    null = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=null, stderr=null, text=True) as process:
        try:
            _reach(address, process)
            yield Server(address, process.pid)
        finally:
            end(process)


def _reach(address: Address, process: subprocess.Popen[str]) -> None:
    deadline_s = time.monotonic() + START_S
    while True:
        with suppress(OSError), socket.create_connection(address.pair):
            return
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise MachineError(f"{process.args!r} did not start.")
        time.sleep(0.05)


def free_address() -> Address:
    """Give an address where nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return Address(*listener.getsockname()[:2])


def end(process: subprocess.Popen[str]) -> None:
    """End a process, and be patient with it for a while."""
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()


def end_with_parent() -> None:
    """Let this process, a server, end when the one that started it is gone, however that ended."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def role(script: str, *words: str) -> list[str]:
    """Give the command that runs a benchmark's own file as another process of the measurement."""
    return [sys.executable, script, "--be", *words]
