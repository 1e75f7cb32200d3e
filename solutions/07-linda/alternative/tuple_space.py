"""Step 7.2, with numbers for tuples, and two lines: the readers are all served before the first taker."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from matching import matches

Fields = tuple[Any, ...]


@dataclass(eq=False)
class Request:
    """Somebody looks for a tuple."""

    template: Fields
    takes: bool
    answer: Callable[[Fields], None]


class Space:
    """Tuples by number, and who waits."""

    def __init__(self) -> None:
        self.numbers = count()
        self.tuples: dict[int, Fields] = {}
        self.readers: dict[Request, None] = {}
        self.takers: dict[Request, None] = {}

    def out(self, fields: Fields) -> None:
        """Put a tuple, then let everybody look again."""
        self.tuples[next(self.numbers)] = fields
        for line in (self.readers, self.takers):
            for request in list(line):
                if self._serve(request):
                    del line[request]

    def look(self, request: Request) -> None:
        """Serve a request, or let it wait."""
        if not self._serve(request):
            (self.takers if request.takes else self.readers)[request] = None

    def forget(self, request: Request) -> None:
        """Let it wait no longer."""
        self.readers.pop(request, None)
        self.takers.pop(request, None)

    def _serve(self, request: Request) -> bool:
        number = next((key for key, fields in self.tuples.items() if matches(request.template, fields)), None)
        if number is None:
            return False
        fields = self.tuples.pop(number) if request.takes else self.tuples[number]
        request.answer(fields)
        return True
