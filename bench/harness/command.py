"""The command line of a benchmark, from the first round to the picture."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from rich.console import Console

from bench.harness import machine, plot, report
from bench.harness.goals import Goal
from bench.harness.report import Block
from bench.harness.rounds import Patience, Probe, Samples, run
from dslab.kit.errors import DslabError

SHORT_ROUNDS = 3

Role = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark.

    Attributes:
        name: What its results are called.
        title: What it measures, in one line.
        blocks: The tables.
        goals: What is promised.
        probes: Starts all that is needed, and gives the probes, and who is left out and why.
        roles: The other processes of the measurement, which are this file again with ``--be``.
        rounds: How many rounds have to count.
        fixed_addresses: Does it matter where in memory things happen to be? Then all processes get theirs at
            the same addresses, every time.
    """

    name: str
    title: str
    blocks: Sequence[Block]
    goals: Sequence[Goal]
    probes: Callable[[], AbstractContextManager[tuple[Sequence[Probe], dict[str, str]]]]
    roles: Mapping[str, Role]
    rounds: int = 7
    fixed_addresses: bool = False


def main(benchmark: Benchmark) -> None:
    """Run a benchmark, or a part in one; ends the process."""
    options = parser(benchmark).parse_args()
    try:
        if options.be:
            benchmark.roles[options.be[0]](options.be[1:])
        else:
            if benchmark.fixed_addresses:
                machine.fix_addresses()
            measure(benchmark, options.rounds, Patience(options.patience, options.loaded))
    except KeyboardInterrupt:
        sys.exit(130)
    except DslabError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)


def parser(benchmark: Benchmark) -> argparse.ArgumentParser:
    """Describe the command line."""
    described = argparse.ArgumentParser(description=f"{benchmark.title}.")
    option = described.add_argument
    option("--rounds", metavar="N", type=int, default=benchmark.rounds, help="how many have to count")
    option("--short", dest="rounds", action="store_const", const=SHORT_ROUNDS,
           help=f"only {SHORT_ROUNDS} rounds")  # fmt: skip
    option("--patience", metavar="S", type=float, default=Patience().left_s,
           help="how long, altogether, to look for a free machine")  # fmt: skip
    option("--loaded", action="store_true", help="count rounds too that others disturb; not to be quoted")
    option("--be", nargs="+", help=argparse.SUPPRESS)
    return described


def measure(benchmark: Benchmark, rounds: int, patience: Patience) -> Samples:
    """Measure, print the tables, and write the JSON file and the picture."""
    console = Console()
    console.print(f"{benchmark.title}: a round to warm up, then {rounds} that count ...", highlight=False)

    def told(counted: int, others: float, counts: bool) -> None:
        verdict = "" if counts else ": does not count"
        console.print(f"  {counted} of {rounds}; others took {others:.0%}{verdict}", highlight=False)

    with benchmark.probes() as (probes, left_out):
        samples = run(probes, rounds, patience, told)
    samples.left_out = left_out
    report.show(benchmark.blocks, benchmark.goals, samples, console)
    note = report.how_it_was_measured(samples)
    written = [report.save(benchmark.name, benchmark.goals, samples)]
    written.append(plot.save(benchmark.name, plot.draw(benchmark.title, benchmark.blocks, samples, note)))
    console.print("Written: " + ", ".join(map(str, written)), highlight=False, soft_wrap=True)
    return samples
