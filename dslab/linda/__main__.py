"""Run Linda: ``python -m dslab.linda server``, and ``out in rd ls watch waiting`` against it.

Fields are written as in Python, formals as types: ``python -m dslab.linda rd "('bob', 'distsys', str)"``. The
server's address comes from ``--server`` or LINDA_ADDR.
"""

from __future__ import annotations

import argparse
import ast
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dslab.kit.address import Address
from dslab.kit.errors import DslabError, UsageError
from dslab.linda.kinds import ANY, NAMES, Fields, Formal, Handle, show
from dslab.linda.messages import DEFAULT_ADDRESS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and give the exit status."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        return 130
    except DslabError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(prog="python -m dslab.linda", description="A tuple space.")
    commands = top.add_subparsers(required=True, metavar="server|out|in|rd|ls|watch|waiting")
    server = commands.add_parser("server", help="serve until SIGTERM or Ctrl-C")
    server.add_argument(
        "--bind", metavar="A", default=DEFAULT_ADDRESS, help="host:port; port 0: any free one"
    )
    server.add_argument("--data", metavar="DIR", type=Path, help="keep the tuples there, crash or not")
    server.add_argument("--token-file", metavar="F", type=Path, help="clients must know what F holds")
    server.set_defaults(run=run_server)
    for name, run, about in (
        ("out", run_out, "put a tuple"),
        ("in", run_in, "take a tuple that matches"),
        ("rd", run_rd, "read a tuple that matches"),
        ("ls", run_ls, "list the tuples that match"),
        ("watch", run_watch, "show tuples as they are put"),
        ("waiting", run_waiting, "show who is blocked on what, and what comes near"),
    ):
        add_client(commands.add_parser(name, help=about), name).set_defaults(run=run)
    return top


def add_client(command: argparse.ArgumentParser, name: str) -> argparse.ArgumentParser:
    """Describe what the commands that talk to a server have in common."""
    command.add_argument("--server", metavar="A", help=f"host:port (LINDA_ADDR, else {DEFAULT_ADDRESS})")
    command.add_argument("--token-file", metavar="F", type=Path, help="what to say to the server")
    if name != "waiting":
        command.add_argument(
            "--space", metavar="N", type=int, default=0, help="a space's number; 0: the universe"
        )
    if name in ("in", "rd"):
        command.add_argument("--timeout", metavar="S", type=float, help="wait so long (default: for ever)")
    if name in ("ls", "watch"):
        command.add_argument(
            "fields", metavar="TEMPLATE", nargs="?", help="all of one arity: (object, object)"
        )
    elif name != "waiting":
        command.add_argument("fields", metavar="TUPLE" if name == "out" else "TEMPLATE")
    return command


def parse_fields(text: str) -> Fields:
    """Read a tuple or template written as in Python, ``<TupleSpace 3>`` as ``TupleSpace(3)``.

    Raises:
        UsageError: It is none.
    """
    try:
        value = _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError) as error:
        remedy = "Write it as in Python: ('task', 7) or ('task', int)."
        raise UsageError(f"{text!r} is no tuple.", remedy=remedy) from error
    return value if isinstance(value, tuple) else (value,)


def _value(node: ast.expr) -> Any:
    kinds = {name: kind for kind, name in NAMES.items() if name != "None"}
    match node:
        case ast.Tuple(elts=elements):
            return tuple(map(_value, elements))
        case ast.List(elts=elements):
            return list(map(_value, elements))
        case ast.Name(id=name) if name in kinds:
            return Formal(kinds[name])
        case ast.Call(func=ast.Name(id="TupleSpace"), args=[ast.Constant(value=int(number))]):
            return Handle(number)
        case _:
            return ast.literal_eval(node)


def token_in(path: Path | None) -> str | None:
    """Read a token."""
    if path is None:
        return None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"Cannot read the token: {error.strerror}: {path}.") from error
    if not token:
        raise UsageError(f"{path} holds no token.")
    return token


def run_server(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    import asyncio

    import uvloop

    from dslab.linda.server import Options, serve

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one descriptor per client
    served = Options(token=token_in(options.token_file) or "", data=options.data)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # a round trip a fifth shorter
        runner.run(serve(Address.parse(options.bind), served))


def run_out(options: argparse.Namespace) -> None:
    """Put a tuple."""
    with _connect(options) as linda:
        linda.space(options.space).out(parse_fields(options.fields))


def run_in(options: argparse.Namespace) -> None:
    """Take a tuple and print it."""
    with _connect(options) as linda:
        print(show(linda.space(options.space).in_(parse_fields(options.fields), timeout_s=options.timeout)))


def run_rd(options: argparse.Namespace) -> None:
    """Read a tuple and print it."""
    with _connect(options) as linda:
        print(show(linda.space(options.space).rd(parse_fields(options.fields), timeout_s=options.timeout)))


def run_ls(options: argparse.Namespace) -> None:
    """Print tuples."""
    with _connect(options) as linda:
        space = linda.space(options.space)
        for template in _templates(options.fields):
            tuples, total = space.ls(template, 1_000)
            print(*map(show, tuples), sep="\n", end="\n" if tuples else "")
            if total > len(tuples):
                print(f"... {total - len(tuples):,} more of {len(template)} fields")


def run_watch(options: argparse.Namespace) -> None:
    """Print tuples as they are put."""
    template = parse_fields(options.fields) if options.fields else (Formal(ANY), Formal(ANY))
    with _connect(options) as linda:
        events = linda.space(options.space).notify(template)
        print(f"watching {show(template)}", file=sys.stderr, flush=True)
        for fields in events:
            print(show(fields), flush=True)


def run_waiting(options: argparse.Namespace) -> None:
    """Print who waits."""
    with _connect(options) as linda:
        waiters = linda.waiting()
    for waits in waiters:
        space = f" of space {waits.space}" if waits.space else ""
        print(f"{waits.client} has waited {waits.waited_s:.1f} s in {waits.verb} {waits.template}{space}")
        print(f"  {waits.nearest}")
    if not waiters:
        print("nobody waits")


def _templates(text: str | None) -> list[Fields]:
    """What to list: without a template, tuples of 1 to 8 fields."""
    if text:
        return [parse_fields(text)]
    return [(Formal(ANY),) * arity for arity in range(1, 9)]


def _connect(options: argparse.Namespace) -> Any:
    from dslab.linda.client import connect

    return connect(options.server, token=token_in(options.token_file))


if __name__ == "__main__":
    sys.exit(main())
