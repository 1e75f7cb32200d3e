"""Generated stubs: what they understand, and what they refuse."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dslab.kit.errors import UsageError
from dslab.rpc import aclient
from dslab.rpc.client import connect
from dslab.rpc.stubs import generate

# Each defines I, and Real, which echoes; `use` makes all calls, of a client stub or of the object itself.
GOOD = {
    "a parameter called value, result, argument or self's": """
        from typing import Protocol
        class I(Protocol):
            def put(self, value: int, result: str, argument: int, Any: int, method: int) -> int: ...
        class Real(I):
            def put(self, value: int, result: str, argument: int, Any: int, method: int) -> int:
                return value + argument + Any + method
        def use(i: I) -> bool:
            return i.put(1, "", 2, 3, 4) == 10
        """,
    "inherited methods": """
        from typing import Protocol
        from {name}_base import Base, Kind
        class I(Base, Protocol):
            def put(self, a: int) -> int: ...
        class Real(I):
            def put(self, a: int) -> int:
                return a
            def balance(self, of: Kind = Kind.SMALL) -> int:
                return 7 + of.value
        def use(i: I) -> bool:
            return i.put(1) == 1 and i.balance() == 8 and i.balance(Kind.LARGE) == 9
        """,
    "keyword-only, positional-only and defaults": """
        from __future__ import annotations
        from typing import Protocol
        LEAST = 5
        class I(Protocol):
            def put(self, a: int, *, b: int = LEAST, c: int) -> int: ...
            def get(self, a: int, /, b: list[int] | None = None) -> int: ...
        class Real(I):
            def put(self, a: int, *, b: int = LEAST, c: int) -> int:
                return 100 * a + 10 * b + c
            def get(self, a: int, /, b: list[int] | None = None) -> int:
                return a + sum(b or [])
        def use(i: I) -> bool:
            put = i.put(1, c=3) == 153 and i.put(b=2, a=1, c=3) == 123
            return put and i.get(1) == 1 and i.get(1, [2]) == 3
        """,
    "aliases, and keys that are not text": """
        from __future__ import annotations
        from typing import Protocol, TypeAlias
        Accounts: TypeAlias = dict[int, str]
        class I(Protocol):
            def all(self, more: Accounts, s: set[int]) -> Accounts: ...
        class Real(I):
            def all(self, more: Accounts, s: set[int]) -> Accounts:
                return {**more, min(s): "min"}
        def use(i: I) -> bool:
            return i.all({1: "a", 2: "b"}, {3, 4}) == {1: "a", 2: "b", 3: "min"}
        """,
    "enums, quotes and modules": """
        import datetime
        import collections.abc
        import datetime as dt
        from datetime import date as Day
        from enum import Enum
        from typing import Annotated, Literal, Protocol
        class C(Enum):
            RED = "red"
            BLUE = "blue"
        class I(Protocol):
            def paint(self, c: "C" = C.RED) -> "C": ...
            def next(self, day: dt.date, days: list["datetime.date"]) -> Day: ...
            def pick(self, which: Literal["a", "b"] = "a") -> Annotated["int", "text"]: ...
            def count(self, them: collections.abc.Sequence[int]) -> "None | int": ...
        class Real(I):
            def paint(self, c: C = C.RED) -> C:
                return C.BLUE if c is C.RED else C.RED
            def next(self, day: dt.date, days: list[datetime.date]) -> Day:
                return max(day, *days)
            def pick(self, which: Literal["a", "b"] = "a") -> int:
                return ord(which)
            def count(self, them: collections.abc.Sequence[int]) -> int | None:
                return len(them) or None
        def use(i: I) -> bool:
            day, later = Day(2026, 1, 1), Day(2026, 1, 2)
            painted = i.paint() is C.BLUE and i.paint(C.BLUE) is C.RED
            return painted and i.next(day, [later]) == later and i.pick("b") == 98 and i.count([]) is None
        """,
}

BASE = """
    from enum import Enum
    from typing import Protocol
    class Kind(Enum):
        SMALL = 1
        LARGE = 2
    class Base(Protocol):
        def balance(self, of: Kind = Kind.SMALL) -> int: ...
    """

COROUTINES = """
    from __future__ import annotations
    from typing import Protocol
    class I(Protocol):
        async def put(self, a: int, *, b: int = 2) -> dict[int, str]: ...
    class Real(I):
        async def put(self, a: int, *, b: int = 2) -> dict[int, str]:
            return {a: str(b)}
    async def use(i: I) -> bool:
        return await i.put(1) == {1: "2"} and await i.put(1, b=3) == {1: "3"}
    """

Make = Callable[[str, str], tuple[ModuleType, ModuleType]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Write a module and its stubs, and import both."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def make(name: str, text: str) -> tuple[ModuleType, ModuleType]:
        made.extend([name, f"{name}_stubs", f"{name}_base"])
        (tmp_path / f"{name}_base.py").write_text(textwrap.dedent(BASE))
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text).replace("{name}", name))
        module = importlib.import_module(name)
        (tmp_path / f"{name}_stubs.py").write_text(generate(module.I))
        return module, importlib.import_module(f"{name}_stubs")

    yield make
    for name in made:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("codec", ["msgpack", "json"])
@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_stubs_call_over_a_socket(make: Make, serve: Any, text: str, codec: str) -> None:
    module, stubs = make("stubbed", text)
    assert module.use(module.Real())
    with connect(serve(stubs.IServer(module.Real()), codec=codec), codec=codec, timeout_s=60) as client:
        assert module.use(stubs.IClient(client.call))


@pytest.mark.parametrize("codec", ["msgpack", "json"])
def test_stubs_of_coroutine_functions_are_coroutine_functions(make: Make, serve: Any, codec: str) -> None:
    module, stubs = make("stubbed", COROUTINES)
    address = serve(stubs.IServer(module.Real()), codec=codec)

    async def run() -> bool:
        async with await aclient.connect(address, codec=codec, timeout_s=60) as client:
            return bool(await module.use(stubs.IClient(client.call)))

    assert asyncio.run(run())


def test_a_type_checker_understands_all_of_them(make: Make, tmp_path: Path) -> None:
    for number, text in enumerate([*GOOD.values(), COROUTINES]):
        module, _ = make(f"stubbed_{number}", text)
        name = module.__name__
        use = f"import {name} as m\nfrom {name}_stubs import IClient, IServer\n"
        (tmp_path / f"use_{number}.py").write_text(f"{use}used = m.use(IClient(print))\nIServer(m.Real())\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "."]
    checked = subprocess.run(
        command, cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert checked.stdout.startswith("Success"), checked.stdout


BAD = {
    "def put(self, a, b: int) -> int: ...": "I.put: a has no type hint. Write a: int",
    "def put(self, a: int): ...": "I.put: it does not say what it returns. Write -> None",
    "def put(self, *a: int) -> int: ...": "I.put: *a takes whatever comes. Say which",
    "def put(self, **a: int) -> int: ...": "I.put: *a takes whatever comes. Say which",
    "def put(self, _a: int) -> int: ...": "I.put: the name of the parameter _a is private. Call it",
    "def put(self, int: int) -> int: ...": "I.put: the parameter int hides the type int. Call it",
    "def put(self, a: int = ...) -> int: ...": "I.put: the default of a is left open. Write down",
    "def put(self, a: int, /, *, b: int) -> int: ...": "I.put: some arguments have no name, and some nothing",
    "def put(self, a: Iterator[int]) -> int: ...": "I.put: the parameter a does not travel: ",
    "def put(self) -> list[Callable[[], int]]: ...": "I.put: its result does not travel: ",
    "def put(self, a: T) -> int: ...": "I.put: the type of the parameter a is open: T. Name the type.",
    "def put(self, a: list[int] | set[int]) -> int: ...": "I.put: the parameter a cannot be checked: Type",
    "def put(self, a: 'Nowhere') -> int: ...": "I.put: stubbed does not say what Nowhere is. Define it there",
    "def put(self, a: 'Decimal') -> int: ...": "I.put: name 'Decimal' is not defined. Import what its hints",
    "put = lambda self: 1": "I.put: it is no method. Define it by def.",
    "put: int": "I.put: it is no method of an object. Write def put(self, ...).",
    "@property\n    def put(self) -> int: ...": "I.put: it is no method of an object. Write def put(",
    "@staticmethod\n    def put() -> int: ...": "I.put: it is no method of an object. Write def put(",
    "def a(self) -> int: ...\n    async def b(self) -> int: ...": "I: some methods are coroutine functions",
    "def _put(self) -> int: ...": "I has no public method.",
}


@pytest.mark.parametrize(("method", "error"), BAD.items(), ids=BAD)
def test_the_rest_is_refused_with_what_to_do(make: Make, method: str, error: str) -> None:
    head = "from typing import *\nT = TypeVar('T')\nif TYPE_CHECKING:\n    from decimal import Decimal\n"
    with pytest.raises(UsageError) as raised:
        make("stubbed", f"{head}class I(Protocol):\n    {method}\n")
    assert str(raised.value).startswith(error)


def test_one_name_for_two_things_is_refused(make: Make) -> None:
    text = """
        from typing import Protocol
        from {name}_base import Base
        class Kind: ...
        class I(Base, Protocol):
            def put(self, a: Kind) -> int: ...
        """
    with pytest.raises(UsageError, match="Kind"):
        make("stubbed", text)


def test_what_is_no_class_and_no_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no class"):
        generate(7)  # type: ignore[arg-type]
    (tmp_path / "my-bank.py").write_text(
        "from typing import Protocol\nclass I(Protocol):\n    def put(self) -> int: ...\n"
    )
    command = [sys.executable, "-m", "dslab.rpc", "stubs", f"{tmp_path / 'my-bank.py'}:I"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "my-bank.py cannot be imported" in refused.stderr
