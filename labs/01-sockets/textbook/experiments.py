"""Four experiments with the textbook's two programs. The first one goes well.

Usage: python labs/01-sockets/textbook/experiments.py
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent


@contextmanager
def server() -> Iterator[tuple[tuple[str, int], subprocess.Popen[bytes]]]:
    """Start the textbook's server on a free port; give its address and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
    program = [sys.executable, str(HERE / "server.py"), f"{host}:{port}"]
    with subprocess.Popen(program, stderr=subprocess.DEVNULL) as process:
        yield (host, port), process
        process.kill()


def connect(address: tuple[str, int]) -> socket.socket:
    """Connect, as soon as the server listens."""
    deadline_s = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(address, timeout=5)
        except ConnectionRefusedError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.02)


def everything(connection: socket.socket) -> bytes:
    """Receive until the server closes."""
    received = bytearray()
    while piece := connection.recv(65_536):
        received += piece
    return bytes(received)


def hello_world() -> str:
    """Run both programs, as they stand in the book."""
    with server() as ((host, port), _):
        client = [sys.executable, str(HERE / "client.py"), f"{host}:{port}"]
        for _ in range(100):  # the first ones may come before the server listens
            done = subprocess.run(client, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                break
        return done.stdout.strip()


def a_long_message() -> str:
    """Send a message that is longer than one recv."""
    with server() as (address, _), connect(address) as connection:
        connection.sendall(b"x" * 3000)
        connection.shutdown(socket.SHUT_WR)
        return f"3000 bytes, sent as one message, came back with {everything(connection).count(b'*')} stars"


def half_a_character() -> str:
    """Send the first of the two bytes of a character."""
    with server() as (address, process), connect(address) as connection:
        connection.sendall("ä".encode()[:1])
        return f"half a character was answered with {connection.recv(1024)!r}: exit status {process.wait()}"


def a_second_client() -> str:
    """Come as the second one."""
    with server() as (address, process):
        with connect(address) as first:
            first.sendall(b"first")
            first.recv(1024)
        try:
            process.wait(timeout=5)
            connect_once = socket.create_connection(address, timeout=5)
        except ConnectionRefusedError:
            return "the second client was refused: the server has ended"
        connect_once.close()
        return "the second client was served"


if __name__ == "__main__":
    for experiment in (hello_world, a_long_message, half_a_character, a_second_client):
        print(f"{experiment.__name__.replace('_', ' ')}: {experiment()}")
