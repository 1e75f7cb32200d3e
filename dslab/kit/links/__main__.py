"""The links program as a process of its own: the program of the links container.

::

    python -m dslab.kit.links --control 0.0.0.0:20000 --token T --link-host 0.0.0.0 --ports 20001-20100

Prints ``listening on HOST:PORT`` when its control channel is ready, and stops on SIGTERM and SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from dslab.kit.address import MAX_PORT, Address
from dslab.kit.errors import DslabError, UsageError
from dslab.kit.links.program import Program, serve
from dslab.kit.stopping import stop_event


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal ends it.

    Returns:
        The exit status.
    """
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(_run(options, _token(options)))
    except DslabError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(f"The links program cannot run: {error}.", file=sys.stderr)
        return UsageError.exit_status
    return 0


async def _run(options: argparse.Namespace, token: str) -> None:
    program = Program(options.seed, link_host=options.link_host, ports=_ports(options.ports))
    listen = Address.parse(options.control)
    with stop_event() as stopped:
        await serve(
            program, token, listen, stopped, lambda address: print(f"listening on {address}", flush=True)
        )


def _token(options: argparse.Namespace) -> str:
    file = options.token_file
    token: str = options.token if file is None else Path(file).read_text(encoding="utf-8").strip()
    if not token:
        raise UsageError("The token is empty.")
    return token


def _ports(text: str) -> range:
    """The ports from ``FIRST-LAST``; none from an empty text."""
    if not text:
        return range(0)
    first, dash, last = text.partition("-")
    if not (dash and first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last) <= MAX_PORT):
        raise UsageError(
            f"{text!r} is no range of ports.", remedy="Write it as FIRST-LAST, e.g. 20001-20100."
        )
    return range(int(first), int(last) + 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dslab.kit.links", description="Carries and breaks links."
    )
    option = parser.add_argument
    option("--control", required=True, metavar="HOST:PORT", help="where the control channel listens")
    secret = parser.add_mutually_exclusive_group(required=True)
    secret.add_argument("--token", help="what every request must carry")
    secret.add_argument("--token-file", metavar="FILE", help="a file that holds it")
    option("--seed", type=int, default=0, help="what faults are decided from (until a trace begins)")
    option("--link-host", metavar="HOST", help="where links listen, whatever is asked for")
    option("--ports", default="", metavar="FIRST-LAST", help="the ports of links that ask for any")
    return parser


if __name__ == "__main__":
    sys.exit(main())
