"""Step 7.6, with a new connection for each task: whatever ends the connection ends the transaction."""

import sys

from toil import toil_of

from dslab.linda.client import connect
from dslab.linda.values import Handle

TASK = ("task", Handle, int)

toil = toil_of(sys.argv[1])
while True:
    with connect() as client, client.transaction() as whole:
        _, results, job = whole(client.universe)._in(TASK)
        result = toil(job)
        whole(results)._out(("result", job, result))
