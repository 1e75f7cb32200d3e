"""Loads check files, and nothing else that lies beside them.

A student's own files may lie in the lab's folder, next to the checks. pytest's usual way of importing a test
would run a ``conftest.py`` or an ``__init__.py`` there; this one runs the check file alone, under a name of
our own, with nothing of the folder on ``sys.path``. Assertions are rewritten as usual.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import Loader
from pathlib import Path
from types import ModuleType

import pytest

from dslab.kit.errors import KitError
from dslab.kit.grader.classify import message_of


class CheckFile(pytest.Module):
    """A file of checks."""

    def _getobj(self) -> ModuleType:
        return load(self.path, self.config)


def load(path: Path, config: pytest.Config) -> ModuleType:
    """Run a check file as a module of its own.

    Raises:
        KitError: It cannot be loaded: a mistake of whoever wrote the check.
    """
    name = f"dslab_checks.{path.parent.name}.{path.stem}"
    # pytest's assertion rewriter is a finder and a loader; asked directly, it need not find anything.
    rewriter = config.pluginmanager.rewrite_hook
    loader = rewriter if isinstance(rewriter, Loader) else None
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise KitError(f"{path}: is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise KitError(f"{path}: the checks cannot be loaded: {message_of(error)}.") from error
    return module
