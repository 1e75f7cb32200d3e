"""Compose's variables in strings: parsed once, filled in as often as needed. Pure.

==================  ==========================================================
form                meaning
==================  ==========================================================
``$A`` ``${A}``     the value of A; an error if A is not set
``${A:-default}``   the default if A is not set, or empty
``${A-default}``    the default if A is not set
``${A:?message}``   an error with that message if A is not set, or empty
``${A?message}``    an error with that message if A is not set
``${A:+other}``     the other if A is set and not empty, else nothing
``${A+other}``      the other if A is set, else nothing
``$$``              a dollar sign
==================  ==========================================================

Defaults, messages and others may hold variables themselves: ``${A:-${B:-b}}``. Unlike Compose, which puts an
empty string and a warning in the place of a variable that is not set, dslab takes it for the mistake it is.

Source: the Compose specification, "Interpolation" (github.com/compose-spec/compose-spec).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dslab.kit.errors import ConfigError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OPERATOR = re.compile(r":?[-?+]")


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable in a string: ``${name}``, or ``${name operator argument}``."""

    name: str
    operator: str = ""
    argument: Template | None = None

    def fill(self, values: Mapping[str, str]) -> str:
        """What stands in its place."""
        value = values.get(self.name)
        empty_counts_as_unset = self.operator.startswith(":")
        is_set = value is not None and not (empty_counts_as_unset and not value)
        argument = self.argument or Template(())
        match self.operator[-1:]:
            case "-":
                return value if value is not None and is_set else argument.fill(values)
            case "+":
                return argument.fill(values) if is_set else ""
            case _ if value is not None and is_set:
                return value
        reason = argument.fill(values) or "is not set, and has no default"
        raise ConfigError(f"variable {self.name}: {reason}.")


@dataclass(frozen=True, slots=True)
class Template:
    """A string with variables in it."""

    parts: tuple[str | Variable, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a string.

        Raises:
            ConfigError: A dollar sign starts neither a variable nor ``$$``, or a brace is not closed.
        """
        parts, end = _parse(text, 0, closing="")
        assert end == len(text)
        return cls(parts)

    def fill(self, values: Mapping[str, str]) -> str:
        """The string, with every variable filled in.

        Raises:
            ConfigError: A variable is not set and has no default.
        """
        return "".join(part if isinstance(part, str) else part.fill(values) for part in self.parts)

    def variables(self) -> Iterator[Variable]:
        """Every variable in it, those in defaults included."""
        for part in self.parts:
            if isinstance(part, Variable):
                yield part
                if part.argument:
                    yield from part.argument.variables()


def _parse(text: str, start: int, closing: str) -> tuple[tuple[str | Variable, ...], int]:
    """The parts from `start` up to the closing character, and where that stands (or the text's end)."""
    parts: list[str | Variable] = []
    literal, at = "", start
    while at < len(text) and text[at] != closing:
        if text[at] != "$":
            literal, at = literal + text[at], at + 1
        elif text.startswith("$$", at):
            literal, at = literal + "$", at + 2
        else:
            variable, at = _parse_variable(text, at)
            parts += [literal, variable] if literal else [variable]
            literal = ""
    return tuple([*parts, literal] if literal else parts), at


def _parse_variable(text: str, at: int) -> tuple[Variable, int]:
    """The variable whose dollar sign stands at `at`, and where the text goes on after it."""
    braced = text.startswith("${", at)
    name = NAME.match(text, at + 1 + braced)
    if not name:
        raise ConfigError(f"{text!r}: no variable's name after '$'.", remedy="Write $$ for a dollar sign.")
    if not braced:
        return Variable(name.group()), name.end()
    operator = OPERATOR.match(text, name.end())
    argument, end = None, name.end()
    if operator:
        parts, end = _parse(text, operator.end(), closing="}")
        argument = Template(parts)
    if not text.startswith("}", end):
        raise ConfigError(f"{text!r}: the brace after '${{{name.group()}' is not closed.")
    return Variable(name.group(), operator.group() if operator else "", argument), end + 1
