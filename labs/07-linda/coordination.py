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
        # TODO step 7.4: a token for each that may pass
        raise NotImplementedError("lab 7, step 7.4")

    def acquire(self) -> None:
        """Wait until one may pass."""
        # TODO step 7.4: take a token
        raise NotImplementedError("lab 7, step 7.4")

    def release(self) -> None:
        """Let one more pass."""
        # TODO step 7.4: put it back
        raise NotImplementedError("lab 7, step 7.4")


class Barrier:
    """Nobody is past `wait` before all have called it. It can be used again and again."""

    def __init__(self, space: TupleSpace, name: str, parties: int) -> None:
        self.space = space
        self.name = name
        self.parties = parties

    def create(self) -> None:
        """Begin the first round."""
        # TODO step 7.4: nobody has come yet
        raise NotImplementedError("lab 7, step 7.4")

    def wait(self) -> None:
        """Wait until as many have come as there are parties. Then all go on, and the next round begins."""
        # TODO step 7.4: count yourself; wait for this round's sign, or give it if you are the last
        raise NotImplementedError("lab 7, step 7.4")


class Queue:
    """What is put first is given first, whoever puts and whoever gets. An item is any value that travels."""

    def __init__(self, space: TupleSpace, name: str) -> None:
        self.space = space
        self.name = name

    def create(self) -> None:
        """Begin with an empty queue."""
        # TODO step 7.4: where does the next item go, and which is the next to be taken?
        raise NotImplementedError("lab 7, step 7.4")

    def put(self, item: Any) -> None:
        """Put an item at the end."""
        # TODO step 7.4: draw a number; put the item with it
        raise NotImplementedError("lab 7, step 7.4")

    def get(self) -> Any:
        """Take the item at the front; wait until there is one."""
        # TODO step 7.4: draw a number; take the item that has it
        raise NotImplementedError("lab 7, step 7.4")
