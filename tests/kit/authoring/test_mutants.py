"""Each kind of mistake is made where it can be, once, and nowhere else."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslab.kit.authoring.mutants import Mutant, make_mutants


def solution(body: str) -> str:
    indented = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    begin = 'def f(a, b, lock):\n    """Doc."""\n    # BEGIN SOLUTION step-1.1 "go"\n'
    return f"{begin}{indented}\n    # END SOLUTION\n"


def mutants(body: str) -> list[Mutant]:
    return make_mutants(solution(body), "f.py")


def changes(body: str, operator: str = "") -> list[str]:
    return [mutant.change for mutant in mutants(body) if operator in mutant.operator]


@pytest.mark.parametrize(
    ("body", "operator", "expected"),
    [
        ("x = a < b", "comparison", ["a < b -> a <= b", "a < b -> a >= b"]),
        ("x = 1 < a < b", "comparison", ["1 < a < b -> 1 <= a < b", "1 < a < b -> 1 >= a < b",
                                         "1 < a < b -> 1 < a <= b", "1 < a < b -> 1 < a >= b"]),
        ("x = a is None", "comparison", ["a is None -> a is not None"]),
        ("x = 2", "constant", ["2 -> 3", "2 -> 1"]),
        ("x = a.recv(1024)", "", []),
        ("x = True", "constant", ["True -> False"]),
        ("x = b'*'", "constant", ["b'*' -> b''"]),
        ("x = ''", "constant", ["'' -> 'x'"]),
        ("x = a.to_bytes(b, 'big')", "byte order", ["'big' -> 'little'"]),
        ("x = '!I'", "byte order", ["'!I' -> '<I'"]),
        ("x = a + b", "arithmetic", ["a + b -> a - b"]),
        ("x = a and b", "logic", ["a and b -> a or b"]),
        ("x = not a", "negation", ["not a -> a"]),
        ("if a:\n    x = b", "condition", ["if a -> if not a"]),
        ("a.sendall(b)", "weaker call", ["a.sendall(b) -> a.send(b)"]),
        ("a.sendall(b)", "dropped", ["a.sendall(b) -> pass"]),
        ("a.settimeout(b)", "timeout", ["a.settimeout(b) -> a.settimeout(None)"]),
        ("x = a(b, timeout_s=b)", "timeout", ["a(b, timeout_s=b) -> a(b, timeout_s=None)"]),
        ("with lock:\n    x = a", "lock", ["with lock: -> no lock"]),
        ("with a:\n    x = a", "", []),
        ("while a:\n    x = a", "loop", ["while a: once"]),
        ("for x in a:\n    y = x", "loop", ["for x in a: once"]),
        ("return a", "return", ["return a -> return None"]),
        ("return None", "", []),
        ("raise ValueError('text')", "", ["raise ValueError('text') -> pass"]),
        ("print('text', file=sys.stderr)", "", []),
        ("x = f'{a + b}'", "", []),
        ("x: Literal['a'] = b", "", []),
    ],
)  # fmt: skip
def test_one_kind_at_a_time(body: str, operator: str, expected: list[str]) -> None:
    assert changes(body, operator) == expected


def test_exceptions() -> None:
    body = (
        "try:\n    x = a\nexcept OSError as error:\n    x = error\nexcept KeyError:\n    pass\n"
        "except ValueError:\n    print('text', file=sys.stderr)"
    )
    assert changes(body) == [
        "except OSError: swallowed",
        "except OSError: not caught",
        "except KeyError: not caught",
        "except ValueError: not caught",
    ]


def test_a_lock_is_removed_and_the_rest_stays() -> None:
    [mutant] = mutants("if a is b:\n    with lock:\n        x = a\n        y = x")[1:]
    assert mutant.text == solution("if a is not b:\n    if True:\n        x = a\n        y = x").replace(
        " not", ""
    )


def test_precedence_is_kept() -> None:
    texts = [mutant.text for mutant in mutants("x = (a + b) * (a and b)")]
    assert texts == [
        solution("x = ((a + b) // (a and b))"),
        solution("x = ((a - b)) * (a and b)"),
        solution("x = (a + b) * ((a or b))"),
    ]


def test_text_before_the_change_may_hold_any_character() -> None:
    [mutant] = [one for one in mutants("x = ['漢字', a + b]") if one.operator == "arithmetic"]
    assert "x = ['漢字', (a - b)]" in mutant.text


def test_equal_changes_in_one_function_are_numbered() -> None:
    assert [(one.change, one.number) for one in mutants("x = a + b\ny = a + b")] == [
        ("a + b -> a - b", 1),
        ("a + b -> a - b", 2),
    ]


def test_what_stands_outside_of_regions_is_given_and_stays() -> None:
    text = "LIMIT = 3\n" + solution("return a") + "x = 1 + 2\n"
    [mutant] = make_mutants(text, "f.py")
    assert (mutant.function, mutant.line, mutant.step) == ("f", 5, "1.1")
    assert mutant.key == ("f.py", "f", "return a -> return None", 1)


BODIES = st.lists(
    st.sampled_from(
        [
            "a = b + 1",
            "if a and not b:\n    a.sendall(b)",
            "while a < b:\n    break",
            "with lock:\n    a = 1",
            "return a",
        ]
    ),
    min_size=1,
    max_size=5,
)


@given(BODIES)
def test_every_mutant_is_python_and_differs_from_the_solution_and_the_others(bodies: list[str]) -> None:
    body = "\n".join(bodies)
    texts = [mutant.text for mutant in mutants(body)]
    keys = [mutant.key for mutant in mutants(body)]
    assert solution(body) not in texts
    assert len(set(keys)) == len(keys)
    for text in texts:
        compile(text, "f.py", "exec")
