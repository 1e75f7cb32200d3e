from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bench.harness.machine import Look
from bench.harness.rounds import LOOK_S, MachineLoaded, Patience, Probe, Samples, one_round, run


class FakeMachine:
    """A machine whose time passes when somebody sleeps or measures; `shares` says what others take then."""

    def __init__(self, cpus: int, shares: Iterator[float]) -> None:
        self.at_s = self.busy_s = 0.0
        self._cpus = cpus
        self._shares = shares

    def pass_time(self, seconds: float) -> None:
        self.at_s += seconds
        self.busy_s += seconds * self._cpus * next(self._shares)

    def watch(self) -> Look:
        return Look(self.at_s, self.busy_s, 0.0)


@pytest.fixture
def machine_with(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[FakeMachine, Patience]]:
    monkeypatch.setattr("os.cpu_count", lambda: 2)

    def make(
        *shares: float, left_s: float = 100.0, count_loaded: bool = False
    ) -> tuple[FakeMachine, Patience]:
        fake = FakeMachine(2, iter(shares))
        return fake, Patience(left_s, count_loaded, fake.pass_time, fake.watch)

    return make


Machines = Callable[..., tuple[FakeMachine, Patience]]


def probe(fake: FakeMachine, row: str = "us", order: list[str] | None = None) -> Probe:
    def measure() -> dict[str, float]:
        fake.pass_time(1.0)
        if order is not None:
            order.append(row)
        return {"p50": fake.at_s}

    return Probe(row, measure)


def test_the_first_round_only_warms_up(machine_with: Machines) -> None:
    fake, patience = machine_with(*[0.0] * 5)
    samples = run([probe(fake)], 2, patience)
    assert samples.of("us", "p50") == [1 + LOOK_S + 1, 1 + 2 * (LOOK_S + 1)]


def test_every_other_round_goes_backwards(machine_with: Machines) -> None:
    fake, patience = machine_with(*[0.0] * 20)
    order: list[str] = []
    run([probe(fake, "a", order), probe(fake, "b", order)], 2, patience)
    assert "".join(order) == "ab" + "ab" + "ba"


def test_slices_take_turns_and_a_figure_is_their_median() -> None:
    order: list[str] = []

    def probe_of(row: str, values: list[float], slices: int) -> Probe:
        def measure() -> dict[str, float]:
            order.append(row)
            return {"p50": values.pop(0)}

        return Probe(row, measure, slices)

    figures = one_round(
        [probe_of("a", [9.0, 1.0, 2.0], 3), probe_of("b", [5.0], 1), probe_of("c", [4.0, 8.0], 2)]
    )
    assert "".join(order) == "abc" + "ac" + "a"
    assert figures == {"a": {"p50": 2.0}, "b": {"p50": 5.0}, "c": {"p50": 6.0}}


def test_a_round_waits_until_the_machine_is_free(machine_with: Machines) -> None:
    fake, patience = machine_with(0.0, 0.9, 0.9, 0.0, 0.0)
    samples = run([probe(fake)], 1, patience)
    assert (samples.rounds, samples.waits, samples.not_counted) == (1, 2, 0)


def test_a_round_that_others_disturbed_is_measured_again(machine_with: Machines) -> None:
    fake, patience = machine_with(0.0, 0.0, 0.9, 0.0, 0.0)
    samples = run([probe(fake)], 1, patience)
    assert (samples.rounds, samples.not_counted) == (1, 1)


def test_who_has_no_patience_left_gets_fewer_rounds(machine_with: Machines) -> None:
    fake, patience = machine_with(0.0, 0.0, 0.0, *[0.9] * 50, left_s=2.0)
    assert run([probe(fake)], 5, patience).rounds == 1


def test_a_machine_that_is_never_free_gives_no_figures(machine_with: Machines) -> None:
    fake, patience = machine_with(*[0.9] * 50, left_s=2.0)
    with pytest.raises(MachineLoaded, match="none of them counts"):
        run([probe(fake)], 1, patience)


def test_loaded_rounds_count_where_that_is_asked_for_and_are_marked(machine_with: Machines) -> None:
    fake, patience = machine_with(*[0.9] * 3, count_loaded=True)
    samples = run([probe(fake)], 2, patience)
    assert samples.rounds == 2
    assert samples.loaded


def test_what_we_use_ourselves_is_not_held_against_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    before, after = Look(0.0, 0.0, 0.0), Look(1.0, 1.5, 1.25)
    assert after.others_share(before) == 0.125


def test_figures_of_one_row_come_from_several_probes() -> None:
    samples = Samples()
    samples.add({"us": {"small": 1.0, "large": 2.0}})
    samples.add({"us": {"small": 3.0, "large": 4.0}})
    assert samples.of("us", "large") == [2.0, 4.0]
    assert samples.has("us", "small")
    assert not samples.has("them", "small")
