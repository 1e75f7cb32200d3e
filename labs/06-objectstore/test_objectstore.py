"""The checks of lab 6. Each docstring is the property that its check is about."""

from __future__ import annotations

import json
import socket
import string
import threading
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from operator import le
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import quote

import httpx

from dslab.kit.errors import PeerClosed, PeerError, PeerRefused, PeerSilent, PeerViolation
from dslab.kit.grader import sent, step
from dslab.kit.topology.link import Link
from dslab.kit.topology.running import Topology
from dslab.kit.topology.service import Service

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PATIENCE_S = 4.0  # for an answer that a correct program gives within milliseconds
MOMENT_S = 3.0  # for what a correct program may do, and need not
RACES, RUNNERS = 12, 16
REPLACEMENTS, SHORT_ONES, READERS, LOOKS = 50, 10, 2, 50
KB, MB = 1_000, 1_000_000
KEY_ID, SECRET = "student", "open-sesame"
FRONT_ENDS = ("front-end-1", "front-end-2")
T = TypeVar("T")


# Step 6.1: the uniform interface


@step("6.1", starts=["object-server"])
def test_put_get_head_delete(topology: Topology, rng: Random) -> None:
    """What is put under a key is what GET and HEAD tell of it, with type and size, until it is deleted."""
    data, kind = rng.randbytes(3_000), rng.choice(["image/png", "text/x-python", "audio/ogg"])
    with talking_to(topology["object-server"]) as ask:
        assert ask("PUT", "/photos").status_code == 200
        assert keys_in(ask("GET", "/photos")) == []
        assert ask("PUT", "/photos/cat", data, {"Content-Type": kind}).status_code == 200
        assert keys_in(ask("GET", "/photos")) == ["cat"]
        found, head = ask("GET", "/photos/cat"), ask("HEAD", "/photos/cat")
        for response in (found, head):
            said = {"status": 200, "Content-Type": kind, "Content-Length": str(len(data))}
            assert told(response, "Content-Type", "Content-Length") == said
        assert found.content == data
        assert head.content == b""
        assert ask("DELETE", "/photos/cat").status_code == 204
        assert ask("GET", "/photos/cat").status_code == 404


@step("6.1", starts=["object-server"])
def test_done_twice(topology: Topology, rng: Random) -> None:
    """PUT and DELETE are idempotent: who does it twice finds the same, and gets the same answer."""
    data = rng.randbytes(200)
    with talking_to(topology["object-server"]) as ask:
        assert twice(ask, "PUT", "/photos") == {"the first time": 200, "the second time": 200}
        assert twice(ask, "PUT", "/photos/cat", data) == {"the first time": 200, "the second time": 200}
        assert ask("PUT", "/photos").status_code == 200
        assert ask("GET", "/photos/cat").content == data
        assert ask("GET", "/photos/cat").headers.get("content-type") == "application/octet-stream"
        assert twice(ask, "DELETE", "/photos/cat") == {"the first time": 204, "the second time": 204}
        assert twice(ask, "DELETE", "/photos") == {"the first time": 204, "the second time": 404}


@step("6.1", starts=["object-server"])
def test_what_goes_wrong(topology: Topology, rng: Random) -> None:
    """The status says whose fault it was, and the code what it was."""
    name = word(rng)
    with talking_to(topology["object-server"]) as ask:
        assert failure(ask("GET", f"/{name}")) == a_failure(404, "NoSuchBucket")
        assert failure(ask("GET", f"/{name}/cat")) == a_failure(404, "NoSuchBucket")
        assert failure(ask("PUT", f"/{name}/cat", b"meow")) == a_failure(404, "NoSuchBucket")
        assert failure(ask("DELETE", f"/{name}/cat")) == a_failure(404, "NoSuchBucket")
        assert failure(ask("DELETE", f"/{name}")) == a_failure(404, "NoSuchBucket")
        assert ask("PUT", f"/{name}").status_code == 200
        assert failure(ask("GET", f"/{name}/cat")) == a_failure(404, "NoSuchKey")
        assert ask("PUT", f"/{name}/cat", b"meow").status_code == 200
        assert failure(ask("DELETE", f"/{name}")) == a_failure(409, "BucketNotEmpty")
        assert ask("GET", f"/{name}/cat").content == b"meow"
        refused = ask("POST", f"/{name}/cat", b"woof")
        assert failure(refused) == a_failure(405, "MethodNotAllowed")
        allowed = {method.strip() for method in refused.headers.get("Allow", "").split(",")}
        assert allowed >= {"GET", "HEAD", "PUT", "DELETE"}, "Allow does not name every method that there is."


@step("6.1", starts=["object-server"])
def test_boto3(topology: Topology, rng: Random) -> None:
    """Amazon's own client, boto3, works with your server: any key is a key, and lists are sorted."""
    keys = [
        word(rng),
        f"{word(rng)} and {word(rng)}",
        f"a/{word(rng)}/ä",
        f"a/../{word(rng)}",
        f"a%2F+{word(rng)}",
    ]
    objects = {key: rng.randbytes(50) for key in keys}
    with boto3_for(topology["object-server"]) as s3:
        s3.create_bucket(Bucket="photos")
        for key, data in objects.items():
            s3.put_object(Bucket="photos", Key=key, Body=data)
        assert {key: s3.get_object(Bucket="photos", Key=key)["Body"].read() for key in keys} == objects
        assert listed(s3, "photos") == sorted(keys)
        assert listed(s3, "photos", "a/") == sorted(key for key in keys if key.startswith("a/"))
        for key in keys:
            s3.delete_object(Bucket="photos", Key=key)
        assert listed(s3, "photos") == []
        s3.delete_bucket(Bucket="photos")


# Step 6.2: conditional requests


@step("6.2", starts=["object-server"])
def test_etag_names_the_content(topology: Topology, rng: Random) -> None:
    """PUT, GET and HEAD tell the same ETag, and another content has another one."""
    with talking_to(topology["object-server"]) as ask:
        ask("PUT", "/notes")
        etags = []
        for data in (rng.randbytes(100), rng.randbytes(100)):
            put = ask("PUT", "/notes/today", data)
            tell = {method: ask(method, "/notes/today").headers.get("ETag") for method in ("GET", "HEAD")}
            etag = str(tell["HEAD"])
            assert {"PUT": put.headers.get("ETag")} | tell == {"PUT": etag, "GET": etag, "HEAD": etag}
            etags.append(etag)
        assert etags[0] != etags[1], "Two different contents have the same ETag."
        for etag in etags:
            assert etag.startswith('"') and etag.endswith('"'), f"The ETag {etag} is not in double quotes."


@step("6.2", starts=["object-server"])
def test_not_modified(topology: Topology, rng: Random) -> None:
    """Who has the object already is told so (304), without its content; who has another one gets it."""
    data = rng.randbytes(100)
    with talking_to(topology["object-server"]) as ask:
        ask("PUT", "/notes")
        ask("PUT", "/notes/today", data)
        etag = etag_of(ask)
        for known in (etag, f'"{word(rng)}", {etag}', "*"):
            found = ask("GET", "/notes/today", headers={"If-None-Match": known})
            assert told(found, "ETag") == {"status": 304, "ETag": etag}
            assert found.content == b""
        found = ask("GET", "/notes/today", headers={"If-None-Match": f'"{word(rng)}"'})
        assert found.status_code == 200
        assert found.content == data
        assert ask("HEAD", "/notes/today", headers={"If-None-Match": etag}).status_code == 304
        assert ask("GET", "/notes/today", headers={"If-Match": etag}).content == data
        assert failure(ask("GET", "/notes/today", headers={"If-Match": '"old"'})) == a_failure(
            412, "PreconditionFailed"
        )
        assert ask("GET", "/notes/tomorrow", headers={"If-None-Match": "*"}).status_code == 404


@step("6.2", starts=["object-server"])
def test_lost_update(topology: Topology, rng: Random) -> None:
    """Without a condition the last writer wins; with If-Match the second of two is refused (412)."""
    first, alice, bob = (rng.randbytes(100) for _ in range(3))
    with talking_to(topology["object-server"]) as ask:
        ask("PUT", "/notes")
        ask("PUT", "/notes/today", first)
        assert ask("PUT", "/notes/today", alice).status_code == 200
        assert ask("PUT", "/notes/today", bob).status_code == 200
        assert ask("GET", "/notes/today").content == bob
        seen = str(ask("GET", "/notes/today").headers.get("etag"))
        assert ask("PUT", "/notes/today", alice, {"If-Match": seen}).status_code == 200
        refused = ask("PUT", "/notes/today", first, {"If-Match": seen})
        assert failure(refused) == a_failure(412, "PreconditionFailed")
        assert ask("GET", "/notes/today").content == alice
        assert ask("PUT", "/notes/today", bob, {"If-Match": '"old", ' + etag_of(ask)}).status_code == 200
        assert ask("PUT", "/notes/today", first, {"If-None-Match": etag_of(ask)}).status_code == 412
        assert ask("PUT", "/notes/today", first, {"If-None-Match": '"old"'}).status_code == 200
        both = {"If-Match": '"old"', "If-None-Match": '"older"'}
        assert ask("PUT", "/notes/today", bob, both).status_code == 412
        both = {"If-Match": etag_of(ask), "If-None-Match": etag_of(ask)}
        assert ask("PUT", "/notes/today", bob, both).status_code == 412
        assert ask("GET", "/notes/today").content == first


@step("6.2", starts=["object-server"])
def test_only_if_it_is_there(topology: Topology, rng: Random) -> None:
    """If-None-Match: * creates and never replaces; If-Match: * replaces and never creates."""
    first, second = rng.randbytes(100), rng.randbytes(100)
    with talking_to(topology["object-server"]) as ask:
        ask("PUT", "/notes")
        assert ask("PUT", "/notes/today", second, {"If-Match": "*"}).status_code == 412
        assert ask("GET", "/notes/today").status_code == 404
        assert ask("PUT", "/notes/today", first, {"If-None-Match": "*"}).status_code == 200
        assert ask("PUT", "/notes/today", second, {"If-None-Match": "*"}).status_code == 412
        assert ask("GET", "/notes/today").content == first
        assert ask("PUT", "/notes/today", second, {"If-Match": "*"}).status_code == 200
        assert ask("GET", "/notes/today").content == second


@step("6.2", starts=["object-server"])
def test_two_at_the_same_time(topology: Topology, rng: Random) -> None:
    """Of two conditional PUTs that are under way at the same time, only the first to be complete is done."""
    server = topology["object-server"]
    with talking_to(server) as ask:
        ask("PUT", "/notes")
        ask("PUT", "/notes/today", rng.randbytes(100))
        known = etag_of(ask)
        for condition, path in (
            ({"If-Match": known}, "/notes/today"),
            ({"If-None-Match": "*"}, "/notes/new"),
        ):
            alice, bob = rng.randbytes(200), rng.randbytes(200)
            with (
                uploading(server, path, alice, condition) as first,
                uploading(server, path, bob, condition) as second,
            ):
                answers = {"the first to be complete": second.finish(), "the other": first.finish()}
                assert answers == {"the first to be complete": 200, "the other": 412}
            assert ask("GET", path).content == bob


@step("6.2", starts=["store"])
def test_editors(topology: Topology, rng: Random) -> None:
    """An editor loses neither its own line nor what somebody else has saved meanwhile."""
    ours, theirs, editor = word(rng), word(rng), topology["note-editor"]
    with boto3_for(topology["store"]) as s3:
        s3.create_bucket(Bucket="notes")
        (editor.scratch / "done").touch()
        editor.start(LINE=ours)
        ends_well(editor)
        assert s3.get_object(Bucket="notes", Key="today")["Body"].read() == f"{ours}\n".encode()
        (editor.scratch / "done").unlink()
        s3.delete_object(Bucket="notes", Key="today")
        for before in (b"", b"before\n"):
            open_in(editor, ours)
            s3.put_object(Bucket="notes", Key="today", Body=before + theirs.encode() + b"\n")
            (editor.scratch / "done").touch()
            ends_well(editor)
            (editor.scratch / "done").unlink()
            text = s3.get_object(Bucket="notes", Key="today")["Body"].read()
            assert text == before + f"{theirs}\n{ours}\n".encode()
            s3.put_object(Bucket="notes", Key="today", Body=b"before\n")
    (editor.scratch / "done").touch()
    editor.start(TEXT="/nowhere/today")
    assert editor.wait(2 * PATIENCE_S) == 1, "It has not complained that there is no such bucket."


# Step 6.3: no state in a front end


@step("6.3", starts=FRONT_ENDS)
def test_next_page_elsewhere(topology: Topology, rng: Random) -> None:
    """Each page of a list may come from another front end, even from one that was started anew."""
    keys = sorted({word(rng) for _ in range(9)})
    token = None
    with talking_to(topology["front-end-1"]) as ask:
        ask("PUT", "/photos")
        for key in keys:
            ask("PUT", f"/photos/{key}", b"x")
    for number, front_end in enumerate(("front-end-1", "front-end-2", "front-end-1")):
        if number == 2:
            topology[front_end].restart()
        with talking_to(topology[front_end]) as ask:
            page, token = page_of(ask, "photos", 3, token)
        assert page == keys[3 * number : 3 * number + 3]
    assert token is None, "The last page says that there is another one."


@step("6.3", starts=["object-server"])
def test_keys_come_and_go(topology: Topology, rng: Random) -> None:
    """Keys that come and go between two pages cost no other key its place."""
    keys = sorted({word(rng) for _ in range(8)})
    with talking_to(topology["object-server"]) as ask:
        ask("PUT", "/photos")
        for key in keys:
            ask("PUT", f"/photos/{key}", b"x")
        first, token = page_of(ask, "photos", 3, None)
        ask("DELETE", f"/photos/{keys[0]}")
        second, token = page_of(ask, "photos", 3, token)
        ask("PUT", "/photos/AAA", b"x")
        ask("DELETE", f"/photos/{keys[5]}")
        third, token = page_of(ask, "photos", 3, token)
        assert [*first, *second, *third] == keys
        assert token is None, "The last page says that there is another one."


@step("6.3", starts=["object-server"])
def test_size_of_a_page(topology: Topology, rng: Random) -> None:
    """A page has as many keys as were asked for, if there are so many, and never more than 1000."""
    keys = sorted(f"{number:04}-{word(rng)}" for number in range(1_002))
    server = topology["object-server"]
    with talking_to(server) as ask:
        ask("PUT", "/photos")
        assert page_of(ask, "photos", 3, None) == ([], None)
        put_all(server, [f"/photos/{key}" for key in keys])
        assert page_of(ask, "photos", 3, None, prefix="1001-") == ([keys[1_001]], None)
        assert page_of(ask, "photos", 0, None) == ([], None)
        page, token = page_of(ask, "photos", 5_000, None)
        assert page == keys[:1_000]
        assert page_of(ask, "photos", 5_000, token) == (keys[1_000:], None)
        assert keys_in(ask("GET", "/photos?list-type=2")) == keys[:1_000]
        for wrong in ("x", "-1"):
            assert failure(ask("GET", f"/photos?list-type=2&max-keys={wrong}")) == a_failure(
                400, "InvalidArgument"
            )


@step("6.3", starts=FRONT_ENDS)
def test_front_ends_agree(topology: Topology, rng: Random) -> None:
    """What is done at one front end is seen at the other one at once."""
    old, new = rng.randbytes(100), rng.randbytes(100)
    with talking_to(topology["front-end-1"]) as one, talking_to(topology["front-end-2"]) as other:
        both = dict(zip(FRONT_ENDS, (one, other), strict=True))
        one("PUT", "/photos")
        assert other("PUT", "/photos/cat", old).status_code == 200
        assert {name: ask("GET", "/photos/cat").content for name, ask in both.items()} == at_both(old)
        assert one("PUT", "/photos/cat", new, {"If-Match": etag_of(other, "/photos/cat")}).status_code == 200
        assert {name: ask("GET", "/photos/cat").content for name, ask in both.items()} == at_both(new)
        assert etag_of(one, "/photos/cat") == etag_of(other, "/photos/cat")
        assert other("DELETE", "/photos/cat").status_code == 204
        assert {name: ask("GET", "/photos/cat").status_code for name, ask in both.items()} == at_both(404)
        assert {name: page_of(ask, "photos", 9, None) for name, ask in both.items()} == at_both(([], None))


@step("6.3", starts=FRONT_ENDS)
def test_replaced_elsewhere(topology: Topology, rng: Random) -> None:
    """Of two conditional PUTs, one under way at each front end, only the first to be complete is done."""
    link = topology.link("front-end-1", "storage-node")
    slow, fast = rng.randbytes(300 * KB), rng.randbytes(100)
    with talking_to(topology["front-end-2"]) as ask:
        ask("PUT", "/notes")
        ask("PUT", "/notes/today", rng.randbytes(100))
        known = {"If-Match": etag_of(ask)}
        with uploading(topology["front-end-1"], "/notes/today", slow, known) as upload:
            enough = link.stats().forward_bytes + 20 * KB
            link.throttle(100 * KB, direction="forward")
            upload.send_rest()
            carried = until(lambda: link.stats().forward_bytes, partial(le, enough))
            assert carried >= enough, "The body does not get from the front end to the storage."
            answers = {"the first to be complete": ask("PUT", "/notes/today", fast, known).status_code}
            link.heal()
            with over_a_socket():
                answers["the other"] = upload.status()
        assert answers == {"the first to be complete": 200, "the other": 412}
        assert ask("GET", "/notes/today").content == fast
    assert link.injected > 0


@step("6.3", starts=["dispatcher"])
def test_passed_on(topology: Topology, rng: Random) -> None:
    """Requests and responses pass through the dispatcher whole, with their query and their headers."""
    data, keys = rng.randbytes(3_000), sorted(f"a+b/{word(rng)} 100%?" for _ in range(3))
    requests: list[tuple[str, str, dict[str, str]]] = [
        ("GET", "/photos/cat", {}),
        ("PUT", "/photos/cat", {"If-Match": '"old"'}),
        ("GET", "/photos/cat", {"If-None-Match": "*"}),
        ("GET", "/photos/cat", {"Range": "bytes=10-19"}),
        ("HEAD", "/photos/cat", {}),
        ("POST", "/photos/cat", {}),
    ]
    with talking_to(topology["dispatcher"]) as ask, talking_to(topology["front-end-1"]) as ask_itself:
        ask("PUT", "/photos")
        through = ask("PUT", "/photos/cat", data, {"Content-Type": "image/png"})
        itself = ask_itself("PUT", "/photos/dog", data, {"Content-Type": "image/png"})
        assert told(through, "ETag") == told(itself, "ETag")
        cat, dog = (ask_itself("GET", f"/photos/{name}") for name in ("cat", "dog"))
        assert told(cat, "Content-Type") == told(dog, "Content-Type")
        assert failure(ask("PUT", "/photos/cat", b"", {"If-Match": '"old"'})) == a_failure(
            412, "PreconditionFailed"
        )
        for key in keys:
            ask("PUT", f"/photos/{quote(key)}", b"x")
        page, token = page_of(ask, "photos", 2, None, prefix="a+b/")
        assert page == keys[:2]
        assert token, "This page is not the last one, and has no token."
        for method, target, headers in requests:  # whatever the front ends make of them already
            names = ("ETag", "Content-Type", "Content-Length", "Content-Range", "Allow")
            itself = ask_itself(method, target, headers=headers)
            through = ask(method, target, headers=headers)
            assert told(through, *names) == told(itself, *names)
            assert through.content == itself.content


@step("6.3", starts=["dispatcher"])
def test_killed_in_mid_session(topology: Topology, rng: Random) -> None:
    """Whichever front end is killed in the middle of a session, the client notices nothing."""
    objects = {word(rng): rng.randbytes(100) for _ in range(8)}
    with boto3_for(topology["dispatcher"]) as s3:
        s3.create_bucket(Bucket="photos")
        for key, data in objects.items():
            s3.put_object(Bucket="photos", Key=key, Body=data)
        seen = []
        pages = s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket="photos", PaginationConfig={"PageSize": 3}):
            seen += [entry["Key"] for entry in page.get("Contents", [])]
            if len(seen) == 6:
                topology["front-end-1"].start()
            topology[FRONT_ENDS[len(seen) > 3]].kill()
        assert seen == sorted(objects)
        for key, data in objects.items():
            assert s3.get_object(Bucket="photos", Key=key)["Body"].read() == data
            s3.put_object(Bucket="photos", Key=key, Body=data[::-1])
            s3.head_object(Bucket="photos", Key=key)
            assert s3.get_object(Bucket="photos", Key=key)["Body"].read() == data[::-1]


@step("6.3", starts=["dispatcher"])
def test_half_a_response(topology: Topology, rng: Random) -> None:
    """A front end that dies in the middle of its response has not answered: the other one is asked."""
    data = rng.randbytes(200 * KB)
    with talking_to(topology["dispatcher"]) as ask:
        ask("PUT", "/photos")
        ask("PUT", "/photos/cat", data)
        link = topology.link("dispatcher", "front-end-1")
        link.half_close(direction="backward", after_bytes=1_000)
        for _ in range(4):
            found = ask("GET", "/photos/cat")
            assert found.status_code == 200
            assert found.content == data
        assert link.injected > 0


@step("6.3", starts=["dispatcher"])
def test_one_waits(topology: Topology, rng: Random) -> None:
    """A request that waits for one front end holds up no other, and goes to the other one when that dies."""
    data, link = rng.randbytes(100), topology.link("dispatcher", "front-end-1")
    with talking_to(topology["dispatcher"]) as ask, ThreadPoolExecutor(RUNNERS) as clients:
        ask("PUT", "/photos")
        ask("PUT", "/photos/cat", data)
        link.stall()
        for _ in FRONT_ENDS:  # until its turn has come
            connections = link.stats().connections
            waiting = clients.submit(ask, "GET", "/photos/cat")
            if waits_behind(link, connections, waiting):
                break
        assert not waiting.done(), "Of two requests none has gone to front-end-1."
        assert ask("GET", "/photos/cat").content == data
        link.cut()
        found = waiting.result()
        assert found.status_code == 200
        assert found.content == data
        found_by_many = clients.map(lambda _: ask("GET", "/photos/cat"), range(10 * RUNNERS))
        statuses = Counter(found.status_code for found in found_by_many)
        assert dict(statuses) == {200: 10 * RUNNERS}
    assert link.stats().injected.keys() >= {"stall", "cut"}


@step("6.3", starts=FRONT_ENDS)
def test_silent_front_end(topology: Topology, rng: Random) -> None:
    """A front end that says nothing is given up after a while; the other one is asked, but not for a POST."""
    data = rng.randbytes(100)
    topology["dispatcher"].start(TIMEOUT_S=1.5)
    with talking_to(topology["dispatcher"]) as ask:
        ask("PUT", "/photos")
        ask("PUT", "/photos/cat", data)
        link = topology.link("dispatcher", "front-end-1")
        before = link.stats().forward_bytes
        topology["front-end-1"].pause()
        for _ in FRONT_ENDS:  # until its turn has come
            assert ask("GET", "/photos/cat").content == data
            if link.stats().forward_bytes > before:
                break
        for _ in FRONT_ENDS:  # until its turn has come
            seen = connections_to_front_ends(topology)
            status = ask("POST", "/photos/cat", data).status_code
            sent_to = {name: now - seen[name] for name, now in connections_to_front_ends(topology).items()}
            if sent_to["front-end-1"]:
                break
        assert sent_to == {"front-end-1": 1, "front-end-2": 0}, (
            "A POST that may have been done was sent again."
        )
        assert status == 502
        topology["front-end-1"].resume()


@step("6.3", starts=["dispatcher"])
def test_not_idempotent(topology: Topology, rng: Random) -> None:
    """A request that is not idempotent is sent once: when its response is lost, the client is told (502)."""
    links = [topology.link("dispatcher", name) for name in FRONT_ENDS]
    with talking_to(topology["dispatcher"]) as ask:
        assert ask("PUT", "/photos").status_code == 200
        assert ask("POST", "/photos/cat", rng.randbytes(20)).status_code == 405
        for link in links:
            link.half_close(direction="backward", after_bytes=10)
        before = sum(link.stats().connections for link in links)
        assert failure(ask("POST", "/photos", rng.randbytes(20))) == a_failure(502, "BadGateway")
        sent_on = sum(link.stats().connections for link in links) - before
        assert sent_on == 1, f"The POST has been sent {sent_on} times."
        assert ask("GET", "/photos/cat").status_code == 503
        sent_on = sum(link.stats().connections for link in links) - before - sent_on
        assert sent_on == 2, f"A GET that neither front end answers has been sent {sent_on} times."
        assert sum(link.injected for link in links) > 0


@step("6.3", starts=["dispatcher"])
def test_round_and_round(topology: Topology, rng: Random) -> None:
    """All front ends get the same share; while none is up the client is told so (503), and no longer."""
    data = rng.randbytes(100)
    links = [topology.link("dispatcher", name) for name in FRONT_ENDS]
    with talking_to(topology["dispatcher"]) as ask:
        ask("PUT", "/photos")
        ask("PUT", "/photos/cat", data)
        before = [link.stats().forward_bytes for link in links]
        for _ in range(6):
            assert ask("GET", "/photos/cat").content == data
        carried = [link.stats().forward_bytes - earlier for link, earlier in zip(links, before, strict=True)]
        if not carried[0] == carried[1] > 0:
            raise AssertionError("Of six equal requests they did not get the same share.")
        for link in links:
            link.refuse()
        assert failure(ask("GET", "/photos/cat")) == a_failure(503, "ServiceUnavailable")
        assert failure(ask("POST", "/photos/cat")) == a_failure(503, "ServiceUnavailable")
        for link in links:
            link.heal()
        for _ in range(4):
            assert ask("GET", "/photos/cat").content == data
        for name in FRONT_ENDS:  # each still gets requests: when it is killed, the other one has to do
            topology[name].kill()
            assert ask("GET", "/photos/cat").content == data
            topology[name].restart()
        assert all(link.injected > 0 for link in links)


# Step 6.4: the library


@step("6.4", starts=["store"])
def test_as_in_the_textbook(topology: Topology) -> None:
    """The textbook's two lines run as they stand, also a second time, and then there is a bucket."""
    program = topology["mybucket"]
    with boto3_for(topology["store"]) as s3:
        for _ in range(2):
            program.start()
            ends_well(program)
            assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["mybucket"]
    assert topology.link("mybucket", "store").stats().backward_bytes > 0


@step("6.4", starts=["store"])
def test_library(topology: Topology, rng: Random) -> None:
    """What the library puts is what others get, and it gets and lists what others have put, page by page."""
    keys = sorted([f"a/{word(rng)}", f"a/{word(rng)} ä+%2F", f"a/{word(rng)}?x=1#y", "a&b", "<b>", word(rng)])
    objects = {key: rng.randbytes(30) for key in keys}
    (theirs, data), *others = objects.items()
    ours = [key for key, _ in others]
    with boto3_for(topology["store"]) as s3:
        s3.create_bucket(Bucket="theirs")
        s3.put_object(Bucket="theirs", Key=theirs, Body=data)
        calls: list[list[str | int]]
        calls = [["create", "photos"], ["get", "theirs", theirs], ["list", "theirs"]]
        assert came_of(topology, calls) == named(calls, [None, latin_1(data), [theirs]])
        puts = [["put", "photos", key, latin_1(value)] for key, value in others]
        etags = came_of(topology, puts)
        found = [s3.get_object(Bucket="photos", Key=key) for key in ours]
        assert [each["Body"].read() for each in found] == [value for _, value in others]
        assert etags == named(puts, [each["ETag"] for each in found])
        below_a = [key for key in ours if key.startswith("a/")]
        before = topology.link("library", "store").stats().forward_pieces
        calls = [["list", "photos", "", 2], ["list", "photos", "a/", 1]]
        assert came_of(topology, calls) == named(calls, [ours, below_a])
        requests = topology.link("library", "store").stats().forward_pieces - before
        assert requests >= 5, f"These pages were to have two keys and one, but it took {requests} requests."
        calls = [["remove", "photos", ours[0]], ["list", "photos"], ["create", "empty"], ["delete", "empty"]]
        assert came_of(topology, calls) == named(calls, [None, ours[1:], None, None])
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["photos", "theirs"]


@step("6.4", starts=["store"])
def test_exceptions(topology: Topology, rng: Random) -> None:
    """What a status says in REST, an exception says in a library; a broken connection is not hidden."""
    name = word(rng).lower()
    calls: list[list[Any]] = [
        ["get", name, "cat"],
        ["put", name, "cat", "meow"],
        ["list", name],
        ["delete", name],
    ]
    calls += [["remove", name, "cat"], ["create", name], ["get", name, "cat"], ["remove", name, "cat"]]
    calls += [["put", name, "cat", "meow"], ["delete", name], ["create", "No Bucket!"]]
    results = call_library(topology, calls)
    raised = named(calls, [result.get("raised") for result in results])
    assert raised == named(
        calls, [*5 * ["NoSuchBucket"], None, "NoSuchKey", None, None, "BucketNotEmpty", "StoreError"]
    )
    for said in ("400", "InvalidBucketName"):
        assert said in results[-1]["because"]
    link = topology.link("library", "store")
    link.half_close(direction="backward", after_bytes=10)
    (result,) = call_library(topology, [["get", name, "cat"]])
    kind = result.get("raised", "no exception")
    assert ("ConnectionError" if kind == "ConnectionResetError" else kind) == "ConnectionError", (
        "That it broke was not told."
    )
    assert link.injected > 0


# Step 6.5: ranges, and a download that goes on


@step("6.5", starts=["object-server"])
def test_ranges(topology: Topology, rng: Random) -> None:
    """A Range gets the part that it asks for (206), and is told where in the object that is."""
    data = rng.randbytes(100_000)
    size, first = len(data), rng.randint(1, 90_000)
    cases = {
        f"bytes={first}-{first + 5_000}": (first, first + 5_000),
        "bytes=0-0": (0, 0),
        f"bytes={first}-": (first, size - 1),
        f"bytes={size - 1}-": (size - 1, size - 1),
        f"bytes={first}-{size}": (first, size - 1),
        "bytes=-1": (size - 1, size - 1),
        f"bytes=-{first}": (size - first, size - 1),
        f"bytes=-{size + 1}": (0, size - 1),
    }
    with talking_to(topology["object-server"]) as ask:
        ask("PUT", "/films")
        ask("PUT", "/films/film", data)
        etag = etag_of(ask, "/films/film")
        for header, (begin, end) in cases.items():
            found = ask("GET", "/films/film", headers={"Range": header})
            said = {"status": 206, "Content-Range": f"bytes {begin}-{end}/{size}", "ETag": etag}
            assert told(found, "Content-Range", "ETag") == said
            assert found.content == data[begin : end + 1]
            head = ask("HEAD", "/films/film", headers={"Range": header})
            said = {"status": 206, "Content-Length": str(end - begin + 1)}
            assert told(head, "Content-Length") == said
    with boto3_for(topology["object-server"]) as s3:
        assert s3.get_object(Bucket="films", Key="film", Range="bytes=10-19")["Body"].read() == data[10:20]


@step("6.5", starts=["object-server"])
def test_no_such_range(topology: Topology, rng: Random) -> None:
    """A Range of which there is nothing is refused (416); one that makes no sense counts for nothing."""
    data = rng.randbytes(1_000)
    with talking_to(topology["object-server"]) as ask:
        ask("PUT", "/films")
        ask("PUT", "/films/film", data)
        ask("PUT", "/films/empty", b"")
        for path, header, size in (
            ("/films/film", "bytes=1000-", 1000),
            ("/films/film", "bytes=2000-3000", 1000),
            ("/films/film", "bytes=-0", 1000),
            ("/films/empty", "bytes=0-", 0),
            ("/films/empty", "bytes=-3", 0),
        ):
            refused = ask("GET", path, headers={"Range": header})
            assert failure(refused) == a_failure(416, "InvalidRange")
            assert told(refused, "Content-Range") == {"status": 416, "Content-Range": f"bytes */{size}"}
        for header in ("lines=1-2", "bytes=4-2", "bytes=-", "bytes=two-3", "bytes=0-1,4-5"):
            found = ask("GET", "/films/film", headers={"Range": header})
            assert found.status_code == 200
            assert found.content == data


@step("6.5", starts=["store"])
def test_link_that_cuts(topology: Topology, rng: Random) -> None:
    """A download over a link that cuts every connection is whole in the end, and no part has come twice."""
    film, link = rng.randbytes(MB), topology.link("downloader", "store")
    link.half_close(direction="backward", after_bytes=300 * KB)
    with film_in_store(topology, film):
        status = run_downloader(topology, tries=6)
        assert status == 0, f"The downloader ended with exit status {status}."
    assert downloaded(topology) == film
    # Each of these has brought 300 kB, and the last one the rest: none of it can have come twice. A HEAD that
    # asks for the ETag brings too little to be cut.
    assert {"GETs that were cut": link.injected} == {"GETs that were cut": 3}


@step("6.5", starts=["store"])
def test_killed_in_mid_download(topology: Topology, rng: Random) -> None:
    """What has come is kept as it comes: after a kill the next run asks for the rest only."""
    film, link, downloader = rng.randbytes(MB), topology.link("downloader", "store"), topology["downloader"]
    part = downloader.scratch / "film.part"
    with film_in_store(topology, film):
        link.throttle(100 * KB, direction="backward")  # all of it would take longer than we wait
        downloader.start(TRIES=1, OBJECT="/films/film")
        kept = until(
            lambda: size_of(part), lambda size: size > 50 * KB or not downloader.running, 2 * PATIENCE_S
        )
        downloader.kill()
        assert kept > 50 * KB, "What comes, slowly, is not in FILE.part as it comes."
        link.heal()
        before = link.stats().backward_bytes
        assert run_downloader(topology, tries=1) == 0
        assert downloaded(topology) == film
        if link.stats().backward_bytes - before > MB - 40 * KB:
            raise AssertionError("It has fetched again what it had already.")
    assert link.injected > 0


@step("6.5", starts=["store"])
def test_what_an_earlier_run_left(topology: Topology, rng: Random) -> None:
    """A later run goes on with what an earlier one has left, but only if the object is still the same."""
    link = topology.link("downloader", "store")
    old, new = rng.randbytes(400 * KB), rng.randbytes(500 * KB)
    with film_in_store(topology, old):
        link.half_close(direction="backward", after_bytes=300 * KB)
        assert run_downloader(topology, tries=1) == 1
        assert downloaded(topology) is None
        link.heal()
        before = link.stats().backward_bytes
        assert run_downloader(topology, tries=1) == 0
        assert downloaded(topology) == old
        if link.stats().backward_bytes - before > 200 * KB:
            raise AssertionError("It has fetched again what it had already.")
        link.half_close(direction="backward", after_bytes=300 * KB)
        assert run_downloader(topology, tries=1) == 1
    link.heal()
    with film_in_store(topology, new) as etag:
        assert run_downloader(topology, tries=3) == 0
    assert downloaded(topology) == new
    leave(topology, "film.part", new)
    leave(topology, "film.etag", etag.encode())
    assert run_downloader(topology, tries=1) == 0
    assert downloaded(topology) == new
    assert run_downloader(topology, tries=2, path="/films/none") == 1, (
        "There is no such object, and it is happy."
    )
    assert downloaded(topology) is None
    assert link.injected > 1


# Step 6.6: durability


@step("6.6", starts=["durable-server"])
def test_killed_in_mid_body(topology: Topology, rng: Random) -> None:
    """A server killed in the middle of a PUT has the old object afterwards, whole, and nothing else."""
    server = topology["durable-server"]
    old, new = rng.randbytes(300 * KB), rng.randbytes(600 * KB)
    with talking_to(server) as ask:
        ask("PUT", "/films")
        ask("PUT", "/films/film", old)
        before = stored_bytes(server)
        with uploading(server, "/films/film", new), uploading(server, "/films/other", new):
            until(lambda: stored_bytes(server), lambda now: now > before + 400 * KB, MOMENT_S)
            assert ask("GET", "/films/film").content == old
            server.kill()
    server.restart()
    with talking_to(server) as ask:
        assert ask("GET", "/films/film").content == old
        assert page_of(ask, "films", 10, None) == (["film"], None)
        assert_nothing_left(server, before)
        assert ask("PUT", "/films/film", new).status_code == 200
        assert ask("GET", "/films/film").content == new


@step("6.6", starts=["durable-server"])
def test_killed_under_load(topology: Topology, rng: Random) -> None:
    """A server killed while six clients write has every object afterwards that it had acknowledged."""
    server = topology["durable-server"]
    writers = [Writer(server, number, Random(rng.random())) for number in range(6)]
    with talking_to(server) as ask:
        ask("PUT", "/films")
    for writer in writers:
        writer.start()
    with uploading(server, "/films/slow", rng.randbytes(600 * KB)):
        until(lambda: all(each.acknowledged >= 10 or not each.is_alive() for each in writers), bool, 20)
        server.kill()
    for writer in writers:
        writer.join()
    if min(each.acknowledged for each in writers) < 10:
        raise AssertionError("Not every client has had ten PUTs acknowledged.")
    server.restart()
    with talking_to(server) as ask:
        keys, _ = page_of(ask, "films", 1000, None)
        found = {key: ask("GET", f"/films/{key}") for key in keys}
    assert "slow" not in found
    for writer in writers:
        writer.compare(found)


@step("6.6", starts=["durable-server"])
def test_client_gone_in_mid_body(topology: Topology, rng: Random) -> None:
    """Clients that go away in the middle of a PUT change nothing, and leave nothing on the disk."""
    server = topology["durable-server"]
    old, new = rng.randbytes(100 * KB), rng.randbytes(600 * KB)
    with talking_to(server) as ask:
        ask("PUT", "/films")
        ask("PUT", "/films/film", old)
        before = stored_bytes(server)
        for path in ("/films/film", "/films/other"):
            with uploading(server, path, new):
                until(lambda: stored_bytes(server), lambda now: now > before + 200 * KB, MOMENT_S)
        assert_nothing_left(server, before)
        assert ask("GET", "/films/film").content == old
        assert page_of(ask, "films", 10, None) == (["film"], None)


@step("6.6", starts=["durable-server"])
def test_two_writers(topology: Topology, rng: Random) -> None:
    """Two clients that put different objects under one key at the same time: the last one wins, whole."""
    server = topology["durable-server"]
    alice, bob = rng.randbytes(250 * KB), rng.randbytes(250 * KB)
    with talking_to(server) as ask:
        ask("PUT", "/films")
        with (
            uploading(server, "/films/film", alice) as first,
            uploading(server, "/films/film", bob) as second,
        ):
            assert ask("GET", "/films/film").status_code == 404
            assert second.finish() == 200
            assert ask("GET", "/films/film").content == bob
            assert first.finish() == 200
            assert ask("GET", "/films/film").content == alice
        known = etag_of(ask, "/films/film")
        only_if = {"If-Match": known}
        with uploading(server, "/films/film", bob, only_if) as first:
            assert ask("PUT", "/films/film", bob[:100], only_if).status_code == 200
            assert first.finish() == 412
        assert ask("GET", "/films/film").content == bob[:100]
        for _ in range(RACES):
            told = race(topology, "/films/film", etag_of(ask, "/films/film"), rng)
            if told != [200, *[412] * (RUNNERS - 1)]:
                raise AssertionError(
                    "Of several that replaced the same version, not exactly one was told so."
                )


@step("6.6", starts=["durable-server"])
def test_no_moment_in_between(topology: Topology, rng: Random) -> None:
    """Whoever looks while an object is replaced again and again finds a whole one each time."""
    server, letters = topology["durable-server"], string.ascii_letters.encode()
    long, short, whole_one, enough = "/films/film", "/films/trailer", 300 * KB, threading.Event()
    with talking_to(server) as ask, ThreadPoolExecutor(2 * READERS) as others:
        ask("PUT", "/films")
        ask("PUT", long, letters[:1] * whole_one)
        ask("PUT", short, letters[:1])
        looking = [others.submit(read_until, enough, server, long, whole_one) for _ in range(READERS)]
        looking += [others.submit(asked_until, enough, server, short) for _ in range(READERS)]
        try:
            for number in range(REPLACEMENTS):
                letter = letters[number % len(letters) :][:1]
                assert ask("PUT", long, letter * whole_one).status_code == 200
                put_all(server, [short] * SHORT_ONES)
        finally:
            enough.set()
        seen = set().union(*(each.result() for each in looking))
    sent(Asked(f"GET {long}, HEAD {short}, again and again"))
    assert seen == {"a whole one"}, "There was a moment in between."


@step("6.6", starts=["durable-server"])
def test_more_than_fits_into_memory(topology: Topology, rng: Random) -> None:
    """An object of 40 MB passes through a few MB of memory."""
    server = topology["durable-server"]
    piece = rng.randbytes(MB)
    with talking_to(server) as ask:
        ask("PUT", "/films")
        before = server.usage().memory_bytes
        with uploading(server, "/films/film", 40 * piece, begin=39 * MB) as upload:
            until(
                lambda: server.usage().memory_bytes - before + stored_bytes(server),
                lambda arrived: arrived > 30 * MB,
            )
            grown = server.usage().memory_bytes - before
            assert grown < 15 * MB, f"The server has grown by {grown / MB:.0f} MB."
            assert upload.finish() == 200
        assert ask("GET", "/films/film").content == 40 * piece


# What the checks have in common

Ask = Callable[..., httpx.Response]


@contextmanager
def talking_to(service: Service) -> Iterator[Ask]:
    """A function that makes one request and returns the response, whatever its status."""
    base = f"http://{service.address()}"
    with httpx.Client(base_url=base, timeout=PATIENCE_S, trust_env=False, verify=False) as client:

        def ask(
            method: str, target: str, content: bytes = b"", headers: dict[str, str] | None = None
        ) -> httpx.Response:
            size = f", {len(content):,} bytes" if content or method in {"PUT", "POST"} else ""
            sent(Asked(f"{method} {target}{size}", headers))
            with in_words_of_the_kit(service):
                return client.request(method, target, content=content or None, headers=headers)

        yield ask


@dataclass(frozen=True)
class Asked:
    """A request, for a failure to show in one line. Of a long header the beginning does."""

    line: str
    headers: Mapping[str, str] | None = None

    def __repr__(self) -> str:
        values = {name: f"{v[:10]}..." if len(v) > 20 else v for name, v in (self.headers or {}).items()}
        return ", ".join([self.line, *lines(values)])


def lines(headers: Mapping[str, str] | None) -> list[str]:
    """Headers as they are written."""
    return [f"{name}: {value}" for name, value in (headers or {}).items()]


@contextmanager
def in_words_of_the_kit(service: Service) -> Iterator[None]:
    """Whatever goes wrong between us and a program is its doing."""
    try:
        yield
    except httpx.ConnectError as error:
        raise PeerRefused(f"{service.name} takes no connection.") from error
    except httpx.TimeoutException as error:
        raise PeerSilent(f"{service.name} did not answer within {PATIENCE_S:g} s.") from error
    except (httpx.RemoteProtocolError, httpx.DecodingError) as error:
        closed = "disconnected" in str(error) or "closed connection" in str(error)
        kind = PeerClosed if closed else PeerViolation
        raise kind(f"{service.name} did not answer as HTTP has it: {error}.") from error
    except httpx.TransportError as error:
        raise PeerClosed(f"{service.name} broke the connection.") from error


@contextmanager
def boto3_for(service: Service) -> Iterator[S3Client]:
    """boto3, told to try everything once only; what it complains of is the server's doing."""
    import boto3
    import botocore.exceptions as of_boto3
    from botocore.config import Config

    once = Config(
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 1},
        proxies={},
        connect_timeout=PATIENCE_S,
        read_timeout=PATIENCE_S,
    )
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{service.address()}",
        config=once,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    client.meta.events.register(
        "before-call.s3.*", lambda params, model, **_: sent(asked_by_boto3(params, model.name))
    )
    try:
        yield client
    except of_boto3.ClientError as error:
        raise AssertionError(f"boto3: {error}") from error
    except of_boto3.ReadTimeoutError as error:
        raise PeerSilent(f"{service.name} did not answer boto3 within {PATIENCE_S:g} s.") from error
    except of_boto3.HTTPClientError as error:
        raise PeerClosed(f"{service.name} broke the connection of boto3.") from error
    except of_boto3.BotoCoreError as error:
        raise PeerViolation(f"boto3 does not understand {service.name}: {error}") from error
    finally:
        client.close()


def asked_by_boto3(request: dict[str, Any], operation: str) -> Asked:
    """A request of boto3's."""
    bucket = request["context"].get("input_params", {}).get("Bucket", "")
    return Asked(f"boto3's {operation}: {request['method']} /{bucket}{request['url_path']}")


class Upload:
    """A PUT whose body is sent in two parts. The server has begun to read, and the first part is sent."""

    def __init__(self, connection: socket.socket, head: bytes, body: bytes, begin: int) -> None:
        self._connection, self._answers = connection, connection.makefile("rb")
        connection.sendall(head)
        status = self.status()
        assert status == 100, f"It answered {status} without having asked for the body."
        connection.sendall(body[:begin])
        self._rest = body[begin:]

    def finish(self) -> int:
        """Send the rest; the status of the response."""
        self.send_rest()
        with over_a_socket():
            return self.status()

    def send_rest(self) -> None:
        """Send the rest."""
        with over_a_socket():
            self._connection.sendall(self._rest)

    def status(self) -> int:
        """Read the head of a response; its status."""
        return status_in(self._answers)

    def close(self) -> None:
        """Hang up."""
        self._answers.close()
        self._connection.close()


@contextmanager
def uploading(
    server: Service, path: str, data: bytes, headers: dict[str, str] | None = None, begin: int | None = None
) -> Iterator[Upload]:
    """Begin to put an object; hang up in the end, whether it is finished or not.

    ``Expect: 100-continue`` makes it certain that the server has begun: its 100 comes when the program first
    reads from the body.
    """
    sent(Asked(f"PUT {path}, {len(data):,} bytes in 2 parts", headers))
    all_headers = {"Host": "store", "Content-Length": str(len(data)), "Expect": "100-continue"}
    head = "".join(f"{line}\r\n" for line in lines(all_headers | (headers or {})))
    with ExitStack() as stack:
        with over_a_socket():
            connection = stack.enter_context(socket.create_connection(server.address().pair, PATIENCE_S))
            wire = f"PUT {path} HTTP/1.1\r\n{head}\r\n".encode()
            upload = Upload(connection, wire, data, len(data) // 2 if begin is None else begin)
        stack.callback(upload.close)
        yield upload


def race(topology: Topology, path: str, known: str, rng: Random) -> list[int]:
    """Have several clients replace that version of an object at the same moment; what they are told, sorted.

    The server sleeps until the bodies of all have come. RACES of these catch whoever tests the condition and
    replaces without a lock.
    """
    server, link = topology["durable-server"], topology.link("grader", "durable-server")
    data = [rng.randbytes(100) for _ in range(RUNNERS)]
    with ExitStack() as stack:
        uploads = [stack.enter_context(uploading(server, path, each, {"If-Match": known})) for each in data]
        carried = link.stats().forward_bytes
        server.pause()
        for upload in uploads:
            upload.send_rest()
        until(lambda: link.stats().forward_bytes, lambda now: now >= carried + 50 * RUNNERS, MOMENT_S)
        server.resume()
        with over_a_socket():
            return sorted(upload.status() for upload in uploads)


def waits_behind(link: Link, connections: int, request: Future[httpx.Response]) -> bool:
    """Whether a request, made when the link had seen so many connections, waits there; else it is done."""
    until(lambda: request.done() or link.stats().connections > connections, bool)
    return not request.done()


def put_all(server: Service, paths: Sequence[str]) -> None:
    """Put something at each of these paths; over one connection, and no request waits for a response."""
    sent(Asked(f"PUT {paths[0]}, and {len(paths) - 1:,} more"))
    requests = [f"PUT {path} HTTP/1.1\r\nHost: store\r\nContent-Length: 1\r\n\r\nx" for path in paths]
    with on_a_socket(server) as (connection, answers):
        connection.sendall("".join(requests).encode())
        statuses = Counter(status_in(answers) for _ in paths)
    assert dict(statuses) == {200: len(paths)}


@contextmanager
def on_a_socket(server: Service) -> Iterator[tuple[socket.socket, BinaryIO]]:
    """A connection on which many requests may be sent at once; and what comes back on it."""
    with (
        over_a_socket(),
        socket.create_connection(server.address().pair, PATIENCE_S) as connection,
        connection.makefile("rb") as answers,
    ):
        yield connection, answers


def status_in(answers: BinaryIO) -> int:
    """Read the head of a response; its status."""
    status = int(answers.readline().split()[1])
    while answers.readline().strip():
        pass
    return status


@contextmanager
def over_a_socket() -> Iterator[None]:
    """What goes wrong on a plain socket, in the words of the kit."""
    try:
        yield
    except TimeoutError as error:
        raise PeerSilent(f"The server did not answer within {PATIENCE_S:g} s.") from error
    except OSError as error:
        raise PeerClosed("The server broke the connection in the middle of a request.") from error
    except (ValueError, IndexError) as error:
        raise PeerViolation("The server's answer does not begin with a status line.") from error


class Writer(threading.Thread):
    """Puts one object after the other, until the server is gone; some of its keys again and again."""

    def __init__(self, server: Service, number: int, rng: Random) -> None:
        super().__init__(daemon=True)
        self._server, self._number, self._rng = server, number, rng
        self._kept: dict[str, httpx.Response] = {}
        self._put: dict[str, bytes] = {}
        self._under_way: tuple[str, bytes] = ("", b"")
        self.acknowledged = 0

    def run(self) -> None:
        """Write."""
        with suppress(PeerError), talking_to(self._server) as ask:
            while True:
                key = f"{self._number}-{self.acknowledged % 9}"
                data = self._rng.randbytes(self._rng.randint(1, 40 * KB))
                self._under_way = (key, data)
                response = ask("PUT", f"/films/{key}", data, {"Content-Type": f"film/{key}"})
                if response.status_code != 200:
                    return
                self._kept[key], self._put[key] = response, data
                self.acknowledged += 1

    def compare(self, found: dict[str, httpx.Response]) -> None:
        """What was acknowledged is there; what was under way is there, or what was there before."""
        for key, data in self._put.items():
            response = found.get(key)
            if response is None or response.status_code != 200:
                raise AssertionError("An object that was acknowledged is not there any more.")
            etag, kind = (response.headers.get(name) for name in ("etag", "content-type"))
            if kind != f"film/{key}":
                raise AssertionError("An object that was acknowledged has another type now.")
            if (key, response.content) == self._under_way:
                continue  # done, and nobody could be told any more
            if response.content != data or self._kept[key].headers.get("etag") not in {None, etag}:
                raise AssertionError("An object that was acknowledged is another one now.")
        key, data = self._under_way
        if key in found.keys() - self._put.keys() and found[key].content != data:
            raise AssertionError("There is an object that nobody has put there.")


def read_until(enough: threading.Event, server: Service, path: str, size: int) -> set[str]:
    """What is seen of an object of that size, one letter all over, by somebody who reads it all the time."""
    seen = set()
    with talking_to(server) as ask:
        while not enough.is_set():
            found = ask("GET", path)
            whole = len(found.content) == size and len(set(found.content)) == 1
            what = "a whole one" if whole else "parts of several"
            seen.add(what if found.status_code == 200 else f"status {found.status_code}")
    return seen


def asked_until(enough: threading.Event, server: Service, path: str) -> set[str]:
    """The same for somebody who asks all the time whether it is there.

    That takes less time than to read it, and less still if no request waits for a response: the more looks,
    the shorter a moment may be. A server that closes the connection after each of them is connected to anew.
    """
    seen = set()
    requests = f"HEAD {path} HTTP/1.1\r\nHost: store\r\n\r\n".encode() * LOOKS
    while not enough.is_set():
        with suppress(PeerClosed, PeerViolation), on_a_socket(server) as (connection, answers):
            while not enough.is_set():
                connection.sendall(requests)
                for _ in range(LOOKS):
                    seen.add(status_in(answers))
    return {"a whole one" if status == 200 else f"status {status}" for status in seen}


def word(rng: Random) -> str:
    """Some letters."""
    return "".join(rng.choices(string.ascii_lowercase, k=10))


def latin_1(data: bytes) -> str:
    """Bytes as text, a character per byte."""
    return data.decode("latin-1")


def failure(response: httpx.Response) -> dict[str, object]:
    """The status of a response, and the code in its XML."""
    return a_failure(response.status_code, parsed(response).findtext("{*}Code"))


def a_failure(status: int, code: str | None) -> dict[str, object]:
    """What `failure` finds in a response that says this."""
    return {"status": status, "code": code}


def told(response: httpx.Response, *names: str) -> dict[str, object]:
    """The status of a response, and these of its headers; None for one that is not there."""
    return {"status": response.status_code} | {name: response.headers.get(name) for name in names}


def twice(ask: Ask, method: str, target: str, content: bytes = b"") -> dict[str, int]:
    """The statuses when a request is made and made again."""
    return {time: ask(method, target, content).status_code for time in ("the first time", "the second time")}


def parsed(response: httpx.Response) -> ET.Element:
    """The document of a response; an empty one if it has none."""
    try:
        return ET.fromstring(response.content)
    except ET.ParseError:
        return ET.Element("nothing")


def connections_to_front_ends(topology: Topology) -> dict[str, int]:
    """How many the dispatcher has made to each of them so far."""
    return {name: topology.link("dispatcher", name).stats().connections for name in FRONT_ENDS}


def at_both(value: T) -> dict[str, T]:
    """The same, at both front ends."""
    return dict.fromkeys(FRONT_ENDS, value)


def etag_of(ask: Ask, path: str = "/notes/today") -> str:
    """The ETag that a HEAD tells."""
    return str(ask("HEAD", path).headers.get("etag"))


def listed(s3: S3Client, bucket: str, prefix: str = "") -> list[str]:
    """The keys that boto3 finds."""
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]


def keys_in(response: httpx.Response) -> list[str]:
    """The keys in a list."""
    return [key.text or "" for key in parsed(response).iterfind("{*}Contents/{*}Key")]


def page_of(
    ask: Ask, bucket: str, size: int, token: str | None, prefix: str = ""
) -> tuple[list[str], str | None]:
    """The keys of a page, and the token of the next one."""
    query = {"list-type": "2", "max-keys": str(size), "prefix": prefix}
    query |= {} if token is None else {"continuation-token": token}
    response = ask("GET", f"/{bucket}?{httpx.QueryParams(query)}")
    assert response.status_code == 200
    document = parsed(response)
    return keys_in(response), document.findtext("{*}NextContinuationToken")


def until(look: Callable[[], T], good: Callable[[T], bool], patience_s: float = PATIENCE_S) -> T:
    """Look again until what is seen is good, or patience ends; the last that was seen."""
    deadline_s = time.monotonic() + patience_s
    while not good(seen := look()) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return seen


def ends_well(client: Service) -> None:
    """The client ends by itself, and has nothing to complain about."""
    status = client.wait(2 * PATIENCE_S)
    assert status == 0, f"{client.name} ended with exit status {status}."


def open_in(editor: Service, line: str) -> None:
    """Start it, and wait until it has opened the text."""
    opened = editor.logs().count("opened")
    editor.start(LINE=line)
    until(editor.logs, lambda printed: printed.count("opened") > opened)


def call_library(topology: Topology, calls: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """What comes of these calls of the library."""
    program = topology["library"]
    sent(calls)
    (program.scratch / "calls.json").write_text(json.dumps(calls))
    program.start()
    ends_well(program)
    results: list[dict[str, Any]] = json.loads((program.scratch / "results.json").read_text())
    return results


def came_of(topology: Topology, calls: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """What these calls returned; of one that raised, all that is known of it."""
    return named(calls, [result.get("returned", result) for result in call_library(topology, calls)])


def named(calls: Sequence[Sequence[Any]], results: Sequence[Any]) -> dict[str, Any]:
    """What came of each call, under the call."""
    names = [f"{n}. {call[0]}({', '.join(map(repr, call[1:]))})" for n, call in enumerate(calls, 1)]
    return dict(zip(names, results, strict=True))


@contextmanager
def film_in_store(topology: Topology, film: bytes) -> Iterator[str]:
    """The store has this film; its ETag."""
    with boto3_for(topology["store"]) as s3:
        s3.create_bucket(Bucket="films")
        etag = s3.put_object(Bucket="films", Key="film", Body=film)["ETag"]
    yield etag


def run_downloader(topology: Topology, tries: int, path: str = "/films/film") -> int:
    """Run it to its end; its exit status."""
    downloader = topology["downloader"]
    downloader.start(TRIES=tries, OBJECT=path)
    return downloader.wait(2 * PATIENCE_S)


def leave(topology: Topology, name: str, data: bytes) -> None:
    """Leave a file for the downloader, as an earlier run would have: in a container it is another user's."""
    path = topology["downloader"].scratch / name
    path.write_bytes(data)
    path.chmod(0o666)


def size_of(file: Path) -> int:
    """How much a file holds; nothing, if it is not there."""
    return file.stat().st_size if file.exists() else 0


def downloaded(topology: Topology) -> bytes | None:
    """The film that the downloader has made; None if there is none. It is taken away."""
    folder = topology["downloader"].scratch
    film = folder / "film"
    if not film.exists():
        return None
    assert [file.name for file in folder.iterdir() if file.name.startswith("film")] == ["film"]
    data = film.read_bytes()
    film.unlink()
    return data


def assert_nothing_left(service: Service, before: int) -> None:
    """Its folder holds no more than before."""
    if until(lambda: stored_bytes(service), lambda now: now < before + 10 * KB) >= before + 10 * KB:
        raise AssertionError("What was never acknowledged still lies on the disk.")


def stored_bytes(service: Service) -> int:
    """How much its folder holds."""
    total = 0
    for path in Path(service.scratch).rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total
