# caught by: test_worker, test_three_at_once
# replaces: worker.py
# To save round trips it fills its arms, and the other workers stand idle.
import sys
from collections.abc import Callable

from toil import toil_of

import linda


def work(bag: linda.TupleSpace, toil: Callable[[int], int]) -> None:
    while True:
        tasks = [bag.in_(("task", linda.TupleSpace, int))]
        while more := bag.inp(("task", linda.TupleSpace, int)):
            tasks.append(more)
        for _, results, job in tasks:
            results.out(("result", job, toil(job)))


def main() -> None:
    linda.connect()
    work(linda.universe, toil_of(sys.argv[1]))


if __name__ == "__main__":
    main()
