"""The trace: what crossed the links, who lived and died meanwhile, and the picture of it.

Links, the topology and the grader record events as JSON lines in the run folder. Afterwards they are read
back and drawn as a sequence diagram: time downwards, one column per service.

Read in this order: `event` (what is recorded), `recorder` (how it gets to disk), `describe` (bytes to a
label), `runs` (where it lies afterwards). Then from events to coordinates, all of it pure: `fold`, `story`
(what is shown), `spans` (what lasts), `columns`, `timeline`, `schedule` (where), `layout` (all together) and
`picture` (the outcome). At last `diagram` with `account` (an HTML page) and `text` (a terminal).

Source: L. Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", CACM 21(7), 1978,
figure 1: the space-time diagram.
"""
