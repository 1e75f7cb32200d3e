"""Peers that were not written here: they call our server, and our client calls them.

- pynvim (the Python client of the editor Neovim) speaks MessagePack-RPC;
- jsonrpclib-pelix (Python) speaks JSON-RPC 2.0 over HTTP;
- jayson (Node.js) speaks JSON-RPC 2.0 over TCP and over HTTP. npm installs it once, into pytest's cache.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dslab.kit.errors import Happened
from dslab.rpc.client import connect
from dslab.rpc.errors import BadArguments, NoSuchMethod, RemoteError
from dslab.rpc.protocol import Peerhood

JAYSON = "jayson@5.0.0"
PATIENCE_S = 60.0


class Calculator:
    def __init__(self) -> None:
        self.noticed = threading.Event()

    def add(self, a: int, b: int) -> int:
        return a + b

    def echo(self, value: Any) -> Any:
        return value

    def divide(self, a: int, b: int) -> float:
        return a / b

    def notice(self, value: Any) -> None:
        self.noticed.set()


# ---- MessagePack-RPC: pynvim


CALL_WITH_PYNVIM = """
import sys
from pynvim.msgpack_rpc import tcp_session

session = tcp_session(sys.argv[1], int(sys.argv[2]))
assert session.request("add", 3, 4) == 7
value = {"a": [1, 2.5, None, "\u00fc"]}
assert session.request("echo", value) == value
try:
    session.request("divide", 1, 0)
except Exception as error:
    assert "division by zero" in str(error), error
else:
    raise AssertionError("no error")
session.request("notice", 1, async_=True)
assert session.request("add", 1, 1) == 2
"""


def test_an_editors_client_calls_our_server(serve: Any) -> None:
    pytest.importorskip("pynvim")
    calculator = Calculator()
    address = serve(calculator)
    command = [sys.executable, "-c", CALL_WITH_PYNVIM, address.host, str(address.port)]
    subprocess.run(command, check=True, timeout=PATIENCE_S)
    assert calculator.noticed.wait(PATIENCE_S)


PYNVIM_SERVER = """
from pynvim.msgpack_rpc import stdio_session

session = stdio_session()

def on_request(name, arguments):
    if name == "add":
        return arguments[0] + arguments[1]
    if name == "echo":
        return arguments[0]
    raise ValueError("no method " + str(name))

session.run(on_request, lambda name, arguments: None)
"""


@contextmanager
def pynvim_server() -> Iterator[str]:
    """Pynvim serves one connection on its standard input and output; threads carry the bytes."""
    command = [sys.executable, "-c", PYNVIM_SERVER]
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process,
    ):

        def carry() -> None:
            connection, _ = listener.accept()
            with connection:
                back = threading.Thread(target=carry_back, args=(connection,))
                back.start()
                while data := connection.recv(65_536):
                    process.stdin.write(data)  # type: ignore[union-attr]
                process.kill()
                back.join()

        def carry_back(connection: socket.socket) -> None:
            while data := process.stdout.read(65_536):  # type: ignore[union-attr]
                connection.sendall(data)

        thread = threading.Thread(target=carry)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join(PATIENCE_S)
            process.kill()


@pytest.mark.parametrize("semantics", ["maybe", "at-most-once"])
def test_our_client_calls_an_editors_peer(semantics: Any) -> None:
    pytest.importorskip("pynvim")
    with (
        pynvim_server() as address,
        connect(address, semantics=semantics, timeout_s=PATIENCE_S, retry_s=PATIENCE_S) as client,
    ):
        assert client.call("add", 3, 4) == 7
        assert client.call("echo", {"a": [1, None]}) == {"a": [1, None]}
        with pytest.raises(RemoteError, match="no method nothing") as raised:
            client.call("nothing")
        assert raised.value.happened is Happened.UNKNOWN  # what it did before it answered, only it knows
        if semantics == "at-most-once":  # it knows no call identities: each call is sent once
            assert client.stub.peerhood is Peerhood.PLAIN
        assert client.stub.sent == 3 + (semantics == "at-most-once")


# ---- JSON-RPC over HTTP: jsonrpclib


def test_a_python_client_calls_our_server_over_http(serve: Any) -> None:
    jsonrpclib = pytest.importorskip("jsonrpclib")
    address = serve(Calculator(), codec="json-http")
    proxy = jsonrpclib.ServerProxy(f"http://{address}")
    with closing(_Closable(proxy)):
        assert proxy.add(3, 4) == 7
        assert proxy.add(b=1, a=2) == 3
        with pytest.raises(jsonrpclib.ProtocolError, match="division by zero"):
            proxy.divide(1, 0)
        with pytest.raises(jsonrpclib.ProtocolError, match="Method not found"):
            proxy.nothing()
        batch = jsonrpclib.MultiCall(proxy)
        batch.add(1, 1)
        batch.echo("x")
        assert list(batch()) == [2, "x"]


class _Closable:
    """Closes the connection that a proxy keeps."""

    def __init__(self, proxy: Any) -> None:
        self._proxy = proxy

    def close(self) -> None:
        self._proxy("close")()


@pytest.mark.parametrize("semantics", ["maybe", "at-most-once"])
def test_our_client_calls_a_python_server_over_http(semantics: Any) -> None:
    server_module = pytest.importorskip("jsonrpclib.SimpleJSONRPCServer")
    server = server_module.SimpleJSONRPCServer(("127.0.0.1", 0), logRequests=False)
    calculator = Calculator()
    for method in (calculator.add, calculator.echo, calculator.divide):
        server.register_function(method)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    host, port = server.server_address
    try:
        with connect(
            f"{host}:{port}", codec="json-http", semantics=semantics, timeout_s=PATIENCE_S
        ) as client:
            assert client.call("add", 3, 4) == 7
            assert client.call("add", a=1, b=2) == 3
            with pytest.raises(NoSuchMethod):
                client.call("nothing")
            client.notify("add", 1, 2)
            with client.batch():
                batch = [client.begin("add", 1, 1), client.begin("echo", "x")]
            assert [each.result() for each in batch] == [2, "x"]
    finally:
        server.shutdown()
        thread.join(PATIENCE_S)
        server.server_close()


# ---- JSON-RPC over TCP and HTTP: jayson, in Node.js

CALL_WITH_JAYSON = """
const jayson = require("jayson/promise");
const [kind, port] = process.argv.slice(1);
const client = jayson.Client[kind]({ host: "127.0.0.1", port: Number(port) });
(async () => {
  const replies = [
    await client.request("add", [3, 4]),
    await client.request("add", { a: 1, b: 2 }),
    await client.request("divide", [1, 0]),
    await client.request("nothing", []),
    await client.request(
      [client.request("add", [1, 1], "a", false), client.request("echo", ["x"], "b", false)]),
  ];
  console.log(JSON.stringify(replies));
})();
"""

SERVE_WITH_JAYSON = """
const jayson = require("jayson/promise");
const server = new jayson.Server({
  add: async (args) => Array.isArray(args) ? args[0] + args[1] : args.a + args.b,
  fail: async () => { throw { code: 501, message: "not today" }; },
  strict: async () => { throw server.error(-32602, "Invalid params"); },
});
const listening = server[process.argv[1]]();
listening.listen(0, "127.0.0.1", () => console.log(listening.address().port));
"""


@pytest.fixture(scope="module")
def jayson(request: pytest.FixtureRequest) -> Path:
    """A folder in which Node.js finds jayson."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js is not installed")
    folder = Path(request.config.cache.mkdir("jayson"))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other workers install it too
        if not (folder / "node_modules" / ".package-lock.json").is_file():  # npm writes it last
            command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", JAYSON]
            try:
                subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"npm cannot install {JAYSON}: {error.stderr.strip()[-200:]}")
            except subprocess.TimeoutExpired:
                pytest.skip(f"npm does not install {JAYSON} in 100 s.")
    return folder


@pytest.mark.parametrize(("codec", "kind"), [("json", "tcp"), ("json-http", "http")])
def test_a_client_in_nodejs_calls_our_server(serve: Any, jayson: Path, codec: str, kind: str) -> None:
    address = serve(Calculator(), codec=codec)
    command = ["node", "-e", CALL_WITH_JAYSON, kind, str(address.port)]
    finished = subprocess.run(
        command, cwd=jayson, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    added, named, divided, missing, batch = json.loads(finished.stdout)
    assert (added["result"], named["result"]) == (7, 3)
    assert divided["error"]["message"] == "division by zero"
    assert divided["error"]["data"]["type"] == "ZeroDivisionError"
    assert missing["error"] == {"code": -32601, "message": "Method not found"}
    assert {each["id"]: each["result"] for each in batch} == {"a": 2, "b": "x"}


@contextmanager
def jayson_server(folder: Path, kind: str) -> Iterator[str]:
    command = ["node", "-e", SERVE_WITH_JAYSON, kind]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


@pytest.mark.parametrize(("codec", "kind"), [("json", "tcp"), ("json-http", "http")])
@pytest.mark.parametrize("semantics", ["maybe", "at-most-once"])
def test_our_client_calls_a_server_in_nodejs(jayson: Path, codec: str, kind: str, semantics: Any) -> None:
    with (
        jayson_server(jayson, kind) as address,
        connect(address, codec=codec, semantics=semantics, timeout_s=PATIENCE_S) as client,
    ):
        assert client.call("add", 3, 4) == 7
        assert client.call("add", a=1, b=2) == 3
        with pytest.raises(NoSuchMethod):
            client.call("nothing")
        with pytest.raises(RemoteError, match="not today"):
            client.call("fail")
        with pytest.raises(BadArguments):
            client.call("strict")
