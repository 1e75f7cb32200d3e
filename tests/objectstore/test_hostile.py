"""What no client may do to the server: end it, make it grow, or learn what is not its business."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode

import httpx
import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from dslab.objectstore import call, connection
from dslab.objectstore.documents import read, read_delete, read_parts, read_tags
from dslab.objectstore.errors import S3Error
from dslab.objectstore.routes import deletes
from tests.objectstore.conftest import ID, SECRET, Serve, client, server_process

BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE Delete [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>
<Delete><Object><Key>&c;</Key></Object></Delete>"""

DOCUMENTS = {
    "empty": b"",
    "no XML": b"nonsense",
    "bomb": BOMB,
    "file": b'<!DOCTYPE Delete [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete>&x;</Delete>',
    "outside": b'<!DOCTYPE Delete SYSTEM "http://127.0.0.1:1/x.dtd"><Delete/>',
    "cut": b"<Delete><Object><Key>k</Key>",
    "another root": b"<Tagging/>",
    "no key": b"<Delete><Object/></Delete>",
    "deep": b"<Delete>" + b"<a>" * 100_000,
    "encoding": b'<?xml version="1.0" encoding="no-such"?><Delete/>',
    "utf-7": b'<?xml version="1.0" encoding="utf-7"?><Delete/>',
    "bytes": bytes(range(256)),
    "many elements": b"<Delete>" + b"<a/>" * 1_000_000 + b"</Delete>",
    "many attributes": b"<Delete " + b" ".join(b'a%d=""' % number for number in range(400_000)) + b"/>",
    "many tags of many attributes": b"<Delete>"
    + (b"<a " + b" ".join(b'a%d=""' % number for number in range(6_000)) + b"/>") * 60
    + b"</Delete>",
    "too many": b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1_001 + b"</Delete>",
}


PARTS = b"<Part><PartNumber>%d</PartNumber><ETag>0</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>"


def test_a_long_document_that_makes_sense() -> None:
    parts = b"".join(PARTS % number for number in range(1, 10_001))
    document = b"<CompleteMultipartUpload>" + parts + b"</CompleteMultipartUpload>"
    assert [number for number, _, _ in read_parts(document)] == list(range(1, 10_001))


def test_nobody_waits_while_a_document_is_read(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, answered = threading.Event(), threading.Event()

    def read_slowly(document: bytes) -> Any:
        reading.set()
        assert answered.wait(30)
        return read_delete(document)

    monkeypatch.setattr(deletes, "read_delete", read_slowly)
    served = serve(f"{ID}:{SECRET}", anonymous="write")
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    with (
        ThreadPoolExecutor() as pool,
        httpx.Client(base_url=served.url, trust_env=False, timeout=10) as http,
    ):
        http.put("/bucket").raise_for_status()
        post = pool.submit(
            httpx.post, f"{served.url}/bucket?delete", content=body, headers=headers, timeout=60
        )
        try:
            assert reading.wait(30)
            assert [http.head("/bucket").status_code for _ in range(10)] == [200] * 10
        finally:
            answered.set()
        assert post.result().status_code == 200


@pytest.mark.parametrize("case", DOCUMENTS)
def test_bad_documents(case: str) -> None:
    for reader in (read_delete, read_parts, read_tags, lambda document: read(document, "X")):
        with pytest.raises(S3Error) as error:
            reader(DOCUMENTS[case])
        if case != "another root" or reader is not read_tags:
            assert error.value.code == "MalformedXML"


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    """A server as a process, that takes everything from everybody."""
    data = tmp_path_factory.mktemp("open")
    with server_process(data, "--anonymous", "write", "--no-sync") as (address, process):
        httpx.put(f"http://{address}/bucket", trust_env=False).raise_for_status()
        yield address, process
        answer = httpx.get(f"http://{address}/bucket", trust_env=False)
        assert answer.status_code == 200
        assert process.poll() is None


def exchange(address: str, data: bytes, *, to_the_end: bool = False) -> bytes:
    """Send some bytes, and give all that comes until the server hangs up, or until a refusal is whole."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as peer:
        peer.sendall(data)
        answer = b""
        while (to_the_end or b"</Error>" not in answer) and (piece := peer.recv(65_536)):
            answer += piece
        return answer


def head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode("latin-1")


SMUGGLING = {
    "two lengths": head("PUT", "/bucket/k", "Content-Length: 1", "Content-Length: 50") + b"x" * 50,
    "length and chunks": head("PUT", "/bucket/k", "Content-Length: 5", "Transfer-Encoding: chunked")
    + b"0\r\n\r\nGET",
    "two codings": head("PUT", "/bucket/k", "Transfer-Encoding: chunked, identity") + b"0\r\n\r\n",
    "a length list": head("PUT", "/bucket/k", "Content-Length: 1, 50") + b"x" * 50,
    "a negative length": head("PUT", "/bucket/k", "Content-Length: -1"),
    "a hex length": head("PUT", "/bucket/k", "Content-Length: 0x10") + b"x" * 16,
    "a space before the colon": head("PUT", "/bucket/k", "Content-Length : 1") + b"x",
    "a folded header": b"PUT /bucket/k HTTP/1.1\r\nHost: x\r\nX:\r\n Content-Length: 1\r\n\r\nx",
    "a bare newline": b"PUT /bucket/k HTTP/1.1\nHost: x\nContent-Length: 1\n\nx",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10,
    "a NUL in a header": head("GET", "/bucket/k", "X: a\0b"),
    "two hosts": head("GET", "/bucket/k", "Host: bucket.s3.localhost"),
    "no host": b"GET /bucket HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("case", SMUGGLING)
def test_smuggling(open_server: tuple[str, Any], case: str) -> None:
    answer = exchange(open_server[0], SMUGGLING[case], to_the_end=True)  # a second answer comes later
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 411")), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1


NO_REQUESTS = {
    "an unknown method": (head("FETCH", "/bucket/k"), b"405", b"MethodNotAllowed"),
    "no method": (b"\x16\x03\x01\x02\x00 / HTTP/1.1\r\n\r\n", b"400", b"BadRequest"),
    "no length": (head("PUT", "/bucket/k", "Content-Length: ten"), b"400", b"BadRequest"),
    "a tunnel": (head("CONNECT", "x:80", "Connection: upgrade", "Upgrade: h2c"), b"400", b"BadRequest"),
    "no path": (head("GET", "http://x"), b"400", b"BadRequest"),
    "a control character": (head("GET", "/bucket/k", "X: a\1b"), b"400", b"BadRequest"),
}


@pytest.mark.parametrize("case", NO_REQUESTS)
def test_what_is_no_request_is_answered_as_s3_does(open_server: tuple[str, Any], case: str) -> None:
    data, status, code = NO_REQUESTS[case]
    answer = exchange(open_server[0], data)
    lines, _, document = answer.partition(b"\r\n\r\n")
    assert lines.startswith(b"HTTP/1.1 " + status), answer
    assert b"content-type: application/xml" in lines
    assert b"x-amz-request-id: " in lines
    assert b"x-amz-id-2: " in lines
    assert b"<Code>" + code + b"</Code>" in document


def test_what_follows_a_request_does_not_begin_as_it_does(open_server: tuple[str, Any]) -> None:
    httpx.put(f"http://{open_server[0]}/bucket/small", content=b"x", trust_env=False).raise_for_status()
    answer = exchange(open_server[0], head("GET", "/bucket/small") + b"\x16\x03\x01 / HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"<Code>BadRequest</Code>" in answer


@pytest.mark.parametrize(
    "after",
    [
        b"0123456789",
        head("GET", "/bucket", "X: a\1b"),
        head("GET", "http://x"),
        head("CONNECT", "x:80"),
        head("PUT", "/bucket/k", "Transfer-Encoding: chunked") + b"no length\r\n",
    ],
    ids=["no head", "a control character", "no path", "a tunnel", "no chunk"],
)
def test_a_whole_request_is_answered_whatever_follows_it(open_server: tuple[str, Any], after: bytes) -> None:
    put = head("PUT", "/bucket/followed", "Content-Length: 5") + b"hello"
    answer = exchange(open_server[0], put + put + after)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1 ") == 2
    assert httpx.get(f"http://{open_server[0]}/bucket/followed", trust_env=False).text == "hello"


@pytest.mark.parametrize("apart", [False, True])
def test_who_offers_another_protocol_is_served_in_this_one(open_server: tuple[str, Any], apart: bool) -> None:
    """A body stays a body, even if it looks like a request. Java's HttpClient offers HTTP/2 by itself."""
    address = open_server[0]
    host, _, port = address.rpartition(":")
    hidden = head("DELETE", "/bucket/victim")
    offer = (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
    )
    put = head("PUT", "/bucket/offered", *offer, f"Content-Length: {len(hidden)}")
    get = head("GET", "/bucket/offered", *offer)
    httpx.put(f"http://{address}/bucket/victim", content=b"x", trust_env=False).raise_for_status()
    with socket.create_connection((host, int(port)), timeout=30) as peer, peer.makefile("rb") as answers:
        for piece in [put, hidden, get, get] if apart else [put + hidden + get + get]:
            peer.sendall(piece)
        found = [answer_in(answers) for _ in range(3)]
    assert [status for status, _ in found] == [200, 200, 200]
    assert [body for _, body in found] == [b"", hidden, hidden]
    assert httpx.get(f"http://{address}/bucket/victim", trust_env=False).status_code == 200


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_offer_of_a_client_that_hangs_up(open_server: tuple[str, Any], version: str) -> None:
    lines = ["Host: x", "Connection: upgrade, close", "Upgrade: h2c", "Content-Length: 5", "", "hello"]
    data = "\r\n".join([f"PUT /bucket/last HTTP/{version}", *lines]).encode()
    assert exchange(open_server[0], data).startswith(b"HTTP/1.1 200")


def answer_in(answers: BinaryIO) -> tuple[int, bytes]:
    """Read one answer: its status and its body."""
    status = int(answers.readline().split()[1])
    headers = http.client.parse_headers(answers)
    return status, answers.read(int(headers["content-length"]))


REFUSED = {
    "NUL in the key": (head("GET", "/bucket/a%00b"), b"InvalidURI"),
    "no UTF-8": (head("GET", "/bucket/%ff"), b"InvalidURI"),
    "no UTF-8 in the query": (head("GET", "/bucket?prefix=%ff"), b"InvalidURI"),
    "a surrogate": (head("GET", "/bucket/%ed%a0%80"), b"InvalidURI"),
    "long key": (head("GET", "/bucket/" + "k" * 1_025), b"KeyTooLongError"),
    "6 TiB": (head("PUT", "/bucket/k", f"Content-Length: {6 << 40}"), b"EntityTooLarge"),
    "more than a number": (head("PUT", "/bucket/k", "Content-Length: 99999999999999999999999"), b""),
    "no length": (
        head("PUT", "/bucket/k", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        b"<Code>MissingContentLength</Code>"
        b"<Message>You must provide the Content-Length HTTP header.</Message>",
    ),
    "a long document": (
        head("POST", "/bucket?delete", "Content-MD5: x", f"Content-Length: {1 << 30}"),
        b"EntityTooLarge",
    ),
    "500 fields": (head("GET", "/bucket?" + "&".join(["a=1"] * 500)), b"InvalidArgument"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_abuse_of_keys_and_headers(open_server: tuple[str, Any], case: str) -> None:
    data, code = REFUSED[case]
    answer = exchange(open_server[0], data)
    assert answer.startswith(b"HTTP/1.1 4"), answer[:100]
    assert code in answer


def test_an_endless_head(open_server: tuple[str, Any]) -> None:
    address, process = open_server
    before = psutil.Process(process.pid).memory_info().rss
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nX: ")
        with pytest.raises(OSError):
            for _ in range(2_000):
                peer.sendall(b"x" * 65_536)
    assert psutil.Process(process.pid).memory_info().rss - before < 32 * 2**20


def test_endless_lines_after_a_body(open_server: tuple[str, Any]) -> None:
    address, process = open_server
    before = psutil.Process(process.pid).memory_info().rss
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as peer:
        peer.sendall(head("POST", "/bucket?delete", "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n")
        with pytest.raises(OSError):
            for _ in range(2_000):
                peer.sendall(b"a: b\r\n" * 10_000)
    assert psutil.Process(process.pid).memory_info().rss - before < 32 * 2**20


def test_lines_after_a_body_are_no_headers(open_server: tuple[str, Any]) -> None:
    httpx.put(f"http://{open_server[0]}/bucket/lines", content=b"hello", trust_env=False).raise_for_status()
    get = head("GET", "/bucket/lines", "Transfer-Encoding: chunked", "Connection: close")
    answer = exchange(open_server[0], get + b"0\r\nRange: bytes=0-0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\nhello")


def test_no_answer_is_in_another(open_server: tuple[str, Any]) -> None:
    """A client may break its request while it reads a long answer: that ends, and nothing is put into it."""
    large = bytes(32 * 2**20)  # more than the sockets between the two hold
    host, _, port = open_server[0].rpartition(":")
    put = httpx.put(f"http://{open_server[0]}/bucket/large", content=large, trust_env=False, timeout=60)
    put.raise_for_status()
    with socket.create_connection((host, int(port)), timeout=30) as peer:
        peer.sendall(head("GET", "/bucket/large", "Transfer-Encoding: chunked"))
        answer = bytearray(peer.recv(65_536))
        peer.sendall(b"no length\r\n")
        try:
            while piece := peer.recv(65_536):
                answer += piece
        except ConnectionResetError:
            pass
    assert b"\r\ncontent-length: 33554432\r\n" in answer
    body = bytes(answer).partition(b"\r\n\r\n")[2]
    assert not body[: len(large)].strip(b"\0")  # the refusal may come after it, if it was all sent by then


def test_a_body_that_stops(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "BODY_TIMEOUT_S", 0.2)
    served = serve(f"{ID}:{SECRET}", anonymous="write")
    httpx.put(f"{served.url}/bucket", trust_env=False)
    answer = exchange(str(served.address), head("PUT", "/bucket/k", "Content-Length: 1000") + b"x")
    assert b"RequestTimeout" in answer
    assert httpx.get(f"{served.url}/bucket/k", trust_env=False).status_code == 404


def test_a_head_that_stops(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    came = threading.Event()
    data_received = connection.Connection.data_received

    def watched(self: connection.Connection, data: bytes) -> None:
        data_received(self, data)
        came.set()

    monkeypatch.setattr(connection.Connection, "data_received", watched)
    monkeypatch.setattr(connection, "LOOK_S", 0.05)
    served = serve(f"{ID}:{SECRET}")
    with socket.create_connection(served.address.pair, timeout=30) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHo")
        assert came.wait(30)
        monkeypatch.setattr(connection, "PATIENCE_S", 0.2)  # not before: it is for who has sent nothing, too
        assert peer.recv(1) == b""


def files_in(data: Path) -> int:
    return sum(1 for path in (data / "blobs").rglob("*") if path.is_file())


def test_a_client_that_hangs_up_leaves_nothing(serve: Serve) -> None:
    served = serve(f"{ID}:{SECRET}", anonymous="write")
    httpx.put(f"{served.url}/bucket", trust_env=False)
    with socket.create_connection(served.address.pair, timeout=30) as peer:
        peer.sendall(head("PUT", "/bucket/k", "Content-Length: 9000000") + b"x" * 3_000_000)
        wait_until(lambda: files_in(served.data) == 1)
    wait_until(lambda: files_in(served.data) == 0)
    assert httpx.get(f"{served.url}/bucket/k", trust_env=False).status_code == 404


def wait_until(condition: Any) -> None:
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_refused_body_is_not_taken_for_a_request(open_server: tuple[str, Any]) -> None:
    inner = head("DELETE", "/bucket/precious")
    outer = head("PUT", "/nowhere-at-all/k", f"Content-Length: {len(inner)}") + inner
    last = head("GET", "/nowhere-at-all", "Connection: close")
    answer = exchange(open_server[0], outer + last, to_the_end=True)
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"404", b"404"]


def test_a_refusal_to_one_who_waits_for_100_continue_ends_the_connection(
    open_server: tuple[str, Any],
) -> None:
    data = head("PUT", "/nowhere-at-all/k", "Content-Length: 10", "Expect: 100-continue")
    answer = exchange(open_server[0], data)
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"connection: close" in answer


@pytest.mark.timeout(300)
def test_ten_thousand_parts(serve: Serve) -> None:
    served = serve(f"{ID}:{SECRET}")
    s3 = client(served)
    s3.create_bucket(Bucket="bucket")
    upload = {
        "Bucket": "bucket",
        "Key": "k",
        "UploadId": s3.create_multipart_upload(Bucket="bucket", Key="k")["UploadId"],
    }
    s3.upload_part(**upload, PartNumber=10_000, Body=b"the end")
    etag = hashlib.md5(b"the end").hexdigest()
    parts = [{"PartNumber": number, "ETag": etag} for number in range(1, 10_001)]
    with pytest.raises(s3.exceptions.ClientError) as error:
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert error.value.response["Error"]["Code"] == "InvalidPart"
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts[-1:]})
    assert s3.get_object(Bucket="bucket", Key="k", PartNumber=1)["Body"].read() == b"the end"
    s3.close()


# ---- whatever the description of the interface allows


EXAMPLES = settings(max_examples=5, suppress_health_check=list(HealthCheck), database=None)


@pytest.mark.timeout(600)
def test_nothing_that_is_described_makes_it_fail(open_server: tuple[str, Any]) -> None:
    schema: Any = schemathesis.openapi.from_url(f"http://{open_server[0]}/-/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) > 80
    with httpx.Client(base_url=f"http://{open_server[0]}", trust_env=False) as http:
        for operation in operations:
            try_out(operation, http)


def try_out(operation: Any, http: httpx.Client) -> None:
    @EXAMPLES
    @given(operation.as_strategy())
    def check(case: Any) -> None:
        sent = case.as_transport_kwargs()
        query = urlencode(sent.get("params") or {}, doseq=True)
        url = case.formatted_path + ("&" if "?" in case.formatted_path else "?") + query
        answer = http.request(case.method, url, headers=sent.get("headers"), content=b"<x/>")
        is_missing = answer.status_code == 501 and (not answer.text or "NotImplemented" in answer.text)
        assert answer.status_code < 500 or is_missing, (case, answer.text)

    check()
