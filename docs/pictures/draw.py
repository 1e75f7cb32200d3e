"""Draw the pictures of failed checks that the pages show: `.venv/bin/python docs/pictures/draw.py`.

Each comes from a real run of lab 1 with a known-wrong submission, and is photographed in Chromium, in a light
and in a dark version. Nothing compares them with a fresh run: their times differ each time.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

PICTURES = Path(__file__).resolve().parent
COURSE = PICTURES.parent.parent
SOLUTION = COURSE / "solutions" / "01-sockets"
SEED = "7"

# The picture's name: the wrong submission, and the check that catches it.
SHOWN = {
    "trace-silent-client": ("one_client_at_a_time", "silent_client"),
    "trace-reset": ("dies_of_a_reset", "reset_in_mid_message"),
}


def main() -> None:
    """Draw them all."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as scratch:
        flags = ["--disable-background-networking", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        for name, (wrong, check) in SHOWN.items():
            photograph(browser, picture_of(wrong, check, Path(scratch) / name), name)
        browser.close()


def picture_of(wrong: str, check: str, submission: Path) -> Path:
    """The page of that check in a fresh run of that wrong submission."""
    shutil.copytree(SOLUTION, submission, ignore=shutil.ignore_patterns("wrong", "alternative"))
    source = SOLUTION / "wrong" / f"{wrong}.py"
    replaced = re.search(r"^# replaces: (\S+)", source.read_text(encoding="utf-8"), re.MULTILINE)
    assert replaced is not None
    shutil.copyfile(source, submission / replaced[1])
    ran = dslab("test", "1", "--submission", str(submission), "--seed", SEED)
    run = re.search(r"^folder\s+(\S+)", ran, re.MULTILINE)
    assert run is not None, ran
    return Path(dslab("trace", run[1], check).strip())


def dslab(*words: str) -> str:
    """What that command prints."""
    command = [sys.executable, "-m", "dslab", *words]
    return subprocess.run(command, cwd=COURSE, capture_output=True, text=True, check=False).stdout


def photograph(browser: Browser, page_path: Path, name: str) -> None:
    """Write NAME-light.png and NAME-dark.png."""
    for scheme in ("light", "dark"):
        page = browser.new_page(
            viewport={"width": 1240, "height": 300},
            device_scale_factor=1.25,
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page.goto(page_path.as_uri())
        page.screenshot(path=PICTURES / f"{name}-{scheme}.png", full_page=True)
        page.close()


if __name__ == "__main__":
    main()
