# caught by: test_queue_keeps_the_order
# replaces: coordination.py
# First it looks which number is next, then it takes the tuple away. In between another one has put an item.
from typing import Any

from linda import TupleSpace


class Semaphore:
    def __init__(self, space: TupleSpace, name: str) -> None:
        self.space = space
        self.name = name

    def create(self, count: int) -> None:
        for _ in range(count):
            self.space.out(("token", self.name))

    def acquire(self) -> None:
        self.space.in_(("token", self.name))

    def release(self) -> None:
        self.space.out(("token", self.name))


class Barrier:
    def __init__(self, space: TupleSpace, name: str, parties: int) -> None:
        self.space = space
        self.name = name
        self.parties = parties

    def create(self) -> None:
        self.space.out(("arrived", self.name, 0, 0))

    def wait(self) -> None:
        _, _, turn, arrived = self.space.in_(("arrived", self.name, int, int))
        if arrived + 1 < self.parties:
            self.space.out(("arrived", self.name, turn, arrived + 1))
            self.space.rd(("go", self.name, turn))
        else:
            self.space.out(("arrived", self.name, turn + 1, 0))
            self.space.out(("go", self.name, turn))  # stays: who comes late to its rd finds it all the same


class Queue:
    def __init__(self, space: TupleSpace, name: str) -> None:
        self.space = space
        self.name = name

    def create(self) -> None:
        self.space.out(("tail", self.name, 0))
        self.space.out(("head", self.name, 0))

    def put(self, item: Any) -> None:
        _, _, number = self.space.rd(("tail", self.name, int))
        self.space.in_(("tail", self.name, int))
        self.space.out(("item", self.name, number, item))
        self.space.out(("tail", self.name, number + 1))

    def get(self) -> Any:
        _, _, number = self.space.in_(("head", self.name, int))
        self.space.out(("head", self.name, number + 1))
        return self.space.in_(("item", self.name, number, object))[3]
