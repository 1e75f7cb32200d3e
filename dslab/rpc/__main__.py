"""Run RPC: ``python -m dslab.rpc server | client | registry | stubs | demo``.

``python -m dslab.rpc server --object bank.py:Bank`` offers the public methods of the class, object or
function that the file calls so; ``python -m dslab.rpc client --server A METHOD ARGUMENT...`` calls one, its
arguments written as in Python.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import inspect
import random
import sys
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from dslab.kit.address import Address
from dslab.kit.errors import DslabError, UsageError
from dslab.rpc.objects import Activation
from dslab.rpc.protocol import Semantics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractContextManager

    from dslab.rpc import server, server_threads
    from dslab.rpc.service import Service

CODECS = ("msgpack", "json", "json-http")


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
    top = argparse.ArgumentParser(prog="python -m dslab.rpc", description="Remote procedure calls.")
    commands = top.add_subparsers(required=True, metavar="server|client|registry|stubs|demo")
    add_server(commands.add_parser("server", help="serve until SIGTERM or Ctrl-C"))
    registry = commands.add_parser("registry", help="serve a registry (binder)")
    registry.add_argument("--bind", metavar="A", default="127.0.0.1:0", help="host:port")
    registry.set_defaults(run=run_registry)
    demo = commands.add_parser("demo", help="one call step by step, and three that fail")
    demo.set_defaults(run=run_demo)
    stubs = commands.add_parser("stubs", help="write a client stub and a server stub for an interface")
    stubs.add_argument("interface", metavar="FILE.py:NAME")
    stubs.set_defaults(run=run_stubs)
    add_client(commands.add_parser("client", help="call a procedure and print its result"))
    return top


def add_server(command: argparse.ArgumentParser) -> None:
    """Describe ``server``."""
    option = command.add_argument
    option("--bind", metavar="A", default="127.0.0.1:0", help="host:port; port 0 takes any free one")
    option("--codec", choices=CODECS, default="msgpack", help="how messages are written")
    option("--udp", action="store_true", help="a message is a datagram")
    option("--object", metavar="FILE.py:NAME", action="append", required=True, help="what is offered")
    option("--activation", choices=get_args(Activation), default="shared", help="which instance of a class")
    option("--model", choices=("asyncio", "threads"), default="asyncio", help="who serves a connection")
    option("--log", metavar="FILE", type=Path, help="keep replies there: at-most-once survives a crash")
    option("--registry", metavar="A", help="where to register ...")
    option("--register", metavar="NAME", help="... under this name (service)")
    option("--advertise", metavar="A", help="... as found there; port 0 is the bound one")
    option("--explain", action="store_true", help="tell the steps of each call on stderr")
    option("--workers", metavar="N", type=count, default=0, help="threads that execute calls; 0: the loop")
    command.set_defaults(run=run_server)


def add_client(command: argparse.ArgumentParser) -> None:
    """Describe ``client``."""
    option = command.add_argument
    option("--server", metavar="A", required=True, help="host:port")
    option("--codec", choices=CODECS, default="msgpack", help="as the server's")
    option("--udp", action="store_true", help="a message is a datagram")
    option("--timeout", metavar="S", type=seconds, default=5.0, help="how long to wait")
    option("--semantics", choices=get_args(Semantics), default="maybe", help="what if a reply is missing")
    option("--explain", action="store_true", help="tell the steps of the call on stderr")
    option("method", metavar="METHOD")
    option("arguments", metavar="ARGUMENT", nargs="*", help="as in Python: 7, 'seven', [7]")
    command.set_defaults(run=run_client)


def run_server(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    import asyncio

    from dslab.rpc.client import dial_by
    from dslab.rpc.explain import ExplainingCodec, explaining
    from dslab.rpc.references import service_with_references
    from dslab.rpc.server import serve

    check_server(options)
    service, _ = service_with_references(
        options.codec.removesuffix("-http"),
        random.getrandbits(62),
        time.monotonic,
        dial=dial_by(options.codec, "udp" if options.udp else "tcp"),
        log=options.log,
    )
    if options.explain:
        service.codec = ExplainingCodec(service.codec, "server", tell)
        service.objects.interceptors.append(explaining(tell))
    for spec in options.object:
        service.objects.register(load_served(spec), activation=options.activation)
    if options.model == "threads":
        from dslab.rpc.server_threads import serve as serve_by_threads

        serve_by_threads(Address.parse(options.bind), service, serving_by_threads(options))
    else:
        asyncio.run(serve(Address.parse(options.bind), service, options.workers, serving(options)))
    service.close()


def check_server(options: argparse.Namespace) -> None:
    """Refuse what cannot be had together.

    Raises:
        UsageError: Says what, and what to do.
    """
    check_transport(options)
    threads = options.model == "threads"
    if threads and (options.udp or options.codec == "json-http"):
        raise UsageError(
            "The server with a thread for each connection serves bare TCP only.",
            remedy="Leave --model threads out; --workers N has threads, too.",
        )
    if threads and options.workers:
        raise UsageError(
            "With --model threads each connection has a thread, and there are no workers.",
            remedy="Leave out --workers or --model threads.",
        )
    if options.registry is None and (options.register or options.advertise):
        raise UsageError("Nobody said where to register.", remedy="Add --registry HOST:PORT.")
    for address in filter(None, (options.bind, options.registry, options.advertise)):
        Address.parse(address)


def check_transport(options: argparse.Namespace) -> None:
    """Refuse HTTP in datagrams.

    Raises:
        UsageError: That was asked for.
    """
    if options.udp and options.codec == "json-http":
        raise UsageError("HTTP runs over TCP.", remedy="Leave --udp out, or take --codec json.")


def serving(options: argparse.Namespace) -> server.Serving:
    """Give what serves by a transport on asyncio, registered meanwhile. Imports no other transport."""
    if options.codec == "json-http":
        from dslab.rpc.http import serving as by
    elif options.udp:
        from dslab.rpc.udp import serving as by
    else:
        from dslab.rpc.server import serving as by

    @asynccontextmanager
    async def serve(address: Address, service: Service, workers: int) -> AsyncIterator[Address]:
        async with by(address, service, workers) as bound:
            with registered(options, bound):
                yield bound

    return serve


def serving_by_threads(options: argparse.Namespace) -> server_threads.Serving:
    """Give what serves by threads, registered meanwhile."""
    from dslab.rpc.server_threads import serving as by

    @contextmanager
    def serve(address: Address, service: Service) -> Iterator[Address]:
        with by(address, service) as bound, registered(options, bound):
            yield bound

    return serve


def registered(options: argparse.Namespace, bound: Address) -> AbstractContextManager[object]:
    """Keep a server registered, if that was asked for."""
    if options.registry is None:
        return nullcontext()
    from dslab.rpc.registry import Registration

    host, port = Address.parse(options.advertise) if options.advertise else bound
    return Registration(options.registry, options.register or "service", Address(host, port or bound.port))


def run_client(options: argparse.Namespace) -> None:
    """Call a procedure."""
    from dslab.rpc.client import connect

    check_transport(options)
    with connect(
        options.server,
        codec=options.codec,
        transport="udp" if options.udp else "tcp",
        timeout_s=options.timeout,
        semantics=options.semantics,
        explain=tell if options.explain else None,
    ) as client:
        print(repr(client.call(options.method, *map(value_of, options.arguments))))


def load(spec: str) -> Any:
    """Give what a file defines.

    Raises:
        UsageError: There is no such file, or it does not define that.
    """
    path, _, name = spec.rpartition(":")
    file = Path(path)
    module_spec = importlib.util.spec_from_file_location(file.stem, file)
    if not path or not file.is_file() or module_spec is None or module_spec.loader is None:
        raise UsageError(f"{spec!r} names no file.", remedy="Write FILE.py:NAME.")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[file.stem] = module  # dataclasses look for their module
    sys.path.insert(0, str(file.resolve().parent))
    module_spec.loader.exec_module(module)
    if not hasattr(module, name):
        raise UsageError(f"{file} defines no {name!r}.")
    return getattr(module, name)


def load_served(spec: str) -> Any:
    """Give what a file defines, to be registered.

    Raises:
        UsageError: It is a class whose objects cannot be made without arguments.
    """
    served = load(spec)
    if inspect.isclass(served):
        try:
            inspect.signature(served).bind()
        except ValueError:  # written in C: it says nothing of what it takes
            pass
        except TypeError as error:
            remedy = "Make an object in that file, and name it instead of its class."
            raise UsageError(f"{spec} is not made without arguments: {error}.", remedy=remedy) from error
    return served


def run_registry(options: argparse.Namespace) -> None:
    """Serve a registry until SIGTERM or Ctrl-C."""
    import asyncio

    from dslab.rpc.codecs import codec_named
    from dslab.rpc.registry import Registry
    from dslab.rpc.server import serve
    from dslab.rpc.service import Service

    service = Service(codec_named("msgpack"), random.getrandbits(62))
    service.objects.register(Registry(time.monotonic))
    asyncio.run(serve(Address.parse(options.bind), service))


def run_demo(_: argparse.Namespace) -> None:
    """Show one call step by step, and three that fail."""
    from dslab.rpc.demo import main as show

    show()


def run_stubs(options: argparse.Namespace) -> None:
    """Print the stubs of an interface."""
    from dslab.rpc.stubs import generate

    print(generate(load(options.interface)), end="")


def tell(line: str) -> None:
    """Tell a step of a call."""
    print(line, file=sys.stderr, flush=True)


def count(text: str) -> int:
    """Read a number that is not below zero; argparse says so of any other."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below zero")
    return number


def seconds(text: str) -> float:
    """Read a time that can be waited; argparse says so of any other."""
    number = float(text)
    if not 0 < number < inf:
        raise argparse.ArgumentTypeError(f"{text} seconds cannot be waited")
    return number


def value_of(text: str) -> Any:
    """Read an argument written as in Python; what is none is text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    sys.exit(main())
