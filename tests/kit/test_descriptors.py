from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from dslab.kit.descriptors import MACOS_MOST, prepare_descriptors

OPENS = """\
import os
from dslab.kit.descriptors import prepare_descriptors
os.closerange(0, 3)
prepare_descriptors()
first, _ = os.pipe()
os._exit(first if all(os.fstat(number) for number in range(3)) else 0)
"""


def test_what_is_opened_is_no_standard_stream() -> None:
    assert subprocess.run([sys.executable, "-c", OPENS], timeout=60, check=False).returncode >= 3


@pytest.mark.parametrize(("now", "least"), [(256, MACOS_MOST), (20_000, 20_000)])
def test_a_system_that_names_no_limit_and_takes_none(
    monkeypatch: pytest.MonkeyPatch, now: int, least: int
) -> None:
    """macOS: "It no longer accepts rlim_cur = RLIM_INFINITY for RLIM_NOFILE", setrlimit(2)."""
    infinity = 2**63 - 1
    limits = [(now, infinity)]

    def set_limit(_: int, wanted: tuple[int, int]) -> None:
        if wanted[0] == infinity:
            raise ValueError("current limit exceeds maximum limit")
        limits.append(wanted)

    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    prepare_descriptors()
    assert limits[1:] == [(least, infinity)]
