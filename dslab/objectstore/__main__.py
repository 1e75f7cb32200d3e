"""Run an object store: ``python -m dslab.objectstore server --bind A --data DIR --key ID:SECRET``."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from dslab.kit.address import Address
from dslab.kit.errors import DslabError


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
    top = argparse.ArgumentParser(prog="python -m dslab.objectstore", description="An object store like S3.")
    commands = top.add_subparsers(required=True, metavar="server")
    server = commands.add_parser("server", help="serve until SIGTERM or Ctrl-C")
    option = server.add_argument
    option("--bind", metavar="A", default="127.0.0.1:9000", help="host:port; port 0: any free one")
    option("--data", metavar="DIR", type=Path, required=True, help="keep everything there")
    option("--key", metavar="ID:SECRET[:ro|rw[:BUCKET,...]]", action="append", default=[], help="repeatable")
    option("--anonymous", metavar="WHAT", default="nothing", help="who has no key may: nothing, read, write")
    option("--domain", metavar="D", default="s3.localhost", help="BUCKET.D as host names a bucket")
    option("--no-sync", action="store_true", help="do not wait for the disk: a power failure may lose data")
    server.set_defaults(run=run_server)
    return top


def run_server(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    gc.disable()  # nothing of what is imported is garbage; `run` enables it
    from dslab.objectstore.access import Key, Rules
    from dslab.objectstore.server import Options, run

    rules = Rules.of(map(Key.parse, options.key), options.anonymous)
    served = Options(options.data, rules, options.domain, sync=not options.no_sync)
    run(Address.parse(options.bind), served)


if __name__ == "__main__":
    sys.exit(main())
