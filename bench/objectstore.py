"""What the object store costs, and how that depends on sizes and on how many keys there are.

Side by side in one run: every round measures every server once, in turn, so that whatever else the machine
does hits all of them alike. Shown are medians over the rounds, and ratios of medians.

==========  ==============================================================================================
objects     `dslab.objectstore`, unsigned requests, not waiting for the disk
durable     the same, waiting for the disk before every answer
signed      as ``objects``, every request with Signature V4: the work of both sides
moto        moto's server (needs ``moto_server``, in PATH or by ``--moto``)
nginx       nginx with WebDAV (needs ``nginx``): files and nothing else, a floor
==========  ==============================================================================================

The client is a bare socket: what is measured is the server. A peer that is not installed is left out, and
named. Run it as ``python bench/objectstore.py``; it prints tables, and writes
``bench/results/objectstore.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from dslab.kit.address import Address
from dslab.objectstore.auth import UNSIGNED, Request, sign
from dslab.objectstore.messages import Content, Meta
from dslab.objectstore.store import Store

RESULTS = Path(__file__).parent / "results" / "objectstore.json"
SIZES = {"1 KiB": 1024, "1 MiB": 1 << 20, "64 MiB": 64 << 20}
TRIPS = {"1 KiB": 300, "1 MiB": 30, "64 MiB": 2}
KEY_COUNTS = (1_000, 10_000, 100_000, 1_000_000)
MAX_KEYS_BY_HTTP = 1_000
CLIENTS = 8
KEY, SECRET = "ID", "SECRET"

UNCHECKED = {"moto": {"authorization": "AWS4-HMAC-SHA256 Credential=ID/20300101/us-east-1/s3/aws4_request"}}
"""moto refuses who does not sign, and looks no further."""

GOALS = {
    "GET 1 KiB, times moto": 15.0,
    "GET 1 KiB, of nginx": 0.8,
    "PUT 1 KiB, times moto": 3.5,
    "GET 64 MiB, times moto": 3.5,
    "GET 64 MiB, of nginx": 0.65,
    "PUT 64 MiB, times moto": 2.6,
    "list of 1,000 keys, times moto": 230.0,
    "CPU of the server per GET, moto's over ours": 24.0,
    "memory after 64 MiB objects, moto's over ours": 9.0,
}

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {folder}/body; sendfile on; tcp_nodelay on;
  server {{ listen 127.0.0.1:{port}; root {folder}/root; dav_methods PUT DELETE; create_full_put_path on; }}
}}
"""


class Peer:
    """A server under measurement, and one connection to it."""

    def __init__(self, name: str, address: Address, process: psutil.Process, *, signs: bool = False) -> None:
        self.name = name
        self.address = address
        self.process = process
        self._signs = signs
        self._socket = self._connect()
        self._closes = False
        self._buffer = memoryview(bytearray(1 << 20))

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self.address.pair, timeout=120)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def again(self) -> Peer:
        """Another connection to the same server."""
        return Peer(self.name, self.address, self.process, signs=self._signs)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def request(self, method: str, path: str, body: bytes = b"") -> int:
        """One exchange: gives how long the answer's body was. A server that hangs up is called again."""
        if self._closes:
            self._socket.close()
            self._socket = self._connect()
        headers = {"host": str(self.address)} | UNCHECKED.get(self.name, {})
        if self._signs:
            bare, _, query = path.partition("?")
            pairs = tuple(
                (name, value) for name, _, value in (one.partition("=") for one in query.split("&") if one)
            )
            signed = Request(method, bare.encode(), pairs, headers)
            headers |= sign(signed, KEY, SECRET, "us-east-1", UNSIGNED, time.time())
        if method == "PUT":
            headers["content-length"] = str(len(body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._socket.sendall(
            f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + (body if len(body) < 1 << 16 else b"")
        )
        if len(body) >= 1 << 16:
            self._socket.sendall(body)
        return self._answer(method)

    def cpu_s(self) -> float:
        """What the server has used of its processors so far."""
        times = [
            self.process.cpu_times(),
            *(child.cpu_times() for child in self.process.children(recursive=True)),
        ]
        return float(sum(one.user + one.system for one in times))

    def rss_bytes(self) -> int:
        """What the server has in memory."""
        return sum(one.memory_info().rss for one in [self.process, *self.process.children(recursive=True)])

    def _answer(self, method: str) -> int:
        received = b""
        while b"\r\n\r\n" not in received:
            piece = self._socket.recv(1 << 16)
            if not piece:
                raise ConnectionError(f"{self.name} hung up.")
            received += piece
        head, _, rest = received.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status >= 300:
            raise ConnectionError(f"{self.name} answered {status} to {method}.")
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        self._closes = head.startswith(b"HTTP/1.0") or fields.get(b"connection", b"").strip() == b"close"
        length = 0 if method == "HEAD" or status == 204 else int(fields.get(b"content-length", b"0"))
        left = length - len(rest)
        while left > 0:
            left -= self._socket.recv_into(self._buffer, min(left, len(self._buffer)))
        return length


# ---- servers


@contextlib.contextmanager
def _process(command: list[str], **environment: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def _objects(name: str, folder: Path) -> Iterator[Peer]:
    command = [
        sys.executable,
        "-m",
        "dslab.objectstore",
        "server",
        "--bind",
        "127.0.0.1:0",
        "--data",
        str(folder),
    ]
    command += ["--key", f"{KEY}:{SECRET}"]
    command += [] if name == "signed" else ["--anonymous", "write"]
    command += [] if name == "durable" else ["--no-sync"]
    with _process(command) as process:
        assert process.stdout is not None
        address = Address.parse(process.stdout.readline().split()[-1])
        with contextlib.closing(
            Peer(name, address, psutil.Process(process.pid), signs=name == "signed")
        ) as peer:
            peer.request("PUT", "/bucket")
            yield peer


@contextlib.contextmanager
def _moto(program: str) -> Iterator[Peer | None]:
    found = shutil.which(program)
    if not found:
        yield None
        return
    port = _free_port()
    command = [found, "-H", "127.0.0.1", "-p", str(port)]
    with _process(command) as process, contextlib.closing(_reach("moto", port, process.pid)) as peer:
        peer.request("PUT", "/bucket")
        yield peer


@contextlib.contextmanager
def _nginx(folder: Path) -> Iterator[Peer | None]:
    found = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if not found:
        yield None
        return
    (folder / "root" / "bucket").mkdir(parents=True)
    folder.chmod(0o777)
    (folder / "root").chmod(0o777)
    (folder / "root" / "bucket").chmod(0o777)
    port = _free_port()
    (folder / "conf").write_text(NGINX.format(folder=folder, port=port))
    command = [found, "-c", str(folder / "conf")]
    with _process(command) as process, contextlib.closing(_reach("nginx", port, process.pid)) as peer:
        yield peer


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _reach(name: str, port: int, pid: int) -> Peer:
    deadline_s = time.monotonic() + 60
    while True:
        try:
            return Peer(name, Address("127.0.0.1", port), psutil.Process(pid))
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)


# ---- measurements


@dataclass
class Measured:
    """Seconds per operation, by operation and server, an entry per round; and what was measured once."""

    times_s: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    cpu_s: dict[str, list[float]] = field(default_factory=dict)
    rss_bytes: dict[str, int] = field(default_factory=dict)
    lists_s: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, operation: str, server: str, seconds: float) -> None:
        """Note a round."""
        self.times_s.setdefault(operation, {}).setdefault(server, []).append(seconds)

    def median_s(self, operation: str, server: str) -> float | None:
        """The median of the rounds."""
        rounds = self.times_s.get(operation, {}).get(server)
        return statistics.median(rounds) if rounds else None


def _p50_s(operation: Callable[[], object], trips: int) -> float:
    times_s = []
    for _ in range(trips):
        start_s = time.perf_counter()
        operation()
        times_s.append(time.perf_counter() - start_s)
    return statistics.median(times_s)


def _bodies(measured: Measured, peer: Peer, scale: float) -> None:
    for name, size in SIZES.items():
        body = os.urandom(size)
        path = f"/bucket/{size}"
        trips = max(2, int(TRIPS[name] * scale))
        measured.add(f"PUT {name}", peer.name, _p50_s(partial(peer.request, "PUT", path, body), trips))
        cpu_s = peer.cpu_s()
        measured.add(f"GET {name}", peer.name, _p50_s(partial(peer.request, "GET", path), trips))
        if size == 1024:
            measured.cpu_s.setdefault(peer.name, []).append((peer.cpu_s() - cpu_s) / trips)
            measured.add("HEAD", peer.name, _p50_s(partial(peer.request, "HEAD", path), trips))


def _crowd(measured: Measured, peer: Peer, scale: float) -> None:
    """Eight clients at once, each with a connection of its own: the time per operation of all together."""
    trips = max(2, int(50 * scale))
    body = os.urandom(1024)
    for method in ("PUT", "GET"):
        peers = [peer.again() for _ in range(CLIENTS)]

        def work(one: Peer, number: int, verb: str) -> None:
            for _ in range(trips):
                one.request(verb, f"/bucket/crowd-{number}", body if verb == "PUT" else b"")

        threads = [threading.Thread(target=work, args=(one, n, method)) for n, one in enumerate(peers)]
        start_s = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = (time.perf_counter() - start_s) / (trips * CLIENTS)
        measured.add(f"{method} 1 KiB, {CLIENTS} clients", peer.name, seconds)
        for one in peers:
            one.close()


def _lists(measured: Measured, peers: list[Peer], folder: Path, most: int, rounds: int) -> None:
    """A list of 1,000 keys, in buckets of more and more."""
    ours = peers[0]
    for count in (count for count in KEY_COUNTS if count <= most):
        _fill(folder, f"keys-{count}", count)
        listed = measured.lists_s.setdefault("objects", {}).setdefault(count, [])
        path = f"/keys-{count}?list-type=2"
        listed += [_p50_s(partial(ours.request, "GET", path), 5) for _ in range(rounds)]
    for peer in peers:
        if peer.name == "moto":
            peer.request("PUT", "/keys-1000")
            for number in range(MAX_KEYS_BY_HTTP):
                peer.request("PUT", f"/keys-1000/{number:07}", b"x")
            listed = measured.lists_s.setdefault("moto", {}).setdefault(MAX_KEYS_BY_HTTP, [])
            listed += [
                _p50_s(partial(peer.request, "GET", "/keys-1000?list-type=2"), 2) for _ in range(rounds)
            ]


def _fill(folder: Path, bucket: str, count: int) -> None:
    """Put so many keys straight into the index: they all are the same file."""
    from dslab.objectstore import buckets, versions

    store = Store(folder, sync=False)
    store.create_bucket(bucket)

    def change(db: object) -> None:
        where = buckets.get(db, bucket)  # type: ignore[arg-type]
        for number in range(count):
            content = Content(1, "9dd4e461268c8034f5c8564e155c67a6")
            versions.put(db, where, f"{number:07}", content, Meta(), 0.0, "")  # type: ignore[arg-type]

    store.index.write(change)
    store.close()


def measure(rounds: int, most: int, scale: float, moto: str) -> Measured:
    """Measure everything."""
    measured = Measured()
    with contextlib.ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(4)]
        names = ("objects", "durable", "signed")
        peers = [stack.enter_context(_objects(*pair)) for pair in zip(names, folders, strict=False)]
        for name, peer in (
            ("moto", stack.enter_context(_moto(moto))),
            ("nginx", stack.enter_context(_nginx(folders[3]))),
        ):
            if peer is None:
                measured.left_out.append(name)
            else:
                peers.append(peer)
        for number in range(rounds + 1):
            target = measured if number else Measured()  # the first round warms up
            for peer in peers:
                _bodies(target, peer, scale)
                _crowd(target, peer, scale)
        measured.rss_bytes = {peer.name: peer.rss_bytes() for peer in peers}
        _lists(measured, peers, folders[0], most, rounds)
    return measured


# ---- the report


def _ratio(measured: Measured, operation: str, above: str, below: str) -> float | None:
    first, second = measured.median_s(operation, above), measured.median_s(operation, below)
    return first / second if first and second else None


def figures(measured: Measured) -> dict[str, float | None]:
    """What the goals are about."""
    lists = {
        name: {count: statistics.median(each) for count, each in by.items()}
        for name, by in measured.lists_s.items()
    }
    cpu = {name: statistics.median(each) for name, each in measured.cpu_s.items()}
    rss, ours = measured.rss_bytes, lists["objects"]
    return {
        "GET 1 KiB, times moto": _ratio(measured, "GET 1 KiB", "moto", "objects"),
        "GET 1 KiB, of nginx": _ratio(measured, "GET 1 KiB", "nginx", "objects"),
        "PUT 1 KiB, times moto": _ratio(measured, "PUT 1 KiB", "moto", "objects"),
        "GET 64 MiB, times moto": _ratio(measured, "GET 64 MiB", "moto", "objects"),
        "GET 64 MiB, of nginx": _ratio(measured, "GET 64 MiB", "nginx", "objects"),
        "PUT 64 MiB, times moto": _ratio(measured, "PUT 64 MiB", "moto", "objects"),
        "list of 1,000 keys, times moto": lists["moto"][1_000] / ours[1_000] if "moto" in lists else None,
        "CPU of the server per GET, moto's over ours": cpu["moto"] / cpu["objects"]
        if "moto" in cpu
        else None,
        "memory after 64 MiB objects, moto's over ours": rss["moto"] / rss["objects"]
        if "moto" in rss
        else None,
        "list of 1,000 keys, largest bucket over smallest": ours[max(ours)] / ours[min(ours)],
        "fsync: PUT 1 KiB, durable over not": _ratio(measured, "PUT 1 KiB", "durable", "objects"),
        "Signature V4: GET 1 KiB, signed over not": _ratio(measured, "GET 1 KiB", "signed", "objects"),
    }


def report(measured: Measured, rounds: int) -> None:
    """Print tables, and write everything to a file."""
    console = Console(highlight=False)
    servers = list(measured.rss_bytes)
    table = Table("operation", *servers, title="median time")
    for operation in measured.times_s:
        cells = [measured.median_s(operation, server) for server in servers]
        table.add_row(operation, *("" if cell is None else f"{cell * 1e3:.3f} ms" for cell in cells))
    table.add_row("memory at the end", *(f"{size / 2**20:.0f} MiB" for size in measured.rss_bytes.values()))
    console.print(table)
    for name, by_count in measured.lists_s.items():
        for count, each in by_count.items():
            console.print(f"list of 1,000 of {count:,} keys, {name}: {statistics.median(each) * 1e3:.2f} ms")
    found = figures(measured)
    goals = Table("figure", "measured", "goal")
    for name, value in found.items():
        goal = f"{GOALS[name]:g}" if name in GOALS else ""
        goals.add_row(name, "not installed" if value is None else f"{value:.2f}", goal)
    console.print(goals)
    for name in measured.left_out:
        console.print(f"{name} is not installed here, and left out.")
    machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "load": os.getloadavg()}
    RESULTS.parent.mkdir(exist_ok=True)
    written = {"machine": machine, "rounds": rounds, "figures": found, "measured": vars(measured)}
    RESULTS.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="What the object store costs.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=int, default=max(KEY_COUNTS), help="the most keys in a bucket")
    parser.add_argument("--scale", type=float, default=1.0, help="how many trips, of the usual number")
    parser.add_argument("--moto", default="moto_server", help="where moto's server is")
    options = parser.parse_args()
    report(measure(options.rounds, options.most, options.scale, options.moto), options.rounds)


if __name__ == "__main__":
    main()
