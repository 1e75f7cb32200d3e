"""Step 7.7. Four ways to send a message, and what each of them ties together.

`postman.py` sends and receives in all four; read there what each does. Then fill in the table. The checks
compare it with what really happens.

Usage: python coupling.py
"""

import sys
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Coupling:
    """What a way to communicate ties together.

    Attributes:
        in_time: Must the receiver be there when the sender sends? False: the message also gets to one that
            starts after the sender has ended.
        by_name: Must the sender say who the receiver is? False: the message also gets to one of which the
            sender knows neither name nor address.
        to_all: Two receivers are there, and each wants the message. Do both get it?
    """

    in_time: bool
    by_name: bool
    to_all: bool


def table() -> dict[str, Coupling]:
    """Say for each of "direct", "mailbox", "events" and "space" what it ties together."""
    # BEGIN SOLUTION step-7.7 "a dictionary with four entries"
    return {
        "direct": Coupling(in_time=True, by_name=True, to_all=False),
        "mailbox": Coupling(in_time=False, by_name=True, to_all=False),
        "events": Coupling(in_time=True, by_name=False, to_all=True),
        "space": Coupling(in_time=False, by_name=False, to_all=False),
    }
    # END SOLUTION


def main() -> None:
    """Print the table, a claim a line: `space in_time False`."""
    for way, coupling in table().items():
        for claim, holds in asdict(coupling).items():
            sys.stdout.write(f"{way} {claim} {holds}\n")


if __name__ == "__main__":
    main()
