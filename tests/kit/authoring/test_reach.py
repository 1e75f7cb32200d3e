from __future__ import annotations

from pathlib import Path

import pytest

from dslab.kit.authoring.reach import Reach, reach
from dslab.kit.grader.course import Lab, load_lab

FILES = {
    "lab.toml": """
        title = "T"
        files = ["framing.py", "server.py", "client.py", "worker.py", "other.py", "alone.py"]
        [[steps]]
        id = "1.1"
        title = "A"
        points = 40
        hints = ["h"]
        [[steps]]
        id = "1.2"
        title = "B"
        points = 60
        hints = ["h"]
    """,
    "compose.yaml": """
        services:
          server: {command: [python, server.py, "${BIND:-0.0.0.0:7000}"], expose: ["7000"]}
          client: {command: 'python client.py ${SERVER_ADDR:-server:7000}'}
          given: {command: [python, -m, given.runs], deploy: {replicas: 2}}
          worker: {command: [python, "${PROGRAM:-worker.py}"]}
    """,
    "test_it.py": 'PROGRAM = "other.py"',
    "given/__init__.py": "import framing",
    "given/runs.py": "from given import deep",
    "given/deep.py": "from .deeper import x",
    "given/deeper.py": "def f():\n    from alone import x",
}
SOLUTION = {
    "framing.py": "import struct",
    "server.py": "from framing import cut\nimport socket",
    "client.py": "import given.deeper",
    "worker.py": "",
    "other.py": "",
    "alone.py": "x = 1",
}
STEP_OF = {"test_a": "1.1", "test_b": "1.2"}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    write(tmp_path / "labs" / "01-it", FILES)
    write(tmp_path / "solutions", SOLUTION)
    return load_lab(tmp_path / "labs" / "01-it")


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(line.removeprefix("        ") for line in text.splitlines()))


def seen(lab: Lab, tmp_path: Path, **nodes: str) -> Reach:
    """What a run tells in which each check has started those nodes."""
    for check, started in nodes.items():
        (tmp_path / "run" / check).mkdir(parents=True)
        lines = [f'{{"t_s":1,"link":"{node}","kind":"node","label":"started"}}\n' for node in started.split()]
        (tmp_path / "run" / check / "nodes.jsonl").write_text("".join(lines))
    return reach(lab, tmp_path / "solutions", tmp_path / "run", STEP_OF)


def test_a_program_and_what_it_imports(lab: Lab, tmp_path: Path) -> None:
    found = seen(lab, tmp_path, test_a="server", test_b="worker")
    assert found.files_of["1.1"] == {"server.py", "framing.py"}
    assert found.steps("server.py") == found.steps("framing.py") == ["1.1"]


def test_a_module_of_a_package_runs_the_package(lab: Lab, tmp_path: Path) -> None:
    found = seen(lab, tmp_path, test_a="client", test_b="given-2")
    assert found.files_of["1.1"] == {"client.py", "framing.py", "alone.py"}
    assert found.files_of["1.2"] == {"framing.py", "alone.py"}
    assert found.steps("alone.py") == ["1.1", "1.2"]


def test_a_program_that_a_check_chooses(lab: Lab, tmp_path: Path) -> None:
    assert seen(lab, tmp_path, test_a="worker").files_of["1.1"] == {"worker.py", "other.py"}


def test_a_file_that_no_check_is_seen_to_read(lab: Lab, tmp_path: Path) -> None:
    assert seen(lab, tmp_path, test_a="server").steps("alone.py") == ["1.1", "1.2"]
