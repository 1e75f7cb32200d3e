"""The servers, each a process of its own with a folder of its own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.harness import peers
from bench.objectstore_peers.lean import ACCESS_KEY, SECRET

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
def bare(module: str) -> Iterator[peers.Server]:
    """Start a floor: ``bare`` or ``bare_fastapi``."""
    with peers.server([sys.executable, "-m", f"bench.objectstore_peers.{module}"]) as server:
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
    address = peers.free_address()
    with peers.server_at([python, str(script), str(address.port), *map(str, counts)], address) as server:
        yield server


@contextmanager
def nginx(folder: Path) -> Iterator[peers.Server]:
    """Start nginx, which serves files, and takes them by WebDAV."""
    bucket = folder / "root" / "bucket"
    bucket.mkdir(parents=True)
    for each in (folder, folder / "root", bucket):
        each.chmod(0o777)  # its worker is another user
    address = peers.free_address()
    (folder / "conf").write_text(NGINX.format(folder=folder, address=address))
    with peers.server_at(["nginx", "-c", str(folder / "conf")], address) as server:
        yield server
