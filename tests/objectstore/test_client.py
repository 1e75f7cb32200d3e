"""The library beside the protocol, the textbook's program, and the command line."""

from __future__ import annotations

import io
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dslab.kit.errors import Happened, PeerClosed, PeerRefused, UsageError
from dslab.objectstore import buckets, versions
from dslab.objectstore.__main__ import main
from dslab.objectstore.access import Action, Key, Rules
from dslab.objectstore.client import Client, StoreRefused, connect
from dslab.objectstore.messages import Content, Meta
from tests.objectstore.conftest import ID, SECRET, Served, server_process

TEXTBOOK = """\
import bucket
bucket.create("mybucket")
"""

PROGRAM = """\
import bucket

bucket.create("ourbucket")
bucket.put("ourbucket", "greeting", b"Hello")
bucket.copy("ourbucket", "greeting", "ourbucket", "again")
print([entry.key for entry in bucket.list("ourbucket")])
print(bucket.get("ourbucket", "again"), bucket.head("ourbucket", "again").size_bytes)
for entry in bucket.list("ourbucket"):
    bucket.delete("ourbucket", entry.key)
bucket.remove("ourbucket")
print(bucket.buckets())
"""


@pytest.fixture
def store(served: Served) -> Iterator[Client]:
    with connect(served.address, f"{ID}:{SECRET}") as made:
        yield made


def test_procedures(store: Client, bucket: str) -> None:
    etag = store.put(bucket, "a/../b \u00e4", b"0123456789", metadata={"a": "1"})
    assert store.get(bucket, "a/../b \u00e4") == b"0123456789"
    assert store.get(bucket, "a/../b \u00e4", start=2, end=4) == b"23"
    told = store.head(bucket, "a/../b \u00e4")
    assert (told.size_bytes, told.etag) == (10, etag)
    assert store.copy(bucket, "a/../b \u00e4", bucket, "copy") == etag
    assert [entry.key for entry in store.list(bucket)] == ["a/../b \u00e4", "copy"]
    assert [entry.etag for entry in store.list(bucket, "co")] == [etag]
    store.put(bucket, "file", io.BytesIO(b"from a file"))
    assert store.get(bucket, "file") == b"from a file"
    assert bucket in store.buckets()


def test_an_object_without_a_name_is_not_its_bucket(store: Client, bucket: str) -> None:
    for call in (
        lambda: store.delete(bucket, ""),
        lambda: store.get(bucket, ""),
        lambda: store.head(bucket, ""),
        lambda: store.put(bucket, "", b"x"),
        lambda: store.copy(bucket, "", bucket, "k"),
        lambda: store.copy(bucket, "k", bucket, ""),
        lambda: store.presign("DELETE", bucket, ""),
        lambda: store.delete("", "k"),
        lambda: store.remove(f"{bucket}/k"),
    ):
        with pytest.raises(UsageError):
            call()
    assert bucket in store.buckets()


def test_any_key_is_listed(store: Client, bucket: str) -> None:
    keys = ["\x01", " a+b%20", "a\r\nb", "\u65e5\ufffe", "\U0001f600"]
    for key in keys:
        store.put(bucket, key, b"x")
    assert [entry.key for entry in store.list(bucket)] == keys
    assert [entry.key for entry in store.list(bucket, "\x01")] == keys[:1]


def test_metadata_is_text(store: Client, bucket: str, s3: Any) -> None:
    store.put(bucket, "k", b"x", metadata={"A": "\u00e0 \u65e5"}, content_type="\u00e0")
    with httpx.Client(trust_env=False) as http:
        got = dict(http.get(store.presign("GET", bucket, "k")).headers.raw)
    assert (got[b"x-amz-meta-a"].decode(), got[b"content-type"].decode()) == ("\u00e0 \u65e5", "\u00e0")
    for metadata in ({"a": "b\r\nc: d"}, {"a b": "c"}, {"\u00e0": "c"}):
        with pytest.raises(UsageError):
            store.put(bucket, "k", b"y", metadata=metadata)
    assert store.get(bucket, "k") == b"x"


def test_a_list_of_many_pages(store: Client, bucket: str, served: Served) -> None:
    keys = [f"{number:04}" for number in range(2_005)]

    def change(db: sqlite3.Connection) -> None:
        where = buckets.get(db, bucket)
        for key in keys:
            versions.put(db, where, key, Content(0, "etag"), Meta(), 0.0, "")

    served.service.store.index.write(change)
    assert [entry.key for entry in store.list(bucket)] == keys


def test_a_lost_update_is_prevented(store: Client, bucket: str) -> None:
    etag = store.put(bucket, "k", b"1", if_absent=True)
    store.put(bucket, "k", b"2", if_match=etag)
    with pytest.raises(StoreRefused) as error:
        store.put(bucket, "k", b"3", if_match=etag)
    assert (error.value.code, error.value.status, error.value.happened) == (
        "PreconditionFailed",
        412,
        Happened.NO,
    )


def test_what_goes_wrong(store: Client, bucket: str) -> None:
    for call in (store.get, store.head):
        with pytest.raises(StoreRefused) as error:
            call(bucket, "missing")
        assert error.value.code == "NoSuchKey"
    with pytest.raises(UsageError):
        Client("127.0.0.1:1", "no secret")
    with connect("127.0.0.1:1") as nobody, pytest.raises(PeerRefused):
        nobody.buckets()
    with pytest.raises(ValueError, match="no key"), connect("127.0.0.1:1") as nobody:
        nobody.presign("GET", bucket, "k")


def test_a_server_that_dies(tmp_path: Path) -> None:
    with (
        server_process(tmp_path / "store") as (address, process),
        connect(address, f"{ID}:{SECRET}") as store,
    ):
        store.create("bucket")
        process.kill()
        process.wait()
        with pytest.raises((PeerClosed, PeerRefused)):
            store.buckets()


def test_presigned(store: Client, bucket: str) -> None:
    url = store.presign("PUT", bucket, "k \u00e4")
    assert httpx.put(url, content=b"x", trust_env=False).status_code == 200
    assert httpx.get(store.presign("GET", bucket, "k \u00e4"), trust_env=False).content == b"x"


def test_the_textbooks_program(served: Served, tmp_path: Path) -> None:
    (tmp_path / "bucket.py").write_text("from dslab.objectstore.bucket import *\n")
    environment = {**os.environ, "OBJECTSTORE_ADDR": str(served.address), "OBJECTSTORE_KEY": f"{ID}:{SECRET}"}
    said = []
    for name, text in (("textbook", TEXTBOOK), ("program", PROGRAM)):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        done = subprocess.run(
            [sys.executable, str(path)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0] == ""
    lines = said[1].splitlines()
    assert lines[:2] == ["['again', 'greeting']", "b'Hello' 5"]
    assert "'mybucket'" in lines[2]
    assert "'ourbucket'" not in lines[2]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_server_stops_cleanly(tmp_path: Path, stop: signal.Signals) -> None:
    with (
        server_process(tmp_path / "store") as (address, process),
        connect(address, f"{ID}:{SECRET}") as store,
    ):
        store.create("bucket")
        process.send_signal(stop)
        assert process.wait(30) == 0
    with server_process(tmp_path / "store") as (address, _), connect(address, f"{ID}:{SECRET}") as store:
        assert store.buckets() == ["bucket"]


def test_commands_that_are_wrong(tmp_path: Path, served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    for options, status, said in (
        (["--key", "nonsense"], 2, "nonsense:... is not a key."),
        ([], 2, "Nobody may do anything."),
        (["--key", "a:b", "--bind", "nowhere"], 2, "is not an address"),
        (["--key", "a:b", "--bind", str(served.address)], 3, "Cannot listen on"),
        (["--key", "a:b", "--key", "a:c:ro"], 2, "Two keys have the same ID."),
        (["--key", "a:b", "--bind", "127.0.0.1:0", "--data", str(file)], 3, "Cannot keep anything in"),
        (["--key", "a:b", "--bind", "127.0.0.1:0", "--data", str(file / "in")], 3, "Cannot keep anything in"),
    ):
        assert main(["server", "--data", str(tmp_path / "store"), *options]) == status
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a:b", Key("a", "b")),
        ("a:b:ro", Key("a", "b", True)),
        ("a:b:rw", Key("a", "b")),
        ("a:b:ro:x,y", Key("a", "b", True, frozenset({"x", "y"}))),
    ],
)
def test_keys(text: str, key: Key) -> None:
    assert Key.parse(text) == key


@pytest.mark.parametrize("text", ["", "a", "a:", ":b", "a:b:c", "a:b:ro:x:y"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(UsageError):
        Key.parse(text)


def test_who_has_no_key_may_do_what_is_allowed() -> None:
    reading = Rules.of([], "read")
    assert reading.may(None, Action.READ, "b", "private", "private")
    assert not reading.may(None, Action.WRITE, "b", "private")
    assert Rules.of([], "write").may(None, Action.OWN, "b", "private")
    with pytest.raises(UsageError):
        Rules.of([], "everything")


def test_text_that_has_no_bytes_cannot_be_sent(store: Client, bucket: str) -> None:
    half = "\ud800"
    for call in (
        lambda: store.put(bucket, "k", b"x", metadata={"a": half}),
        lambda: store.put(bucket, "k", b"x", metadata={half: "a"}),
        lambda: store.put(bucket, "k", b"x", content_type=half),
        lambda: store.put(bucket, half, b"x"),
        lambda: store.get(half, "k"),
        lambda: store.copy(bucket, half, bucket, "k"),
        lambda: store.presign("GET", bucket, half),
        lambda: list(store.list(bucket, half)),
    ):
        with pytest.raises(UsageError, match="That cannot be sent: "):
            call()
