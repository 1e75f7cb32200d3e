# caught by: test_killed_at_work, test_cut_off_at_work
# replaces: sturdy_worker.py
# The transaction holds the lock for as short as it can, as one learns with databases. Too short here.
import sys
from collections.abc import Callable

from toil import toil_of

from dslab.linda.client import Client, connect

from dslab.linda.values import Handle


def work(client: Client, toil: Callable[[int], int]) -> None:
    while True:
        with client.transaction() as together:
            _, results, job = together(client.universe).in_(("task", Handle, int))
        results.out(("result", job, toil(job)))


def main() -> None:
    with connect() as client:
        work(client, toil_of(sys.argv[1]))


if __name__ == "__main__":
    main()
