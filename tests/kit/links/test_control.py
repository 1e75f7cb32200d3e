"""The control channel: its client, what it refuses, and what the client sees when the program is gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslab.kit.address import Address
from dslab.kit.errors import ConfigError, KitError, MachineError, UsageError
from dslab.kit.links import LinksClient, LinkSpec, LinkStats, LinksThread
from dslab.kit.links.control import MAX_LINE_BYTES, decode_reply, decode_request, encode, encode_error
from dslab.kit.links.program import Program
from dslab.kit.links.spec import spec_from_json, spec_to_json
from dslab.kit.trace.recorder import read

OpenLink = Callable[..., Any]  # see conftest
ANYWHERE = Address("127.0.0.1", 0)
SPEC = LinkSpec("a->b", "a", "b", ANYWHERE, (Address("127.0.0.1", 9), Address("::1", 9)))


# ---- requests and replies


def test_a_spec_survives_the_channel() -> None:
    assert spec_from_json(json.loads(json.dumps(spec_to_json(SPEC)))) == SPEC


@pytest.mark.parametrize(
    "change",
    [
        {"listen": "nowhere"},
        {"listen": None},
        {"upstreams": []},
        {"upstreams": None},
        {"upstreams": [1]},
        {"transport": "pigeon"},
        {"name": 1},
        {"colour": "red"},
    ],
)
def test_what_is_no_spec(change: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        spec_from_json(spec_to_json(SPEC) | change)
    with pytest.raises(UsageError):
        spec_from_json("a->b")


@given(st.binary(max_size=100) | st.from_type(dict[str, int]).map(lambda any_: json.dumps(any_).encode()))
def test_what_is_no_request(line: bytes) -> None:
    with pytest.raises(UsageError):
        decode_request(line, "token")


@pytest.mark.parametrize("token", [None, "", "toke", "token ", 1, ["token"]])
def test_the_wrong_token(token: Any) -> None:
    with pytest.raises(UsageError, match="token is wrong"):
        decode_request(encode({"do": "heal", "token": token}), "token")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UsageError("No.", remedy="Do."), UsageError),
        (ConfigError("No."), UsageError),
        (MachineError("No."), MachineError),
        (KitError("No."), KitError),
    ],
)
def test_errors_survive_the_channel(error: UsageError, kind: type[UsageError]) -> None:
    with pytest.raises(kind) as raised:
        decode_reply(encode_error(error))
    assert (raised.value.message, raised.value.remedy) == (error.message, error.remedy)


@pytest.mark.parametrize(
    "line", [b"", b"nonsense\n", b"[]\n", b"{}\n", b'{"error":{}}\n', b'{"error":"no"}\n']
)
def test_what_is_no_reply(line: bytes) -> None:
    with pytest.raises(KitError):
        decode_reply(line)


# ---- a program in a thread


def exchange(address: Address, *lines: bytes) -> list[dict[str, Any]]:
    """Send lines as they are, and read as many replies."""
    with socket.create_connection(address.pair, 20) as connection, connection.makefile("rb") as replies:
        connection.sendall(b"".join(lines))
        return [json.loads(replies.readline()) for _ in lines]


def test_bad_lines_are_answered_and_the_conversation_goes_on(program: LinksThread) -> None:
    good = encode({"token": program.token, "do": "links"})
    huge = b"x" * (MAX_LINE_BYTES * 5) + b"\n"
    just_too_long = b"x" * (MAX_LINE_BYTES + 1) + b"\n"
    lines = [b"nonsense\n", b"\xff\xfe\n", b"[1]\n", huge, just_too_long, encode({"do": "links"}), good]
    replies = exchange(program.address, *lines)
    assert [reply.get("error", {}).get("message", "fine") for reply in replies] == [
        "A request is one line of JSON.",
        "A request is one line of JSON.",
        "A request is an object with a 'do'.",
        "A request has at most 65536 bytes.",
        "A request has at most 65536 bytes.",
        "The token is wrong.",
        "fine",
    ]


@pytest.mark.parametrize(
    "request_",
    [
        {"do": "fly"},
        {"do": "open"},
        {"do": "open", "spec": 1},
        {"do": "close"},
        {"do": "apply", "name": ["x"], "fault": {"kind": "cut"}},
        {"do": "heal", "name": "nobody"},
        {"do": "stats"},
        {"do": "begin"},
        {"do": "begin", "path": "/tmp/x", "epoch_s": "now"},
    ],
)
def test_impossible_requests(program: LinksThread, request_: dict[str, Any]) -> None:
    (reply,) = exchange(program.address, encode({"token": program.token, **request_}))
    assert reply["error"]["kind"] == "UsageError"


def test_a_line_that_never_ends_and_a_client_that_leaves(program: LinksThread) -> None:
    with socket.create_connection(program.address.pair, 20) as connection:
        connection.sendall(b"x" * 1_000_000)
    with program.client() as client:
        assert client.links() == {}


def test_links_are_opened_once_and_listed(links: LinksClient) -> None:
    first = links.open(SPEC)
    assert first.port > 0
    assert links.links() == {"a->b": LinkStats()}
    with pytest.raises(UsageError, match="already"):
        links.open(SPEC)
    links.close("a->b")
    assert links.links() == {}
    links.open(SPEC)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_port_that_is_taken(links: LinksClient, transport: Any) -> None:
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if transport == "tcp":
            taken.listen()
        address = Address(*taken.getsockname())
        with pytest.raises(MachineError, match="a->b cannot listen on"):
            links.open(LinkSpec("a->b", "a", "b", address, SPEC.upstreams, transport))
        assert links.links() == {}


def test_functions_that_are_not_there(links: LinksClient) -> None:
    for field in ("framing", "describe"):
        spec = LinkSpec("a->b", "a", "b", ANYWHERE, SPEC.upstreams, **{field: "no.such:thing"})  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"no\.such:thing"):
            links.open(spec)
        assert links.links() == {}


def test_a_trace_that_cannot_be_written(links: LinksClient, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="cannot be written"):
        links.begin(tmp_path / "file" / "trace.jsonl", time.time())


def test_a_disk_that_is_full(open_link: OpenLink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    wire = open_link()
    client, server = wire.connect()
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        client.send(b"arrives all the same")
        assert server.receive(20) == b"arrives all the same"
        with pytest.raises(MachineError, match="No space left"):
            wire.links.end()
    wire.links.begin(tmp_path / "again.jsonl", time.time())


def test_a_bug_in_one_request_ends_no_link(open_link: OpenLink, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(program: Program, *request: Any) -> None:
        raise RuntimeError("a bug")

    wire = open_link()
    with monkeypatch.context() as patched:
        patched.setattr(Program, "apply", broken)
        with pytest.raises(KitError, match="a bug"):
            wire.apply("cut")
    client, server = wire.connect()
    client.send(b"x")
    assert server.receive(1) == b"x"


def test_a_trace_ends_where_it_should(open_link: OpenLink, tmp_path: Path) -> None:
    wire = open_link()
    client, server = wire.connect()
    client.send(b"first")
    server.receive(5)
    wire.links.begin(tmp_path / "second.jsonl", time.time())
    client.send(b"second")
    server.receive(6)
    wire.links.end()
    wire.links.end()
    client.send(b"third")
    server.receive(5)
    assert b"first" in [event.data for event in read(tmp_path / "trace.jsonl")]
    assert [event.data for event in read(tmp_path / "second.jsonl")] == [b"second"]


def test_the_seed_of_a_trace_is_the_seed_of_its_faults(open_link: OpenLink, tmp_path: Path) -> None:
    arrived = []
    for seed in (1, 2, 1):
        wire = open_link()
        wire.links.begin(tmp_path / f"{seed}.jsonl", time.time(), seed)
        wire.apply("corrupt")
        client, server = wire.connect()
        client.send(bytes(100))
        arrived.append(server.receive(100))
        wire.links.close(wire.spec.name)
    assert arrived[0] == arrived[2] != arrived[1]


def test_threads_may_share_a_client(open_link: OpenLink) -> None:
    wire, failures = open_link(), []

    def ask() -> None:
        try:
            for _ in range(100):
                assert wire.stats().connections == 0
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_closing_a_thread_closes_everything() -> None:
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as target:
        thread = LinksThread(seed=1)
        with thread.client() as client:
            upstream = (Address(*target.getsockname()),)
            tcp = client.open(LinkSpec("a->b", "a", "b", ANYWHERE, upstream))
            client.open(LinkSpec("a->c", "a", "c", ANYWHERE, upstream, "udp"))
            client.apply("a->b", {"kind": "partition"})
            with socket.create_connection(tcp.pair, 20) as waiting:
                waiting.sendall(b"x")
                thread.close()
                thread.close()
                assert waiting.recv(1) == b""
            with pytest.raises(KitError, match="is gone"):
                client.links()
    assert set(threading.enumerate()) <= before
    for address in (tcp, thread.address):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address.pair, 20)


# ---- a program that does not answer


def test_a_program_that_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = LinksClient(Address(*silent.getsockname()), "token", timeout_s=0.1)
        with client, pytest.raises(KitError, match=r"did not answer 'links' within 0.1 s"):
            client.links()


def test_a_program_that_is_not_there() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        client = LinksClient(Address(*reserved.getsockname()), "token")
        with client, pytest.raises(KitError, match="is gone"):
            client.links()


# ---- a program as a process


Start = Callable[..., tuple[subprocess.Popen[str], Address]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts ``python -m dslab.kit.links``, and says where its control channel is."""
    with ExitStack() as stack:

        def start_one(*options: str, token: str = "t") -> tuple[subprocess.Popen[str], Address]:
            command = [sys.executable, "-m", "dslab.kit.links", "--control", "127.0.0.1:0", *options]
            command += ["--token", token] if token else []
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            assert process.stdout is not None
            words = process.stdout.readline().split()
            assert words[:2] == ["listening", "on"]
            return process, Address.parse(words[2])

        yield start_one


def open_to(target: socket.socket, client: LinksClient) -> Address:
    return client.open(LinkSpec("a->b", "a", "b", ANYWHERE, (Address(*target.getsockname()),)))


def test_a_process_carries_and_stops_cleanly(start: Start, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    process, control = start("--token-file", str(tmp_path / "token"), token="")
    with socket.create_server(("127.0.0.1", 0)) as target, LinksClient(control, "secret") as client:
        client.begin(tmp_path / "trace.jsonl", time.time())
        address = open_to(target, client)
        with socket.create_connection(address.pair, 20) as sender:
            sender.sendall(b"x")
            receiver, _ = target.accept()
            with closing(receiver):
                assert receiver.recv(1) == b"x"
                process.send_signal(signal.SIGTERM)
                assert receiver.recv(1) == b""
        assert process.wait(20) == 0
    assert b"x" in [event.data for event in read(tmp_path / "trace.jsonl")]


def test_known_ports(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as target:
        taken = target.getsockname()[1]
        _, control = start("--ports", f"{taken}-{taken + 30}", "--link-host", "127.0.0.1")
        with LinksClient(control, "t") as client:
            address = open_to(target, client)
            assert address.host == "127.0.0.1"
            assert taken < address.port <= taken + 30
            client.close("a->b")
        _, control = start("--ports", f"{taken}-{taken}")
        with LinksClient(control, "t") as client, pytest.raises(MachineError, match="cannot listen"):
            open_to(target, client)


def test_a_killed_program_is_an_error_and_not_a_hang(start: Start) -> None:
    process, control = start()
    with socket.create_server(("127.0.0.1", 0)) as target, LinksClient(control, "t") as client:
        address = open_to(target, client)
        with socket.create_connection(address.pair, 20) as sender:
            sender.sendall(b"x")
            receiver, _ = target.accept()
            with closing(receiver):
                receiver.settimeout(20)
                assert receiver.recv(1) == b"x"
                process.kill()
                assert receiver.recv(1) == b""
        for _ in range(2):
            with pytest.raises(KitError, match="is gone"):
                client.apply("a->b", {"kind": "cut"})


def test_a_paused_program_is_an_error_and_not_a_hang(start: Start) -> None:
    process, control = start()
    with LinksClient(control, "t") as patient:
        assert patient.links() == {}
        os.kill(process.pid, signal.SIGSTOP)
        with (
            LinksClient(control, "t", timeout_s=0.3) as client,
            pytest.raises(KitError, match="did not answer 'links' within"),
        ):
            client.links()
        os.kill(process.pid, signal.SIGCONT)
        assert patient.links() == {}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--control", "nowhere", "--token", "t"], "is not an address"),
        (["--control", "127.0.0.1:0", "--token", ""], "token is empty"),
        (["--control", "127.0.0.1:0", "--token-file", "/no/such/file"], "No such file"),
        (["--control", "127.0.0.1:0", "--token", "t", "--ports", "9-1"], "no range of ports"),
    ],
)
def test_options_that_make_no_sense(options: list[str], complaint: str) -> None:
    command = [sys.executable, "-m", "dslab.kit.links", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr
