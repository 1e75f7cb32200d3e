# caught by: test_killed_at_work, test_killed_with_the_result_out
# replaces: sturdy_worker.py
# Nothing gets lost: the task stays until its result is there. But others see it meanwhile, and do it too.
import sys
from collections.abc import Callable

from toil import toil_of

from dslab.kit.errors import PeerError
from dslab.linda.client import Client, connect

from dslab.linda.values import Handle


def work(client: Client, toil: Callable[[int], int]) -> None:
    while True:
        _, results, job = client.universe.rd(("task", Handle, int))
        results.out(("result", job, toil(job)))
        client.universe.in_(("task", results, job))


def main() -> None:
    try:
        with connect() as client:
            work(client, toil_of(sys.argv[1]))
    except PeerError as error:
        sys.exit(f"the space has gone, or we have: {type(error).__name__}")


if __name__ == "__main__":
    main()
