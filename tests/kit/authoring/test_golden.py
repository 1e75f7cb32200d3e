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


def test_what_comes_by_chance_is_left_out() -> None:
    printed = "1.3 fail: Whole.\n    Byte 1,020 differs.\n    came back  92 2a (2 bytes)\n"
    printed += (
        "    in hex     92 2a\n               92 0d\n                  ^^\n"
        "    127,984    13 ad\n               13 0d\n    hint       dslab hint 1.3\n"
    )
    shown = golden.normalised(printed, Path("/tmp/a/wrong"), by_chance=True)
    assert shown == "1.3 fail: Whole.\n    Byte N differs.\n    hint       dslab hint 1.3\n"
    seen = "    There was a moment in between.\n"
    rows = '    item 3 of 7:\n    too much: "status 404" (10 characters)\n'
    assert golden.normalised(seen + rows, Path("/tmp/a/wrong"), by_chance=True) == seen
    in_short = "6.6 fail  test_between  There was a moment in between.{}\n"
    shown = golden.normalised(in_short.format(" server rai…"), Path("/tmp/a/wrong"), by_chance=True)
    assert shown == in_short.format("")


def test_a_difference_is_shown_and_recording_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "golden" / "late.txt"
    assert "+Byte 0 differs." in golden.difference(path, "Byte 0 differs.\n")
    golden.record(path, "Byte 0 differs.\n")
    assert not golden.difference(path, "Byte 0 differs.\n")
    assert "-Byte 0 differs." in golden.difference(path, "Byte 1 differs.\n")
