"""Find the solution regions that an author marked in a Python file. Pure: text in, regions out.

::

    def serve(listener):
        \"\"\"Answer every client until the process is stopped.\"\"\"
        # BEGIN SOLUTION step-1.1 "accept clients one after the other"
        while True:
            ...
        # END SOLUTION

A region with a step is a function's whole body after its docstring, or the tail of its body: what stands in
its place ends in a ``raise``, so nothing may follow it. ``# BEGIN SOLUTION DELETE`` leaves nothing behind; it
is for what only the solution needs, such as an import or a function of its own.

Markers are whole-line comments, found by Python's own tokenizer: text in a string is no marker. What looks
like a marker and is not one is an error with its line: an unnoticed one would hand out the solution.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from dslab.kit.errors import ConfigError

BEGIN = re.compile(
    r'# BEGIN SOLUTION (?:(?P<delete>DELETE)|step-(?P<step>\d+\.\d+) "(?P<task>[^"]*[^"\s][^"]*)")'
)
END = "# END SOLUTION"
LOOKS_LIKE_ONE = re.compile(r"\b(BEGIN|END)[\s_-]*SOLUTION", re.IGNORECASE)
FORMS = f'# BEGIN SOLUTION step-1.3 "what to do"  or  # BEGIN SOLUTION DELETE,  closed by  {END}'

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Region:
    """What lies between two markers.

    Attributes:
        begin: The line of the opening marker, from 1.
        end: The line of the closing marker.
        indent: The white space in front of the markers.
        step: The step's id, ``1.3``; None for a region that leaves nothing.
        task: What the student reads: what to do.
    """

    begin: int
    end: int
    indent: str
    step: str | None
    task: str = ""


def find_regions(text: str, name: str) -> list[Region]:
    """Find and validate the regions of a file.

    Args:
        text: The solution file's text.
        name: What to call the file in messages.

    Raises:
        ConfigError: A marker is malformed, unclosed or nested, or a region is not what it must be.
    """
    tree = _parse(text, name)
    regions = _pair(text, name)
    for region in regions:
        _check_whole_statements(region, tree, name)
        if region.step is not None:
            _check_tail(region, tree, name)
    return regions


def _parse(text: str, name: str) -> ast.Module:
    try:
        return ast.parse(text, name)
    except SyntaxError as error:
        _fail(name, error.lineno or 1, f"this is not Python: {error.msg}")


def _pair(text: str, name: str) -> list[Region]:
    """Match each opening marker with its closing one."""
    regions: list[Region] = []
    opened: tuple[int, str, re.Match[str]] | None = None
    for line, indent, comment in _markers(text, name):
        if begin := BEGIN.fullmatch(comment):
            if opened:
                _fail(name, line, f"a region begins inside the one of line {opened[0]}")
            opened = (line, indent, begin)
        elif comment != END:
            _fail(name, line, f"malformed marker {comment!r}", f"Write {FORMS}.")
        elif opened is None:
            _fail(name, line, f"{END!r} without a beginning above it")
        elif indent != opened[1]:
            _fail(name, line, f"{END!r} is not indented like its beginning in line {opened[0]}")
        else:
            regions.append(Region(opened[0], line, indent, opened[2]["step"], opened[2]["task"] or ""))
            opened = None
    if opened:
        _fail(name, opened[0], "this region is never closed", f"Write {END!r} after it.")
    return regions


def _markers(text: str, name: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, indentation and text of each comment that is a marker or looks like one."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and LOOKS_LIKE_ONE.search(token.string):
            indent = token.line[: token.start[1]]
            if indent.strip():
                _fail(name, token.start[0], "a marker stands on a line of its own")
            yield token.start[0], indent, token.string.rstrip()


def _check_whole_statements(region: Region, tree: ast.Module, name: str) -> None:
    """A region cuts no statement in two, and is not empty."""
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    for node in statements:
        if _cuts(region, node):
            _fail(name, region.begin, f"this region cuts the statement of line {span(node)[0]} in two")
    if not any(_covers(region, node) for node in statements):
        _fail(name, region.begin, "this region is empty")


def _covers(region: Region, node: ast.stmt) -> bool:
    first, last = span(node)
    return region.begin < first and last < region.end


def _cuts(region: Region, node: ast.stmt) -> bool:
    """Part of the statement is in the region and part of it is not.

    A region may begin inside a compound statement and end after its last line: the closing marker of a
    function's tail is no statement, so the function ends above it. What such a region must not do is go on.
    """
    first, last = span(node)
    if _covers(region, node):
        return node.col_offset < len(region.indent)
    begins_inside, ends_inside = first <= region.begin <= last, first <= region.end <= last
    compound = hasattr(node, "body") or hasattr(node, "cases")
    return (ends_inside and not begins_inside) or (begins_inside and not compound)


def _check_tail(region: Region, tree: ast.Module, name: str) -> None:
    """A region with a step is a function's whole body after its docstring, or the tail of its body."""
    function = _innermost(region, tree)
    if function is None:
        _fail(
            name,
            region.begin,
            "a region with a step stands inside a function",
            "For what only the solution needs outside of functions there is  # BEGIN SOLUTION DELETE.",
        )
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
        if region.begin < function.body[0].lineno:
            _fail(name, region.begin, f"the docstring of {function.name}() is not part of the solution")
    covered = [node for node in body if _covers(region, node)]
    where = f"the region is not the whole body of {function.name}(), nor its tail"
    if not covered:
        _fail(name, region.begin, f"{where}: it lies within the statement of line {_around(region, body)}")
    if covered[-1] is not body[-1]:
        _fail(name, region.begin, f"{where}: line {body[body.index(covered[-1]) + 1].lineno} follows it")


def _innermost(region: Region, tree: ast.Module) -> Function | None:
    """The function whose body the region stands in."""
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, Function) and node.lineno < region.begin and _reaches(node, region)
    ]
    return max(around, key=lambda node: node.lineno, default=None)


def _reaches(function: Function, region: Region) -> bool:
    """The last line of the function's body lies in the region or after it.

    A closing marker may be the function's last line, which the syntax tree does not know about.
    """
    return (function.end_lineno or function.lineno) > region.begin


def _around(region: Region, body: list[ast.stmt]) -> int:
    return next((node.lineno for node in body if span(node)[1] > region.begin), region.begin)


def source_lines(text: str, *, keepends: bool = False) -> list[str]:
    """The lines of a source as Python counts them.

    `str.splitlines` ends a line at a form feed as well, and at some characters that may stand in a text.
    """
    return [line.decode() for line in text.encode().splitlines(keepends)]


def span(node: ast.stmt) -> tuple[int, int]:
    """First and last line of a statement, its decorators included."""
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)]), node.end_lineno or node.lineno


def _fail(name: str, line: int, what: str, remedy: str | None = None) -> NoReturn:
    raise ConfigError(f"{name}:{line}: {what}.", remedy=remedy)
