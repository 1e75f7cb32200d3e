"""The tree and its import contracts, as the design has them."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MECHANISMS = sorted(path.parent for path in ROOT.glob("dslab/*/__init__.py") if path.parent.name != "kit")
MODULES = sorted(ROOT.glob("dslab/**/*.py"))
BANNED_NAMES = {"utils", "util", "helpers", "common", "misc"}


def test_import_contracts_hold() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_mechanism_is_under_a_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    floors = [set(contract["containers"]) for contract in contracts if "containers" in contract]
    kept_out = [
        set(contract["forbidden_modules"])
        for contract in contracts
        if contract.get("source_modules") == ["dslab.kit"]
    ]
    for mechanism in MECHANISMS:
        name = f"dslab.{mechanism.name}"
        assert any(name in floor for floor in floors), f"{name}: no layers contract in pyproject.toml"
        assert any(name in names for names in kept_out), f"{name}: dslab.kit is not forbidden to import it"


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda path: path.name)
def test_a_mechanism_has_the_files_that_a_reader_looks_for(mechanism: Path) -> None:
    present = {path.name for path in mechanism.glob("*.py")}
    assert {"__init__.py", "__main__.py", "messages.py", "protocol.py", "client.py"} <= present
    assert any(name.startswith("server") for name in present)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is(module: Path) -> None:
    assert module.stem not in BANNED_NAMES
    assert ast.get_docstring(ast.parse(module.read_text())), f"{module} has no docstring"


def test_the_package_ships_no_path_of_a_machine_and_no_registry() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    banned = ("pypi" + ".org", "pythonhosted" + ".org", "/root" + "/", "deb.debian" + ".org")
    for name in tracked:
        path = ROOT / name
        if path.is_file() and path.suffix not in {".png", ".svg"}:
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [word for word in banned if word in text], name
