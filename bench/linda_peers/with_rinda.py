"""Rinda, Ruby's tuple space, over DRb: ``rinda.rb`` is its server, and its clients. github.com/ruby/rinda."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.harness import peers
from dslab.kit.address import Address

NEEDS = peers.Needs(install="install Ruby, with its gem rinda", ruby=("rinda/tuplespace",))
COMMAND = ("ruby", str(Path(__file__).with_name("rinda.rb")))


@contextmanager
def running(size: int) -> Iterator[Address]:
    """Start a server that has so many tuples."""
    with peers.server([*COMMAND, "serve", str(size)]) as server:
        yield server.address


def read_s(address: Address, size: int, trips: int) -> float:
    """Say how long it takes to read one tuple of so many, by its key: the median."""
    return _say("read", address, size, trips)


def hand_over_s(address: Address, trips: int) -> float:
    """Say how long a hand-over takes, from one process to another: the median."""
    return _say("hand_over", address, trips)


def _say(what: str, address: Address, *numbers: int) -> float:
    command = [*COMMAND, what, str(address), *map(str, numbers)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
