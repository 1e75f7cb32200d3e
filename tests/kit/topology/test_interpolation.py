from __future__ import annotations

import pytest

from dslab.kit.errors import ConfigError
from dslab.kit.topology.interpolation import Template

VALUES = {"SET": "value", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("", ""),
        ("$SET", "value"),
        ("$SET.txt", "value.txt"),
        ("${SET}s", "values"),
        ("a ${SET} b $SET", "a value b value"),
        ("${SET:-default}", "value"),
        ("${SET-default}", "value"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY-default}", ""),
        ("${EMPTY}", ""),
        ("${UNSET:-default}", "default"),
        ("${UNSET-default}", "default"),
        ("${UNSET:-}", ""),
        ("${UNSET-}", ""),
        ("${UNSET:-0.0.0.0:7000}", "0.0.0.0:7000"),
        ("${UNSET:-a b:c-d?e}", "a b:c-d?e"),
        ("${UNSET:-${SET}}", "value"),
        ("${UNSET:-${OTHER:-${SET}!}}", "value!"),
        ("${UNSET-$SET}", "value"),
        ("${SET:+other}", "other"),
        ("${SET+other}", "other"),
        ("${EMPTY:+other}", ""),
        ("${EMPTY+other}", "other"),
        ("${UNSET:+other}", ""),
        ("${SET:?message}", "value"),
        ("${EMPTY?message}", ""),
        ("$$SET", "$SET"),
        ("$${SET}", "${SET}"),
        ("$$$SET", "$value"),
        ("100 $$", "100 $"),
        ("${UNSET:-$$}", "$"),
        ("}", "}"),
    ],
)
def test_fill(text: str, filled: str) -> None:
    assert Template.parse(text).fill(VALUES) == filled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${UNSET}", "variable UNSET: is not set, and has no default."),
        ("$UNSET", "variable UNSET: is not set, and has no default."),
        ("${UNSET:?}", "variable UNSET: is not set, and has no default."),
        ("${UNSET:?say who}", "variable UNSET: say who."),
        ("${EMPTY:?say ${SET}}", "variable EMPTY: say value."),
        ("${UNSET?say who}", "variable UNSET: say who."),
        ("${UNSET:-${OTHER}}", "variable OTHER: is not set, and has no default."),
    ],
)
def test_fill_without_a_value(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Template.parse(text).fill(VALUES)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cost: 5$", "'cost: 5$': no variable's name after '$'."),
        ("$5", "'$5': no variable's name after '$'."),
        ("${}", "'${}': no variable's name after '$'."),
        ("${SET", "'${SET': the brace after '${SET' is not closed."),
        ("${SET:-a", "'${SET:-a': the brace after '${SET' is not closed."),
        ("${SET!a}", "'${SET!a}': the brace after '${SET' is not closed."),
    ],
)
def test_malformed(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Template.parse(text)
    assert caught.value.message == message


def test_variables_include_those_in_defaults() -> None:
    template = Template.parse("$A ${B:-${C:-c}} $$D")
    assert [variable.name for variable in template.variables()] == ["A", "B", "C"]
