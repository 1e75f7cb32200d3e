# caught by: test_sturdy_worker, test_killed_at_work, test_cut_off_at_work, test_killed_with_the_result_out
# replaces: sturdy_worker.py
# The loop inside the transaction: nothing is ever committed, and no result ever seen.
import sys
from collections.abc import Callable

from toil import toil_of

from dslab.kit.errors import PeerError
from dslab.linda.client import Client, connect

from dslab.linda.values import Handle


def work(client: Client, toil: Callable[[int], int]) -> None:
    with client.transaction() as together:
        while True:
            _, results, job = together(client.universe).in_(("task", Handle, int))
            together(results).out(("result", job, toil(job)))


def main() -> None:
    try:
        with connect() as client:
            work(client, toil_of(sys.argv[1]))
    except PeerError as error:
        sys.exit(f"the space has gone, or we have: {type(error).__name__}")


if __name__ == "__main__":
    main()
