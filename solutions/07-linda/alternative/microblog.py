"""Step 7.3, with a class for a blog and one for each thing that the command line asks for."""

import sys
from pathlib import Path

import linda

POST = (str, str, str)


class Blog:
    """A blog: a space of its own."""

    def __init__(self, space: linda.TupleSpace) -> None:
        self.space = space

    @classmethod
    def open(cls, name: str) -> "Blog":
        """Open a new one."""
        blog = cls(linda.TupleSpace())
        linda.universe._out((name, blog.space))
        return blog

    @classmethod
    def find(cls, name: str) -> "Blog":
        """Find one that somebody has opened, or will."""
        return cls(linda.universe._rd((name, linda.TupleSpace))[1])

    def post_all(self, author: str, path: str) -> None:
        """Post what is in a file."""
        self.space.out_all((author, *line.split("|")) for line in Path(path).read_text().splitlines())

    def print_all(self, path: str) -> None:
        """Read what a file asks for."""
        for line in Path(path).read_text().splitlines():
            print(self.space._rd((*line.split("|"), str))[-1], flush=True)

    def print_digest(self, author: str) -> None:
        """Copy everything, and print what is of that author."""
        copy = linda.TupleSpace()
        self.space.copy_collect(copy, POST)
        while post := copy._inp(POST):
            if post[0] == author:
                print("|".join(post[1:]))


def main() -> None:
    """Do what the command line says."""
    linda.connect()
    match sys.argv[1:]:
        case ["open", name, author, path]:
            Blog.open(name).post_all(author, path)
        case ["write", name, author, path]:
            Blog.find(name).post_all(author, path)
        case ["read", name, path]:
            Blog.find(name).print_all(path)
        case ["digest", name, author]:
            Blog.find(name).print_digest(author)


if __name__ == "__main__":
    main()
