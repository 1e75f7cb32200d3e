from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from bench.harness import plot, report
from bench.harness.goals import Goal, difference, figure, ratio
from bench.harness.machine import cpu_s
from bench.harness.peers import Needs, free_address, role, server, server_at
from bench.harness.plot import PLOT_PX, Axis, panel
from bench.harness.report import Block, Column
from bench.harness.rounds import Samples
from dslab.kit.errors import MachineError

COLUMN = Column("p50_us", "p50, us")
BLOCK = Block("One call after another", (COLUMN,), "ours")


@pytest.fixture
def samples() -> Samples:
    values = {"ours": {"p50_us": [10.0, 20.0, 10.0]}, "theirs": {"p50_us": [40.0, 60.0, 50.0]}}
    return Samples(values, left_out={"Pyro5": "Pyro5 not installed: pip install it"})


def printed(samples: Samples, *goals: Goal) -> str:
    console = Console(file=io.StringIO(), width=120)
    report.show([BLOCK], goals, samples, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_table_shows_median_quartiles_and_the_ratio_inside_rounds(samples: Samples) -> None:
    row = next(line for line in printed(samples).splitlines() if "theirs" in line)
    cells = [cell.strip() for cell in row.split("  ") if cell.strip()]
    assert cells == ["theirs", "50.0", "45.0 to 55.0", "4.00"]  # the ratios were 4, 3 and 5


def test_who_is_left_out_is_named_with_the_remedy(samples: Samples) -> None:
    assert "Pyro5 is left out: Pyro5 not installed: pip install it" in printed(samples)


def test_a_goal_is_met_or_missed_by_its_median(samples: Samples) -> None:
    fast = Goal("fast", ratio("ours", "theirs", "p50_us"), at_most=0.25)
    faster = Goal("faster", ratio("ours", "theirs", "p50_us"), at_most=0.1)
    many = Goal("many", ratio("theirs", "ours", "p50_us"), at_least=4)
    shown = printed(samples, fast, faster, many)
    verdicts = {line.split()[0]: line for line in shown.splitlines() if " at " in line}
    assert "met" in verdicts["fast"]
    assert "missed" in verdicts["faster"]
    assert "met" in verdicts["many"]


def test_where_nothing_is_promised_nothing_is_met(samples: Samples) -> None:
    shown = printed(samples, Goal("open", ratio("ours", "theirs", "p50_us")))
    line = next(line for line in shown.splitlines() if line.split()[:1] == ["open"])
    assert "met" not in line
    assert "missed" not in line


def test_a_goal_about_a_peer_that_is_left_out_has_no_value(samples: Samples) -> None:
    goal = Goal("a peer", ratio("ours", "Pyro5", "p50_us"), at_most=1)
    assert goal.measured(samples) is None
    assert "left out" in printed(samples, goal)


def test_figures_and_differences_are_goals_too(samples: Samples) -> None:
    assert Goal("", figure("ours", "p50_us"), 1, scale=2).measured(samples) == (20, 20, 30)
    added = Goal("", difference("theirs", "ours", "p50_us"), 1).measured(samples)
    assert added is not None
    assert added.median == 40


def test_the_json_file_has_every_round(
    samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    path = report.save("calls", [Goal("fast", ratio("ours", "theirs", "p50_us"), 0.25)], samples)
    saved = json.loads(path.read_text())
    assert saved["samples"]["ours"]["p50_us"] == [10.0, 20.0, 10.0]
    assert saved["goals"][0]["met"]
    assert saved["left_out"] == samples.left_out


def test_equal_ratios_are_equal_distances_in_a_picture() -> None:
    axis = Axis.around([3.0, 700.0])
    assert (axis.first, axis.last) == (0, 3)
    assert axis.px(10) - axis.px(1) == pytest.approx(axis.px(1000) - axis.px(100), abs=0.11)
    assert axis.px(1000) == PLOT_PX


def test_an_axis_has_its_powers_of_ten_written_out() -> None:
    written = [text for _, text in Axis(-1, 6).ticks()]
    assert written == ["0.1", "1", "10", "100", "1,000", "10,000", "100,000", "1,000,000"]


def test_a_picture_lists_the_least_first_and_marks_ours(samples: Samples) -> None:
    laid = panel(BLOCK, COLUMN, samples)
    assert laid is not None
    assert [(mark.row, mark.ours) for mark in laid.marks] == [("ours", True), ("theirs", False)]


def test_a_picture_is_svg_that_needs_nothing_else(samples: Samples) -> None:
    samples.values["<them & us>"] = {"p50_us": [1.0, 2.0, 3.0]}
    picture = plot.draw("What it costs", [BLOCK], samples, "a note")
    texts = [node.text for node in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert {"What it costs", "a note", "<them & us>", "50.0"} <= set(texts)
    assert "href" not in picture
    assert "<script" not in picture


def test_what_is_not_installed_is_named_with_the_remedy() -> None:
    needs = Needs(("json", "no_such_module"), ("no-such-program",), "apt-get install it")
    assert needs.missing() == "no_such_module, no-such-program not installed: apt-get install it"
    assert Needs(ruby=("no/such/library",)).missing().startswith("no/such/library not installed")
    assert Needs(("json",), ("sh",)).missing() == ""


SERVER = "import sys; print('listening on 127.0.0.1:7000', flush=True); sum(range(10**6)); sys.stdin.read()"


def test_a_server_is_a_process_that_tells_its_address_and_ends() -> None:
    with server([sys.executable, "-c", SERVER]) as running:
        assert str(running.address) == "127.0.0.1:7000"
        assert running.cpu_s() > 0
        assert running.rss_bytes() > 2**20
        pid = running.pid
    with pytest.raises(Exception, match=str(pid)):
        cpu_s(pid)


def test_a_server_that_does_not_start_is_said_to() -> None:
    with pytest.raises(MachineError, match="did not start"), server([sys.executable, "-c", "pass"]):
        pass


def test_a_server_that_says_nothing_is_waited_for() -> None:
    address = free_address()
    listens = f"import socket; socket.create_server({address.pair}).accept()[0].recv(1)"
    with server_at([sys.executable, "-c", f"{listens}; import time; time.sleep(60)"], address) as running:
        assert running.address == address


def test_a_server_that_ends_before_it_listens_is_not_waited_for() -> None:
    with (
        pytest.raises(MachineError, match="did not start"),
        server_at([sys.executable, "-c", "pass"], free_address()),
    ):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="only there")
def test_fixed_addresses_are_the_same_in_every_run_and_change_nothing_else() -> None:
    program = "import ctypes, sys; from bench.harness.machine import fix_addresses; fix_addresses(); "
    program += "print(ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, 'Py_Version')), sys.argv[1:])"
    command = [sys.executable, "-X", "utf8", "-c", program, "an", "argument"]
    if subprocess.run(["sh", "-c", "setarch -R true"], capture_output=True, check=False).returncode:
        pytest.skip("not to be had here")
    said = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert said[0] == said[1]
    assert said[0].endswith("['an', 'argument']\n")


def test_a_role_is_the_same_file_again() -> None:
    assert role("rpc.py", "server", "Pyro5") == [sys.executable, "rpc.py", "--be", "server", "Pyro5"]
