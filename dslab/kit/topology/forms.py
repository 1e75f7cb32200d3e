"""The forms that Compose allows a value to have, each read into one: lists and maps, durations, ports. Pure.

Every reader takes the value as YAML has it and an `Entry`, which knows where it stands, for the error.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from dslab.kit.errors import ConfigError
from dslab.kit.topology.interpolation import Template
from dslab.kit.topology.lines import Table
from dslab.kit.topology.spec import CommandLine, Condition, Healthcheck, Port, Transport

UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
DURATION = re.compile("".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in UNITS_S))
EXPOSED = re.compile(r"(\d{1,5})(?:/(tcp|udp))?")
FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def nearest(word: str, known: Collection[str]) -> str:
    """What to tell someone who wrote a word that is none of the known ones."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(known))}."


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in the file, for errors: which file, line, service and key."""

    path: Path
    line: int = 1
    service: str = ""
    key: str = ""

    def at(self, table: Mapping[str, Any], key: str) -> Entry:
        """The entry of a key of that table (of the same line, if the table is not from the file)."""
        line = table.lines[key] if isinstance(table, Table) else self.line
        return replace(self, line=line, key=f"{self.key}.{key}" if self.key else key)

    def error(self, problem: str, remedy: str | None = None) -> ConfigError:
        """The error to raise: the place, and what is wrong there."""
        service = f"service {self.service!r}: " if self.service else ""
        key = f"{self.key}: " if self.key else ""
        return ConfigError(f"{self.path}, line {self.line}: {service}{key}{problem}.", remedy=remedy)

    def unknown(self, key: str, known: Collection[str]) -> ConfigError:
        """The error for a key that is none."""
        outer = replace(self, key=self.key.removesuffix(key).removesuffix("."))
        return outer.error(f"unknown key {key!r}", nearest(key, known))


def table(value: Any, entry: Entry, known: Collection[str] | None = None) -> Table:
    """A mapping, with none but the known keys (and ``x-`` keys)."""
    if not isinstance(value, Table):
        raise entry.error(f"is {_kind(value)}, but must be a mapping")
    for key in value:
        if known is not None and key not in known and not key.startswith("x-"):
            raise entry.at(value, key).unknown(key, known)
    return value


def text(value: Any, entry: Entry) -> str:
    """A scalar as a string: numbers and booleans as they are written."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() if "\0" in value:
            raise entry.error("holds a zero byte, which no program can be given")
        case str() | int():
            return str(value)
    raise entry.error(f"is {_kind(value)}, but must be a string")


def whole_number(value: Any, entry: Entry, least: int) -> int:
    """A whole number, also as a string that a variable was filled into."""
    written = text(value, entry)
    if not re.fullmatch(r"\d{1,9}", written) or int(written) < least:
        raise entry.error(f"{written!r} is not a whole number of at least {least}")
    return int(written)


def texts(value: Any, entry: Entry) -> tuple[str, ...]:
    """A list of scalars."""
    if not isinstance(value, list):
        raise entry.error(f"is {_kind(value)}, but must be a list")
    return tuple(text(item, entry) for item in value)


def template(value: Any, entry: Entry) -> Template:
    """A string with variables."""
    written = text(value, entry)
    try:
        return Template.parse(written)
    except ConfigError as error:
        raise entry.error(error.message.rstrip("."), error.remedy) from error


def fill(value: str, entry: Entry, environment: Mapping[str, str]) -> str:
    """A string whose variables are filled in now."""
    try:
        return Template.parse(value).fill(environment)
    except ConfigError as error:
        raise entry.error(error.message.rstrip("."), error.remedy) from error


def command(value: Any, entry: Entry) -> CommandLine:
    """A command: one string, split as a shell would, or a list of words."""
    if not value:
        raise entry.error("is empty")
    if isinstance(value, list):
        return CommandLine(tuple(template(word, entry) for word in texts(value, entry)))
    line = template(value, entry)
    try:
        words = shlex.split(text(value, entry))
    except ValueError as error:
        raise entry.error(f"{error}".lower(), "Write the command as a list of words.") from error
    if not words:
        raise entry.error("is empty")
    return CommandLine((line,), split=True)


def environment(value: Any, entry: Entry) -> dict[str, Template | None]:
    """``KEY: value``, or a list of ``KEY=value``. Without a value: from dslab's own environment."""
    if isinstance(value, list):
        pairs = [item.partition("=") for item in texts(value, entry)]
        _refuse_names([key for key, _, _ in pairs], entry)
        return {key: template(item, entry) if equals else None for key, equals, item in pairs}
    items = table(value, entry)
    _refuse_names(items, entry)
    return {
        key: None if item is None else template(item, entry.at(items, key)) for key, item in items.items()
    }


def _refuse_names(names: Iterable[str], entry: Entry) -> None:
    """Refuse what the system takes for no variable's name."""
    for name in names:
        if not text(name, entry) or "=" in name:
            raise entry.error(f"{name!r} is not the name of a variable")


def boolean(value: Any, entry: Entry) -> bool:
    """``true`` or ``false``, also as a string."""
    if (written := text(value, entry)) not in {"true", "false"}:
        raise entry.error(f"{written!r} is neither true nor false")
    return written == "true"


def duration(value: Any, entry: Entry) -> float:
    """``1m30s``, ``500ms``, ``1h``: seconds."""
    written = text(value, entry)
    match = DURATION.fullmatch(written)
    if not written or not match:
        raise entry.error(f"{written!r} is not a duration", "Write it like 10s, 500ms or 1m30s.")
    parts = zip(match.groups(), UNITS_S.values(), strict=True)
    return sum(float(part or 0) * unit_s for part, unit_s in parts)


def replicas(value: Any, entry: Entry) -> int:
    """How many of a service run."""
    return whole_number(value, entry, least=1)


def depends_on(value: Any, entry: Entry) -> dict[str, Condition]:
    """A list of services, or a map of them to ``{condition: ...}``."""
    if isinstance(value, list):
        return dict.fromkeys(texts(value, entry), Condition.STARTED)
    services = table(value, entry)
    return {name: _condition(services[name], entry.at(services, name)) for name in services}


def _condition(value: Any, entry: Entry) -> Condition:
    written = table(value, entry, {"condition"}).get("condition", Condition.STARTED.value)
    known = [condition.value for condition in Condition]
    if written not in known:
        raise entry.error(f"there is no condition {written!r}", nearest(str(written), known))
    return Condition(written)


def exposed(value: Any, entry: Entry) -> tuple[Port, ...]:
    """A list of ``7000`` or ``7001/udp``."""
    ports = []
    for written in texts(value, entry):
        match = EXPOSED.fullmatch(written)
        if not match or not 0 < int(match[1]) < 65_536:
            raise entry.error(f"{written!r} is not a port", "Write it like 7000 or 7001/udp.")
        ports.append(Port(int(match[1]), cast("Transport", match[2] or "tcp")))
    return tuple(ports)


def healthcheck(value: Any, entry: Entry) -> Healthcheck | None:
    """A healthcheck; None if it is disabled."""
    known = {"test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"}
    check = table(value, entry, known)
    disabled = "disable" in check and boolean(check["disable"], entry.at(check, "disable"))
    if disabled or check.get("test") == ["NONE"]:
        return None
    if "test" not in check:
        raise entry.error("has no test")
    durations = {
        f"{key}_s": duration(check[key], entry.at(check, key))
        for key in ("interval", "timeout", "start_period")
        if key in check
    }
    test = _health_command(check["test"], entry.at(check, "test"))
    return Healthcheck(test, retries=whole_number(check.get("retries", 3), entry, least=1), **durations)


def _health_command(value: Any, entry: Entry) -> CommandLine:
    shell = (Template.parse("/bin/sh"), Template.parse("-c"))
    match value:
        case ["CMD", *words] if words:
            return command(words, entry)
        case ["CMD-SHELL", line]:
            return CommandLine((*shell, template(line, entry)))
        case str():
            return CommandLine((*shell, template(value, entry)))
    raise entry.error("must be a string, or a list that begins with CMD or CMD-SHELL")


def function(value: Any, entry: Entry) -> str:
    """``module:function``."""
    written = text(value, entry)
    if not FUNCTION.fullmatch(written):
        raise entry.error(f"{written!r} is not of the form module:function")
    return written


def _kind(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case dict():
            return "a mapping"
        case list():
            return "a list"
    return "a single value"
