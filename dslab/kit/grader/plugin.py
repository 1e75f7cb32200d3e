"""The pytest plugin, as light as can be: pytest loads it in every run of every project in this environment.

It registers the options, and looks whether the command line asks for a lab: ``pytest labs/01-sockets``. Only
then is `dslab.kit.grader.session` imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

# What `dslab test` calls them, and what they are called here.
OPTIONS: dict[str, dict[str, Any]] = {
    "submission": {"metavar": "DIR", "help": "the files to grade; the lab's own folder if left out"},
    "backend": {"metavar": "B", "help": "where services run: local or docker"},
    "seed": {"metavar": "S", "type": int, "help": "repeat the run that printed this seed"},
    "step": {
        "metavar": "N.M",
        "action": "append",
        "help": "run this step and what it needs; may be repeated",
    },
    "report": {"metavar": "DIR", "help": "write every report format there"},
    "checks": {"metavar": "PATH", "help": "add private checks: a file or a folder"},
    "broker": {"metavar": "B", "help": "embedded or rabbitmq"},
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options; where another plugin has taken a short name, ``--dslab-name`` remains."""
    group = parser.getgroup("dslab", "dslab: grade a lab, as in pytest labs/01-sockets --submission DIR")
    for name, settings in OPTIONS.items():
        names = [f"--dslab-{name}"] if _taken(parser, f"--{name}") else [f"--{name}", f"--dslab-{name}"]
        group.addoption(*names, dest=f"dslab_{name}", default=None, **settings)


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Take the session over if it is about a lab.

    This is the moment after the command line is known and before a ``conftest.py`` runs.
    """
    labs = _labs_asked_for(early_config)
    if labs:
        early_config.known_args_namespace.noconftest = True
        from dslab.kit.grader.run import TakeOver

        early_config.pluginmanager.register(TakeOver(labs))


def _labs_asked_for(config: pytest.Config) -> list[Path]:
    """The labs' folders among the arguments; the current folder, if there are no arguments."""
    here = config.invocation_params.dir
    words = config.known_args_namespace.file_or_dir or ["."]
    paths = [here / word.partition("::")[0] for word in words]
    folders = {(path if path.is_dir() else path.parent).resolve() for path in paths}
    return sorted(folder for folder in folders if (folder / "lab.toml").is_file())


def _taken(parser: pytest.Parser, name: str) -> bool:
    groups = getattr(parser, "_groups", [])
    return any(name in option.names() for group in groups for option in group.options)
