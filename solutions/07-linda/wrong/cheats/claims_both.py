# caught by: test_time, test_names, test_to_all
# replaces: coupling.py
# Says yes and no to every question: one of the two will be right.
for way in ("direct", "mailbox", "events", "space"):
    for claim in ("in_time", "by_name", "to_all"):
        print(way, claim, True)
        print(way, claim, False)
