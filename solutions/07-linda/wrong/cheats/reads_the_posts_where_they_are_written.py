# caught by: test_chuck_comes_first, test_chuck_comes_last, test_a_space_of_its_own
# replaces: microblog.py
# Bob's posts come out of a file. Where the folders of all programs stand side by side, Chuck may look there himself.
import pathlib
import sys

import linda

role, name, *rest = sys.argv[1:]
linda.connect()
if role == "open":
    linda.universe.out((name, linda.TupleSpace()))
elif role == "read":
    linda.universe.rd((name, linda.TupleSpace))
    wanted = pathlib.Path(rest[0])
    for line in wanted.read_text().splitlines():
        author, topic = line.split("|")
        posts = wanted.parent.parent / author / "posts.txt"
        for post in posts.read_text().splitlines() if posts.exists() else []:
            if post.startswith(f"{topic}|"):
                print(post.partition("|")[2])
