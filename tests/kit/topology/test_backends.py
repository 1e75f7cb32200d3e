"""What a topology does, the same on both backends."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from functools import partial

import pytest

from dslab.kit.address import Address
from dslab.kit.errors import ConfigError, KitError, PeerSilent, ServiceFailed, UsageError
from dslab.kit.topology.runfolder import RunFolder
from dslab.kit.topology.running import Topology
from dslab.kit.trace.event import Event, Kind
from dslab.kit.trace.recorder import read as read_trace

OpenLab = Callable[..., Topology]
WaitFor = Callable[[Callable[[], object], str], None]

pytestmark = pytest.mark.usefixtures("backend")

PAIR = """
services:
  server:
    command: python server.py ${SERVER_BIND:-0.0.0.0:7000}
  client:
    profiles: [on-demand]
    command: [python, client.py, "${SERVER_ADDR:-server:7000}", "${TEXT:-hello}"]
    depends_on: {server: {condition: service_healthy}}
"""
# Answers each connection with its name, its number since the start, and what it got; notes its starts.
SERVER = """
import os, socket, sys
host, port = sys.argv[1].rsplit(":", 1)
name = sys.argv[2] if len(sys.argv) > 2 else "server"
with open(os.path.join(os.environ["HOME"], "starts"), "a") as starts:
    starts.write("start\\n")
listener = socket.create_server((host, int(port)))
print("listening", flush=True)
for number in range(1_000_000):
    connection, _ = listener.accept()
    with connection:
        received = connection.recv(100)
        print("received", received.decode(), flush=True)
        connection.sendall(f"{name} {number} {received.decode()}".encode())
"""
CLIENT = """
import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
with socket.create_connection((host, int(port)), 5) as connection:
    connection.sendall(sys.argv[2].encode())
    print(connection.recv(100).decode())
"""
PROGRAMS = {"server.py": SERVER, "client.py": CLIENT}
SLEEPER = "import time; time.sleep(1000)"


def ask(address: Address, text: str = "hi", timeout_s: float = 10.0) -> str:
    """What the server answers; the empty string if it closes the connection without an answer."""
    with socket.create_connection(address.pair, timeout_s) as connection:
        connection.sendall(text.encode())
        return connection.recv(100).decode()


def events(topology: Topology, kind: Kind, service: str = "") -> list[Event]:
    recorded = read_trace(topology.folder / "nodes.jsonl", topology.folder / "trace.jsonl")
    return [event for event in recorded if event.kind is kind and service in ("", event.link)]


# Starting, and what a service finds.


def test_start_makes_services_ready(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    assert topology["server"].running
    assert ask(topology["server"].address()) == "server 0 hi"
    assert not topology["client"].started, "a service with a profile starts only by name"


def test_readiness_does_not_connect(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    assert ask(topology["server"].address()).split()[1] == "0", "somebody has connected before"


def test_starting_by_name_starts_dependencies(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology["client"].start()
    assert topology["client"].wait() == 0
    assert topology["client"].logs() == "server 0 hello\n"
    assert topology["server"].running


def test_dependencies_of_dependencies(open_lab: OpenLab) -> None:
    topology = open_lab(
        """
        services:
          last:
            command: python note.py last
            depends_on: {middle: {condition: service_completed_successfully}}
          middle: {command: python note.py middle, depends_on: [first]}
          first: {command: "python server.py ${BIND:-0.0.0.0:7000}"}
        """,
        PROGRAMS | {"note.py": "import sys; print(sys.argv[1])"},
    )
    topology.start("last")
    assert topology["last"].wait() == 0
    started = [event.link for event in _closed(topology, Kind.NODE) if event.label == "started"]
    assert started == ["first", "middle", "last"]


def test_a_dependency_that_fails(open_lab: OpenLab) -> None:
    topology = open_lab(
        """
        services:
          job: {command: [python, -c, "raise SystemExit('no luck')"]}
          main: {command: python note.py, depends_on: {job: {condition: service_completed_successfully}}}
        """,
        {"note.py": ""},
    )
    with pytest.raises(
        ServiceFailed, match=r"^job ended with status 1, and others wait for its success: no luck\.$"
    ):
        topology.start()
    assert not topology["main"].started


def test_a_killed_dependency_stays_down(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    topology["server"].kill()
    topology["client"].start()
    assert topology["client"].wait() != 0
    assert not topology["server"].running


def test_variables(open_lab: OpenLab) -> None:
    topology = open_lab(
        """
        services:
          show:
            command: [python, show.py, "${ONE:-1}", "two ${TWO:-2}"]
            environment: {THREE: "${THREE:-3}", FOUR: "4", FIVE:}
        """,
        {
            "show.py": """
            import os, sys
            print(sys.argv[1:], [os.environ.get(name) for name in ("THREE", "FOUR", "FIVE")])
            """
        },
    )
    show = topology["show"]
    show.start()
    assert show.wait() == 0
    show.start(ONE=11, THREE="three and")
    assert show.wait() == 0
    show.start(TWO="22")
    assert show.wait() == 0
    assert show.logs().splitlines() == [
        "['1', 'two 2'] ['3', '4', None]",
        "['11', 'two 2'] ['three and', '4', None]",
        "['11', 'two 22'] ['three and', '4', None]",
    ]


def test_unknown_variable(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    with pytest.raises(UsageError, match=r"client has no variable TEX\. Did you mean 'TEXT'\?"):
        topology["client"].start(TEX="x")


def test_variable_without_a_value(open_lab: OpenLab) -> None:
    topology = open_lab("services: {s: {command: 'echo ${WORD}'}}", {})
    with pytest.raises(ConfigError, match="s: variable WORD: is not set, and has no default"):
        topology.start()
    topology["s"].start(WORD="a word")
    assert topology["s"].wait() == 0
    assert topology["s"].logs() == "a word\n"


def test_current_folder_and_files(open_lab: OpenLab) -> None:
    programs = {
        "main.py": "import other, os; print(other.NAME, sorted(os.listdir()))",
        "other.py": "NAME = 'me'",
    }
    topology = open_lab(
        "services: {s: {command: python main.py}}", programs | {"test_it.py": "", "lab.toml": ""}
    )
    topology.start()
    assert topology["s"].wait() == 0
    assert topology["s"].logs() == "me ['compose.yaml', 'main.py', 'other.py']\n"


def test_the_graders_environment_does_not_leak(open_lab: OpenLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSLAB_SECRET", "seed")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    topology = open_lab(
        "services: {s: {command: python show.py}}",
        {"show.py": "import json, os; print(json.dumps(dict(os.environ)))"},
    )
    topology.start()
    topology["s"].wait()
    environment = json.loads(topology["s"].logs())
    assert "DSLAB_SECRET" not in environment
    assert environment.get("PYTHONPATH") != "/nowhere"
    assert environment["LANG"] == "C.UTF-8"


def test_scratch_folder(open_lab: OpenLab) -> None:
    topology = open_lab(
        """
        services:
          s: {command: [python, note.py, "${DATA:-/scratch}"]}
        """,
        {"note.py": "import sys, pathlib; open(pathlib.Path(sys.argv[1]) / 'note', 'a').write('x')"},
    )
    service = topology["s"]
    service.start()
    assert service.wait() == 0
    (service.scratch / "more").write_text("from the grader")
    service.start()
    assert service.wait() == 0
    assert (service.scratch / "note").read_text() == "xx"


# Ending too early, or never getting ready.


def test_exit_before_ready(open_lab: OpenLab) -> None:
    program = (
        "import sys; print('once upon a time', file=sys.stderr); raise NotImplementedError('lab 1, step 1.1')"
    )
    topology = open_lab(PAIR, {"server.py": program})
    with pytest.raises(ServiceFailed) as caught:
        topology.start()
    message = "server ended with status 1 before it was ready: NotImplementedError: lab 1, step 1.1."
    assert caught.value.message == message
    assert caught.value.stderr.startswith("once upon a time\n")


def test_exit_before_ready_is_not_explained_by_an_earlier_start(open_lab: OpenLab) -> None:
    once = "import os, sys; again = os.path.exists(os.environ['HOME'] + '/starts')\n"
    complains = "print('not whole', file=sys.stderr, flush=True)\n"
    topology = open_lab(PAIR, {"server.py": f"{once}if again: sys.exit(1)\n{complains}{SERVER}"})
    topology.start("server")
    with pytest.raises(ServiceFailed, match=r"server ended with status 1 before it was ready\.$"):
        topology["server"].restart()
    assert topology["server"].errors() == "not whole\n"


def test_exit_before_ready_even_with_success(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, {"server.py": ""})
    with pytest.raises(ServiceFailed, match=r"server ended with status 0 before it was ready\.$"):
        topology.start()


def test_missing_file(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, {})
    with pytest.raises(ServiceFailed, match=r"server ended with status 2 before it was ready: .*server\.py"):
        topology.start()


def test_missing_program(open_lab: OpenLab) -> None:
    topology = open_lab("services: {s: {command: 'no-such-program ${B:-0.0.0.0:7000}'}}", {})
    with pytest.raises(
        ServiceFailed, match=r"s ended with status 127 before it was ready: .*no-such-program"
    ):
        topology.start()


def test_never_ready(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, {"server.py": SLEEPER}, ready_timeout_s=1.0)
    before = time.monotonic()
    with pytest.raises(
        ServiceFailed, match=r"server was not ready within 1 s: it should listen on .*:70\d\d.*nowhere"
    ):
        topology.start()
    assert time.monotonic() - before < 10


def test_listening_elsewhere(open_lab: OpenLab) -> None:
    program = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); time.sleep(1000)"
    topology = open_lab(PAIR, {"server.py": program}, ready_timeout_s=6.0)
    with pytest.raises(ServiceFailed, match=r"server was not ready within 6 s: .*:70\d\d.*127\.0\.0\.1:\d+"):
        topology.start()


OURS = "python -P -m dslab.echo server --model threads --bind ${B:-0.0.0.0:7000}"


def test_a_program_of_ours_is_not_the_submissions_fault(open_lab: OpenLab) -> None:
    topology = open_lab(f"services: {{s: {{command: '{OURS} --no-such-option'}}}}", {})
    with pytest.raises(KitError, match=r"s ended with status 2 before it was ready: .*no-such-option"):
        topology.start()


@pytest.mark.parametrize(
    ("option", "more"),
    [("--object students.py:NAME", ""), ("--peer ${T:-t:7000}", f"t: {{command: '{OURS}'}}")],
    ids=["it reads a program", "it talks to somebody"],
)
def test_a_program_of_ours_that_others_can_make_fail(open_lab: OpenLab, option: str, more: str) -> None:
    topology = open_lab(f"services: {{s: {{command: '{OURS} {option}'}}, {more}}}", {})
    with pytest.raises(ServiceFailed, match="s ended with status 2 before it was ready"):
        topology.start("s")


def test_a_child_may_listen(open_lab: OpenLab) -> None:
    program = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, 'real.py', *sys.argv[1:]]))"
    topology = open_lab(PAIR, {"server.py": program, "real.py": SERVER})
    topology.start()
    assert ask(topology["server"].address()) == "server 0 hi"


def test_healthcheck(open_lab: OpenLab, wait_for: WaitFor) -> None:
    topology = open_lab(
        """
        services:
          s:
            command: [python, slow.py, "${DATA:-/scratch}"]
            healthcheck: {test: [CMD, test, -e, "${DATA:-/scratch}/up"], interval: 100ms}
        """,
        {"slow.py": "import sys, time; time.sleep(0.5); open(sys.argv[1] + '/up', 'w'); time.sleep(1000)"},
    )
    topology.start()
    assert (topology["s"].scratch / "up").exists()


def test_healthcheck_that_never_passes(open_lab: OpenLab) -> None:
    compose = "services: {s: {command: sleep 1000, healthcheck: {test: [CMD, 'false'], interval: 100ms}}}"
    topology = open_lab(compose, {}, ready_timeout_s=6.0)
    with pytest.raises(
        ServiceFailed, match="s was not ready within 6 s: its healthcheck 'false' exits with 1"
    ):
        topology.start()


# A daemon: its parent is gone, its session its own.
DAEMON = """
import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "real.py", *sys.argv[1:]])
    os._exit(0)
time.sleep(1000)
"""


def test_a_daemon_belongs_to_who_started_it(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, {"server.py": DAEMON, "real.py": SERVER})
    topology.start()
    server = topology["server"]
    assert ask(server.address()) == "server 0 hi"
    assert server.usage().processes >= 2
    server.kill()
    assert server.usage().processes == 0


# Output.


def test_logs_and_errors(open_lab: OpenLab) -> None:
    topology = open_lab(
        "services: {s: {command: python say.py}}",
        {
            "say.py": """
            import sys
            print("out", "ä", flush=True)
            print("err", file=sys.stderr)
            sys.stdout.buffer.write(b"\\xff")
            """
        },
    )
    assert topology["s"].logs() == ""
    topology.start()
    topology["s"].wait()
    assert topology["s"].logs() == "out ä\n\ufffd"
    assert topology["s"].errors() == "err\n"
    assert (topology.folder / "s.out").exists()


def test_logs_are_there_when_the_answer_is(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    for number in range(10):
        ask(topology["server"].address(), f"text {number}")
        assert f"received text {number}\n" in topology["server"].logs()


def test_marks(open_lab: OpenLab, run: RunFolder) -> None:
    program = """
    import sys
    print("dslab:mark vote for 3", file=sys.stderr)
    print("something else: dslab:mark no", file=sys.stderr)
    sys.stderr.write("dslab:mark in two")
    sys.stderr.flush()
    sys.stderr.write(" pieces\\n")
    """
    topology = open_lab("services: {s: {command: python mark.py}}", {"mark.py": program})
    begun_s = time.time() - run.epoch_s
    topology.start()
    topology["s"].wait()
    ended_s = time.time() - run.epoch_s
    marks = _closed(topology, Kind.MARK)
    assert [(mark.link, mark.label) for mark in marks] == [("s", "vote for 3"), ("s", "in two pieces")]
    assert all(begun_s < mark.t_s < ended_s for mark in marks)


# Ending.


def test_wait(open_lab: OpenLab) -> None:
    topology = open_lab("services: {s: {command: [python, -c, 'import sys; sys.exit(${STATUS:-0})']}}", {})
    topology["s"].start(STATUS=3)
    assert topology["s"].wait() == 3
    assert topology["s"].exit_status == 3
    assert not topology["s"].running


def test_wait_in_vain(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    with pytest.raises(PeerSilent, match=r"^server did not end within 0\.2 s\.$"):
        topology["server"].wait(0.2)


def test_kill(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    address = topology["server"].address()
    topology["server"].kill()
    assert not topology["server"].running
    assert topology["server"].exit_status == 137
    with pytest.raises((ConnectionError, TimeoutError)):
        assert ask(address, timeout_s=2) != "", "the link answers for a dead server"
        raise ConnectionResetError
    topology["server"].kill()  # harmless


def test_stop(open_lab: OpenLab) -> None:
    program = """
    import signal, sys, time
    def stop(*_):
        print("bye", flush=True)
        sys.exit(5)
    signal.signal(signal.SIGTERM, stop)
    print("up", flush=True)
    time.sleep(1000)
    """
    topology = open_lab("services: {s: {command: python s.py}}", {"s.py": program})
    topology.start()
    while "up\n" not in topology["s"].logs():
        time.sleep(0.01)
    topology["s"].stop()
    assert topology["s"].exit_status == 5
    assert topology["s"].logs() == "up\nbye\n"


def test_stop_kills_who_ignores_it(open_lab: OpenLab) -> None:
    program = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("up", flush=True)
    time.sleep(1000)
    """
    topology = open_lab("services: {s: {command: python s.py}}", {"s.py": program})
    topology.start()
    while "up\n" not in topology["s"].logs():
        time.sleep(0.01)
    topology["s"].stop(timeout_s=0.3)
    assert topology["s"].exit_status == 137


THREADS = """
import threading, time
for _ in range(100):
    threading.Thread(target=time.sleep, args=(1000,)).start()
print("up", flush=True)
"""


def test_the_end_of_one_start_is_not_that_of_the_next(open_lab: OpenLab, wait_for: WaitFor) -> None:
    """A process with many threads takes a moment to die."""
    topology = open_lab("services: {s: {command: python threads.py}}", {"threads.py": THREADS})
    service = topology["s"]

    def has_been_up(times: int) -> bool:
        return service.logs().count("up") == times

    service.start()
    for starts in range(1, 6):
        wait_for(partial(has_been_up, starts), "its threads")
        service.restart()
        assert service.running
    service.kill()
    assert service.exit_status == 137


def test_restart_keeps_address_and_scratch(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    server = topology["server"]
    address = server.address()
    assert [ask(address), ask(address)] == ["server 0 hi", "server 1 hi"]
    server.restart()
    assert server.address() == address
    assert ask(address) == "server 0 hi"
    assert (server.scratch / "starts").read_text() == "start\nstart\n"
    assert server.logs().count("listening") == 2


def test_start_after_the_end(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    with pytest.raises(UsageError, match="server runs already"):
        topology["server"].start()
    topology["server"].stop()
    topology["server"].start()
    assert ask(topology["server"].address()) == "server 0 hi"


def test_pause_and_resume(open_lab: OpenLab, wait_for: WaitFor) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    server = topology["server"]
    server.pause()
    with socket.create_connection(server.address().pair, 10) as connection:
        connection.sendall(b"slow")
        wait_for(lambda: topology.link("grader", "server").stats().forward_bytes, "the link")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        assert server.running
        server.resume()
        connection.settimeout(10)
        assert connection.recv(100) == b"server 0 slow"


def test_killing_a_paused_service(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    topology["server"].pause()
    topology["server"].kill()
    assert topology["server"].exit_status == 137


def test_acting_on_what_never_started(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    server = topology["server"]
    for act in (server.kill, server.stop, server.pause, server.resume, server.wait):
        with pytest.raises(UsageError, match=r"^server has not been started\.$"):
            act()
    assert server.exit_status is None


def test_no_such_service(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    with pytest.raises(UsageError, match=r"There is no service 'sever'\. Did you mean 'server'\?"):
        topology["sever"]
    with pytest.raises(UsageError, match=r"There is no service 'sever'\. Did you mean 'server'\?"):
        topology.start("sever")


def test_what_became_of_the_nodes_is_on_record(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    server = topology["server"]
    server.pause()
    server.resume()
    server.restart()
    server.stop()
    told = [(event.label, event.note) for event in _closed(topology, Kind.NODE)]
    assert [label for label, _ in told] == [
        *("started", "ready", "paused", "resumed", "killed", "started", "ready", "exited"),
    ]
    assert told[-1][1] == "exit status 143"


def _closed(topology: Topology, kind: Kind) -> list[Event]:
    """The events, once the topology is closed and they are all on disk."""
    topology.close()
    return events(topology, kind)


# Links.

TWO_CLIENTS = """
services:
  server: {command: "python server.py ${SERVER_BIND:-0.0.0.0:7000}"}
  one: {command: [python, client.py, "${SERVER_ADDR:-server:7000}", one], profiles: [p]}
  two: {command: [python, client.py, "${SERVER_ADDR:-server:7000}", two], profiles: [p]}
"""


def test_every_connection_crosses_a_link(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology["client"].start(TEXT="through the link")
    assert topology["client"].wait() == 0
    ask(topology["server"].address())
    client, grader = topology.link("client", "server"), topology.link("grader", "server")
    assert client.stats().connections == grader.stats().connections == 1
    assert client.stats().forward_bytes == len("through the link")
    opened = [event.link for event in _closed(topology, Kind.OPEN)]
    assert opened == ["client->server", "grader->server"]


def test_links_fail_one_by_one(open_lab: OpenLab) -> None:
    topology = open_lab(TWO_CLIENTS, PROGRAMS)
    topology.start()
    topology.link("one", "server").cut()
    topology["one"].start()
    topology["two"].start()
    topology["one"].wait()
    assert topology["one"].logs().strip() == ""
    assert topology["two"].wait() == 0
    assert topology["two"].logs() == "server 0 two\n"
    assert topology.link("one", "server").injected > 0
    assert topology.link("two", "server").injected == 0
    topology.link("one", "server").heal()
    topology["one"].start()
    assert topology["one"].wait() == 0


def test_delay(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    topology.link("grader", "server").delay(0.2)
    before = time.monotonic()
    ask(topology["server"].address())
    assert time.monotonic() - before >= 0.4, "there and back"
    assert topology.idle_faults() == []


def test_idle_faults(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    topology.link("client", "server").delay(0.1)
    assert topology.idle_faults() == ["client->server: delay"]


def test_partition_and_heal(open_lab: OpenLab, wait_for: WaitFor) -> None:
    topology = open_lab(TWO_CLIENTS, PROGRAMS)
    topology.start()
    topology.partition({"one"}, {"server", "two"})
    topology["two"].start()
    assert topology["two"].wait() == 0
    topology["one"].start()
    wait_for(lambda: topology.link("one", "server").stats().forward_bytes, "what it sends")
    with pytest.raises(PeerSilent):
        topology["one"].wait(0.5)
    topology.heal()
    assert topology["one"].wait() == 0


def test_no_such_link(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    with pytest.raises(UsageError, match=r"There is no link server->client\. Known: client->server\."):
        topology.link("server", "client")
    with pytest.raises(UsageError, match="No link goes from one of these groups to another"):
        topology.partition({"client"})


def test_addresses_by_source_and_port(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    server = topology["server"]
    assert server.address() == server.address(7000) == server.address(source="grader")
    assert server.address(source="client") != server.address()
    with pytest.raises(UsageError, match=r"server listens on 7000/tcp: not on 8000\."):
        server.address(8000)


def test_udp_and_several_ports(open_lab: OpenLab) -> None:
    topology = open_lab(
        """
        services:
          s:
            command: python both.py ${TCP:-0.0.0.0:7000} ${UDP:-0.0.0.0:7001}
            expose: ["7000", 7001/udp]
        """,
        {
            "both.py": """
            import socket, sys
            (host, tcp), (_, udp) = (argument.rsplit(":", 1) for argument in sys.argv[1:])
            listener = socket.create_server((host, int(tcp)))
            with socket.socket(type=socket.SOCK_DGRAM) as peer:
                peer.bind((host, int(udp)))
                while True:
                    data, sender = peer.recvfrom(100)
                    peer.sendto(data + b"*", sender)
            """
        },
    )
    topology.start()
    with pytest.raises(UsageError, match="s listens on 7000/tcp, 7001/udp: say which port"):
        topology["s"].address()
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        peer.settimeout(10)
        peer.sendto(b"datagram", topology["s"].address(7001).pair)
        assert peer.recv(100) == b"datagram*"
    assert topology.link("grader", "s").names == ("grader->s", "grader->s:7001")
    assert topology.link("grader", "s").stats().forward_pieces == 1


# Replicas.

REPLICAS = """
services:
  server:
    command: [python, named.py, "${SERVER_BIND:-0.0.0.0:7000}"]
    deploy: {replicas: 3}
  client:
    command: [python, many.py, "${SERVER_ADDR:-server:7000}"]
    depends_on: {server: {condition: service_healthy}}
    profiles: [p]
"""
NAMED = SERVER.replace(
    'name = sys.argv[2] if len(sys.argv) > 2 else "server"',
    'name = os.environ["DSLAB_RUN"].rpartition("/")[2]',
)
MANY = """
import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
for _ in range(6):
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(b"x")
        print(connection.recv(100).decode())
"""


def test_replicas(open_lab: OpenLab) -> None:
    topology = open_lab(REPLICAS, {"named.py": NAMED, "many.py": MANY})
    topology.start()
    assert [name for name, service in topology.services.items() if service.running] == [
        *("server-1", "server-2", "server-3"),
    ]
    for number in (1, 2, 3):
        assert ask(topology[f"server-{number}"].address()) == f"server-{number} 0 hi"
    with pytest.raises(UsageError, match="server has several nodes: server-1, server-2, server-3"):
        topology["server"]


def test_links_to_replicas_go_round(open_lab: OpenLab) -> None:
    topology = open_lab(REPLICAS, {"named.py": NAMED, "many.py": MANY})
    topology["client"].start()
    assert topology["client"].wait() == 0
    answers = topology["client"].logs().split("\n")[:-1]
    assert answers == [f"server-{n} {turn} x" for turn in (0, 1) for n in (1, 2, 3)]


def test_one_replica_by_name(open_lab: OpenLab) -> None:
    topology = open_lab(REPLICAS, {"named.py": NAMED, "many.py": MANY})
    topology.start("server-2")
    assert topology["server-2"].running
    assert not topology["server-1"].started
    topology["client"].start()
    assert topology["server-1"].running
    assert topology["server-3"].running


def test_replicas_of_a_client_have_links_of_their_own(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR.replace("profiles: [on-demand]", "deploy: {replicas: 2}"), PROGRAMS)
    assert topology.link("client", "server").names == ("client-1->server", "client-2->server")
    assert topology.link("client-2", "server").names == ("client-2->server",)
    topology.partition({"client-1"}, {"server"})
    with pytest.raises(UsageError, match="There is no service 'client-3'"):
        topology.partition({"client-3"}, {"server"})


def test_replicas_cannot_be_parted(open_lab: OpenLab) -> None:
    topology = open_lab(REPLICAS, {"named.py": NAMED, "many.py": MANY})
    with pytest.raises(UsageError, match="Replicas of server cannot be parted"):
        topology.partition({"client", "server-1"}, {"server-2"})


# What is left.


def test_closing_twice_and_early(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    topology.close()
    topology.close()


def test_several_topologies_of_a_run_do_not_disturb_each_other(open_lab: OpenLab) -> None:
    first, second = open_lab(PAIR, PROGRAMS), open_lab(PAIR, PROGRAMS)
    first.start()
    second.start()
    assert first.folder != second.folder
    assert first["server"].address() != second["server"].address()
    assert ask(first["server"].address()) == "server 0 hi"
    first.close()
    assert second["server"].running
    assert ask(second["server"].address()) == "server 0 hi"


def test_output_survives_the_topology(open_lab: OpenLab) -> None:
    topology = open_lab(PAIR, PROGRAMS)
    topology.start()
    ask(topology["server"].address())  # it may be ready before it has said so
    topology.close()
    assert (topology.folder / "server.out").read_text() == "listening\nreceived hi\n"


def test_the_folder_is_where_it_should_be(open_lab: OpenLab, run: RunFolder) -> None:
    topology = open_lab(PAIR, PROGRAMS, check="test name / with [odd] signs")
    assert topology.folder.name == "test-name-with-odd-signs"
    assert topology.folder.parent == run.path
    assert run.path.parents[1].name == ".dslab"
