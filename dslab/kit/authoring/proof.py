"""How often a grader is wrong, as numbers and as PROOF.md. Pure: outcomes in, text out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dslab.kit.authoring.mutants import Mutant
from dslab.kit.authoring.submissions import EVERYTHING, Sort, Submission
from dslab.kit.authoring.trials import Outcome
from dslab.kit.grader.course import Lab

KILL_GOAL = 0.95
STAMP = re.compile(r"<!-- inputs: (.*?) -->")

Key = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Proof:
    """What was measured.

    Attributes:
        lab: The lab's name and title.
        checks: Every check, with its step, in order.
        right_runs: How many runs of right submissions there were.
        false_failures: What failed in them: ``alternative, seed 1: test_x fail``.
        skeleton_earns: The checks that the skeleton passes.
        wrong: How many wrong submissions there are, and what is wrong about those not caught as they say.
        cheats: The same for cheats.
        wrong_caught: How many wrong submissions each check caught.
        mutants_caught: How many mutants each check caught.
        caught: The mutants that were caught.
        survivors: Those that were not, and are not said to be equivalent.
        equivalent: Those that are, each with the reason.
        not_equivalent: Those said to be equivalent that were caught.
        undecided: Those whose run broke.
    """

    lab: str
    checks: tuple[str, ...]
    right_runs: int = 0
    false_failures: tuple[str, ...] = ()
    skeleton_earns: tuple[str, ...] = ()
    wrong: tuple[int, tuple[str, ...]] = (0, ())
    cheats: tuple[int, tuple[str, ...]] = (0, ())
    wrong_caught: Mapping[str, int] = field(default_factory=dict)
    mutants_caught: Mapping[str, int] = field(default_factory=dict)
    caught: tuple[Mutant, ...] = ()
    survivors: tuple[Mutant, ...] = ()
    equivalent: tuple[tuple[Mutant, str], ...] = ()
    not_equivalent: tuple[Mutant, ...] = ()
    undecided: tuple[Mutant, ...] = ()

    @property
    def kill_rate(self) -> float:
        """The share of the mutants that are not equivalent which was caught."""
        all_of_them = len(self.caught) + len(self.survivors) + len(self.undecided)
        return len(self.caught) / all_of_them if all_of_them else 1.0

    @property
    def shortcomings(self) -> list[str]:
        """What is short of the goal, a line each; nothing for a grader that can be trusted."""
        found = [f"false failure: {line}" for line in self.false_failures]
        found += [f"the skeleton passes {name}" for name in self.skeleton_earns]
        found += [*self.wrong[1], *self.cheats[1]]
        found += [f"said to be equivalent, but caught: {_place(mutant)}" for mutant in self.not_equivalent]
        if self.kill_rate < KILL_GOAL:
            found.append(f"{self.kill_rate:.1%} of the mutants caught; the goal is {KILL_GOAL:.0%}")
        return found


def weigh(lab: Lab, trials: Iterable[tuple[Submission, int, Outcome]], reasons: Mapping[Key, str]) -> Proof:
    """Make numbers of outcomes.

    Args:
        lab: The lab.
        trials: Each submission with its seed and outcome.
        reasons: Why a mutant makes no difference, by its key.
    """
    by_sort: dict[Sort, list[tuple[Submission, int, Outcome]]] = {sort: [] for sort in Sort}
    for trial in trials:
        by_sort[trial[0].sort].append(trial)
    right = by_sort[Sort.SOLUTION] + by_sort[Sort.ALTERNATIVE]
    wrong, cheats = by_sort[Sort.WRONG], by_sort[Sort.CHEAT]
    fates = [(s.mutant, outcome) for s, _, outcome in by_sort[Sort.MUTANT] if s.mutant]
    return Proof(
        lab=lab.name,
        checks=tuple(dict.fromkeys(name for _, _, outcome in right for name in outcome.verdicts)),
        right_runs=len(right),
        false_failures=tuple(line for trial in right for line in _false_failures(*trial)),
        skeleton_earns=tuple(
            sorted(n for _, _, o in by_sort[Sort.SKELETON] for n in o.named("pass", "error"))
        ),
        wrong=(len(wrong), tuple(line for s, _, o in wrong for line in _not_as_said(s, o))),
        cheats=(len(cheats), tuple(line for s, _, o in cheats for line in _earns_something(s, o))),
        wrong_caught=Counter(name for _, _, outcome in wrong for name in outcome.failed),
        mutants_caught=Counter(name for _, outcome in fates for name in outcome.failed),
        caught=tuple(m for m, o in fates if o.failed and m.key not in reasons),
        survivors=tuple(m for m, o in fates if not o.failed and _decided(o) and m.key not in reasons),
        equivalent=tuple((m, reasons[m.key]) for m, o in fates if not o.failed and m.key in reasons),
        not_equivalent=tuple(m for m, o in fates if o.failed and m.key in reasons),
        undecided=tuple(m for m, o in fates if not o.failed and not _decided(o) and m.key not in reasons),
    )


def _decided(outcome: Outcome) -> bool:
    return bool(outcome.verdicts) and not outcome.broke


def _false_failures(submission: Submission, seed: int, outcome: Outcome) -> list[str]:
    if not outcome.verdicts:
        return [f"{submission.name}, seed {seed}: no result, exit status {outcome.status}"]
    bad = {name: verdict for name, verdict in outcome.verdicts.items() if verdict != "pass"}
    return [f"{submission.name}, seed {seed}: {name} {verdict}" for name, verdict in bad.items()]


def _not_as_said(submission: Submission, outcome: Outcome) -> list[str]:
    said, found = frozenset(submission.caught_by), outcome.failed | outcome.broke
    if said == found:
        return []
    return [f"{submission.name} says {_listed(said)}, but was caught by {_listed(found)}"]


def _earns_something(submission: Submission, outcome: Outcome) -> list[str]:
    earned = outcome.named("pass")
    missed = (
        frozenset()
        if EVERYTHING in submission.caught_by
        else frozenset(submission.caught_by) - outcome.named("fail", "error")  # an error earns nothing either
    )
    return [f"{submission.name} passes {_listed(earned | missed)}"] if earned or missed else []


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _place(mutant: Mutant) -> str:
    return f"{mutant.file}:{mutant.line} {mutant.function}: {mutant.change}"


def stamp(inputs: Mapping[str, str]) -> str:
    """What a proof was made from, as one line: ``checks 1a2b wrong 3c4d``."""
    return " ".join(f"{name} {digest[:12]}" for name, digest in inputs.items())


def stale_parts(page: str, inputs: Mapping[str, str]) -> list[str]:
    """What has changed since a PROOF.md was made; everything if it does not say what it was made from."""
    match = STAMP.search(page)
    words = match[1].split() if match else []
    before = dict(zip(words[::2], words[1::2], strict=False))
    return [name for name, digest in inputs.items() if before.get(name) != digest[:12]]


def markdown(proof: Proof, title: str, inputs: Mapping[str, str]) -> str:
    """Write PROOF.md."""
    parts = [
        f"# How far the grader of {proof.lab} can be trusted",
        f"<!-- inputs: {stamp(inputs)} -->",
        f"Made by `dslab prove {proof.lab}`. Lab: {title}.",
        _table(("measure", "result"), _measures(proof)),
        "## What each check catches",
        "Mutants are run against their own step first; one that is caught there meets no other check.",
        _table(
            ("check", "wrong submissions", "mutants"),
            [
                (f"`{n}`", str(proof.wrong_caught.get(n, 0)), str(proof.mutants_caught.get(n, 0)))
                for n in proof.checks
            ],
        ),
        "## Mutants by kind",
        _table(("kind", "made", "caught", "equivalent", "survived"), _by_operator(proof)),
        *_lists(proof),
    ]
    return "\n\n".join(parts) + "\n"


def _measures(proof: Proof) -> list[tuple[str, str]]:
    wrong, not_as_said = proof.wrong
    cheats, earning = proof.cheats
    made = len(proof.caught) + len(proof.survivors) + len(proof.undecided)
    return [
        ("runs of right submissions", str(proof.right_runs)),
        ("false failures in them", str(len(proof.false_failures))),
        ("checks that the skeleton passes", str(len(proof.skeleton_earns))),
        (
            "wrong submissions caught by exactly the checks that they name",
            f"{wrong - len(not_as_said)} of {wrong}",
        ),
        ("cheats that earn nothing", f"{cheats - len(earning)} of {cheats}"),
        (
            "mutants caught, of those that make a difference",
            f"{len(proof.caught)} of {made}, {proof.kill_rate:.1%}",
        ),
        ("mutants that make none", str(len(proof.equivalent))),
    ]


def _by_operator(proof: Proof) -> list[tuple[str, ...]]:
    caught = Counter(mutant.operator for mutant in proof.caught)
    survived = Counter(mutant.operator for mutant in (*proof.survivors, *proof.undecided))
    equivalent = Counter(mutant.operator for mutant, _ in proof.equivalent)
    made = caught + survived + equivalent
    return [
        (kind, str(made[kind]), str(caught[kind]), str(equivalent[kind]), str(survived[kind]))
        for kind in sorted(made)
    ]


def _lists(proof: Proof) -> list[str]:
    parts = []
    if proof.survivors or proof.undecided:
        lines = [f"- `{_place(mutant)}`" for mutant in proof.survivors]
        lines += [f"- `{_place(mutant)}` (the run broke)" for mutant in proof.undecided]
        parts += ["## Mutants that survived", "\n".join(lines)]
    if proof.equivalent:
        lines = [f"- `{_place(mutant)}`: {reason}" for mutant, reason in proof.equivalent]
        parts += ["## Mutants that make no difference", "\n".join(lines)]
    if proof.shortcomings:
        parts += ["## Short of the goal", "\n".join(f"- {line}" for line in proof.shortcomings)]
    return parts


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
