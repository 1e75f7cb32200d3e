"""Step 7.4, with one tuple for each waiting process, and nothing left over."""

from typing import Any

from linda import TupleSpace


class Semaphore:
    """A counter that is there only while it is more than 0."""

    def __init__(self, space: TupleSpace, name: str) -> None:
        self.space, self.name = space, ("semaphore", name)

    def create(self, count: int) -> None:
        """Begin with that count."""
        self.space.out((*self.name, "lock"))
        for _ in range(count):
            self.release()

    def acquire(self) -> None:
        """Take one; put back what is left."""
        count = self.space.in_((*self.name, "free", int))[-1]
        if count > 1:
            self.space.out((*self.name, "free", count - 1))

    def release(self) -> None:
        """Put one more."""
        lock = self.space.in_((*self.name, "lock"))
        free = self.space.inp((*self.name, "free", int))
        self.space.out((*self.name, "free", free[-1] + 1 if free else 1))
        self.space.out(lock)


class Barrier:
    """Each counts the rounds for itself; the last one puts a tuple of this round for every other one."""

    def __init__(self, space: TupleSpace, name: str, parties: int) -> None:
        self.space, self.name, self.parties = space, name, parties
        self.round = 0

    def create(self) -> None:
        """Begin the first round."""
        self.space.out((self.name, "missing", self.parties))

    def wait(self) -> None:
        """Wait for the others of this round."""
        self.round += 1
        missing = self.space.in_((self.name, "missing", int))[-1] - 1
        if missing:
            self.space.out((self.name, "missing", missing))
            self.space.in_((self.name, "go", self.round))
        else:
            self.space.out_all([(self.name, "go", self.round)] * (self.parties - 1))
            self.space.out((self.name, "missing", self.parties))


class Queue:
    """Who gets keeps the counter until there is an item: the others wait for the counter, not for items."""

    def __init__(self, space: TupleSpace, name: str) -> None:
        self.space, self.name = space, name

    def create(self) -> None:
        """Begin with nothing."""
        self.space.out((self.name, "first", 0))
        self.space.out((self.name, "next", 0))

    def put(self, item: Any) -> None:
        """Put an item at the end."""
        *_, number = self.space.in_((self.name, "next", int))
        self.space.out((self.name, "item", number, item))
        self.space.out((self.name, "next", number + 1))

    def get(self) -> Any:
        """Take the first; wait for it with the counter in the hand."""
        *_, number = self.space.in_((self.name, "first", int))
        *_, item = self.space.in_((self.name, "item", number, object))
        self.space.out((self.name, "first", number + 1))
        return item
