"""What the servers of this lab offer, yours and ours alike. Nothing to be filled in.

Each object is called by its name: ``calculator.divide``. None of them knows that its callers are far away.
"""

import os
import signal
from pathlib import Path
from typing import NoReturn


class Calculator:
    """Keeps nothing."""

    def divide(self, dividend: float, divisor: float) -> float:
        """Divide; ZeroDivisionError crosses the network."""
        return dividend / divisor

    def repeat(self, text: str, times: int) -> str:
        """Repeat a text."""
        return text * times


class Overdrawn(Exception):
    """An exception that only the server knows."""


class Bank:
    """Raises exceptions that a client may not know."""

    def __init__(self) -> None:
        self._refusals = 0

    def withdraw(self, amount: int) -> NoReturn:
        """Refuse, and count that: an exception is not always without effect."""
        self._refusals += 1
        raise Overdrawn(f"{amount} is more than there is (refusal {self._refusals})")

    def mislead(self, name: str) -> NoReturn:
        """Raise an exception that is called like something else which every client has."""
        raise type(name, (Exception,), {})("not a type of exception over there")


class Counter:
    """Not idempotent: who adds twice has added twice."""

    def __init__(self) -> None:
        self._value = 0

    def add(self, amount: int) -> int:
        """Add, and return the new value."""
        self._value += amount
        return self._value

    def value(self) -> int:
        """What it has come to."""
        return self._value


class Page:
    """A list that stays where it is: it travels as a reference."""

    def __init__(self) -> None:
        self._entries: list[str] = []

    def append(self, entry: str) -> None:
        """Write at the end."""
        self._entries.append(entry)

    def clear(self) -> None:
        """Wipe it."""
        self._entries.clear()

    def entries(self) -> list[str]:
        """A copy of all."""
        return list(self._entries)


class Notebook:
    """Pages by their titles."""

    def __init__(self) -> None:
        self._pages: dict[str, Page] = {}

    def page(self, title: str) -> Page:
        """The page itself, thus a reference to it."""
        return self._pages.setdefault(title, Page())

    def read(self, title: str) -> list[str]:
        """What stands on it: a list, thus a copy."""
        return self.page(title).entries()

    def write(self, title: str, entries: list[str]) -> None:
        """Put a list in the place of what stands on it: the way back of copy-in/copy-out."""
        page = self.page(title)
        page.clear()
        for entry in entries:
            page.append(entry)

    def same(self, first: Page, second: Page) -> bool:
        """Whether two pages are one: only for pages that arrive as themselves."""
        return first is second

    def move(self, source: Page, target: Page) -> int:
        """Write everything on one page at the end of another; how much that is."""
        for entry in source.entries():
            target.append(entry)
        return len(source.entries())


class Printer:
    """Prints on paper, that is, to a file. It may crash, and its server with it.

    Args:
        paper: The file.
        crash: ``before`` or ``after`` a text is printed; otherwise it does not.
    """

    def __init__(self, paper: Path, crash: str) -> None:
        self._paper = paper
        self._crash = crash

    def print(self, text: str) -> int:
        """Print a line; how many characters it has."""
        self._crash_if("before")
        if not text:
            raise ValueError("there is nothing to print")
        with self._paper.open("a", encoding="utf-8") as paper:
            paper.write(f"{text}\n")
        self._crash_if("after")
        return len(text)

    def _crash_if(self, moment: str) -> None:
        if self._crash == moment:
            os.kill(os.getpid(), signal.SIGKILL)


class Ledger:
    """One of several copies of a number."""

    def __init__(self, balance: int | None) -> None:
        self._balance = balance

    def balance(self) -> int:
        """The number, where this copy has one."""
        if self._balance is None:
            raise LookupError("this copy is empty")
        return self._balance


class Registry:
    """The binder: tells which servers belong to a group."""

    def __init__(self, members: list[str]) -> None:
        self._members = members

    def members(self, group: str) -> list[str]:
        """The names of its servers."""
        if group != "ledger":
            raise LookupError(f"there is no group {group}")
        return self._members


def offered(folder: str) -> dict[str, object]:
    """The objects of a server, by their names.

    Args:
        folder: Where the printer's paper is; and a file ``setting``, if a check wants this server to be
            special: it says ``before`` or ``after`` for the printer's crash, the balance of the ledger, or
            the members of the registry (and `reference.py` has another).
    """
    file = Path(folder) / "setting"
    setting = file.read_text(encoding="utf-8") if file.exists() else ""
    return {
        "calculator": Calculator(),
        "bank": Bank(),
        "counter": Counter(),
        "notebook": Notebook(),
        "printer": Printer(Path(folder) / "paper.txt", setting),
        "ledger": Ledger(int(setting) if setting.isdigit() else None),
        "registry": Registry(setting.split()),
    }
