# caught by: test_rd_leaves_in_takes
# replaces: tuple_space.py
# list.remove takes away the first that is equal: (1,) instead of (True,).
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matching import matches


@dataclass(eq=False)
class Request:
    template: tuple[Any, ...]
    takes: bool
    answer: Callable[[tuple[Any, ...]], None]


class Space:
    def __init__(self) -> None:
        self.tuples: list[tuple[Any, ...]] = []
        self.waiting: list[Request] = []

    def out(self, fields: tuple[Any, ...]) -> None:
        taken = False
        for request in [one for one in self.waiting if matches(one.template, fields)]:
            if request.takes and taken:
                continue
            self.waiting.remove(request)
            request.answer(fields)
            taken = taken or request.takes
        if not taken:
            self.tuples.append(fields)

    def look(self, request: Request) -> None:
        for fields in self.tuples:
            if matches(request.template, fields):
                if request.takes:
                    self.tuples.remove(fields)
                request.answer(fields)
                return
        self.waiting.append(request)

    def forget(self, request: Request) -> None:
        self.waiting.remove(request)
