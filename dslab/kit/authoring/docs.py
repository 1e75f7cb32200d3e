"""Keep what a Markdown page shows equal to what it shows it of.

A page names its source in a comment, and what follows up to the closing comment is generated::

    <!-- include: solutions/01-sockets/framing.py#Framer.feed -->      a function or class, as a code block
    <!-- include: labs/01-sockets/compose.yaml -->                     a whole file
    <!-- include: dslab/echo/messages.py:10-24 -->                     lines 10 to 24
    <!-- labs -->                                                      the table of the labs
    <!-- output: dslab test 1 --submission solutions/01-sockets -->    what that command prints
    <!-- screen: docs/pictures/first-run.svg: make lab-1 -->           the same as a picture of a terminal
    ...
    <!-- end -->

Paths are relative to the course's root. What commands print holds times and ports, so it is made anew only on
request (``make docs``); ``make check`` compares the rest.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from dslab.kit.authoring.markers import source_lines
from dslab.kit.errors import ConfigError
from dslab.kit.grader.course import Course

BLOCK = re.compile(
    r"^<!-- (?P<what>include: |output: |screen: |labs)(?P<argument>.*?) ?-->\n(?P<body>.*?)^<!-- end -->$",
    re.MULTILINE | re.DOTALL,
)
OPENING = re.compile(r"^<!-- (include: |output: |screen: |labs -->)", re.MULTILINE)
LANGUAGES = {
    ".py": "python",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".toml": "toml",
    ".json": "json",
    ".md": "markdown",
}

Runner = Callable[[str], str]
"""Runs a command in the course's root and gives what it printed, colours (ANSI escape codes) included."""

SCREEN_COLUMNS = 100


@dataclass(frozen=True, slots=True)
class Reference:
    """What an ``include:`` names: a file, and a definition or a range of lines in it."""

    path: str
    name: str | None = None
    lines: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read ``path``, ``path#name`` or ``path:first-last``."""
        if match := re.fullmatch(r"(?P<path>.+?):(?P<first>\d+)-(?P<last>\d+)", text):
            return cls(match["path"], lines=(int(match["first"]), int(match["last"])))
        path, _, name = text.partition("#")
        return cls(path, name=name or None)


def pages(course: Course) -> list[Path]:
    """Every Markdown page of the course that may hold generated blocks."""
    handouts = sorted(course.root.glob("labs/**/*.md"))
    return [*sorted(course.root.glob("*.md")), *sorted(course.root.glob("docs/**/*.md")), *handouts]


def refresh(page: Path, course: Course, run: Runner | None = None) -> str:
    """The page's text with every generated block made anew.

    Args:
        page: The Markdown file.
        course: Where the sources are.
        run: Runs a command and returns what it printed; without it, outputs stay as they are.

    Raises:
        ConfigError: A block has no end, or its source is not there.
    """
    text = page.read_text(encoding="utf-8")
    if len(OPENING.findall(text)) != len(BLOCK.findall(text)):
        raise ConfigError(
            f"{page}: a generated block has no end.", remedy="Close it with a line <!-- end -->."
        )

    def renew(match: re.Match[str]) -> str:
        first, _, _ = match[0].partition("\n")
        body = _body(match["what"].strip(), match["argument"].strip(), page, course, run)
        return match[0] if body is None else f"{first}\n{body}\n<!-- end -->"

    return BLOCK.sub(renew, text)


def _body(what: str, argument: str, page: Path, course: Course, run: Runner | None) -> str | None:
    match what:
        case "include:":
            return include(Reference.parse(argument), page, course.root)
        case "labs":
            return labs_table(course, page)
        case "output:" if run:
            return _fenced("console", f"$ {argument}\n{Text.from_ansi(run(argument)).plain.rstrip()}")
        case "screen:" if run:
            return _screen(argument, page, course.root, run)
        case _:
            return None


def include(reference: Reference, page: Path, root: Path) -> str:
    """The named piece of source as a fenced block."""
    path = root / reference.path
    if not path.is_file():
        raise ConfigError(f"{page}: includes {reference.path}, which is not there.", remedy="Mend the path.")
    source = path.read_text(encoding="utf-8")
    if reference.lines:
        first, last = reference.lines
        lines = source_lines(source)
        if not 1 <= first <= last <= len(lines):
            raise ConfigError(
                f"{page}: {reference.path} has no lines {first} to {last}.", remedy=f"It has {len(lines)}."
            )
        source = "\n".join(lines[first - 1 : last])
    elif reference.name:
        source = _definition(source, reference, page)
    return _fenced(LANGUAGES.get(path.suffix, "text"), source.strip("\n"))


def _definition(source: str, reference: Reference, page: Path) -> str:
    """The source of a function or class, found by its dotted name, with its decorators."""
    try:
        nodes: list[ast.AST] = [ast.parse(source)]
    except SyntaxError as error:
        raise ConfigError(f"{page}: {reference.path} is not Python.", remedy="Name its lines.") from error
    for name in str(reference.name).split("."):
        nodes = [
            node
            for parent in nodes
            for node in ast.iter_child_nodes(parent)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name
        ]
    match nodes:
        case [ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() as node]:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            lines = source_lines(source)[first - 1 : node.end_lineno]
            return "\n".join(line[node.col_offset :] for line in lines)
        case _:
            raise ConfigError(
                f"{page}: {reference.path} defines no {reference.name}.",
                remedy="Name a function or class of it.",
            )


def labs_table(course: Course, page: Path) -> str:
    """The table of the labs, with links from where the page stands."""
    rows = ["| lab | title | chapter | steps | time |", "|---|---|---|---|---|"]
    up = "../" * len(page.parent.relative_to(course.root).parts)
    for lab in course.labs():
        rubric = lab.rubric
        link = f"[{lab.name}]({up}labs/{lab.name}/README.md)"
        rows.append(
            f"| {link} | {rubric.title} | {rubric.chapter} | {len(rubric.steps)} | {rubric.minutes} min |"
        )
    return "\n".join(rows)


def _fenced(language: str, text: str) -> str:
    fence = "````" if "```" in text else "```"
    return f"{fence}{language}\n{text}\n{fence}"


def _screen(argument: str, page: Path, root: Path, run: Runner) -> str:
    """Draw what a command prints as a picture of a terminal; the block is then a link to it."""
    target, _, command = (part.strip() for part in argument.partition(":"))
    if not target.endswith(".svg") or not command:
        raise ConfigError(
            f"{page}: {argument!r} names no picture.", remedy="Write screen: PATH.svg: COMMAND."
        )
    picture = root / target
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(terminal_picture(command, run(command)), encoding="utf-8")
    up = "../" * len(page.parent.relative_to(root).parts)
    return f"![What {command} prints]({up}{target})"


def terminal_picture(command: str, printed: str) -> str:
    """A command and what it printed as an SVG that loads nothing from elsewhere."""
    console = Console(record=True, width=SCREEN_COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
    console.print(Text.from_ansi(printed.rstrip()))
    svg = console.export_svg(title=command)
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
