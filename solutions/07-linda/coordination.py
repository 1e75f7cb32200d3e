"""Step 7.4. Three ways to wait for each other, out of nothing but tuples.

Every process makes an object of its own, with the same space and the same name. Exactly one process calls
`create`, which puts the first tuples. What the tuples look like is up to you.
"""

from typing import Any

from linda import TupleSpace


class Semaphore:
    """At most so many processes are past `acquire` and not yet at `release`."""

    def __init__(self, space: TupleSpace, name: str) -> None:
        self.space = space
        self.name = name

    def create(self, count: int) -> None:
        """Begin with that count."""
        # BEGIN SOLUTION step-7.4 "a token for each that may pass"
        for _ in range(count):
            self.space.out(("token", self.name))
        # END SOLUTION

    def acquire(self) -> None:
        """Wait until one may pass."""
        # BEGIN SOLUTION step-7.4 "take a token"
        self.space.in_(("token", self.name))
        # END SOLUTION

    def release(self) -> None:
        """Let one more pass."""
        # BEGIN SOLUTION step-7.4 "put it back"
        self.space.out(("token", self.name))
        # END SOLUTION


class Barrier:
    """Nobody is past `wait` before all have called it. It can be used again and again."""

    def __init__(self, space: TupleSpace, name: str, parties: int) -> None:
        self.space = space
        self.name = name
        self.parties = parties

    def create(self) -> None:
        """Begin the first round."""
        # BEGIN SOLUTION step-7.4 "nobody has come yet"
        self.space.out(("arrived", self.name, 0, 0))
        # END SOLUTION

    def wait(self) -> None:
        """Wait until as many have come as there are parties. Then all go on, and the next round begins."""
        # BEGIN SOLUTION step-7.4 "count yourself; wait for this round's sign, or give it if you are the last"
        _, _, turn, arrived = self.space.in_(("arrived", self.name, int, int))
        if arrived + 1 < self.parties:
            self.space.out(("arrived", self.name, turn, arrived + 1))
            self.space.rd(("go", self.name, turn))
        else:
            self.space.out(("arrived", self.name, turn + 1, 0))
            self.space.out(("go", self.name, turn))  # stays: who comes late to its rd finds it all the same
        # END SOLUTION


class Queue:
    """What is put first is given first, whoever puts and whoever gets. An item is any value that travels."""

    def __init__(self, space: TupleSpace, name: str) -> None:
        self.space = space
        self.name = name

    def create(self) -> None:
        """Begin with an empty queue."""
        # BEGIN SOLUTION step-7.4 "where does the next item go, and which is the next to be taken?"
        self.space.out(("tail", self.name, 0))
        self.space.out(("head", self.name, 0))
        # END SOLUTION

    def put(self, item: Any) -> None:
        """Put an item at the end."""
        # BEGIN SOLUTION step-7.4 "draw a number; put the item with it"
        _, _, number = self.space.in_(("tail", self.name, int))
        self.space.out(("item", self.name, number, item))
        self.space.out(("tail", self.name, number + 1))
        # END SOLUTION

    def get(self) -> Any:
        """Take the item at the front; wait until there is one."""
        # BEGIN SOLUTION step-7.4 "draw a number; take the item that has it"
        _, _, number = self.space.in_(("head", self.name, int))
        self.space.out(("head", self.name, number + 1))
        return self.space.in_(("item", self.name, number, object))[3]
        # END SOLUTION
