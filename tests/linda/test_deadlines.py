"""Deadlines against the plainest model: a dictionary that is searched."""

from __future__ import annotations

import math
import random

import pytest

from dslab.linda.deadlines import Deadlines


@pytest.mark.parametrize("seed", range(20))
def test_what_ends_ends_once_in_order_and_in_time(seed: int) -> None:
    rng = random.Random(seed)
    deadlines: Deadlines[str] = Deadlines()
    model: dict[int, float] = {}
    now_s = 0.0
    for number in range(400):
        at_s = now_s + rng.randrange(50)
        deadlines.add(number, at_s, f"the {number}th")
        model[number] = at_s
        if rng.random() < 0.6:
            early = rng.choice([*model, -1])
            assert deadlines.forget(early) == model.pop(early, None)
        assert deadlines.next_s <= min(model.values(), default=math.inf)
        assert all(deadlines.at_s(n) == model.get(n) for n in (number, number // 2, -1))
        if rng.random() < 0.1:
            now_s += rng.randrange(40)
            over = sorted((ends_s, n) for n, ends_s in model.items() if ends_s <= now_s)
            assert deadlines.over(now_s) == [(n, f"the {n}th") for _, n in over]
            for _, n in over:
                del model[n]
    assert [n for n, _ in deadlines.over(math.inf)] == sorted(model, key=lambda n: (model[n], n))
    assert deadlines.next_s == math.inf


def test_what_is_forgotten_does_not_pile_up() -> None:
    deadlines: Deadlines[None] = Deadlines()
    deadlines.add(-1, 2e6, None)
    for number in range(10_000):
        deadlines.add(number, 1e6 + number, None)
        deadlines.forget(number)
        assert len(deadlines) < 100
    assert deadlines.over(3e6) == [(-1, None)]
