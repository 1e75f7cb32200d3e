"""The handles by which a check acts on one node: `Service`. The same for both backends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

from dslab.kit.address import Address
from dslab.kit.errors import ConfigError, KitError, PeerSilent, ServiceFailed, UsageError
from dslab.kit.topology.backend import MARK_PREFIX, Backend, Launch, Process
from dslab.kit.topology.forms import nearest
from dslab.kit.topology.journal import Journal
from dslab.kit.topology.roles import variables as variables_of
from dslab.kit.topology.spec import GRADER, ServiceSpec
from dslab.kit.topology.usage import Usage
from dslab.kit.topology.wiring import Wiring
from dslab.kit.trace.event import NodeState

READY_TIMEOUT_S = 20.0
# Between two looks: a tenth of what it has taken so far, within these limits.
POLL_S = (0.002, 0.05)
TAIL_CHARACTERS = 4_000


class Service:
    """One node of a running topology. Get it with ``topology["server"]``.

    Args:
        name: The node's name.
        spec: The service that it is an instance of.
        backend: Where it runs.
        wiring: The links.
        journal: Where it is put on record what becomes of it.
        environment: dslab's own environment, for variables that the check gives no value.
        start: Starts the node of that name, with what it depends on.
        ready_timeout_s: How long it may take to get ready.

    Attributes:
        earlier_errors: How many characters of `errors` are of starts before the last one.
    """

    def __init__(
        self,
        name: str,
        spec: ServiceSpec,
        *,
        backend: Backend,
        wiring: Wiring,
        journal: Journal,
        environment: Mapping[str, str],
        start: Callable[[str], None],
        ready_timeout_s: float,
    ) -> None:
        self.name = name
        self.spec = spec
        self.earlier_errors = 0
        self._backend = backend
        self._wiring = wiring
        self._journal = journal
        self._environment = environment
        self._start = start
        self._ready_timeout_s = ready_timeout_s
        self._variables: dict[str, str] = {}
        self._process: Process | None = None
        self._ready = False

    # Starting and ending.

    def start(self, **variables: object) -> None:
        """Start it and what it depends on, and wait until it is ready.

        Args:
            **variables: Values for variables of its compose entry: ``start(MESSAGE="hello")``, also for
                those that stand for a link or for a listening address. They hold for later starts too.

        Raises:
            ServiceFailed: It ended before it was ready, or was not ready in time.
            KitError: So it was, and it is a program of dslab's own.
        """
        if self.running:
            raise UsageError(f"{self.name} runs already.")
        self._take(variables)
        self._start(self.name)

    def launch(self) -> None:
        """Start it, and wait for nothing: neither for what it depends on, nor until it is ready."""
        launch = self._launch()
        self._ready = False
        self.earlier_errors = len(self.errors())
        self._journal.node(self.name, NodeState.STARTED)
        self._process = self._backend.launch(launch, self._journal.tell)

    def await_ready(self) -> None:
        """Wait until it is ready; no longer than a topology gives it.

        Raises:
            ServiceFailed: It ended before it was ready, or was not ready in time.
            KitError: So it was, and it is a program of dslab's own.
        """
        process = self._started()
        begun_s = time.monotonic()
        while not self._ready:
            if process.is_ready():
                self._ready = True
                self._journal.node(self.name, NodeState.READY)
            elif process.exit_status is not None:
                raise self._failed(f"ended with status {process.exit_status} before it was ready")
            elif (waited_s := time.monotonic() - begun_s) > self._ready_timeout_s:
                raise self._failed(f"was not ready within {self._ready_timeout_s:g} s: {process.doubt()}")
            else:
                time.sleep(min(max(POLL_S[0], waited_s / 10), POLL_S[1]))

    def await_completion(self) -> None:
        """Wait until it has done its work and ended with status 0.

        Raises:
            ServiceFailed: It ended otherwise, or not in time.
            KitError: So it was, and it is a program of dslab's own.
        """
        status = self._started().wait(self._ready_timeout_s)
        if status is None:
            raise self._failed(f"did not end within {self._ready_timeout_s:g} s, and others wait for that")
        if status:
            raise self._failed(f"ended with status {status}, and others wait for its success")

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ask it to end (SIGTERM); kill it if it has not ended after that time."""
        process = self._started()
        process.terminate()
        if process.wait(timeout_s) is None:
            self.kill()

    def kill(self) -> None:
        """End it at once, with everything that it started (SIGKILL). A crash, as its peers see it."""
        process = self._started()
        if self.running:
            self._journal.node(self.name, NodeState.KILLED)
            process.kill()

    def restart(self, **variables: object) -> None:
        """Kill it and start it again, at the same address and with the same scratch folder."""
        self.kill()
        self._take(variables)
        self.launch()
        self.await_ready()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its connections stay open, and it says nothing."""
        self._started().pause()
        self._journal.node(self.name, NodeState.PAUSED)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._journal.node(self.name, NodeState.RESUMED)
        self._started().resume()

    def wait(self, timeout_s: float = 10.0) -> int:
        """Wait for its end; its exit status, as a shell has it in ``$?`` (128 + n if signal n ended it).

        Raises:
            PeerSilent: It still runs after that time.
        """
        status = self._started().wait(timeout_s)
        if status is None:
            raise PeerSilent(f"{self.name} did not end within {timeout_s:g} s.")
        return status

    # Looking.

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self._process is not None

    @property
    def running(self) -> bool:
        """Whether it has started and not ended."""
        return self._process is not None and self._process.exit_status is None

    @property
    def exit_status(self) -> int | None:
        """How it ended; None if it runs, or never started."""
        return self._process.exit_status if self._process is not None else None

    def usage(self) -> Usage:
        """What it and whatever it started hold at this moment: memory, descriptors, threads, processes."""
        return self._started().usage()

    @property
    def scratch(self) -> Path:
        """Its own writable folder, as the grader sees it."""
        return self._backend.scratch(self.name).outside

    def logs(self) -> str:
        """All of its stdout so far."""
        return self._process.output("out") if self._process is not None else ""

    def errors(self) -> str:
        """All of its stderr so far."""
        return self._process.output("err") if self._process is not None else ""

    def address(self, port: int | None = None, source: str = GRADER) -> Address:
        """Where `source` reaches it: the address of the link's proxy.

        Args:
            port: Which of its ports; its only one, if it has only one.
            source: Whose link; that of the grader, if not said otherwise.
        """
        return self._wiring.reach(source, self.name, self.spec, port)

    def __repr__(self) -> str:
        return f"<Service {self.name}>"

    def _started(self) -> Process:
        if self._process is None:
            raise UsageError(f"{self.name} has not been started.")
        return self._process

    def _failed(self, what: str) -> ServiceFailed | KitError:
        stderr = self.errors()[self.earlier_errors :][-TAIL_CHARACTERS:]
        last = next((line for line in reversed(stderr.splitlines()) if _says_something(line)), "").strip()
        message = f"{self.name} {what}{f': {last}' if last else ''}."
        if self._is_dslabs_alone():
            return KitError(
                message, remedy="Nothing of the submission runs there: see if the machine is overloaded."
            )
        return ServiceFailed(message, stderr=stderr)

    def _is_dslabs_alone(self) -> bool:
        """Whether it is a module of dslab, reads no program, and talks to nobody: if it fails, dslab has."""
        words = self._launch().command
        is_ours = any(option == "-m" and module.startswith("dslab.") for option, module in pairwise(words))
        return is_ours and not self.spec.calls and not any(".py" in word for word in words)

    # Filling in the compose entry.

    def _take(self, variables: Mapping[str, object]) -> None:
        known = variables_of(self.spec)
        for name in variables.keys() - known:
            problem = f"{self.name} has no variable {name}."
            raise UsageError(problem, remedy=nearest(name, known) if known else None)
        self._variables |= {name: str(value) for name, value in variables.items()}

    def _values(self) -> dict[str, str]:
        """The value of every variable: the check's, else its role's, else dslab's environment's."""
        spec = self.spec
        binds = {bind.variable: str(self._backend.own_address(self.name, bind.port)) for bind in spec.binds}
        calls = {
            call.variable: str(self._wiring.dialled(self.name, call.target, call.port)) for call in spec.calls
        }
        scratch = dict.fromkeys(spec.scratch, self._backend.scratch(self.name).inside)
        return {**self._environment, **binds, **calls, **scratch, **self._variables}

    def _launch(self) -> Launch:
        command, values = self._backend.command(self.spec), self._values()
        # A service that binds is ready when it listens, whatever its healthcheck says.
        check = None if self.spec.binds else self.spec.healthcheck
        try:
            return Launch(
                node=self.name,
                service=self.spec,
                command=command.fill(values) if command else (),
                environment=self._fill_environment(values),
                health=check.test.fill(values) if check else (),
            )
        except ConfigError as error:
            raise ConfigError(f"{self.name}: {error.message}", remedy=error.remedy) from error

    def _fill_environment(self, values: Mapping[str, str]) -> dict[str, str]:
        filled = {}
        for name, template in self.spec.environment.items():
            value = template.fill(values) if template else self._environment.get(name)
            if value is not None:
                filled[name] = value
        return filled


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.startswith(MARK_PREFIX)
