"""Step 7.6. A worker that may die at any moment, and nothing is lost and nothing comes twice.

Usage: python sturdy_worker.py NAME

LINDA_ADDR says where the space is.
"""

import sys
from collections.abc import Callable

from toil import toil_of

from dslab.kit.errors import PeerError
from dslab.linda.client import Client, connect

# BEGIN SOLUTION DELETE
from dslab.linda.values import Handle

# END SOLUTION


def work(client: Client, toil: Callable[[int], int]) -> None:
    """Do one task after the other, for ever: each of them whole or not at all.

    Args:
        client: The bag is its universe. Task and result are the same tuples as in step 7.5.
        toil: Does a job and gives its result. Takes its time.
    """
    # BEGIN SOLUTION step-7.6 "as in step 7.5, but within a transaction: see client.transaction()"
    while True:
        with client.transaction() as together:
            _, results, job = together(client.universe).in_(("task", Handle, int))
            together(results).out(("result", job, toil(job)))
    # END SOLUTION


def main() -> None:
    """Work, for as long as there is a space to work for."""
    try:
        with connect() as client:
            work(client, toil_of(sys.argv[1]))
    except PeerError as error:
        sys.exit(f"the space has gone, or we have: {type(error).__name__}")


if __name__ == "__main__":
    main()
