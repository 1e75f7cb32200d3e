"""Run Linda: ``python -m dslab.linda server``, and ``out in rd ls watch waiting`` against it; or ``demo``.

Fields are written as in Python, formals as types (`written`). Where the server is comes from ``--server`` or
LINDA_ADDR; the token, that it wants and that clients say, from ``--token-file`` or LINDA_TOKEN_FILE.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dslab.kit.address import Address
from dslab.kit.descriptors import prepare_descriptors
from dslab.kit.errors import DslabError, MachineError, PeerRefused
from dslab.linda.kinds import ANY, Fields, Formal, show
from dslab.linda.messages import DEFAULT_ADDRESS
from dslab.linda.written import parse_fields

if TYPE_CHECKING:
    from dslab.linda.client import Client

MAX_LISTED = 1_000
LISTED_ARITIES = range(1, 9)

COMMANDS = {
    "server": ("serve until SIGTERM or Ctrl-C", "--bind 127.0.0.1:7070 --data tuples"),
    "out": ("put a tuple", "\"('task', 7)\""),
    "in": ("take a tuple that matches", "\"('task', int)\" --timeout 5"),
    "rd": ("read a tuple that matches, and leave it", "\"('bob', 'distsys', str)\""),
    "ls": ("list the tuples that match", "\"('task', object)\""),
    "watch": ("show tuples as they are put", '"(str, int)"'),
    "waiting": ("show who is blocked on what, and what comes near", "--server 127.0.0.1:7070"),
    "demo": ("let the textbook's Bob, Alice and Chuck meet, with a server of their own", ""),
}
"""What each does, and an example of its arguments."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and give the exit status."""
    options = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what is taken is printed, on any terminal
    try:
        options.run(options)
        if sys.stdout is not None:  # as after ``>&-``
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # as in ``ls | head``: nobody wants the rest
            return 0
        print(f"Cannot print: {error.strerror}.", file=sys.stderr)
        return MachineError.exit_status
    except DslabError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(prog="python -m dslab.linda", description="A tuple space.")
    commands = top.add_subparsers(required=True, metavar="|".join(COMMANDS))
    add_server(_add(commands, "server", run_server))
    add_client(_add(commands, "out", run_out)).add_argument("fields", metavar="TUPLE", help="as in Python")
    for name, run in (("in", run_in), ("rd", run_rd)):
        look = add_client(_add(commands, name, run))
        look.add_argument(
            "--timeout", metavar="S", type=float, help="wait so many seconds (default: for ever)"
        )
        add_template(look)
    add_template(add_client(_add(commands, "ls", run_ls)), nargs="?")
    add_template(add_client(_add(commands, "watch", run_watch)))
    add_client(_add(commands, "waiting", run_waiting), of_one_space=False)
    _add(commands, "demo", run_demo)
    return top


def _add(commands: Any, name: str, run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
    about, example = COMMANDS[name]
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=f"example: %(prog)s {example}".rstrip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,  # it breaks no example
    )
    command.set_defaults(run=run)
    return command


def add_server(command: argparse.ArgumentParser) -> None:
    """Describe what the server can be told."""
    command.add_argument(
        "--bind", metavar="A", default=DEFAULT_ADDRESS, help="host:port; port 0: any free one"
    )
    command.add_argument("--data", metavar="DIR", type=Path, help="keep the tuples there, crash or not")
    about = "clients must know what F holds (LINDA_TOKEN_FILE, else no token)"
    command.add_argument("--token-file", metavar="F", type=Path, help=about)


def add_client(command: argparse.ArgumentParser, *, of_one_space: bool = True) -> argparse.ArgumentParser:
    """Describe what the commands that talk to a server have in common."""
    command.add_argument("--server", metavar="A", help=f"host:port (LINDA_ADDR, else {DEFAULT_ADDRESS})")
    about = "holds what the server wants to hear (LINDA_TOKEN_FILE)"
    command.add_argument("--token-file", metavar="F", type=Path, help=about)
    if of_one_space:
        about = "a space's number (0: the universe)"
        command.add_argument("--space", metavar="N", type=int, default=0, help=about)
    return command


def add_template(command: argparse.ArgumentParser, nargs: str | None = None) -> None:
    """Describe what it looks for."""
    about = "values for themselves, types for any value of theirs, object for any at all"
    if nargs == "?":
        about += "; without one, everything of 1 to 8 fields"
    command.add_argument("fields", metavar="TEMPLATE", nargs=nargs, help=about)


def run_server(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    import asyncio

    import uvloop

    from dslab.linda.calls import token_or_default
    from dslab.linda.server import Options, serve

    prepare_descriptors()  # one per client
    served = Options(token=token_or_default(token_in(options.token_file)), data=options.data)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # a round trip a fifth shorter
        runner.run(serve(Address.parse(options.bind), served))


def run_out(options: argparse.Namespace) -> None:
    """Put a tuple."""
    fields = parse_fields(options.fields)
    with connected(options) as linda:
        linda.space(options.space).out(fields)


def run_in(options: argparse.Namespace) -> None:
    """Take a tuple and print it."""
    template = parse_fields(options.fields)
    with connected(options) as linda:
        print(show(linda.space(options.space).in_(template, timeout_s=options.timeout), None))


def run_rd(options: argparse.Namespace) -> None:
    """Read a tuple and print it."""
    template = parse_fields(options.fields)
    with connected(options) as linda:
        print(show(linda.space(options.space).rd(template, timeout_s=options.timeout), None))


def run_ls(options: argparse.Namespace) -> None:
    """Print tuples."""
    templates: list[Fields] = [(Formal(ANY),) * arity for arity in LISTED_ARITIES]
    if options.fields is not None:
        templates = [parse_fields(options.fields)]
    with connected(options) as linda:
        for template in templates:
            tuples, total = linda.space(options.space).ls(template, MAX_LISTED)
            for fields in tuples:
                print(show(fields, None))
            if total > len(tuples):
                print(f"... {total - len(tuples):,} more of {len(template)} fields")


def run_watch(options: argparse.Namespace) -> None:
    """Print tuples as they are put."""
    template = parse_fields(options.fields)
    with connected(options) as linda:
        events = linda.space(options.space).notify(template)
        print(f"watching {show(template)}", file=sys.stderr, flush=True)
        for fields in events:
            print(show(fields, None), flush=True)


def run_waiting(options: argparse.Namespace) -> None:
    """Print who waits."""
    with connected(options) as linda:
        waiters, total = linda.who_waits()
    for waits in waiters:
        where = f" of space {waits.space}" if waits.space else ""
        left = "" if waits.left_s is None else f", and will for {waits.left_s:.1f} s more"
        waited = f"has waited {waits.waited_s:.1f} s{left}"
        print(f"{waits.client} {waited} for {waits.verb} {waits.template}{where}")
        print(f"  {waits.nearest}")
    if total > len(waiters):
        print(f"... {total - len(waiters):,} more wait")
    if not waiters:
        print("nobody waits")


def run_demo(_: argparse.Namespace) -> None:
    """Let Bob, Alice and Chuck meet."""
    from dslab.linda.demo import main as demo

    demo()


def token_in(path: Path | None) -> str | None:
    """Read a token, if a file is named."""
    from dslab.linda.calls import read_token

    return None if path is None else read_token(path)


def connected(options: argparse.Namespace) -> Client:
    """Connect to the server that the options name.

    Raises:
        PeerRefused: Nobody listens there, or the token is wrong.
    """
    from dslab.linda.calls import RefusedError
    from dslab.linda.client import connect

    try:
        return connect(options.server, token=token_in(options.token_file))
    except PeerRefused as error:
        remedy = "Start one: python -m dslab.linda server; or say where it is: --server A, or LINDA_ADDR."
        raise PeerRefused(error.message, remedy=remedy) from error
    except RefusedError as error:
        remedy = "Name the file that holds it: --token-file F, or LINDA_TOKEN_FILE."
        raise RefusedError(error.message, remedy=remedy) from error


if __name__ == "__main__":
    sys.exit(main())
