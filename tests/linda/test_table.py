"""The index against a scan."""

from __future__ import annotations

import random
from typing import Any

import pytest

from dslab.linda.kinds import Formal, kinds_of
from dslab.linda.matching import compile_template
from dslab.linda.table import Posting, Table
from dslab.linda.values import key_of, keys_of

WORDS = ["a", "b", "c"]


def matching(rows: dict[int, tuple[Any, ...]], template: tuple[Any, ...]) -> list[int]:
    def same(value: Any, wanted: Any) -> bool:
        return isinstance(wanted, Formal) or key_of(value) == key_of(wanted)

    return [n for n, fields in rows.items() if all(map(same, fields, template))]


def draw(rng: random.Random, spread: int) -> tuple[str, int, float]:
    return rng.choice(WORDS), rng.randrange(spread), rng.choice([0.0, -0.0, 0.5, 1.5])


@pytest.mark.parametrize("spread", [2, 30, 1_000])
@pytest.mark.parametrize("seed", range(5))
def test_the_index_agrees_with_a_scan(seed: int, spread: int) -> None:
    rng = random.Random(seed)
    table, rows = Table("sif"), dict[int, tuple[Any, ...]]()
    for number in range(3_000):
        if rows and rng.random() < (0.3 if number < 1_500 else 0.7):
            gone = rng.choice([*rows]) if rng.random() < 0.5 else next(iter(rows))
            assert table.remove(gone) == rows.pop(gone)
        else:
            fields = draw(rng, spread)
            rows[number] = fields
            table.add(number, fields, keys_of("sif", fields))
        if number % 7 == 0:
            compare(table, rows, rng, spread)
    for left in [*rows]:
        table.remove(left)
        del rows[left]
    compare(table, rows, rng, spread)


def compare(table: Table, rows: dict[int, tuple[Any, ...]], rng: random.Random, spread: int) -> None:
    fields = draw(rng, spread)
    template = tuple(f if rng.random() < 0.6 else Formal(k) for f, k in zip(fields, "sif", strict=True))
    pattern = compile_template(template)
    expected = matching(rows, template)
    assert list(table.find_all(pattern)) == expected
    assert table.count(pattern) == len(expected)
    assert table.find(pattern) == (expected[0] if expected else None)


def looks_at(table: Table, template: tuple[Any, ...]) -> int:
    """How many candidates a search would have to look at."""
    held, exact = table._narrowest(compile_template(template))
    return 0 if held is None or exact else len(list(table._numbers(held)))


@pytest.mark.parametrize("size", [100, 100_000])
def test_missing_two_common_fields_looks_at_few(size: int) -> None:
    table, text = Table("sss"), Formal("s")
    for number in range(size):
        pair = ("A", "X") if number % 2 else ("B", "Y")
        fields = (*pair, str(number))
        table.add(number, fields, fields)
    for template in [("A", "Y", text), ("A", text, "x"), ("A", "X", text), (text, "Y", "0"), ("A", "Y", "1")]:
        assert looks_at(table, template) <= 24
    assert table.find(compile_template(("A", "Y", text))) is None


def test_tuples_of_one_value_share_it() -> None:
    table = Table("si")
    for number in range(100):
        fields = ("".join(["wo", "rd"]), number)
        table.add(number, fields, fields)
    assert table.rows[98][0] is table.rows[99][0]


def test_lists_do_not_grow_with_what_is_gone() -> None:
    table, text = Table("ss"), Formal("s")
    for number in range(100):  # these stay
        table.add(number, ("a", "b"), ("a", "b"))
    for number in range(100, 20_000):
        table.add(number, ("a", "b"), ("a", "b"))
        table.remove(number)
    for template in [(text, text), ("a", text), ("a", "b")]:
        held, _ = table._narrowest(compile_template(template))
        assert isinstance(held, Posting)
        assert held.live == 100
        assert len(held._numbers) < 300


def test_nested_patterns_are_looked_at() -> None:
    table = Table("st")
    for number, inner in enumerate([(1, "x"), (True, "x"), (2, 3)]):
        fields = ("a", inner)
        table.add(number, fields, keys_of(kinds_of(fields), fields))
    whole, part = Formal("i"), Formal("*")
    assert list(table.find_all(compile_template(("a", (whole, part))))) == [0, 2]
    assert table.count(compile_template((Formal("s"), (part, "x")))) == 2
    assert table.find(compile_template(("a", (1, "x")))) == 0
    assert table.find(compile_template(("a", (1.0, "x")))) is None
