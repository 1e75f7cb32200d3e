"""Step 2.5. One call, and what its caller may conclude when the server crashes: was it executed?

Usage: python printing.py HOST:PORT SEMANTICS TIMEOUT_S TRIES METHOD TEXT

Prints one of the three outcomes.
"""

import sys

import retrying
from client_stub import Client

# BEGIN SOLUTION DELETE
from failures import NoReply, NotExecuted, SessionLost

# END SOLUTION

HAPPENED = "happened"
DID_NOT_HAPPEN = "did not happen"
UNKNOWN = "unknown"


def attempt(client: Client, method: str, text: str) -> str:
    """Call a procedure with a text, and return what is known then: one of the three outcomes.

    An exception that the procedure raised says that it was executed, though not to its end.
    """
    # BEGIN SOLUTION step-2.5 "call it; for each way in which a call can end, its outcome"
    try:
        client.call(method, text)
    except NotExecuted:
        return DID_NOT_HAPPEN
    except (NoReply, SessionLost):
        return UNKNOWN
    except Exception:  # noqa: BLE001
        return HAPPENED
    return HAPPENED
    # END SOLUTION


def main() -> None:
    """Make the call on the command line, and print its outcome."""
    address, semantics, timeout_s, tries, method, text = sys.argv[1:]
    print(attempt(retrying.client_of(address, semantics, float(timeout_s), int(tries)), method, text))


if __name__ == "__main__":
    main()
