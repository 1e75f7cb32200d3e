"""Small mistakes, made by machine: mutants of a solution. Pure: text in, texts out.

Each mutant changes one place of a solution region as a tired student might: a comparison off by one, a
constant moved, a statement forgotten, a loop that runs once, a lock or a timeout left out, an exception
swallowed. A grader that passes a mutant either misses a mistake or met a change that makes no difference (an
equivalent mutant).

What cannot make a difference is left alone: docstrings, annotations, the texts of exceptions and of messages
on stderr, and the sizes of buffers.

Source: R. A. DeMillo, R. J. Lipton and F. G. Sayward, "Hints on Test Data Selection", Computer 11(4), 1978.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dslab.kit.authoring.markers import Region, find_regions
from dslab.kit.authoring.mistakes import Change, mistakes, says_nothing


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mutant of one file.

    Attributes:
        file: The file's name.
        function: The function that the change is in, ``Framer.feed``; empty at the top of the file.
        operator: The kind of mistake.
        change: What was there and what is there now: ``size > limit -> size >= limit``.
        number: 1, or more where the same change can be made in several places of the function.
        line: Where.
        step: The step whose region it is in; None in a region that leaves nothing.
        text: The whole changed file.
    """

    file: str
    function: str
    operator: str
    change: str
    number: int
    line: int
    step: str | None
    text: str

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What identifies it, whatever is edited elsewhere in the file."""
        return (self.file, self.function, self.change, self.number)


def make_mutants(text: str, name: str) -> list[Mutant]:
    """Every mutant of a solution file.

    Raises:
        ConfigError: The file is wrongly marked.
    """
    regions = find_regions(text, name)
    tree = ast.parse(text)
    _set_parents(tree)
    seen: Counter[tuple[str, str]] = Counter()
    mutants = []
    for node in _in_source_order(tree):
        region = _region_of(node, regions)
        if region is None or _is_idle(node):
            continue
        function = _function_of(node)
        for change in mistakes(node):
            seen[function, change.said] += 1
            number = seen[function, change.said]
            changed = _replace(text, change)
            if _compiles(changed):
                mutants.append(
                    Mutant(
                        name,
                        function,
                        change.operator,
                        change.said,
                        number,
                        node.lineno,
                        region.step,
                        changed,
                    )
                )
    return mutants


def _replace(text: str, change: Change) -> str:
    """Put the change's text in the place of its node. Columns of the syntax tree count bytes of UTF-8."""
    lines = text.encode().splitlines(keepends=True)
    node = change.node
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    data = text.encode()
    return (data[:start] + change.now.encode() + data[end:]).decode()


def _compiles(text: str) -> bool:
    try:
        compile(text, "mutant", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def _set_parents(tree: ast.AST) -> None:
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]


def _parents(node: ast.AST) -> Iterator[ast.AST]:
    while (parent := getattr(node, "parent", None)) is not None:
        yield parent
        node = parent


def _in_source_order(tree: ast.AST) -> list[ast.expr | ast.stmt | ast.ExceptHandler]:
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.expr | ast.stmt | ast.ExceptHandler)]
    return sorted(nodes, key=lambda node: (node.lineno, node.col_offset))


def _region_of(node: ast.AST, regions: Sequence[Region]) -> Region | None:
    line = getattr(node, "lineno", 0)
    return next((region for region in regions if region.begin < line < region.end), None)


def _function_of(node: ast.AST) -> str:
    named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return ".".join(reversed([parent.name for parent in _parents(node) if isinstance(parent, named)]))


def _is_idle(node: ast.AST) -> bool:
    """Whether a change here could not be seen from outside: docstrings, annotations, texts for people."""
    chain = [node, *_parents(node)]
    return says_nothing(node) or any(_hides(parent, child) for child, parent in pairwise(chain))


def _hides(parent: ast.AST, child: ast.AST) -> bool:
    """Whether changes below this child of this parent could not be seen."""
    match parent:
        case ast.JoinedStr() | ast.Raise() | ast.Import() | ast.ImportFrom():
            return True
        case ast.arg() | ast.AnnAssign():
            return child is parent.annotation
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return child is parent.returns
        case _:
            return says_nothing(parent)
