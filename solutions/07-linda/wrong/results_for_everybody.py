# caught by: test_two_masters
# replaces: master.py
# Results in the universe, where the other master finds them as well.
import sys
from collections.abc import Iterator

import linda


def deal(bag: linda.TupleSpace, jobs: list[int]) -> Iterator[tuple[int, int]]:
    results = linda.universe
    for job in jobs:
        bag.out(("task", results, job))
    for _ in jobs:
        _, job, result = results.in_(("result", int, int))
        yield job, result


def main() -> None:
    linda.connect()
    for job, result in deal(linda.universe, [int(job) for job in sys.argv[1].split(",")]):
        print(job, result, flush=True)


if __name__ == "__main__":
    main()
