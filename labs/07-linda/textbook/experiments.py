"""Four experiments with the textbook's three programs, which are in this folder, and a tuple space.

Usage: python labs/07-linda/textbook/experiments.py
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dslab.linda.client import Client, TupleSpace, connect

HERE = Path(__file__).parent
BLOG = ("MicroBlog", TupleSpace)
POST = (str, str, str)
PATIENCE_S = 30.0


@contextmanager
def space() -> Iterator[Client]:
    """Run a server on a free port; give a client of it."""
    command = [sys.executable, "-m", "dslab.linda", "server", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]
            with connect(address) as client:
                yield client
        finally:
            server.terminate()


class Program:
    """A program of the textbook that runs. What it writes to stderr is seen on the terminal."""

    def __init__(self, name: str, process: "subprocess.Popen[str]") -> None:
        self.name, self.process = name, process

    def lines(self) -> list[str]:
        """Wait for its end; what it has printed."""
        try:
            printed, _ = self.process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            sys.exit(f"{self.name}.py does not end.")
        self.assert_well()
        return printed.splitlines()

    def assert_well(self) -> None:
        """It runs, or has ended as it should."""
        if status := self.process.poll():
            sys.exit(f"{self.name}.py has ended with exit status {status}; above it says why.")


@contextmanager
def start(client: Client, name: str) -> Iterator[Program]:
    """Start a program of the textbook, and wait for its end; if something goes wrong, kill it."""
    command = [sys.executable, str(HERE / f"{name}.py")]
    environment = os.environ | {"LINDA_ADDR": str(client.address)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield Program(name, process)
        except BaseException:
            process.kill()
            raise


def run(client: Client, name: str) -> list[str]:
    """Run it to its end; what it prints."""
    with start(client, name) as program:
        return program.lines()


def waits(client: Client, count: int, program: Program) -> str:
    """Wait until so many programs wait in the space, that one the last of them; what it waits for."""
    deadline_s = time.monotonic() + PATIENCE_S
    while len(waiting := client.waiting()) < count:
        program.assert_well()
        if program.process.poll() == 0 or time.monotonic() > deadline_s:
            sys.exit(f"{program.name}.py does not wait in the space.")
        time.sleep(0.01)
    last = waiting[-1]
    return f"{program.name} waits in {last.verb} {last.template} ({last.nearest})"


def chuck_first() -> Iterator[str]:
    """Start Chuck, then Alice, then Bob."""
    with space() as client, start(client, "chuck") as chuck:
        yield waits(client, 1, chuck)
        with start(client, "alice") as alice:
            yield waits(client, 2, alice)
            run(client, "bob")
            alice.lines()
        yield f"bob has run, and chuck prints {len(chuck.lines())} lines"


def chuck_last() -> Iterator[str]:
    """Let Bob and Alice end before Chuck begins; then let him read once more."""
    with space() as client:
        run(client, "bob")
        run(client, "alice")
        yield f"bob and alice have ended, and chuck prints {len(run(client, 'chuck'))} lines"
        yield f"he reads once more, and prints {len(run(client, 'chuck'))} lines"


def bob_twice() -> Iterator[str]:
    """Run Bob's program two times."""
    with space() as client:
        run(client, "bob")
        run(client, "bob")
        blogs = [client.universe.in_(BLOG)[1] for _ in range(client.universe.count(BLOG))]
        posts = " and ".join(str(blog.count(POST)) for blog in blogs)
        yield f"there are {len(blogs)} blogs, with {posts} posts"


def a_letter() -> Iterator[str]:
    """Put the blog under a name that differs in one letter."""
    with space() as client:
        client.universe.out(("Microblog", client.new_space()))
        with start(client, "chuck") as chuck:
            yield waits(client, 1, chuck)
            chuck.process.kill()


if __name__ == "__main__":
    for experiment in (chuck_first, chuck_last, bob_twice, a_letter):
        for line in experiment():
            print(f"{experiment.__name__.replace('_', ' ')}: {line}")
