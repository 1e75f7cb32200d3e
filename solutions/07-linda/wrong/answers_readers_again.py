# caught by: test_one_tuple_for_one_taker, test_the_textbooks_programs
# replaces: tuple_space.py
# Only a tuple that is taken goes away, and so only who takes it leaves the line. A reader stays, and is told again.
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
            if request.takes:
                self.waiting.remove(request)
            request.answer(fields)
            taken = taken or request.takes
        if not taken:
            self.tuples.append(fields)

    def look(self, request: Request) -> None:
        for position, fields in enumerate(self.tuples):
            if matches(request.template, fields):
                if request.takes:
                    del self.tuples[position]  # not remove(fields): (1,) == (True,)
                request.answer(fields)
                return
        self.waiting.append(request)

    def forget(self, request: Request) -> None:
        self.waiting.remove(request)
