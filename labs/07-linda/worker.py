"""Step 7.5. A worker: it takes a task out of the bag, does it, and puts the result where its master wants it.

Usage: python worker.py NAME

LINDA_ADDR says where the space is.
"""

import sys
from collections.abc import Callable

from toil import toil_of

import linda


def work(bag: linda.TupleSpace, toil: Callable[[int], int]) -> None:
    """Do one task after the other, for ever.

    Args:
        bag: Holds tuples ("task", results, job); `results` is the space that wants ("result", job, result).
        toil: Does a job and gives its result. Takes its time.
    """
    # TODO step 7.5: take a task; toil; put the result; again
    raise NotImplementedError("lab 7, step 7.5")


def main() -> None:
    """Work."""
    linda.connect()
    work(linda.universe, toil_of(sys.argv[1]))


if __name__ == "__main__":
    main()
