# caught by: test_master
# replaces: master.py
# All results that are there wait for the one that takes longest.
import sys
from collections.abc import Iterator

import linda


def deal(bag: linda.TupleSpace, jobs: list[int]) -> Iterator[tuple[int, int]]:
    results = linda.TupleSpace()
    for job in jobs:
        bag.out(("task", results, job))
    for job in jobs:
        _, _, result = results.in_(("result", job, int))
        yield job, result


def main() -> None:
    linda.connect()
    for job, result in deal(linda.universe, [int(job) for job in sys.argv[1].split(",")]):
        print(job, result, flush=True)


if __name__ == "__main__":
    main()
