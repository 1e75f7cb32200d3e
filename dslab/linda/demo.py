"""The textbook's microblog: Bob, Alice and Chuck meet in a tuple space without knowing of each other.

They start in the order that is worst for them: first Chuck, who reads what nobody has written yet; then
Alice, who writes into a blog that nobody has made yet; at last Bob, who makes it. In between somebody
misspells the blog's name, and ``waiting`` says so.

Source: ch. 2, Shared data spaces, the microblog of Bob, Alice and Chuck.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console

from dslab.kit.errors import KitError
from dslab.linda.client import Client, connect

PATIENCE_S = 30.0

FIND_BLOG = """\
import linda
linda.connect()
blog = linda.universe._rd(("MicroBlog", linda.TupleSpace))[1]
"""

CHUCK = f"""\
{FIND_BLOG}
print(blog._rd(("bob", "distsys", str)))
print(blog._rd(("alice", "gtcn", str)))
print(blog._rd(("bob", "gtcn", str)))
"""

ALICE = f"""\
{FIND_BLOG}
blog._out(("alice", "gtcn", "This graph theory stuff is not easy"))
blog._out(("alice", "distsys", "I like systems more than graphs"))
"""

BOB = """\
import linda
linda.connect()
blog = linda.TupleSpace()
linda.universe._out(("MicroBlog", blog))
blog._out(("bob", "distsys", "I am studying chap 2"))
blog._out(("bob", "distsys", "The linda example's pretty simple"))
blog._out(("bob", "gtcn", "Cool book!"))
"""


def main() -> None:
    """Run the three programs and tell what happens."""
    say = Console(highlight=False, markup=False, soft_wrap=True).print
    with ExitStack() as stack:
        address = stack.enter_context(_server())
        linda = stack.enter_context(connect(address))
        say(f"a tuple space at {address}; everybody starts in its universe")
        say("\nchuck starts first, and wants to read the blog:")
        chuck = stack.enter_context(_program(CHUCK, address))
        _show_waiting(say, linda, 1)
        say("\nsomebody puts a blog there, but misspells its name:")
        linda.universe.out(("Microblog", linda.new_space()))
        _show_waiting(say, linda, 1)
        say("\nalice starts, and wants to write into the blog:")
        alice = stack.enter_context(_program(ALICE, address))
        _show_waiting(say, linda, 2)
        say("\nbob starts, makes the blog, writes and ends; his words stay. Now chuck reads:")
        bob = stack.enter_context(_program(BOB, address))
        for name, program in (("bob", bob), ("alice", alice), ("chuck", chuck)):
            said, _ = program.communicate(timeout=PATIENCE_S)
            if program.returncode:
                raise KitError(f"{name} ended with exit status {program.returncode}.")
            say(said, end="")


def _show_waiting(say: Callable[[str], object], linda: Client, count: int) -> None:
    """Wait until so many programs are blocked, and say on what."""
    patient_until_s = time.monotonic() + PATIENCE_S
    while len(waiting := linda.waiting()) < count:
        if time.monotonic() > patient_until_s:
            raise KitError(f"{len(waiting)} of {count} programs wait after {PATIENCE_S:g} s.")
        time.sleep(0.01)
    for waits in waiting:
        say(f"  {waits.verb} {waits.template} waits: {waits.nearest}")


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, "-m", "dslab.linda", "server", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            *_, address = server.stdout.readline().split() or [""]
            if not address:
                raise KitError("The server did not start.")
            yield address
        finally:
            server.terminate()


@contextmanager
def _program(text: str, address: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program of the textbook's."""
    environment = {**os.environ, "LINDA_ADDR": address}
    command = [sys.executable, "-c", text]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as program:
        try:
            yield program
        finally:
            program.kill()
