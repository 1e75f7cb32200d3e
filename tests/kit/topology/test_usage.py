"""What a service takes of its machine, as seen from outside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dslab.kit.topology.processes import family, process_table
from dslab.kit.topology.usage import Usage, from_json, of, to_json

HOLDS = """
import os, threading
held = bytearray({bytes}), [os.open(os.devnull, os.O_RDONLY) for _ in range({descriptors})]
event = threading.Event()
for _ in range({threads}):
    threading.Thread(target=event.wait, daemon=True).start()
print("ready", flush=True)
input()
"""


@contextmanager
def holding(*, bytes: int = 0, descriptors: int = 0, threads: int = 0) -> Iterator[int]:  # noqa: A002
    program = HOLDS.format(bytes=bytes, descriptors=descriptors, threads=threads)
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.communicate("\n")


def test_it_sees_what_a_process_holds() -> None:
    with holding() as bare, holding(bytes=50_000_000, descriptors=30, threads=7) as full:
        before, after = of([bare]), of([full])
    assert after.memory_bytes - before.memory_bytes > 40_000_000
    assert after.descriptors - before.descriptors == 30
    assert after.threads - before.threads == 7


def test_it_adds_up_the_tree() -> None:
    command = [
        sys.executable,
        "-c",
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        while of(family([process.pid], process_table())).processes < 2:
            assert process.poll() is None
        process.communicate(b"\n")
    assert of([process.pid]) == Usage()


def test_it_survives_the_way_out_of_a_container() -> None:
    usage = Usage(1, 2, 3, 4)
    assert from_json(to_json(usage)) == usage
    printed = subprocess.run(
        [sys.executable, "-m", "dslab.kit.topology.usage"], capture_output=True, text=True, check=True
    )
    assert from_json(printed.stdout).processes >= 1
