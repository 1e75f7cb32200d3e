"""Step 7.5, all at once: the tasks go out as one batch."""

import sys

import linda

linda.connect()
jobs = sys.argv[1].split(",")
results = linda.TupleSpace()
linda.universe.out_all(("task", results, int(job)) for job in jobs)
while jobs:
    _, job, result = results._in(("result", int, int))
    jobs.remove(str(job))
    print(f"{job} {result}", flush=True)
