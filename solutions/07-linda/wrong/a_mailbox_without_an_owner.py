# caught by: test_names
# replaces: coupling.py
# It is not the receiver that has to be there, but its name has to be on the letter.
import sys
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Coupling:
    in_time: bool
    by_name: bool
    to_all: bool


def table() -> dict[str, Coupling]:
    return {
        "direct": Coupling(in_time=True, by_name=True, to_all=False),
        "mailbox": Coupling(in_time=False, by_name=False, to_all=False),
        "events": Coupling(in_time=True, by_name=False, to_all=True),
        "space": Coupling(in_time=False, by_name=False, to_all=False),
    }


def main() -> None:
    for way, coupling in table().items():
        for claim, holds in asdict(coupling).items():
            sys.stdout.write(f"{way} {claim} {holds}\n")


if __name__ == "__main__":
    main()
