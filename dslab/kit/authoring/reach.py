"""Which steps a student's file can make a difference to: those whose checks start a program that reads it.

A wrong submission differs from the solution in one file. In a check that starts no program which names or
imports that file, every program is the solution's to the byte, and the solution has passed that check. So
only the other steps need be run to see what a wrong file loses; in most labs that is one step of seven.

Which nodes a check starts is on record in the run of the solution (``nodes.jsonl``); what a node reads is
told by its command in the compose file, and by the imports of the files named there. Where that cannot be
known exactly, more is taken: a command whose program is a variable may run any file that the checks name.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dslab.kit.grader.course import Lab
from dslab.kit.topology.compose import read as read_compose
from dslab.kit.topology.interpolation import Template, Variable
from dslab.kit.topology.journal import FILE as NODES
from dslab.kit.topology.spec import ServiceSpec
from dslab.kit.trace.event import Kind, NodeState
from dslab.kit.trace.recorder import read as read_trace


@dataclass(frozen=True, slots=True)
class Reach:
    """Which of the student's files the programs of each step read.

    Attributes:
        files_of: The files by step.
    """

    files_of: Mapping[str, frozenset[str]]

    def steps(self, file: str) -> list[str]:
        """The steps that this file can make a difference to; all, if no check is known to read it."""
        found = [step for step, files in self.files_of.items() if file in files]
        return found or list(self.files_of)


def reach(lab: Lab, solutions: Path, run: Path, step_of: Mapping[str, str]) -> Reach:
    """Look at a run of the solution.

    Args:
        lab: The lab.
        solutions: The folder with the student's files as the solution has them.
        run: The run's folder.
        step_of: The step of each check, by the check's name.
    """
    sources = _sources(lab, solutions)
    services = read_compose(lab.compose, os.environ).services
    named_by_checks = _named_by_checks(lab, sources)
    reads = {
        node: _closure(_named(service, sources, named_by_checks), sources)
        for service in services.values()
        for node in service.nodes
    }
    files_of: dict[str, set[str]] = {step.id: set() for step in lab.rubric.steps}
    for check, step in step_of.items():
        for node in _started(run / check):
            files_of[step] |= reads[node]
    own = set(lab.rubric.files)
    return Reach({step: frozenset(files & own) for step, files in files_of.items()})


def _sources(lab: Lab, solutions: Path) -> dict[str, Path]:
    """Every Python file that a program of the lab may read: its name in the work folder, and where it is."""
    own = {name: solutions / name for name in lab.rubric.files}
    checks = set(lab.checks)
    given = {
        path.relative_to(lab.folder).as_posix(): path
        for path in lab.folder.rglob("*.py")
        if path not in checks
    }
    return {name: path for name, path in (given | own).items() if name.endswith(".py")}


def _started(check: Path) -> set[str]:
    events = read_trace(check / NODES)
    return {event.link for event in events if event.kind is Kind.NODE and event.label == NodeState.STARTED}


def _named(service: ServiceSpec, sources: Mapping[str, Path], by_checks: frozenset[str]) -> set[str]:
    """The files that a service's command names, as programs, as arguments or as modules."""
    found: set[str] = set()
    for line in (service.command, service.local):
        for word in line.words if line else ():
            for text, is_default in _texts(word):
                files = {name for name in sources if name in text or _module(name) in text.split()}
                found |= files | by_checks if files and is_default else files
    return found


def _texts(template: Template, *, is_default: bool = False) -> Iterator[tuple[str, bool]]:
    for part in template.parts:
        if isinstance(part, Variable):
            yield from _texts(part.argument or Template(()), is_default=True)
        else:
            yield part, is_default


def _named_by_checks(lab: Lab, sources: Mapping[str, Path]) -> frozenset[str]:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in lab.checks]
    constants = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return frozenset(name for name in sources if name in constants)


def _closure(files: Iterable[str], sources: Mapping[str, Path]) -> set[str]:
    """Those files, and all that they import, directly or not."""
    found: set[str] = set()
    waiting = list(files)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _imported(name, sources)
    return found


def _imported(name: str, sources: Mapping[str, Path]) -> list[str]:
    modules = {_module(other): other for other in sources}
    tree = ast.parse(sources[name].read_text(encoding="utf-8"))
    wanted: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                wanted |= {alias.name for alias in names}
            case ast.ImportFrom(module=module, names=names, level=level):
                package = _module(name).rsplit(".", level)[0] if level else ""
                base = ".".join(part for part in (package, module) if part)
                wanted |= {base} | {f"{base}.{alias.name}" for alias in names}
    return [modules[prefix] for module in wanted for prefix in _prefixes(module) if prefix in modules]


def _prefixes(module: str) -> Iterator[str]:
    """A module, and the packages that it is in: to import it runs them too."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


def _module(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
