"""The nearest tuples: why a program waits for ever.

Nearly always because of a tuple that is there, and differs in one field: a letter, a ``1`` for a ``"1"``.
So each field of the template in turn is made to match anything; what the index then finds differs in that
field only.

This module does no I/O.
"""

from __future__ import annotations

from collections.abc import Iterator

from dslab.linda.kinds import ANY, KINDS, NAMES, Fields, Formal, show, show_value
from dslab.linda.matching import anything, compile_template, has_formals
from dslab.linda.store import Store

_AFAR = 3
"""Of so many fields that differ, each is named."""


def explain(store: Store, space: int, template: Fields) -> str:
    """Say in a sentence or two what comes near to a template."""
    arity = len(template)
    total = store.count(space, anything(arity))
    if not total:
        return _other_arities(store.arities(space), arity)
    have = "1 tuple has this arity" if total == 1 else f"{total:,} tuples have this arity"
    near = [sentence for field in range(arity) for sentence in _near(store, space, template, field, total)]
    return "; ".join([have, *(near or _far(store, space, template))])


def _near(store: Store, space: int, template: Fields, field: int, total: int) -> Iterator[str]:
    """What differs in one field only, of so many tuples."""
    relaxed = compile_template((*template[:field], Formal(ANY), *template[field + 1 :]))
    place = store.find(space, relaxed)
    if place is not None:
        table, number = place
        count = store.count(space, relaxed)
        example = difference(table.rows[number][field], template[field])
        yield f"{_who(count, total)} only in field {field}: {example}"


def _far(store: Store, space: int, template: Fields) -> Iterator[str]:
    """What differs in more: the oldest tuple as an example."""
    place = store.find(space, anything(len(template)))
    if place is None:
        return
    table, number = place
    fields = table.rows[number]
    compared = enumerate(zip(fields, template, strict=True))
    differ = [(field, pair) for field, pair in compared if not compile_template(pair[1:]).matches(pair[:1])]
    shown = ", ".join(f"field {field}: {difference(*pair)}" for field, pair in differ[:_AFAR])
    yield f"the oldest, {show(fields)}, differs in {len(differ)} fields: {shown}"


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


def _who(count: int, total: int) -> str:
    if count == total:
        return "it differs" if total == 1 else "they differ"
    return "1 of them differs" if count == 1 else f"{count:,} of them differ"
