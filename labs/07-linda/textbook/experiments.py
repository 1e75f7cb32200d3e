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


@contextmanager
def space() -> Iterator[Client]:
    """Run a server on a free port; give a client of it."""
    command = [sys.executable, "-m", "dslab.linda", "server", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[-1]
        with connect(address) as client:
            yield client
        server.terminate()


def start(client: Client, name: str) -> "subprocess.Popen[str]":
    """Start a program of the textbook."""
    program = [sys.executable, str(HERE / f"{name}.py")]
    environment = os.environ | {"LINDA_ADDR": str(client.address)}
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment)


def run(client: Client, name: str) -> list[str]:
    """Run it to its end; what it prints."""
    with start(client, name) as program:
        return program.communicate(timeout=30)[0].splitlines()


def waits(client: Client, count: int) -> str:
    """Wait until so many programs wait in the space; for what the last one does."""
    deadline_s = time.monotonic() + 30
    while len(client.waiting()) < count and time.monotonic() < deadline_s:
        time.sleep(0.01)
    last = client.waiting()[-1]
    return f"waits in {last.verb} {last.template} ({last.nearest})"


def chuck_first() -> Iterator[str]:
    """Start Chuck, then Alice, then Bob."""
    with space() as client, start(client, "chuck") as chuck:
        yield f"chuck {waits(client, 1)}"
        with start(client, "alice"):
            yield f"alice {waits(client, 2)}"
            run(client, "bob")
        yield f"bob has run, and chuck prints {len(chuck.communicate(timeout=30)[0].splitlines())} lines"


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
            yield f"chuck {waits(client, 1)}"
            chuck.kill()


if __name__ == "__main__":
    for experiment in (chuck_first, chuck_last, bob_twice, a_letter):
        for line in experiment():
            print(f"{experiment.__name__.replace('_', ' ')}: {line}")
