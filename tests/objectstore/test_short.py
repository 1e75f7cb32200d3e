"""The short way and the large files: the same answers, never stale ones, and nothing left behind."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn.server
from botocore.exceptions import ClientError

from dslab.objectstore import connection, index, listing, objects, short
from dslab.objectstore.index import Index, Memory
from dslab.objectstore.messages import Page
from dslab.objectstore.server import Options
from dslab.objectstore.store import Store
from tests.objectstore.conftest import ID, SECRET, Serve, Served, rules, server_thread
from tests.objectstore.conftest import client as client_of
from tests.objectstore.test_hostile import wait_until

SIZES = {
    "empty": 0,
    "remembered": 1_000,
    "small": short.SMALL_BYTES,
    "large": short.SMALL_BYTES + 1,
    "huge": 3_000_000,
}
LONG_AGO = "Sun, 06 Nov 1994 08:49:37 GMT"
VARYING = (b"date", b"x-amz-request-id", b"connection")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, bytes]]]:
    options = Options(
        tmp_path_factory.mktemp("short"), rules(f"{ID}:{SECRET}", anonymous="write"), sync=False
    )
    with server_thread(options) as served:
        bodies = {name: os.urandom(size) for name, size in SIZES.items()}
        httpx.put(f"{served.url}/bucket", trust_env=False).raise_for_status()
        for name, body in bodies.items():
            headers = {"x-amz-meta-name": name, "x-amz-tagging": "a=b"}
            httpx.put(f"{served.url}/bucket/{name}", content=body, headers=headers, trust_env=False)
        yield served, bodies


def requests(text: str) -> tuple[bytes, bytes]:
    """One request twice: for the short way, and, as nobody answers HTTP/1.0 there, for the long one."""
    line, *lines = text.split("\n")
    heads = (
        f"{line} HTTP/1.{minor}\r\n" + "".join(f"{one}\r\n" for one in ("Host: x", *lines))
        for minor in (1, 0)
    )
    first, second = (f"{head}\r\n".encode() for head in heads)
    return first, second


def read_answer(
    peer: socket.socket, *, is_head: bool = False, kept: bytes = b""
) -> tuple[list[bytes], bytes, bytes]:
    """Read one answer: its lines, its body, and what came after it."""
    while b"\r\n\r\n" not in kept:
        piece = peer.recv(65_536)
        assert piece, kept
        kept += piece
    head, _, rest = kept.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    length = next((int(one[15:]) for one in lines if one.lower().startswith(b"content-length:")), 0)
    length = 0 if is_head else length
    while len(rest) < length:
        piece = peer.recv(65_536)
        assert piece
        rest += piece
    return lines, rest[:length], rest[length:]


def ask(served: Served, request: bytes) -> tuple[list[bytes], bytes]:
    with socket.create_connection(served.address.pair, timeout=30) as peer:
        peer.sendall(request)
        lines, body, rest = read_answer(peer, is_head=request.startswith(b"HEAD"))
        assert rest == b""
    body = re.sub(rb"<RequestId>.*?</RequestId>", b"", body)
    told = sorted(one for one in lines[1:] if one.partition(b":")[0].lower() not in VARYING)
    return [lines[0], *told], body


@pytest.mark.parametrize("text", [
    *(f"{method} /bucket/{name}" for method in ("GET", "HEAD") for name in SIZES),
    *(f"GET /bucket/{name}\nRange: bytes=1-99" for name in SIZES),
    "GET /bucket/huge\nRange: bytes=-2000000",
    "GET /bucket/small\nRange: bytes=99999999-",
    "GET /bucket/small\nx-amz-checksum-mode: ENABLED",
    "GET /bucket/small\nIf-None-Match: *",
    "GET /bucket/small\nIf-Match: nothing",
    "GET /bucket/small?versionId=null",
    "GET /bucket/small?partNumber=1",
    "GET /bucket/huge?partNumber=1",
    "GET /bucket/small?response-content-type=x",
    "GET /bucket/small?tagging",
    "GET /bucket/nothing",
    "GET /no-bucket/key",
    "GET /bucket",
    "GET /bucket?list-type=2",
    "GET /bucket?list-type=2&max-keys=2&start-after=huge&fetch-owner=true",
    "GET /bucket?max-keys=2&max-keys=3",
    "GET /bucket?max-keys=-1",
    "GET /bucket?delimiter=l&encoding-type=url",
    "GET /bucket?list-type=2&continuation-token=nonsense",
    "GET /bucket?versions",
    "GET /bucket?location",
    "GET /bucket?list-type=2\nAuthorization: nonsense",
    "HEAD /bucket?list-type=2",
    "GET /no-bucket?list-type=2",
    "GET /?prefix=b",
    "GET /bucket/%ff",
    "GET /bucket/small\nAuthorization: nonsense",
])  # fmt: skip
def test_both_ways_have_one_answer(filled: tuple[Served, dict[str, bytes]], text: str) -> None:
    served, _ = filled
    at_once, step_by_step = requests(text)
    told, body = ask(served, step_by_step)
    assert b"x-amz-id-2: dslab" in told
    for _ in range(2):  # the second may be from memory
        assert ask(served, at_once) == (told, body)


def test_nothing_was_modified_after_the_date_of_an_answer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though uvicorn looks at the clock once a second; here it never does."""
    monkeypatch.setattr(uvicorn.server, "formatdate", lambda *_, **__: LONG_AGO)
    served = serve(f"{ID}:{SECRET}", anonymous="write")
    with httpx.Client(base_url=served.url, trust_env=False) as http:
        http.put("/bucket")
        for name, size in SIZES.items():
            answers = [http.put(f"/bucket/{name}", content=bytes(size))]
            answers += [http.get(f"/bucket/{name}") for _ in range(2)]  # the second may be from memory
            asks = {"x-amz-object-attributes": "ETag"}
            answers += [http.get(f"/bucket/{name}?attributes", headers=asks), http.get("/bucket/nothing")]
            for answer in answers:
                told = {"last-modified": LONG_AGO, **answer.headers}
                date, modified = (parsedate_to_datetime(told[name]) for name in ("date", "last-modified"))
                assert parsedate_to_datetime(LONG_AGO) < date
                assert modified <= date


def test_the_short_way_is_taken(
    filled: tuple[Served, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, _ = filled
    taken: list[bool] = []
    answer_at_once = connection.Connection._answer_at_once

    def watched(self: connection.Connection) -> bool:
        taken.append(answer_at_once(self))
        return taken[-1]

    monkeypatch.setattr(connection.Connection, "_answer_at_once", watched)
    for name in SIZES:
        at_once, step_by_step = requests(f"GET /bucket/{name}")
        ask(served, at_once)
        ask(served, step_by_step)
    assert taken == [True, False, True, False, True, False, False, False, False, False]


def test_a_list_is_made_once(
    filled: tuple[Served, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, _ = filled
    made: list[listing.Wanted] = []
    keys = Store.keys

    def watched(self: Store, bucket: str, wanted: listing.Wanted) -> Page:
        made.append(wanted)
        return keys(self, bucket, wanted)

    monkeypatch.setattr(Store, "keys", watched)
    client = client_of(served)
    for _ in range(3):
        assert len(client.list_objects_v2(Bucket="bucket", MaxKeys=4)["Contents"]) == 4
        ask(served, requests("GET /bucket?list-type=2&max-keys=4&encoding-type=url")[0])  # as boto3 asks
    assert [each.most for each in made] == [4]
    httpx.put(f"{served.url}/bucket/another", content=b"x", trust_env=False)
    keys_then = [each["Key"] for each in client.list_objects_v2(Bucket="bucket", MaxKeys=4)["Contents"]]
    assert keys_then == ["another", "empty", "huge", "large"]
    httpx.delete(f"{served.url}/bucket/another", trust_env=False)


def test_a_list_that_is_remembered_is_not_for_everybody(serve: Serve) -> None:
    served = serve(f"{ID}:{SECRET}")
    client = client_of(served)
    client.create_bucket(Bucket="bucket")
    client.put_object(Bucket="bucket", Key="key", Body=b"x")
    for _ in range(2):
        assert client.list_objects_v2(Bucket="bucket")["KeyCount"] == 1
    url = f"{served.url}/bucket?list-type=2&encoding-type=url"
    assert httpx.get(url, trust_env=False).status_code == 403
    wrong = client_of(served, f"{ID}:{SECRET[::-1]}")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        wrong.list_objects_v2(Bucket="bucket")


def test_a_list_that_a_commit_overtook_is_not_remembered(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(f"{ID}:{SECRET}", anonymous="write")
    httpx.put(f"{served.url}/bucket", trust_env=False)
    keys = Store.keys

    def overtaken(self: Store, bucket: str, wanted: listing.Wanted) -> Page:
        page = keys(self, bucket, wanted)
        monkeypatch.setattr(Store, "keys", keys)
        httpx.put(f"{served.url}/bucket/key", content=b"x", trust_env=False)
        return page

    monkeypatch.setattr(Store, "keys", overtaken)
    with httpx.Client(trust_env=False) as client:
        counts = [client.get(f"{served.url}/bucket?list-type=2").text.count("<Key>") for _ in range(3)]
    assert counts == [0, 1, 1]


def test_memory_does_not_grow_for_ever() -> None:
    memory = Memory()
    for number in range(10 * index.MAX_REMEMBERED):
        memory.keep(number, "x")
        assert len(memory) <= index.MAX_REMEMBERED
    document = b"x" * (index.MAX_REMEMBERED_BYTES // 4)
    for number in range(20):
        memory.keep(-number, document, len(document))
        assert next(reversed(memory)) == -number
        assert sum(isinstance(each, bytes) for each in memory.values()) <= 4
    before = dict(memory)
    memory.keep("huge", b"", index.MAX_REMEMBERED_BYTES + 1)
    assert memory == before


def test_what_is_remembered_is_short(
    filled: tuple[Served, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, _ = filled
    questions: list[str] = []
    recall = Index.recall

    def watched(self: Index, question: Any, answer: Any) -> Any:
        questions.append(repr(question))
        return recall(self, question, answer)

    monkeypatch.setattr(Index, "recall", watched)
    for host in ("x" * 100, "y" * 10_000):
        status = ask(served, f"GET /bucket/remembered HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())[0][0]
        assert status == b"HTTP/1.1 200 OK"
    asked = "".join(questions)
    assert "x" * 100 in asked
    assert "y" * 100 not in asked


def test_answers_come_in_the_order_of_the_requests(filled: tuple[Served, dict[str, bytes]]) -> None:
    served, bodies = filled
    names = ["huge", "remembered", "small", "large", "remembered", "empty", "huge", "remembered"] * 3
    with socket.create_connection(served.address.pair, timeout=30) as peer:
        peer.sendall(b"".join(requests(f"GET /bucket/{name}")[0] for name in names))
        kept = b""
        for name in names:
            _, body, kept = read_answer(peer, kept=kept)
            assert body == bodies[name]


def test_two_servers_remember_and_neither_is_stale(serve: Serve, tmp_path: Path) -> None:
    first, second = (serve(f"{ID}:{SECRET}", anonymous="write", data=tmp_path / "one") for _ in range(2))
    with (
        httpx.Client(base_url=first.url, trust_env=False) as a,
        httpx.Client(base_url=second.url, trust_env=False) as b,
    ):
        a.put("/bucket")
        for number in range(50):
            (a, b)[number % 2].put(
                "/bucket/key", content=str(number).encode(), headers={"x-amz-meta-n": str(number)}
            )
            for one in (a, b, a, b):
                answer = one.get("/bucket/key")
                assert (answer.text, answer.headers["x-amz-meta-n"]) == (str(number), str(number))
        b.delete("/bucket/key")
        assert [one.get("/bucket/key").status_code for one in (a, b)] == [404, 404]
        a.delete("/bucket")
        assert [one.get("/bucket/key").status_code for one in (b, a)] == [404, 404]


def test_who_may_read_no_longer_is_not_answered_from_memory(serve: Serve, tmp_path: Path) -> None:
    serves = serve(f"{ID}:{SECRET}", data=tmp_path / "one")
    owner = serve(
        f"{ID}:{SECRET}", anonymous="write", data=tmp_path / "one"
    )  # another front of the same folder
    httpx.put(f"{owner.url}/bucket", trust_env=False)
    httpx.put(f"{owner.url}/bucket/key", content=b"x", headers={"x-amz-acl": "public-read"}, trust_env=False)
    with httpx.Client(base_url=serves.url, trust_env=False) as nobody:
        assert [nobody.get("/bucket/key").status_code for _ in range(3)] == [200] * 3
        httpx.put(f"{owner.url}/bucket/key?acl", headers={"x-amz-acl": "private"}, trust_env=False)
        assert nobody.get("/bucket/key").status_code == 403


def test_what_was_recalled_on_the_way_of_a_commit_is_not_remembered(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.db", sync=False)
    index.write(lambda db: db.execute("INSERT INTO garbage VALUES ('a')"))

    def count() -> int:
        return index.recall("count", lambda db: int(db.execute("SELECT count(*) FROM garbage").fetchone()[0]))

    def report(_: object) -> int:
        before = count()
        index.write(lambda db: db.execute("INSERT INTO garbage VALUES ('b')"))
        assert count() == 2  # this forgets what was known
        return before

    assert index.recall("report", report) == 1  # as it was when it was asked
    assert index.recall("report", lambda _: count()) == 2
    index.close()


def test_an_idle_client_is_let_go(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LOOK_S", 0.05)
    served = serve(f"{ID}:{SECRET}", anonymous="write")
    httpx.put(f"{served.url}/bucket", trust_env=False)
    httpx.put(f"{served.url}/bucket/key", content=b"x", trust_env=False)
    with socket.create_connection(served.address.pair, timeout=30) as peer:
        peer.sendall(requests("GET /bucket/key")[0])
        read_answer(peer)
        monkeypatch.setattr(connection, "PATIENCE_S", 0.2)  # not before: those above may be slow to ask
        assert_hung_up(peer)


def assert_hung_up(peer: socket.socket) -> None:
    try:
        while peer.recv(65_536):
            pass
    except ConnectionResetError:
        pass


def open_blobs() -> int:
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        try:
            found += "/blobs/" in str(each.readlink())
        except FileNotFoundError:
            continue
    return found


LARGE = 32 * 2**20  # more than the sockets between the two hold


@pytest.fixture
def with_large(serve: Serve) -> Served:
    served = serve(f"{ID}:{SECRET}", anonymous="write")
    httpx.put(f"{served.url}/bucket", trust_env=False)
    httpx.put(f"{served.url}/bucket/large", content=bytes(LARGE), trust_env=False, timeout=60)
    return served


def test_a_client_that_takes_nothing_is_let_go(with_large: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_connection(with_large.address.pair, timeout=30) as peer:
        peer.sendall(requests("GET /bucket/large")[0])
        assert peer.recv(1)
        wait_until(lambda: open_blobs() == 1)
        monkeypatch.setattr(connection, "PATIENCE_S", 0.2)  # `watch` looks every five seconds
        wait_until(lambda: open_blobs() == 0)


def test_a_client_that_hangs_up_in_the_middle_leaves_no_file_open(with_large: Served) -> None:
    for _ in range(5):
        with socket.create_connection(with_large.address.pair, timeout=30) as peer:
            peer.sendall(requests("GET /bucket/large")[0])
            assert peer.recv(1)
    wait_until(lambda: open_blobs() == 0)


def test_a_slow_client_stops_nobody(with_large: Served) -> None:
    with socket.create_connection(with_large.address.pair, timeout=30) as slow:
        slow.sendall(requests("GET /bucket/large")[0])
        assert slow.recv(1)
        bodies: list[bytes] = []
        others = [
            threading.Thread(
                target=lambda: bodies.append(
                    httpx.get(f"{with_large.url}/bucket/large", trust_env=False, timeout=60).content
                )
            )
            for _ in range(2)
        ]
        for other in others:
            other.start()
        for other in others:
            other.join(60)
        assert [len(body) for body in bodies] == [LARGE, LARGE]


@pytest.mark.parametrize(("broken", "status"), [(objects, 500), (short, 200)], ids=["both ways", "one way"])
def test_a_fault_of_our_own_is_not_told_as_the_clients(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: Any,
    status: int,
) -> None:
    def fail(*_: Any) -> None:
        raise LookupError("our own")

    served = serve(f"{ID}:{SECRET}", anonymous="write")
    with httpx.Client(base_url=served.url, trust_env=False) as http:
        http.put("/bucket").raise_for_status()
        http.put("/bucket/key", content=b"x").raise_for_status()
        monkeypatch.setattr(broken, "look" if broken is objects else "head_of", fail)
        answer = http.get("/bucket/key")
    assert (answer.status_code, "<Code>InternalError</Code>" in answer.text) == (status, status == 500)
    logged = [record for record in caplog.records if record.name == short.__name__]
    assert [record.exc_info[0] for record in logged if record.exc_info] == [LookupError]
