"""Step 7.3. The microblog of the textbook.

Usage: python microblog.py open BLOG AUTHOR FILE     open a blog and post what is in the file
       python microblog.py write BLOG AUTHOR FILE    post in a blog that somebody else opens
       python microblog.py read BLOG FILE            print the posts that the file asks for
       python microblog.py digest BLOG AUTHOR        print all the posts of an author

A line of the file is `topic|text` for who posts, `author|topic` for who reads. LINDA_ADDR says where the
space is.
"""

import sys
from pathlib import Path

import linda


def open_blog(name: str) -> linda.TupleSpace:
    """Make a blog, a tuple space of its own, and put (name, blog) into the universe, for others to find."""
    # TODO step 7.3: make a tuple space; put it into a tuple, and that into the universe
    raise NotImplementedError("lab 7, step 7.3")


def find_blog(name: str) -> linda.TupleSpace:
    """Find the blog of that name; wait until somebody has opened it. Leave it there for others to find."""
    # TODO step 7.3: look for a tuple of that name and any tuple space
    raise NotImplementedError("lab 7, step 7.3")


def post(blog: linda.TupleSpace, author: str, topic: str, text: str) -> None:
    """Post a text: put (author, topic, text) into the blog."""
    # TODO step 7.3: one line
    raise NotImplementedError("lab 7, step 7.3")


def read(blog: linda.TupleSpace, author: str, topic: str) -> str:
    """Give the text of a post of that author on that topic; wait until there is one."""
    # TODO step 7.3: read, do not take
    raise NotImplementedError("lab 7, step 7.3")


def digest(blog: linda.TupleSpace, author: str) -> list[tuple[str, str]]:
    """Give the topic and text of every post of that author that is there now, each of them once.

    Other programs read and post in the meantime, and must not miss anything.
    """
    # TODO step 7.3: copy_collect them into a space of your own, where you may take them one by one
    raise NotImplementedError("lab 7, step 7.3")


def main() -> None:
    """Do what the command line says."""
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
