from __future__ import annotations

from itertools import product

import pytest

from bench import linda
from bench.harness.rounds import Samples, one_round


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linda, "SIZES", (100, 1_000))
    for name in ("TRIPS", "SCAN_TRIPS", "HAND_OVERS", "BLOCKED", "PIPELINED"):
        monkeypatch.setattr(linda, name, 20)


@pytest.mark.usefixtures("short")
def test_every_table_has_all_rows_that_can_be_had() -> None:
    samples = Samples()
    with linda.probes() as (probes, left_out):
        samples.add(one_round(probes))
    whos = {linda.OURS, linda.SCAN, linda.RINDA} - set(left_out)
    alone = {linda.CROWDED, linda.REDIS, linda.ECHO} - set(left_out)
    sized = {linda.among(who, size) for who, size in product(whos, linda.SIZES)}
    rows = {block.title: set(block.rows(samples)) for block in linda.BLOCKS}
    assert rows[linda.KEY] == sized | alone
    assert rows[linda.HAND_OVER] == {linda.among(who, 100) for who in whos - {linda.SCAN}} | (
        alone - {linda.CROWDED}
    )
    assert all(block.reference in rows[block.title] for block in linda.BLOCKS)


def test_goals_are_about_rows_and_figures_that_are_measured() -> None:
    figures = {column.figure for block in linda.BLOCKS for column in block.columns}
    sized = [linda.among(who, size) for who in (linda.OURS, linda.RINDA) for size in linda.SIZES]
    rows = (*sized, linda.CROWDED, linda.OURS, linda.REDIS, linda.ECHO)
    samples = Samples({row: {name: [1.0, 1.0] for name in figures} for row in rows})
    assert [goal.text for goal in linda.GOALS if goal.measured(samples) is None] == []
