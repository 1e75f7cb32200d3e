"""One of several processes that wait for each other by your coordination.py. Nothing to fill in.

Usage: python member.py NAME coordination.py

It does what it is told, in tuples: it takes ("order", NAME, space, what, arguments) out of the universe, does
it with tuples of that space, and puts ("did", NAME, result) into the universe.

=========================== =============================================
what                        arguments
=========================== =============================================
"create semaphore"          name, count
"acquire", "release"        name
"create barrier", "wait"    name, parties
"create queue", "get"       name; the result of "get" is the item
"put"                       name, item
=========================== =============================================

LINDA_ADDR says where the universe is.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import linda

METHODS = {
    "create semaphore": ("Semaphore", "create"),
    "acquire": ("Semaphore", "acquire"),
    "release": ("Semaphore", "release"),
    "create barrier": ("Barrier", "create"),
    "wait": ("Barrier", "wait"),
    "create queue": ("Queue", "create"),
    "put": ("Queue", "put"),
    "get": ("Queue", "get"),
}


class Member:
    """What it has: an object for each kind, space and name that it was told of."""

    def __init__(self, kinds: ModuleType) -> None:
        self.kinds = kinds
        self.objects: dict[tuple[Any, ...], Any] = {}

    def its(self, kind: str, *arguments: Any) -> Any:
        """Its own object, always the same one."""
        if (kind, *arguments) not in self.objects:
            self.objects[kind, *arguments] = getattr(self.kinds, kind)(*arguments)
        return self.objects[kind, *arguments]

    def obey(self, space: linda.TupleSpace, what: str, name: str, *rest: Any) -> Any:
        """Do one order."""
        kind, method = METHODS[what]
        if kind == "Barrier":
            (parties,) = rest
            return getattr(self.its(kind, space, name, parties), method)()
        return getattr(self.its(kind, space, name), method)(*rest)


def main() -> None:
    """Obey for ever."""
    linda.connect()
    me, file = sys.argv[1:]
    member = Member(import_module(Path(file).stem))
    order = ("order", me, linda.TupleSpace, str, tuple)
    while True:
        _, _, space, what, arguments = linda.universe.in_(order)
        linda.universe.out(("did", me, member.obey(space, what, *arguments)))


if __name__ == "__main__":
    main()
