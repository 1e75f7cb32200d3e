"""Sends and receives in four ways, for step 7.7. Nothing to fill in.

Usage: python postman.py send NAME TEXT HOST:PORT
       python postman.py receive NAME HOST:PORT

=========  ===============================================  ==============================================
way        the sender                                       the receiver
=========  ===============================================  ==============================================
direct     connects to HOST:PORT, sends the text            listens at HOST:PORT, where others reach it
mailbox    puts ("mail", NAME, text)                        takes ("mail", NAME, any text)
events     puts ("event", text) for as long as it takes     has subscribed to ("event", any text)
           to tell the subscribers
space      puts ("news", text)                              takes ("news", any text)
=========  ===============================================  ==============================================

The sender sends the text once in each way, and ends. The receiver prints `WAY TEXT` for all that it gets, and
in each way it receives until the text is "end". LINDA_ADDR says where the tuple space is.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from threading import Thread

from dslab.kit.address import Address
from dslab.linda.client import TupleSpace, connect

END = "end"
TIMEOUT_S = 10.0


def send(space: TupleSpace, name: str, text: str, receiver: Address) -> None:
    """Send a text in all four ways."""
    try:
        with socket.create_connection(receiver.pair, TIMEOUT_S) as connection:
            connection.sendall(text.encode())
    except OSError:
        print("direct: nobody is there", flush=True)
    space.out(("mail", name, text))
    space.out(("event", text), lease_s=0)
    space.out(("news", text))


def direct(listener: socket.socket) -> Iterator[str]:
    """Receive what is sent to this process."""
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile(encoding="utf-8") as stream:
            yield stream.read()


def taken(template: tuple[object, ...]) -> Iterator[str]:
    """Receive what is put into the space, by taking it."""
    with connect() as client:
        while True:
            yield client.universe.in_(template)[-1]


def say(line: str) -> None:
    """Print a line in one piece: print writes its end apart, and another thread may come between."""
    print(f"{line}\n", end="", flush=True)


def receive(way: str, texts: Iterator[str]) -> None:
    """Print what comes."""
    for text in texts:
        say(f"{way} {text}")
        if text == END:
            return


def receiving(name: str, own: Address, space: TupleSpace) -> None:
    """Receive in all four ways at once."""
    listener = socket.create_server(own.pair)
    events = (fields[1] for fields in space.notify(("event", str)))
    ways: dict[str, Iterator[str]] = {
        "direct": direct(listener),
        "mailbox": taken(("mail", name, str)),
        "events": events,
        "space": taken(("news", str)),
    }
    threads = [Thread(target=receive, args=way) for way in ways.items()]
    for thread in threads:
        thread.start()
    say("ready")
    for thread in threads:
        thread.join()


def main() -> None:
    """Do what the command line says."""
    role, name, *rest = sys.argv[1:]
    does: dict[str, Callable[[TupleSpace], None]] = {
        "send": lambda space: send(space, name, rest[0], Address.parse(rest[-1])),
        "receive": lambda space: receiving(name, Address.parse(rest[-1]), space),
    }
    with connect() as client:
        does[role](client.universe)


if __name__ == "__main__":
    main()
