"""The servers, each a process of its own with a folder of its own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from bench.harness import peers
from bench.objectstore_peers.lean import ACCESS_KEY, SECRET
from dslab.kit.address import Address
from dslab.kit.errors import MachineError

START_S = 120.0

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {folder}/body; sendfile on; tcp_nodelay on;
  server {{ listen {address}; root {folder}/root; dav_methods PUT DELETE; create_full_put_path on; }}
}}
"""


@contextmanager
def ours(folder: Path, *options: str) -> Iterator[peers.Server]:
    """Start `dslab.objectstore`."""
    command = ["-m", "dslab.objectstore", "server", "--bind", "127.0.0.1:0", "--data", str(folder)]
    with peers.server([sys.executable, *command, "--key", f"{ACCESS_KEY}:{SECRET}", *options]) as server:
        yield server


@contextmanager
def bare(folder: Path) -> Iterator[peers.Server]:
    """Start the floor."""
    with peers.server([sys.executable, "-m", "bench.objectstore_peers.bare"]) as server:
        yield server


def moto_python() -> str | None:
    """The interpreter that has moto: it is beside ``moto_server``, wherever in PATH that is."""
    program = shutil.which("moto_server")
    return str(Path(program).with_name("python")) if program else None


@contextmanager
def moto(folder: Path, *counts: int) -> Iterator[peers.Server]:
    """Start moto's server, with a bucket ``keys-COUNT`` of so many keys for each count."""
    python = moto_python()
    assert python is not None
    script = Path(__file__).with_name("moto_server.py")
    address = _free_address()
    with _running([python, str(script), str(address.port), *map(str, counts)], address) as server:
        yield server


@contextmanager
def nginx(folder: Path) -> Iterator[peers.Server]:
    """Start nginx, which serves files, and takes them by WebDAV."""
    bucket = folder / "root" / "bucket"
    bucket.mkdir(parents=True)
    for each in (folder, folder / "root", bucket):
        each.chmod(0o777)  # its worker is another user
    address = _free_address()
    (folder / "conf").write_text(NGINX.format(folder=folder, address=address))
    with _running(["nginx", "-c", str(folder / "conf")], address) as server:
        yield server


def rss_bytes(server: peers.Server) -> int:
    """What a server has in memory, with its children."""
    process = psutil.Process(server.pid)
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


@contextmanager
def _running(command: Sequence[str], address: Address) -> Iterator[peers.Server]:
    null = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=null, stderr=null, text=True) as process:
        try:
            _reach(address, process)
            yield peers.Server(address, process.pid)
        finally:
            peers.end(process)


def _reach(address: Address, process: subprocess.Popen[str]) -> None:
    deadline_s = time.monotonic() + START_S
    while True:
        with suppress(OSError), socket.create_connection(address.pair):
            return
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise MachineError(f"{process.args!r} did not start.")
        time.sleep(0.05)


def _free_address() -> Address:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return Address(*listener.getsockname()[:2])
