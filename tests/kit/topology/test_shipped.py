from __future__ import annotations

from importlib.metadata import PackagePath
from pathlib import Path

import pytest

import dslab
from dslab.kit.topology import shipped as under_test
from dslab.kit.topology.shipped import shipped

ROOT = Path(dslab.__file__).parent.parent


def installed(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder / "dslab"


def test_a_source_tree_says_what_its_wheel_would_hold(tmp_path: Path) -> None:
    package = installed(tmp_path, "dslab/__init__.py", "beside.py", "setup.py")
    wheel = '[tool.hatch.build.targets.wheel]\nonly-include = ["dslab", "beside.py", "not_there.py"]\n'
    (tmp_path / "pyproject.toml").write_text(wheel)
    assert shipped(package) == [package, tmp_path / "beside.py"]


def test_an_installed_wheel_lists_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = installed(tmp_path, "dslab/__init__.py", "beside.py", "somebody_elses.py")
    listed = ("../../bin/dslab", "__pycache__/beside.pyc", "beside.py", "dslab/__init__.py", "dslab-1/RECORD")
    monkeypatch.setattr(under_test, "files", lambda _: [PackagePath(name) for name in listed])
    assert shipped(package) == [package, tmp_path / "beside.py"]


def test_what_is_not_installed_at_all_is_its_package(tmp_path: Path) -> None:
    package = installed(tmp_path, "nothing_of_that_name/__init__.py").with_name("nothing_of_that_name")
    assert shipped(package) == [package]


def test_this_tree_ships_nothing_but_modules_beside_its_package() -> None:
    package, *beside = shipped()
    assert package == ROOT / "dslab"
    assert all(path.parent == ROOT and path.suffix == ".py" for path in beside)
