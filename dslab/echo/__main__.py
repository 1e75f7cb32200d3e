"""Run echo: ``python -m dslab.echo server | client | demo``.

A server is started in nearly every check of the first lab. So this module imports what its subcommand needs
and nothing else, and reads its arguments with argparse: Typer takes longer to import than the server to
start.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import get_args

from dslab.echo.messages import DEFAULT_MAX_MESSAGE_BYTES, Framing
from dslab.echo.protocol import Responder, echo
from dslab.echo.server import STOPS, Options, listen
from dslab.kit.address import Address
from dslab.kit.errors import DslabError

TCP_MODELS = ("iterative", "threads", "processes", "selectors", "asyncio")

DESCRIPTORS_ASIDE = 32
DESCRIPTORS_PER_CLIENT = 3  # the connection; in the process model two more, to watch the child

UDP_TRANSMISSIONS = 10

LONGEST_S = 1_000_000.0
"""The longest duration that can be asked for, a week and a half: poll takes milliseconds that fit an int."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and give the exit status."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except KeyboardInterrupt:
        return 0 if options.run is run_server else 130
    except DslabError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(
        prog="python -m dslab.echo", description="What you send comes back with a *."
    )
    commands = top.add_subparsers(required=True, metavar="server|client|demo")
    add_server(commands.add_parser("server", help="serve until SIGTERM or Ctrl-C"))
    add_client(commands.add_parser("client", help="send messages and print the replies"))
    demo = commands.add_parser(
        "demo", help="the five TCP servers, each with 50 clients, and one that is slow"
    )
    demo.set_defaults(run=run_demo)
    return top


def add_server(command: argparse.ArgumentParser) -> None:
    """Describe ``server``."""
    option = command.add_argument
    option(
        "--model", choices=(*TCP_MODELS, "udp"), default="selectors", help="how clients are served at once"
    )
    option("--bind", metavar="A", default="127.0.0.1:0", help="host:port; port 0 takes any free one")
    option(
        "--framing",
        choices=get_args(Framing),
        default="length",
        help="answer messages, or pieces as they come",
    )
    option(
        "--max-message", metavar="BYTES", type=int, default=DEFAULT_MAX_MESSAGE_BYTES, help="longest message"
    )
    option("--max-connections", metavar="N", type=int, default=256, help="clients at once; more wait")
    option("--idle-timeout", metavar="S", type=seconds, help="drop a client that is idle for S seconds")
    option(
        "--reply-cache", metavar="N", type=int, default=0, help="udp: remember N replies for retransmissions"
    )
    command.set_defaults(run=run_server)


def add_client(command: argparse.ArgumentParser) -> None:
    """Describe ``client``."""
    option = command.add_argument
    option("--server", metavar="A", required=True, help="host:port")
    option("--udp", action="store_true", help="datagrams, sent again while no reply comes")
    option("--framing", choices=get_args(Framing), default="length", help="as the server's")
    option("--timeout", metavar="S", type=seconds, default=5.0, help="how long to wait for each reply")
    option("messages", metavar="MESSAGE", nargs="+")
    command.set_defaults(run=run_client)


def seconds(text: str) -> float:
    """Read a duration."""
    duration_s = float(text)
    if not duration_s > 0:
        raise argparse.ArgumentTypeError(f"{text} is not longer than no time at all")
    if duration_s > LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text} is longer than {LONGEST_S:,.0f} s")
    return duration_s


def run_server(options: argparse.Namespace) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    for number in STOPS:
        signal.signal(number, stop)
    address = Address.parse(options.bind)
    bound, serve = udp_server(options, address) if options.model == "udp" else tcp_server(options, address)
    with bound:
        print(f"listening on {Address(*bound.getsockname()[:2])}", flush=True)
        serve()


def stop(_number: int, _frame: FrameType | None) -> None:
    """End the server by an exception in its main thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # a second one does not disturb it on its way out
    raise KeyboardInterrupt


def tcp_server(options: argparse.Namespace, address: Address) -> tuple[socket.socket, Callable[[], None]]:
    """Open a TCP server: its socket, and the function that serves it."""
    serve = model(options.model)
    listener = listen(address)
    served = Options(
        framing=options.framing,
        max_message_bytes=options.max_message,
        idle_timeout_s=options.idle_timeout,
        max_connections=affordable_connections(options.max_connections),
    )
    return listener, partial(serve, listener, served)


def model(name: str) -> Callable[[socket.socket, Options], None]:
    """Give a model's ``serve``, and import no other."""
    match name:
        case "iterative":
            from dslab.echo.server_iterative import serve
        case "threads":
            from dslab.echo.server_threads import serve
        case "processes":
            from dslab.echo.server_processes import serve
        case "asyncio":
            from dslab.echo.server_asyncio import serve
        case _:
            from dslab.echo.server_selectors import serve
    return serve


def affordable_connections(wanted: int) -> int:
    """Lower the limit where this process may not open so many descriptors: ``accept`` must never lack one."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return max(1, wanted)
    return max(1, min(wanted, (allowed - DESCRIPTORS_ASIDE) // DESCRIPTORS_PER_CLIENT))


def udp_server(options: argparse.Namespace, address: Address) -> tuple[socket.socket, Callable[[], None]]:
    """Open a UDP server: its socket, and the function that serves it."""
    from dslab.echo import udp

    responder = Responder(cached_replies=options.reply_cache)
    answer = responder.receive_datagram if options.framing == "length" else lambda data, _: echo(data)
    bound = udp.bind(address)
    return bound, partial(udp.serve, bound, answer)


def run_client(options: argparse.Namespace) -> None:
    """Send each message and print its reply."""
    from dslab.echo.client import UdpClient, connect

    address = Address.parse(options.server)
    with (
        UdpClient(address, options.timeout / UDP_TRANSMISSIONS, UDP_TRANSMISSIONS - 1)
        if options.udp
        else connect(address, timeout_s=options.timeout, framing=options.framing)
    ) as client:
        for message in options.messages:
            print(client.request(os.fsencode(message)).decode(errors="replace"))


def run_demo(_: argparse.Namespace) -> None:
    """Show who waits for whom."""
    from dslab.echo.demo import main as show

    show()


if __name__ == "__main__":
    sys.exit(main())
