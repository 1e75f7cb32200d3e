# caught by: test_digest
# replaces: microblog.py
# ls is for people who want to have a look, and shows a hundred tuples if it is not told otherwise.
import sys
from pathlib import Path

import linda


def open_blog(name: str) -> linda.TupleSpace:
    blog = linda.TupleSpace()
    linda.universe.out((name, blog))
    return blog


def find_blog(name: str) -> linda.TupleSpace:
    _, blog = linda.universe.rd((name, linda.TupleSpace))
    return blog


def post(blog: linda.TupleSpace, author: str, topic: str, text: str) -> None:
    blog.out((author, topic, text))


def read(blog: linda.TupleSpace, author: str, topic: str) -> str:
    return str(blog.rd((author, topic, str))[2])


def digest(blog: linda.TupleSpace, author: str) -> list[tuple[str, str]]:
    return [fields[1:] for fields in blog.ls((author, str, str))[0]]


def main() -> None:
    role, name, *rest = sys.argv[1:]
    linda.connect()
    blog = open_blog(name) if role == "open" else find_blog(name)
    if role == "digest":
        for topic, text in digest(blog, rest[0]):
            print(f"{topic}|{text}")
        return
    for line in Path(rest[-1]).read_text().splitlines():
        first, second = line.split("|")
        if role == "read":
            print(read(blog, first, second), flush=True)
        else:
            post(blog, rest[0], first, second)


if __name__ == "__main__":
    main()
