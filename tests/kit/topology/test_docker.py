"""What only the Docker backend has: containers that are confined, and that leave nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml
from docker.errors import APIError

from dslab.kit.errors import ConfigError, KitError, MachineError, ServiceFailed
from dslab.kit.topology import docker_image
from dslab.kit.topology.docker_engine import FOLDER_LABEL, RUN_LABEL, Engine
from dslab.kit.topology.docker_run import DockerRun
from dslab.kit.topology.docker_sweep import Sweeper
from dslab.kit.topology.runfolder import RunFolder
from dslab.kit.topology.running import Topology
from dslab.kit.topology.shipped import shipped
from dslab.kit.trace.event import Kind
from dslab.kit.trace.recorder import read as read_trace

OpenLab = Callable[..., Topology]
WaitFor = Callable[[Callable[[], object], str], None]

pytestmark = [
    pytest.mark.usefixtures("backend"),
    pytest.mark.parametrize("backend", ["docker"], indirect=True),
]

SERVER = """
import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
listener = socket.create_server((host, int(port)))
while True:
    connection, _ = listener.accept()
    with connection:
        while data := connection.recv(1000):
            connection.sendall(data)
"""
ONE = 'services: {server: {command: "python server.py ${BIND:-0.0.0.0:7000}"}}'
PROGRAMS = {"server.py": SERVER}


@pytest.fixture
def engine(backend: str) -> Iterator[Engine]:
    assert backend == "docker"
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture
def own_run(tmp_path: Path, backend: str) -> Iterator[RunFolder]:
    """A run of the test's own, with nothing made yet. Others share one."""
    with RunFolder.create(tmp_path / "course", lab="1", seed=1, backend=backend) as run:
        yield run


def left_of(engine: Engine, label: str) -> list[str]:
    """The names of what is left of a run."""
    containers = engine.api.containers(all=True, filters={"label": label})
    networks = engine.api.networks(filters={"label": label})
    volumes = engine.api.volumes(filters={"label": label})["Volumes"] or []
    return [*(one["Names"][0] for one in containers), *(one["Name"] for one in (*networks, *volumes))]


def output_of(topology: Topology, service: str = "s") -> str:
    topology.start(service)
    topology[service].wait(20)
    assert topology[service].errors() == ""
    return topology[service].logs()


# What a service can and cannot do.


def test_a_service_is_nobody_and_may_nothing(open_lab: OpenLab) -> None:
    program = """
    import os
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    print(os.getuid() != 0, os.getgid() != 0, int(status["CapEff"], 16), status["NoNewPrivs"].strip())
    """
    topology = open_lab("services: {s: {command: python s.py}}", {"s.py": program})
    assert output_of(topology) == "True True 0 1\n"


def test_only_scratch_and_tmp_can_be_written_to(open_lab: OpenLab) -> None:
    program = """
    import os
    for folder in ("/", "/lab", "/opt/dslab", "/opt/dslab/dslab", "/usr/local", "/scratch", "/tmp"):
        try:
            open(os.path.join(folder, "note"), "w").close()
            print(folder)
        except OSError:
            pass
    """
    topology = open_lab("services: {s: {command: python s.py}}", {"s.py": program})
    assert output_of(topology) == "/scratch\n/tmp\n"


def test_there_is_no_way_out(open_lab: OpenLab) -> None:
    program = """
    import socket, time
    for address in (("192.0.2.1", 80), ("example.org", 80)):
        try:
            socket.create_connection(address, 1)
        except OSError as error:
            print("no")
    began_s = time.monotonic()
    print(socket.getfqdn("192.0.2.1"), time.monotonic() - began_s < 5)  # to ask in vain takes far longer
    """
    topology = open_lab("services: {s: {command: python s.py}}", {"s.py": program})
    assert output_of(topology) == "no\nno\n192.0.2.1 True\n"


def test_memory_and_processes_are_limited(open_lab: OpenLab) -> None:
    program = """
    import os, time
    pids = []
    try:
        while len(pids) < 1000:
            pid = os.fork()
            if pid == 0:
                time.sleep(1000)
            pids.append(pid)
    except OSError:
        print("enough", len(pids) > 50, flush=True)
    for pid in pids:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    bytearray(2_000_000_000)
    """
    compose = (
        "services: {s: {command: python s.py, mem_limit: 200m, deploy: {resources: {limits: {pids: 100}}}}}"
    )
    topology = open_lab(compose, {"s.py": program})
    topology.start()
    assert topology["s"].wait(30) == 137, "killed by the kernel, for want of memory"
    assert topology["s"].logs() == "enough True\n"


def test_the_tmp_folder_is_fresh_in_every_check(open_lab: OpenLab) -> None:
    program = "import os; print(os.listdir('/tmp')); open('/tmp/note', 'w').close()"
    for _ in range(2):
        topology = open_lab("services: {s: {command: python s.py}}", {"s.py": program})
        assert output_of(topology) == "[]\n"
        topology.close()


def test_dslab_in_the_container_is_the_graders(open_lab: OpenLab) -> None:
    topology = open_lab(
        "services: {s: {command: python s.py}}", {"s.py": "import dslab; print(dslab.__file__)"}
    )
    assert output_of(topology) == "/opt/dslab/dslab/__init__.py\n"


def test_what_is_shipped_beside_dslab_is_the_graders_too(open_lab: OpenLab) -> None:
    modules = [path for path in shipped() if path.is_file()]
    assert modules
    program = """
    import hashlib, pathlib, sys
    for path in sys.argv[1:]:
        print(hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest())
    """
    paths = " ".join(f"/opt/dslab/{path.name}" for path in modules)
    topology = open_lab(f"services: {{s: {{command: python s.py {paths}}}}}", {"s.py": program})
    assert output_of(topology).split() == [hashlib.sha256(path.read_bytes()).hexdigest() for path in modules]


def test_a_neighbour_called_like_a_module_of_ours_does_not_reach_the_keeper(open_lab: OpenLab) -> None:
    topology = open_lab(
        ONE, {**PROGRAMS, "selectors.py": "raise SystemExit(1)", "signal.py": "raise SystemExit(1)"}
    )
    with pytest.raises(ServiceFailed, match=r"^server ended with status 1 before it was ready"):
        topology.start()


def test_a_service_cannot_touch_its_keeper(open_lab: OpenLab) -> None:
    program = """
    import os, signal
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGSTOP, signal.SIGUSR1):
        os.kill(1, number)
    for file in ("fd/0", "fd/1", "mem", "environ"):
        try:
            open(f"/proc/1/{file}", "wb" if file == "fd/1" else "rb").close()
            print("opened", file)
        except PermissionError:
            print("no")
    """
    topology = open_lab("services: {s: {command: python s.py}}", {"s.py": program})
    assert output_of(topology) == "no\nno\nno\nno\n"


def test_escaping_children_end_with_their_service(open_lab: OpenLab, wait_for: WaitFor) -> None:
    program = """
    import os, sys, time
    if os.path.exists("/scratch/escaped"):
        others = {pid for pid in os.listdir("/proc") if pid.isdecimal()} - {"1", str(os.getpid())}
        sys.exit(f"still there: {others}" if others else 0)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            escape = "import time; open('/scratch/escaped', 'w').close(); time.sleep(1000)"
            os.execve(sys.executable, ["python", "-c", escape], {})
        os._exit(0)
    time.sleep(1000)
    """
    topology = open_lab("services: {s: {command: python s.py}}", {"s.py": program})
    topology.start()
    service = topology["s"]
    wait_for((service.scratch / "escaped").exists, "the child that escapes")
    service.kill()
    service.start()
    assert (service.wait(), service.errors()) == (0, "")


def test_a_killed_service_refuses_at_once(open_lab: OpenLab) -> None:
    """Its host is still there, and its kernel says so; as on one machine, and unlike a host that is down."""
    topology = open_lab(ONE, PROGRAMS)
    topology.start()
    address = topology["server"].address().pair
    topology["server"].kill()
    with pytest.raises(ConnectionError), socket.create_connection(address, 10) as connection:
        connection.sendall(b"x")
        if not connection.recv(10):
            raise ConnectionResetError
    topology.close()
    resets = [event.note for event in read_trace(topology.folder / "trace.jsonl") if event.kind is Kind.RESET]
    assert resets == ["server: Connection refused"]  # of a host that is down: no route to it, after a while


def test_volumes_of_the_machine_are_refused(open_lab: OpenLab) -> None:
    topology = open_lab('services: {s: {command: python s.py, volumes: ["/etc:/lab:ro"]}}', {})
    with pytest.raises(
        ConfigError, match=r"Service s: the volume '/etc:/lab:ro' is not a folder of the lab's"
    ):
        topology.start()


def test_volumes_of_the_lab_are_the_runs_copy(open_lab: OpenLab) -> None:
    compose = 'services: {s: {command: python s.py, working_dir: /other, volumes: [".:/other:ro"]}}'
    topology = open_lab(compose, {"s.py": "import os; print(os.getcwd())"})
    assert output_of(topology) == "/other\n"


# What is on record.


def test_the_record_is_a_compose_file(open_lab: OpenLab) -> None:
    topology = open_lab(ONE, PROGRAMS)
    topology.start()
    path = topology.folder / "compose.yaml"
    subprocess.run(["docker", "compose", "-f", path, "config", "--quiet"], check=True)
    written = yaml.safe_load(path.read_text())
    assert written["services"]["server"]["read_only"] is True
    listed = subprocess.run(
        ["docker", "compose", "-p", written["name"], "ps", "--services"],
        capture_output=True,
        text=True,
        check=True,
    )
    services = listed.stdout.split()
    assert any(service.endswith("-server") for service in services)
    assert "links-1" in services


# Published ports, as where containers cannot be reached (macOS).


def test_published_ports(open_lab: OpenLab, own_run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "reaches_containers", lambda _: False)
    compose = """
    services:
      server: {command: "python server.py ${BIND:-0.0.0.0:7000}"}
      dns: {command: "python udp.py ${BIND:-0.0.0.0:5353}", expose: ["5353/udp"]}
      client: {command: "python client.py ${SERVER:-server:7000}", profiles: [on-demand]}
    """
    udp = """
    import socket, sys
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", int(sys.argv[1].rsplit(":", 1)[1])))
        while True:
            data, sender = server.recvfrom(100)
            server.sendto(data + b"*", sender)
    """
    client = """
    import socket, sys
    host, port = sys.argv[1].rsplit(":", 1)
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(b"from the client")
        print(connection.recv(100).decode())
    """
    topology = open_lab(compose, {**PROGRAMS, "udp.py": udp, "client.py": client}, run=own_run)
    topology.start()
    assert topology["server"].address().host == "127.0.0.1"
    with socket.create_connection(topology["server"].address().pair, 10) as connection:
        connection.sendall(b"hello")
        assert connection.recv(100) == b"hello"
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        peer.settimeout(10)
        peer.sendto(b"datagram", topology["dns"].address().pair)
        assert peer.recv(100) == b"datagram*"
    assert output_of(topology, "client") == "from the client\n"
    assert topology.link("grader", "server").stats().forward_bytes == 5
    topology.close()


# Third parties' images.


def plain_image(engine: Engine) -> str:
    """An image that is not the course's, and has Python."""
    for image in ("dslab-base:offline", "python:3.13-slim"):
        if engine.api.images(image, quiet=True):
            return image
    pytest.skip("no image of Python here but the course's")


def test_an_image_that_is_not_ours(open_lab: OpenLab, engine: Engine) -> None:
    program = SERVER + "# a server"
    command = json.dumps(["python3", "-c", program, "0.0.0.0:7000"])
    topology = open_lab(
        f"""
        services:
          server:
            image: {plain_image(engine)}
            command: {command}
            environment: {{ADDRESS: "${{BIND:-0.0.0.0:7000}}"}}
        """,
        {},
    )
    topology.start()
    server = topology["server"]
    address = server.address().pair

    def ask() -> bytes:
        with socket.create_connection(address, 10) as connection:
            connection.sendall(b"hello")
            return connection.recv(100)

    assert ask() == b"hello"
    assert server.usage().processes >= 1
    server.pause()
    server.resume()
    assert ask() == b"hello"
    server.restart()
    assert ask() == b"hello"
    server.kill()
    assert server.exit_status == 137
    assert server.errors() == ""


# Nothing is left.


def test_nothing_is_left_of_a_run(open_lab: OpenLab, own_run: RunFolder, engine: Engine) -> None:
    topology = open_lab(ONE, PROGRAMS, run=own_run)
    topology.start()
    label = f"{RUN_LABEL}={own_run.run_id}"
    assert len(left_of(engine, label)) == 4, "the server, its host, the links, the network"
    topology.close()
    own_run.close()
    assert left_of(engine, label) == []


GRADER = """
import signal, sys, time
from pathlib import Path
from dslab.kit.topology.compose import read
from dslab.kit.topology.runfolder import RunFolder
from dslab.kit.topology.running import open_topology

lab = Path(sys.argv[1])
spec = read(lab / "compose.yaml", {})
with RunFolder.create(lab / "course", lab="1", seed=1, backend="docker") as run:
    print(run.run_id, flush=True)
    with open_topology(
        spec, backend="docker", run=run, check="check", seed=1, submission=lab, provided=lab, environment={}
    ) as topology:
        topology.start()
        print("up", flush=True)
        time.sleep(1000)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVER


@pytest.fixture
def grader(tmp_path: Path, backend: str) -> Iterator[subprocess.Popen[str]]:
    """A process that opens a topology and keeps it."""
    assert backend == "docker"
    (tmp_path / "compose.yaml").write_text(ONE)
    (tmp_path / "server.py").write_text(STUBBORN)
    program = [sys.executable, "-c", GRADER, str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        yield process
        process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_nothing_is_left_when_the_grader_is_killed(
    grader: subprocess.Popen[str], engine: Engine, wait_for: WaitFor
) -> None:
    label = f"{RUN_LABEL}={first_line(grader)}"
    assert first_line(grader) == "up"
    grader.kill()
    wait_for(lambda: left_of(engine, label) == [], f"the end of {label}")


@pytest.mark.parametrize("after_s", [0.05, 0.3, 0.6, 1.0, 1.5])
def test_nothing_is_left_after_an_interrupt(
    grader: subprocess.Popen[str], engine: Engine, wait_for: WaitFor, after_s: float
) -> None:
    label = f"{RUN_LABEL}={first_line(grader)}"
    time.sleep(after_s)  # not to wait for something: to interrupt at one moment or another
    grader.send_signal(signal.SIGINT)
    grader.wait(30)
    wait_for(lambda: left_of(engine, label) == [], f"the end of {label}")


def test_the_next_run_removes_what_a_dead_one_left(
    engine: Engine, own_run: RunFolder, tmp_path: Path
) -> None:
    # While it lives, no other run removes anything of it.
    with RunFolder.create(tmp_path / "dead", lab="1", seed=1, backend="local") as dead:
        label = f"{FOLDER_LABEL}={dead.path}"
        labels = {RUN_LABEL: "dead", FOLDER_LABEL: str(dead.path)}
        engine.api.create_network(f"dslab-dead-{os.getpid()}", labels=labels, internal=True)
        assert left_of(engine, label)
    own_run.shared(DockerRun, lambda: DockerRun(own_run))
    assert left_of(engine, label) == []


@pytest.mark.parametrize("inhabited", [False, True])
def test_a_network_whose_engine_has_lost_count(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inhabited: bool
) -> None:
    """It stays, and fails nobody; but one that somebody is in is not given up so easily."""
    label = f"{RUN_LABEL}={tmp_path}"
    labels = {RUN_LABEL: str(tmp_path)}
    engine.api.create_network(f"dslab-miscounted-{os.getpid()}", labels=labels, internal=True)
    inspected = {"Containers": ["somebody"] if inhabited else []}
    said = APIError("403", explanation="error while removing network: it has active endpoints")
    with monkeypatch.context() as patch:
        patch.setattr(engine.api, "inspect_network", lambda _: inspected)
        patch.setattr(engine.api, "remove_network", Mock(side_effect=said))
        if inhabited:
            with pytest.raises(KitError, match="active endpoints"):
                engine.sweep(label)
        else:
            assert engine.sweep(label) == 1
    assert left_of(engine, label)
    engine.sweep(label)
    assert left_of(engine, label) == []


def test_a_sweeper_that_is_told_all_is_well_does_nothing(engine: Engine, tmp_path: Path) -> None:
    labels = {RUN_LABEL: str(tmp_path)}
    network = engine.api.create_network(f"dslab-kept-{os.getpid()}", labels=labels, internal=True)["Id"]
    Sweeper(f"{RUN_LABEL}={tmp_path}", tmp_path / "log").close()
    assert left_of(engine, f"{RUN_LABEL}={tmp_path}")
    engine.remove_network(network)


# What is missing is named.


def test_no_engine(open_lab: OpenLab, own_run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(
        MachineError, match=r"No Docker engine answers\. Start Docker, .* BACKEND=local"
    ) as caught:
        open_lab(ONE, PROGRAMS, run=own_run)
    assert caught.value.exit_status == 3


def test_no_image(open_lab: OpenLab) -> None:
    topology = open_lab("services: {s: {image: no-such-image, command: python s.py}}", {})
    with pytest.raises(MachineError, match=r"There is no image no-such-image here\. Run `make images`"):
        topology.start()


def test_an_image_of_an_earlier_dslab(
    open_lab: OpenLab, own_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_image, "requirements", lambda: "something>=3")
    with pytest.raises(MachineError, match=r"was built for an earlier dslab\. Run `make images`"):
        open_lab(ONE, PROGRAMS, run=own_run)
