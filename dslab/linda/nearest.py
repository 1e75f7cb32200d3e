"""The nearest tuples: why a program waits for ever.

Nearly always because of a tuple that is there, and differs in one field: a letter, a ``1`` for a ``"1"``.
So each field of the template in turn is made to match anything; what the index then finds differs in that
field only. Or because the tuple is there, and taken in a transaction that has not ended.

The server serves nobody else meanwhile. So the caller says how much may be compared: what the index cannot
answer alone may take a look at every tuple.

This module does no I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias

from dslab.linda.kinds import ANY, KINDS, NAMES, Fields, Formal, show, show_value
from dslab.linda.matching import Pattern, compile_template, has_formals
from dslab.linda.store import Store, Stored, Survey

Taken: TypeAlias = tuple[str, Stored]
"""A tuple that is taken in a transaction, and whose: a client's name."""

_AFAR = 3
"""Of so many fields that differ, or takers of tuples, each is named."""


def explain(
    store: Store, space: int, template: Fields, crowd: Survey, taken: list[Taken], *, most: int
) -> str:
    """Say in a sentence or two what comes near to a template.

    Args:
        store: The tuples.
        space: Where it looks.
        template: What it looks for.
        crowd: All tuples that are there and have so many fields.
        taken: What is taken in transactions, and by whom.
        most: How many fields may be compared.
    """
    looks = most // _weight(template)
    by_whom = _taken(taken[:looks], space, compile_template(template))
    return "; ".join([*by_whom, *_there(store, space, template, crowd, looks)])


def _there(store: Store, space: int, template: Fields, crowd: Survey, looks: int) -> list[str]:
    """What comes near among the tuples that are there; so many of them may be looked at."""
    arity = len(template)
    total = crowd.count
    if not total:
        return [_other_arities(store.arities(space), arity)]
    have = "1 tuple has this arity" if total == 1 else f"{total:,} tuples have this arity"
    each = looks // max(1, arity)
    surveys = [store.survey(space, _relaxed(template, field), each) for field in range(arity if each else 0)]
    near = [_near(seen, field, template[field], total) for field, seen in enumerate(surveys) if seen.count]
    return [have, *(near or _far(template, crowd))]


def _taken(taken: list[Taken], space: int, pattern: Pattern) -> Iterator[str]:
    """Who has taken what matches, in transactions that are open."""
    matching = [name for name, one in taken if one.space == space and pattern.matches(one.fields)]
    for name, count in Counter(matching).most_common(_AFAR):
        tuples = "1 tuple that matches is" if count == 1 else f"{count:,} tuples that match are"
        yield f"{tuples} taken in a transaction of {name}"


def _relaxed(template: Fields, field: int) -> Pattern:
    """Let anything do in one field."""
    return compile_template((*template[:field], Formal(ANY), *template[field + 1 :]))


def _near(seen: Survey, field: int, wanted: object, total: int) -> str:
    """What differs in one field only, of so many tuples."""
    assert seen.oldest is not None
    table, number = seen.oldest
    least = "" if seen.whole else "at least "
    example = difference(table.rows[number][field], wanted)
    return f"{least}{_who(seen.count, total)} only in field {field}: {example}"


def _far(template: Fields, crowd: Survey) -> Iterator[str]:
    """What differs in more: the oldest tuple as an example."""
    assert crowd.oldest is not None
    table, number = crowd.oldest
    fields = table.rows[number]
    compared = enumerate(zip(fields, template, strict=True))
    differ = [(field, pair) for field, pair in compared if not compile_template(pair[1:]).matches(pair[:1])]
    shown = ", ".join(f"field {field}: {difference(*pair)}" for field, pair in differ[:_AFAR])
    yield f"the oldest, {show(fields)}, differs in {_fields(len(differ))}: {shown}"


def difference(value: object, wanted: object) -> str:
    """Say why a value does not match a field of a template."""
    kind = NAMES[KINDS[type(value)]]
    if isinstance(wanted, Formal):
        return f"{show_value(value)} is of type {kind}, not {NAMES[wanted.kind]}"
    if type(value) is type(wanted) or has_formals(wanted):
        return f"{show_value(value)} is not {show_value(wanted)}"
    return f"{show_value(value)} ({kind}) is not {show_value(wanted)} ({NAMES[KINDS[type(wanted)]]})"


def _other_arities(arities: list[int], wanted: int) -> str:
    if not arities:
        return "the space is empty"
    others = " or ".join(map(str, arities[:5]))
    return f"no tuple of this space has {wanted} fields; those there have {others}"


def _weight(field: object) -> int:
    """How much work it is to compare with a template."""
    return sum(map(_weight, field), 1) if isinstance(field, tuple | list) else 1


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"


def _who(count: int, total: int) -> str:
    if count == total:
        return "it differs" if total == 1 else "they differ"
    return "1 of them differs" if count == 1 else f"{count:,} of them differ"
