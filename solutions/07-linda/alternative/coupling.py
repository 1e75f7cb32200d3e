"""Step 7.7, as the two tables of the textbook."""

IN_TIME = {"direct", "events"}
BY_NAME = {"direct", "mailbox"}
TO_ALL = {"events"}

for way in ("direct", "mailbox", "events", "space"):
    for claim, ways in (("in_time", IN_TIME), ("by_name", BY_NAME), ("to_all", TO_ALL)):
        print(way, claim, way in ways)
