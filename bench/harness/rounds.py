"""Interleaved rounds, and which of them count.

A virtual machine may be half again as slow for some hundredths of a second, or for some seconds. So what is
short, and compared with what others take for it, is measured in slices, in turn: then both sides have their
share of such moments, and the median of the slices is seldom one of them.

A round counts if others took less than `MAX_OTHERS` of the machine in the moment before it, and while it ran.
One that does not is measured again, until `Patience` is at its end: then there are fewer rounds, and the
report says how many; or there is none, and no report: `MachineLoaded`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.harness import machine
from dslab.kit.errors import MachineError

MAX_OTHERS = 0.10
LOOK_S = 0.5

Watch = Callable[[], machine.Look]
Measure = Callable[[], Mapping[str, float]]


class MachineLoaded(MachineError):
    """Too few rounds counted."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing to measure in every round.

    Attributes:
        row: Who is measured. Several probes may be of one row.
        measure: Measures once: figures by their names.
        slices: How often that is done in a round, in turn with the others; a figure is the median.
    """

    row: str
    measure: Measure
    slices: int = 1


@dataclass(slots=True)
class Samples:
    """What was measured.

    Attributes:
        values: By row and figure, one value for each round that counts.
        not_counted: How many rounds began, or ran, while others used the machine.
        waits: How often a round was put off because of that.
        loaded: Are rounds counted that should not be?
        left_out: Who is not installed here, and how that is changed.
    """

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    not_counted: int = 0
    waits: int = 0
    loaded: bool = False
    left_out: dict[str, str] = field(default_factory=dict)

    def of(self, row: str, figure: str) -> list[float]:
        """Give a figure, round by round.

        Raises:
            KeyError: It was not measured.
        """
        return self.values[row][figure]

    def has(self, row: str, figure: str) -> bool:
        """Was it measured?"""
        return figure in self.values.get(row, {})

    @property
    def rounds(self) -> int:
        """How many rounds count."""
        return max((len(values) for row in self.values.values() for values in row.values()), default=0)

    def add(self, measured: Mapping[str, Mapping[str, float]]) -> None:
        """Add a round."""
        for row, figures in measured.items():
            for figure, value in figures.items():
                self.values.setdefault(row, {}).setdefault(figure, []).append(value)


@dataclass(slots=True)
class Patience:
    """How long to look for a free machine.

    Attributes:
        left_s: For all rounds together.
        count_loaded: Count every round.
        sleep: `time.sleep`.
        watch: `machine.look`.
    """

    left_s: float = 120.0
    count_loaded: bool = False
    sleep: Callable[[float], None] = time.sleep
    watch: Watch = machine.look

    def is_free(self) -> bool:
        """Look for a moment what others take."""
        before = self.watch()
        self.sleep(LOOK_S)
        return self.watch().others_share(before) <= MAX_OTHERS

    def wait(self, samples: Samples) -> None:
        """Put the next round off until the machine is free, or patience is at its end."""
        while not self.count_loaded and self.left_s > 0 and not self.is_free():
            samples.waits += 1
            self.left_s -= LOOK_S


def run(
    probes: Sequence[Probe],
    rounds: int,
    patience: Patience,
    told: Callable[[int, float, bool], None] = lambda *_: None,
) -> Samples:
    """Measure rounds until so many count.

    Args:
        probes: What is measured in each, in this order; every other round backwards.
        rounds: How many have to count.
        patience: How long to look for a free machine.
        told: Hears after each round how many count, what share others took, and whether it counts.

    Raises:
        MachineLoaded: There was no round that counts.
    """
    samples = Samples(loaded=patience.count_loaded)
    one_round(probes)  # warms up
    number = 0
    while samples.rounds < rounds:
        patience.wait(samples)
        number += 1
        before = patience.watch()
        measured = one_round(probes if number % 2 else probes[::-1])
        after = patience.watch()
        others = after.others_share(before)
        counts = patience.count_loaded or others <= MAX_OTHERS
        if counts:
            samples.add(measured)
        else:
            samples.not_counted += 1
            patience.left_s -= after.at_s - before.at_s
        told(samples.rounds, others, counts)
        if not counts and patience.left_s <= 0:
            break
    if not samples.rounds:
        raise MachineLoaded(
            f"Others used this machine, before or during all {number} rounds: none of them counts.",
            remedy="Measure when it is free; or see what there is with --loaded, and do not quote it.",
        )
    return samples


def one_round(probes: Sequence[Probe]) -> dict[str, dict[str, float]]:
    """Measure each probe, slice by slice: figures by row."""
    slices: dict[str, dict[str, list[float]]] = {}
    for number in range(max(probe.slices for probe in probes)):
        for probe in (probe for probe in probes if number < probe.slices):
            for figure, value in probe.measure().items():
                slices.setdefault(probe.row, {}).setdefault(figure, []).append(value)
    return {
        row: {figure: statistics.median(values) for figure, values in figures.items()}
        for row, figures in slices.items()
    }
