# caught by: test_a_space_of_its_own
# replaces: microblog.py
# There is one blog, so why give its name? Somebody else may have opened another one.
import sys
from pathlib import Path

import linda


def open_blog(name: str) -> linda.TupleSpace:
    blog = linda.TupleSpace()
    linda.universe.out((name, blog))
    return blog


def find_blog(name: str) -> linda.TupleSpace:
    _, blog = linda.universe.rd((str, linda.TupleSpace))
    return blog


def post(blog: linda.TupleSpace, author: str, topic: str, text: str) -> None:
    blog.out((author, topic, text))


def read(blog: linda.TupleSpace, author: str, topic: str) -> str:
    return str(blog.rd((author, topic, str))[2])


def digest(blog: linda.TupleSpace, author: str) -> list[tuple[str, str]]:
    posts = (author, str, str)
    own = linda.TupleSpace()
    count = blog.copy_collect(own, posts)
    return [own.in_(posts)[1:] for _ in range(count)]


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
