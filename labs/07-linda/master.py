"""Step 7.5. The master: it puts jobs into a bag, and gets results out of a space of its own.

Usage: python master.py JOB,JOB,...

Prints `JOB RESULT`, a line as soon as it is known. LINDA_ADDR says where the space is.
"""

import sys
from collections.abc import Iterator

import linda


def deal(bag: linda.TupleSpace, jobs: list[int]) -> Iterator[tuple[int, int]]:
    """Have all the jobs done. Give each job and its result, in the order in which they get done.

    The bag holds tuples ("task", results, job), where `results` is the tuple space in which the master wants
    the tuple ("result", job, result). Other masters use the same bag.
    """
    # TODO step 7.5: make a space for results; put all the tasks; take as many results, any of them
    raise NotImplementedError("lab 7, step 7.5")


def main() -> None:
    """Deal the jobs on the command line."""
    linda.connect()
    for job, result in deal(linda.universe, [int(job) for job in sys.argv[1].split(",")]):
        print(job, result, flush=True)


if __name__ == "__main__":
    main()
