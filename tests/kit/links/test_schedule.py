from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dslab.kit.links.schedule import SLACK_S, Pacer

arrivals = st.lists(st.tuples(st.floats(0, 2), st.integers(1, 5_000)), min_size=1, max_size=40)


@given(st.floats(10, 1e6), arrivals)
def test_never_faster_than_the_rate(bytes_per_s: float, waits: list[tuple[float, int]]) -> None:
    pacer, now_s, sent = Pacer(bytes_per_s), 0.0, []
    for wait_s, size in waits:
        now_s += wait_s
        sent.append((now_s, pacer.reserve(now_s, size), size))
    for start, (begun_s, _, _) in enumerate(sent):
        total = 0
        for _, arrival_s, size in sent[start:]:
            total += size
            assert total <= bytes_per_s * (arrival_s - begun_s + SLACK_S) * 1.000_001


@given(st.floats(10, 1e6), st.lists(st.integers(1, 5_000), min_size=1, max_size=40))
def test_a_busy_wire_is_used_fully(bytes_per_s: float, sizes: list[int]) -> None:
    pacer = Pacer(bytes_per_s)
    arrivals_s = [pacer.reserve(0.0, size) for size in sizes]
    assert arrivals_s == sorted(arrivals_s)
    assert abs(arrivals_s[-1] - sum(sizes) / bytes_per_s) < 1e-6 * (1 + arrivals_s[-1])


def test_a_late_timer_costs_nothing() -> None:
    pacer = Pacer(1_000)
    first_s = pacer.reserve(0.0, 20)
    assert pacer.reserve(first_s + SLACK_S / 2, 20) == 2 * first_s
    assert pacer.reserve(10.0, 20) == 10.02
