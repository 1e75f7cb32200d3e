"""Step 2.5, as a table."""

import sys

from failures import NoReply, NotExecuted, SessionLost
from retrying import client_of

OUTCOMES = {NotExecuted: "did not happen", NoReply: "unknown", SessionLost: "unknown"}

address, semantics, timeout_s, tries, method, text = sys.argv[1:]
try:
    client_of(address, semantics, float(timeout_s), int(tries)).call(method, text)
except Exception as error:  # noqa: BLE001  its type says it all
    print(OUTCOMES.get(type(error), "happened"))
else:
    print("happened")
