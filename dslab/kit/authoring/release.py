"""Pack what students get: the course without its solutions and without private checks.

The archive holds what a list names, not everything but what a list forbids: a folder that somebody adds to
the repository stays out until it is listed. Only files that git tracks are packed, as they are in the working
tree. Students' files are made from the solutions anew, whatever stands in labs/, and stand in ``skeletons/``
as well, for ``dslab reset``. The same course gives the same bytes.

Of Markdown pages, what is not for students is left out, comments included::

    <!-- not for students -->
    ...
    <!-- for students again -->

That nothing leaks is not assumed but searched for, in the finished archive (`search`).
"""

from __future__ import annotations

import ast
import hashlib
import io
import re
import subprocess
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dslab.kit.authoring.handout import handouts
from dslab.kit.authoring.leaks import find_leaks, secret_runs
from dslab.kit.authoring.markers import LOOKS_LIKE_ONE, source_lines, span
from dslab.kit.errors import ConfigError, KitError, UsageError
from dslab.kit.grader.course import Course

TOP = "dslab-course"  # everything unpacks into one folder
PACKED = (
    "pyproject.toml", "constraints.txt", "Makefile", "docker-compose.yml", "README.md", "LICENSE",
    "CHANGELOG.md", "docker", "docs", "dslab", "labs", "linda.py", ".gitignore",
)  # fmt: skip
LEFT_OUT = ("PROOF.md",)  # it quotes the solution
SKIPPED_FOLDERS = {"__pycache__", ".git", ".venv", ".dslab", "node_modules"}
NOT_FOR_STUDENTS = re.compile(
    r"^<!-- not for students -->\n.*?^<!-- for students again -->\n\n?", re.MULTILINE | re.DOTALL
)
MARK = re.compile(r"<!-- (not for students|for students again) -->")
NOTHING_MORE = re.compile(r"\s*$|\s+#")  # after a function's last statement: nothing, or a comment in it
EPOCH = (1980, 1, 1, 0, 0, 0)  # zip knows no earlier time


@dataclass(frozen=True, slots=True)
class Release:
    """A packed course.

    Attributes:
        archive: The zip file's bytes.
        files: How many files it holds.
        searched: How many runs of solution lines it was searched for.
    """

    archive: bytes
    files: int
    searched: int

    @property
    def digest(self) -> str:
        """SHA-256 of the archive."""
        return hashlib.sha256(self.archive).hexdigest()


def make_release(course: Course) -> Release:
    """Pack a course and search the archive.

    Raises:
        UsageError: The course has no solutions: it was itself made by a release.
        ConfigError: A solution is wrongly marked, or its text stands in a file that students get.
    """
    if not (course.root / "solutions").is_dir():
        raise UsageError(
            f"{course.root} has no solutions/, so it is what students get already.",
            remedy="Run this where the course is made.",
        )
    members = collect(course)
    archive = pack(members)
    public = {name: data for name, data in members.items() if name.startswith(("dslab/", "skeletons/"))}
    runs = secret_runs(course, public)
    found = search(archive, course, runs)
    if found:
        raise ConfigError(
            "The archive was not written, since it would hand out solutions: " + "; ".join(found) + ".",
            remedy="Take these lines out of the files that students get.",
        )
    return Release(archive, len(members), len(runs))


def collect(course: Course) -> dict[str, bytes]:
    """Every file of the archive by its name in it."""
    members = {}
    for name in _names(course.root):
        data = (course.root / name).read_bytes()
        if name.startswith("labs/") and PurePosixPath(name).name.startswith("test_"):
            data = without_private_checks(data, name)
        elif name.endswith(".md"):
            data = for_students(data, name)
        members[name] = data
    for lab in course.labs():
        for handout in handouts(course, lab):
            members[f"labs/{lab.name}/{handout.name}"] = handout.given
            members[f"skeletons/{lab.name}/{handout.name}"] = handout.given
    return members


def pack(members: Mapping[str, bytes]) -> bytes:
    """Make a zip file of nothing but names and contents: no times, no owners, one order."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(f"{TOP}/{name}", EPOCH)
            info.create_system = 3  # Unix, so that the mode below counts
            info.external_attr = (0o755 if members[name].startswith(b"#!") else 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, members[name])
    return packed.getvalue()


def search(archive: bytes, course: Course, runs: Mapping[tuple[str, ...], str]) -> list[str]:
    """Search a finished archive for what must not be in it; what was found, in words."""
    found = []
    secret_files = _secret_files(course)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for name in opened.namelist():
            inner = name.removeprefix(f"{TOP}/")
            data = opened.read(name)
            if inner.split("/")[0] == "solutions":
                found.append(f"{inner} is a solution")
            elif data in secret_files:
                found.append(f"{inner} is the same as {secret_files[data]}")
            elif not inner.startswith("dslab/"):
                found += [f"{inner}, {leak}" for leak in _leaks_in(inner, data, runs)]
    return found


def _leaks_in(name: str, data: bytes, runs: Mapping[tuple[str, ...], str]) -> Iterator[str]:
    text = data.decode(errors="replace")
    for line, origin in find_leaks(text, runs):
        yield f"line {line}, has lines of {origin}"
    if name.endswith(".py") and name.startswith(("labs/", "skeletons/")):
        if LOOKS_LIKE_ONE.search(text):
            yield "still has a solution's markers"
        if any(_is_private(node) for node in ast.walk(ast.parse(text))):
            yield "still has a private check"


def _secret_files(course: Course) -> dict[bytes, str]:
    """The files under solutions/ by content; one that is given unchanged is no secret."""
    given = {handout.given for lab in course.labs() for handout in handouts(course, lab)}
    files = sorted(path for path in (course.root / "solutions").rglob("*") if path.is_file())
    contents = {path.read_bytes(): path.relative_to(course.root).as_posix() for path in files}
    return {data: name for data, name in contents.items() if data.strip() and data not in given}


def without_private_checks(data: bytes, name: str) -> bytes:
    """Remove every check that is marked ``@step(..., private=True)`` from a check file, with its comments."""
    text = _decoded(data, name)
    try:
        tree = ast.parse(text, name)
    except SyntaxError as error:
        raise ConfigError(f"{name}:{error.lineno}: this is not Python: {error.msg}.") from error
    lines = source_lines(text, keepends=True)
    for node in reversed(tree.body):
        if _is_private(node):
            first, last = span(node)
            while first > 1 and lines[first - 2].startswith("#"):
                first -= 1
            while last < len(lines) and NOTHING_MORE.match(lines[last]):
                last += 1
            del lines[first - 1 : last]
    return "".join(lines).encode()


def for_students(data: bytes, name: str) -> bytes:
    """Remove from a Markdown page what is not for students.

    Raises:
        ConfigError: A mark has no partner, or it is no text.
    """
    text = NOT_FOR_STUDENTS.sub("", _decoded(data, name))
    if mark := MARK.search(text):
        raise ConfigError(f"{name}: the line {mark[0]} has no partner.", remedy="Write both, or neither.")
    return text.encode()


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: is not UTF-8 text.") from error


def _is_private(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
        keyword.arg == "private" and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        for keyword in decorator.keywords
    )


def _names(root: Path) -> Iterator[str]:
    """The files to pack, relative to the course's root."""
    for name in _tracked(root) or _walked(root):
        path = PurePosixPath(name)
        if path.parts[0] in PACKED and path.name not in LEFT_OUT and (root / name).is_file():
            yield name


def _tracked(root: Path) -> list[str]:
    """What git tracks; empty where there is no git."""
    try:
        command = ["git", "-C", str(root), "ls-files", "-z", "--", *PACKED]
        listed = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [name for name in listed.decode().split("\0") if name]


def _walked(root: Path) -> Iterable[str]:
    for top in PACKED:
        found = sorted((root / top).rglob("*")) if (root / top).is_dir() else [root / top]
        for path in found:
            inner = path.relative_to(root)
            if path.is_file() and not SKIPPED_FOLDERS.intersection(inner.parts):
                yield inner.as_posix()


def write_release(release: Release, out: Path) -> None:
    """Write the archive in one go: no half of it is ever seen."""
    aside = out.with_name(out.name + ".part")
    try:
        aside.write_bytes(release.archive)
        aside.replace(out)
    except FileNotFoundError as error:
        raise UsageError(f"There is no folder {out.parent}.", remedy="Make it first.") from error
    finally:
        aside.unlink(missing_ok=True)
    if out.read_bytes() != release.archive:
        raise KitError(f"{out} is not what was written.")
