from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dslab.kit.links.fate import Place, decide, dice
from dslab.kit.links.faults import Corrupt, Delay, Duplicate, Fault, Fragment, Lose, Reorder

places = st.builds(
    Place,
    seed=st.integers(0, 2**64),
    link=st.sampled_from(["a->b", "b->a"]),
    heading=st.sampled_from(["forward", "backward"]),
    connection=st.integers(0, 10_000),
    index=st.integers(0, 1_000_000),
)
odds = st.floats(0, 1)
sets_of_faults = st.tuples(
    st.builds(Lose, p=odds),
    st.builds(Corrupt, p=odds),
    st.builds(Duplicate, p=odds),
    st.builds(Reorder, p=odds),
    st.builds(Delay, s=st.floats(0, 1), jitter_s=st.floats(0, 1)),
    st.builds(Fragment, max_bytes=st.integers(1, 10)),
).flatmap(lambda faults: st.lists(st.sampled_from(faults), unique_by=type))


@given(places, st.binary(max_size=50), sets_of_faults)
def test_same_place_same_fate(place: Place, data: bytes, faults: list[Fault]) -> None:
    assert decide(place, data, faults) == decide(replace(place), bytes(data), reversed(faults))


@given(places)
def test_dice_fall_within_their_range(place: Place) -> None:
    assert all(0 <= rolled < 1 for rolled in dice(place, "lose"))


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.floats(0.05, 0.95))
def test_rates_are_near_their_probability(seed: int, p: float) -> None:
    lost = 0
    for index in range(2_000):
        lost += not decide(Place(seed, "a->b", "forward", 0, index), b"x", [Lose(p=p)]).copies
    deviation = (2_000 * p * (1 - p)) ** 0.5
    assert abs(lost - 2_000 * p) < 6 * deviation


def test_each_part_of_the_place_counts() -> None:
    place = Place(1, "a->b", "forward", 2, 3)
    others = [
        replace(place, seed=2),
        replace(place, link="a->c"),
        replace(place, heading="backward"),
        replace(place, connection=3),
        replace(place, index=4),
    ]
    rolled = {dice(one, "lose") for one in [place, *others]} | {dice(place, "corrupt")}
    assert len(rolled) == 7


@given(places, st.binary(min_size=1, max_size=300))
def test_corrupt_changes_exactly_one_byte(place: Place, data: bytes) -> None:
    fate = decide(place, data, [Corrupt(p=1.0)])
    differing = [at for at, (was, is_) in enumerate(zip(data, fate.data, strict=True)) if was != is_]
    assert len(differing) == 1
    assert fate.notes == [f"corrupted byte {differing[0]}"]
    assert fate.struck == ["corrupt"]


@given(places, st.binary(max_size=10), st.integers(0, 20))
def test_corrupt_at_an_offset(place: Place, data: bytes, offset: int) -> None:
    fate = decide(place, data, [Corrupt(p=1.0, offset=offset)])
    if offset < len(data):
        assert fate.data[:offset] + fate.data[offset + 1 :] == data[:offset] + data[offset + 1 :]
        assert fate.data[offset] != data[offset]
    else:
        assert fate.data == data
        assert not fate.struck


@given(places, st.floats(0, 10), st.floats(0, 10))
def test_jitter_stays_in_its_bounds(place: Place, s: float, jitter_s: float) -> None:
    delay_s = decide(place, b"x", [Delay(s=s, jitter_s=jitter_s)]).delay_s
    assert max(0, s - jitter_s) <= delay_s <= s + jitter_s


@given(places, sets_of_faults)
def test_a_lost_piece_has_no_other_fate(place: Place, faults: list[Fault]) -> None:
    fate = decide(place, b"data", [fault for fault in faults if not isinstance(fault, Lose)] + [Lose(p=1.0)])
    assert fate.copies == 0
    assert fate.struck == ["lose"]
    assert fate.notes == ["lost"]


@given(places, st.binary())
def test_p_0_does_nothing_and_p_1_always(place: Place, data: bytes) -> None:
    fate = decide(place, data, [Lose(p=0), Corrupt(p=0), Duplicate(p=0), Reorder(p=0)])
    assert (fate.data, fate.copies, fate.hold_s, fate.struck) == (data, 1, 0.0, [])
    fate = decide(place, data, [Duplicate(p=1), Reorder(p=1, hold_s=2)])
    assert (fate.copies, fate.hold_s, fate.struck) == (2, 2, ["duplicate"])
