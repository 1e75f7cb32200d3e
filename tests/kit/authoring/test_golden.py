"""Golden files: what differs from run to run does not count, everything else does."""

from pathlib import Path

import pytest

from dslab.kit.authoring import golden


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (
            "picture    .dslab/runs/20261122-233120-lab1-34a2/test_x/picture.html",
            "picture    RUN/test_x/picture.html",
        ),
        ("127.156.2.47:7000 reset the connection", "ADDRESS ended the connection"),
        ("did not end within 3 s, has grown by 31 MB", "did not end within N s, has grown by N MB"),
        ("It has printed 47 of the 48 bytes that came.", "It has printed N of the N bytes that came."),
        ("member-2 asks again and again", "member-N asks again and again"),
        ("1,021 bytes, 3 steps", "1,021 bytes, 3 steps"),
        (
            "again  dslab test 1 --submission /tmp/a/wrong --seed 1",
            "again  dslab test 1 --submission SUBMISSION --seed 1",
        ),
    ],
)
def test_normalised(printed: str, shown: str) -> None:
    assert golden.normalised(printed + "   ", Path("/tmp/a/wrong")) == shown + "\n"


PROPERTY = "1.3 fail: A message that is delivered one byte at a time\n    is answered whole.\n"
HINT = "    hint       dslab hint 1.3\n"
STEPS = "step  checks  points\n1.3   5 of 8  15 of 24\n"


@pytest.mark.parametrize(
    "words",
    [
        "",
        "    Byte 1,020 differs.\n    came back  92 2a (2 bytes)\n    in hex     92\n               ^^\n",
        "    server: waited 3 s in vain for a message.\n    sent       00 00 ... 00 (24 bytes)\n",
        "    It ends 1 byte too early, after 20 bytes. It has printed\n    20 of the 21 bytes that came.\n",
        "    There was a moment in between.\n    stderr     Traceback\n\n               KeyError: 'key'\n",
    ],
)
def test_in_which_words_a_property_fails_by_chance_is_left_out(words: str) -> None:
    printed = f"{PROPERTY}{words}{HINT}\n{PROPERTY}{words}{HINT}"
    shown = golden.normalised(printed, Path("/tmp/a/wrong"), by_chance=True)
    assert shown == f"{PROPERTY}{HINT}\n{PROPERTY}{HINT}"
    assert golden.normalised(printed, Path("/tmp/a/wrong")).count("\n") == printed.count("\n")


def test_the_last_words_of_who_is_waited_for_in_vain_are_left_out() -> None:
    waited = "    server: waited N s in vain for a message."
    stderr = "    stderr     gone\n\n               at last\n"
    raised = " server\n    raised OSError: [Errno 104] Reset (server.py, line 18)."
    other = f"{PROPERTY}    server ended.{raised}\n{stderr}{HINT}"
    printed = f"{other}\n{PROPERTY}{waited}{raised}\n    sent       x\n{stderr}{HINT}\n{other}"
    shown = golden.normalised(printed, Path("/tmp/a/wrong"))
    assert shown == f"{other}\n{PROPERTY}{waited}\n    sent       x\n{HINT}\n{other}"


def test_failures_in_short_that_share_a_line_by_chance_are_left_out() -> None:
    in_short = "2 more, in short; --step N.M shows those of a step whole:\n"
    in_short += "1.5 fail  test_reset and 1 more  Byte 3 differs.\n1.6 fail  test_end  There was a mom…\n\n"
    shown = golden.normalised(f"{PROPERTY}{HINT}\n{in_short}{STEPS}", Path("/tmp/a/wrong"), by_chance=True)
    assert shown == f"{PROPERTY}{HINT}\n{STEPS}"


def test_a_difference_is_shown_and_recording_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "golden" / "late.txt"
    assert "+Byte 0 differs." in golden.difference(path, "Byte 0 differs.\n")
    golden.record(path, "Byte 0 differs.\n")
    assert not golden.difference(path, "Byte 0 differs.\n")
    assert "-Byte 0 differs." in golden.difference(path, "Byte 1 differs.\n")
