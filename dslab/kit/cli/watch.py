"""``dslab watch``: grade on every save."""

from __future__ import annotations

import json
import os
import selectors
import threading
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, assert_never

import typer
from rich.console import Console

from dslab.kit.cli import watching
from dslab.kit.cli.hint import find_step, show
from dslab.kit.cli.hints import tell_one_more
from dslab.kit.cli.keys import read_keys, single_keys
from dslab.kit.cli.options import Backend, BackendOption, LabArgument, SubmissionOption, complete_step
from dslab.kit.cli.warm import Worker
from dslab.kit.errors import UsageError
from dslab.kit.grader.course import Course, Lab, find_course

DEBOUNCE_MS = 60  # an editor that writes a file in two goes is one save
STEP_MS = 20
WATCHED = {".py", ".toml", ".yaml", ".yml"}


def watch(
    lab: LabArgument,
    submission: SubmissionOption = None,
    backend: BackendOption = Backend.LOCAL,
    seed: Annotated[
        int | None, typer.Option(metavar="S", help="Always the same payloads and faults.", show_default=False)
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(
            metavar="N.M", help="Stay with this step.", autocompletion=complete_step, show_default=False
        ),
    ] = None,
) -> None:
    """Grade a lab again on every save, the failing step first.

    Keys: h one more hint of the failing step, n the next failing step, a all steps, p the picture of the
    failure, q quit.

    Example:  [bold]dslab watch 1[/bold]
    """
    course = find_course()
    chosen = course.lab(lab)
    folder = (submission or chosen.folder).resolve()
    if not folder.is_dir():
        raise UsageError(
            f"There is no folder {folder}.", remedy="--submission names the folder of your files."
        )
    steps = tuple(one.id for one in chosen.rubric.steps)
    if step is not None and step not in steps:
        raise UsageError(
            f"Lab {chosen.name} has no step {step!r}.", remedy=f"Its steps are {', '.join(steps)}."
        )
    fields = {"lab": chosen.name, "submission": str(folder), "backend": backend.value, "seed": seed}
    with single_keys() as terminal:
        Loop(course, chosen, folder, fields, watching.View(steps, only=step)).run(terminal)


class EndOfWatch(threading.Event):
    """Ends the watch for saves, which asks for it again and again.

    Attributes:
        was_asked: Whether that watch has begun.
    """

    was_asked = False

    def is_set(self) -> bool:
        """Whether the watch is to end."""
        self.was_asked = True
        return super().is_set()


class Loop:
    """Waits for saves, keys and results, and does what `watching` says.

    Args:
        course: Where hints are counted.
        lab: What is watched.
        folder: The student's files.
        fields: What every request to a worker says.
        view: What is known at the start.
    """

    def __init__(
        self, course: Course, lab: Lab, folder: Path, fields: dict[str, Any], view: watching.View
    ) -> None:
        self._course = course
        self._lab = lab
        self._folder = folder
        self._fields = fields
        self._view = view
        self._console = Console(highlight=False)
        self._spare = Worker.start()
        self._running: Worker | None = None
        self._run_folder = Path()
        self._selector = selectors.DefaultSelector()

    def run(self, terminal: int | None) -> None:
        """Go on until the student quits."""
        try:
            with self._saves() as saves:
                self._selector.register(saves, selectors.EVENT_READ, self._on_save)
                if terminal is not None:
                    self._selector.register(terminal, selectors.EVENT_READ, self._on_keys)
                going = self._do(watching.on_start(self._view))
                while going:
                    going = self._handle_events()
        finally:
            self._stop_run()
            self._spare.end()
            self._selector.close()

    def _handle_events(self) -> bool:
        """Wait for something to happen; False ends the loop."""
        for key, _ in self._selector.select():
            # A save may have ended the run whose result stands next in this list.
            if key.fd in self._selector.get_map() and not key.data(key.fd):
                return False
        return True

    @contextmanager
    def _saves(self) -> Iterator[int]:
        """A descriptor that is readable when a file was saved."""
        saved, tell = os.pipe()
        stop = EndOfWatch()
        thread = threading.Thread(target=self._watch_files, args=(tell, stop), name="saves", daemon=True)
        thread.start()
        try:
            while thread.is_alive() and not stop.was_asked:
                time.sleep(0.005)  # what is saved from here on is seen
            yield saved
        finally:
            stop.set()
            thread.join()
            os.close(saved)
            os.close(tell)

    def _watch_files(self, tell: int, stop: EndOfWatch) -> None:
        from watchfiles import watch as changes_in

        places = {self._folder, self._lab.folder}
        for changes in changes_in(
            *places,
            watch_filter=lambda _change, path: Path(path).suffix in WATCHED,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            rust_timeout=500,
            stop_event=stop,
            recursive=False,
            raise_interrupt=False,
        ):
            os.write(tell, b"s" * bool(changes))

    def _on_save(self, saves: int) -> bool:
        os.read(saves, 4096)
        return self._do(watching.on_save(self._view))

    def _on_keys(self, terminal: int) -> bool:
        for key in read_keys(terminal):
            self._view, action = watching.on_key(self._view, key)
            if not self._do(action):
                return False
        return True

    def _on_result(self, _results: int) -> bool:
        worker = self._running
        assert worker
        if worker.receive():
            return True
        self._stop_run()
        if not worker.received:  # it said why on the terminal
            self._say_keys()
            return True
        report = json.loads(worker.received)
        self._run_folder = Path(report["folder"])
        self._view, action = watching.on_result(self._view, worker.step, report["result"])
        self._say_keys()
        return self._do(action)

    def _do(self, action: watching.Action) -> bool:
        """Carry out an action; False ends the loop."""
        match action:
            case watching.Run(step):
                self._start_run(step)
            case watching.Hint(step):
                lab, found = find_step(self._course, step)
                show(found, tell_one_more(self._course, lab, step))
            case watching.Picture(path):
                self._open(self._run_folder / path)
            case watching.Say(text):
                self._console.print(text, style="dim")
            case watching.Quit():
                return False
            case watching.Rest():
                pass
            case other:
                assert_never(other)
        return True

    def _start_run(self, step: str | None) -> None:
        self._stop_run()
        if self._console.is_terminal:
            self._console.clear()
        self._running, self._spare = self._spare, Worker.start()
        self._selector.register(self._running.results, selectors.EVENT_READ, self._on_result)
        self._running.ask(self._fields, step)

    def _stop_run(self) -> None:
        if self._running:
            self._selector.unregister(self._running.results)
            self._running.end()
            self._running = None

    def _open(self, picture: Path) -> None:
        self._console.print(f"{picture}", style="dim", soft_wrap=True)
        with suppress(webbrowser.Error):  # there is none; the path is on the screen
            browser = webbrowser.get()
            if type(browser) is not webbrowser.GenericBrowser:  # that one would take over this terminal
                browser.open(picture.as_uri())

    def _say_keys(self) -> None:
        self._console.print(f"\nWatching {self._folder.name}.   {watching.KEYS}", style="dim")
