"""Make a student's file from a solution. Pure: text in, text out.

Each region with a step becomes two lines::

    # TODO step 1.3: what to do
    raise NotImplementedError("lab 1, step 1.3")

and each ``DELETE`` region nothing. Everything else is kept byte for byte, except that of the blank lines
above and below a deleted region only the longer run stays, so that the file remains formatted.

The student's file must compile, and import nothing that only the solution needs.
"""

from __future__ import annotations

import ast
import re

from dslab.kit.authoring.markers import LOOKS_LIKE_ONE, Region, find_regions, source_lines
from dslab.kit.errors import ConfigError


def make_skeleton(solution: bytes, name: str) -> bytes:
    """Make the student's file.

    Args:
        solution: The solution file. One that is not Python is handed out as it is.
        name: Its path, for messages.

    Raises:
        ConfigError: The markers are wrong, or the result would not be a file to hand out.
    """
    try:
        text = solution.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: is not UTF-8 text.") from error
    if not name.endswith(".py"):
        return _without_markers(solution, text, name)
    lines = source_lines(text, keepends=True)
    for region in reversed(find_regions(text, name)):
        _replace(lines, region)
    skeleton = "".join(lines)
    _check(skeleton, text, name)
    return skeleton.encode()


def solution_lines(solution: str, name: str) -> list[str]:
    """The lines that a student must not get: what stands in regions, without indentation and blank lines."""
    if not name.endswith(".py"):
        return []
    lines = source_lines(solution)
    inside = [line for r in find_regions(solution, name) for line in lines[r.begin : r.end - 1]]
    return [line.strip() for line in inside if line.strip()]


def _without_markers(solution: bytes, text: str, name: str) -> bytes:
    for number, line in enumerate(text.splitlines(), 1):
        if LOOKS_LIKE_ONE.search(line):
            raise ConfigError(f"{name}:{number}: markers work in Python files only.")
    return solution


def _replace(lines: list[str], region: Region) -> None:
    """Put what the student gets in the place of one region."""
    first, after = region.begin - 1, region.end
    newline = re.sub(r"[^\r\n]", "", lines[first])
    if region.step is None:
        _delete(lines, first, after)
        return
    lab = region.step.partition(".")[0]
    lines[first:after] = [
        f"{region.indent}# TODO step {region.step}: {region.task}{newline}",
        f'{region.indent}raise NotImplementedError("lab {lab}, step {region.step}"){newline}',
    ]


def _delete(lines: list[str], first: int, after: int) -> None:
    """Remove a region, and the shorter of the runs of blank lines around it; both at the end of the file."""
    above, below = first, after
    while above > 0 and not lines[above - 1].strip():
        above -= 1
    while below < len(lines) and not lines[below].strip():
        below += 1
    if below == len(lines):
        del lines[above:]
    elif first - above >= below - after:
        del lines[first:below]
    else:
        del lines[above:after]


def _check(skeleton: str, solution: str, name: str) -> None:
    try:
        tree = ast.parse(skeleton, name)
    except SyntaxError as error:
        raise ConfigError(
            f"{name}: what is left for the student is not Python: {error.msg}.",
            remedy="A DELETE region takes whole statements and leaves no block empty.",
        ) from error
    before = _Imports(ast.parse(solution))
    for imported in sorted(_Imports(tree).unused - before.unused):
        line = before.lines[imported]
        raise ConfigError(
            f"{name}:{line}: {imported} is imported here and used only in the solution.",
            remedy="Put the import between  # BEGIN SOLUTION DELETE  and  # END SOLUTION.",
        )


class _Imports:
    """The names that a module imports, with their lines, and those of them that it does not use."""

    def __init__(self, tree: ast.Module) -> None:
        self.lines: dict[str, int] = {}
        used: set[str] = set()
        for node in ast.walk(tree):
            match node:
                case ast.ImportFrom(module="__future__"):
                    pass
                case ast.Import(names=names) | ast.ImportFrom(names=names):
                    self.lines |= {(n.asname or n.name).partition(".")[0]: node.lineno for n in names}
                case ast.Name(id=name):
                    used.add(name)
                case ast.Constant(value=str(text)) if text.isidentifier():  # __all__, a quoted annotation
                    used.add(text)
                case _:
                    pass
        self.unused = self.lines.keys() - used
