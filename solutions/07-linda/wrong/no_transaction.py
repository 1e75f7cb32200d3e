# caught by: test_killed_at_work, test_cut_off_at_work
# replaces: sturdy_worker.py
# The worker of step 7.5. Between in and out the task is only in its memory, and dies with it.
import sys
from collections.abc import Callable

from toil import toil_of

from dslab.kit.errors import PeerError
from dslab.linda.client import Client, connect

from dslab.linda.values import Handle


def work(client: Client, toil: Callable[[int], int]) -> None:
    while True:
        _, results, job = client.universe.in_(("task", Handle, int))
        results.out(("result", job, toil(job)))


def main() -> None:
    try:
        with connect() as client:
            work(client, toil_of(sys.argv[1]))
    except PeerError as error:
        sys.exit(f"the space has gone, or we have: {type(error).__name__}")


if __name__ == "__main__":
    main()
