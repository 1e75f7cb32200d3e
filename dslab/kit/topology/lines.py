"""YAML with line numbers: what PyYAML's safe loader reads, with each mapping knowing where its keys stand.

Plain scalars are read as in YAML 1.2, which Compose follows, not as in PyYAML's 1.1: ``no`` and ``on`` are
strings, and so are ``22:22`` (1.1 reads 1342) and ``1.10`` (1.1 reads 1.1, and a version loses its zero).
Only ``true``, ``false``, ``null`` (and ``True``, ``TRUE``, ...) and whole numbers are no strings.
A key that stands twice is an error, and so is one that is a list or a mapping.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from dslab.kit.errors import ConfigError


class Table(dict[str, Any]):
    """A mapping of the file, and the line of each of its keys."""

    lines: dict[str, int]


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own attribute

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """What the node stands for. An explicit tag that it does not fit is told with its line."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError) as error:  # PyYAML looks at nothing first
            problem = f"this is no {node.tag.rpartition(':')[2]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile("^(?:null|Null|NULL|~|)$"), ["n", "N", "~", ""]
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile("^(?:0|-?[1-9][0-9]*)$"), list("-0123456789")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])


def _construct_table(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Table:
    _refuse_duplicates(node)
    loader.flatten_mapping(node)  # puts the keys of `<<: *anchor` before the mapping's own, which win
    table = Table()
    table.lines = {}
    for key_node, value_node in node.value:
        key: Hashable = loader.construct_object(key_node, deep=True)
        table[str(key)] = loader.construct_object(value_node, deep=True)
        table.lines[str(key)] = key_node.start_mark.line + 1
    return table


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_table)


def _refuse_duplicates(node: yaml.MappingNode) -> None:
    seen: dict[str, yaml.Mark] = {}
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            problem = "a key must be a single value; put a text that begins with { or [ in quotes"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
        if key_node.value in seen and key_node.value != "<<":
            line = seen[key_node.value].line + 1
            problem = f"the key {key_node.value!r} stands on line {line} already"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
        seen[key_node.value] = key_node.start_mark


def load(path: Path) -> Any:
    """The file's document: `Table`, list, str, int, bool, None.

    Raises:
        ConfigError: There is no such file, or it is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{path}: cannot be read: {reason}.") from error
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}, line {line}: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}.") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: too many brackets or mappings inside one another.") from error
