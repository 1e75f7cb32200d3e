# caught by: test_master, test_two_masters, test_three_at_once
# replaces: master.py
# Put a task, wait for its result: a procedure call by other means. However many workers there are, one works.
import sys
from collections.abc import Iterator

import linda


def deal(bag: linda.TupleSpace, jobs: list[int]) -> Iterator[tuple[int, int]]:
    results = linda.TupleSpace()
    for job in jobs:
        bag.out(("task", results, job))
        _, job, result = results.in_(("result", int, int))
        yield job, result


def main() -> None:
    linda.connect()
    for job, result in deal(linda.universe, [int(job) for job in sys.argv[1].split(",")]):
        print(job, result, flush=True)


if __name__ == "__main__":
    main()
