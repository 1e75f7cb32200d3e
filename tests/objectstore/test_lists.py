"""Lists of keys, versions and uploads: pages, prefixes, delimiters. Held against a model."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from dslab.objectstore import buckets, listing, versions
from dslab.objectstore.index import Index
from dslab.objectstore.listing import Wanted, after_all_with
from dslab.objectstore.messages import Bucket, Content, Listed, Meta

KEYS = ["asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thud", "cquux/bla", "zz"]


@pytest.fixture
def full(s3: Any, bucket: str) -> str:
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    return bucket


def names(page: Any) -> tuple[list[str], list[str]]:
    return (
        [one["Key"] for one in page.get("Contents", [])],
        [one["Prefix"] for one in page.get("CommonPrefixes", [])],
    )


def test_pages_with_a_delimiter(s3: Any, full: str) -> None:
    steps = [(["asdf"], []), ([], ["boo/"]), ([], ["cquux/"]), (["zz"], [])]
    marker, token = "", None
    for number, expected in enumerate(steps):
        page = s3.list_objects(Bucket=full, Delimiter="/", MaxKeys=1, Marker=marker)
        assert names(page) == expected
        assert page["IsTruncated"] is (number < 3)
        marker = page.get("NextMarker", "")
        options: dict[str, str] = {"ContinuationToken": token} if token else {}
        second = s3.list_objects_v2(Bucket=full, Delimiter="/", MaxKeys=1, **options)
        assert names(second) == expected
        assert (second["IsTruncated"], second["KeyCount"]) == (number < 3, 1)
        token = second.get("NextContinuationToken")
    assert names(s3.list_objects_v2(Bucket=full, Delimiter="/", Prefix="boo/")) == (["boo/bar"], ["boo/baz/"])
    assert names(s3.list_objects_v2(Bucket=full, StartAfter="cquux/bla")) == (["cquux/thud", "zz"], [])


def test_what_a_list_tells(s3: Any, full: str) -> None:
    first = s3.list_objects(Bucket=full)
    assert [one["Key"] for one in first["Contents"]] == sorted(KEYS)
    assert first["Contents"][0]["Owner"]["ID"]
    second = s3.list_objects_v2(Bucket=full)
    assert "Owner" not in second["Contents"][0]
    assert s3.list_objects_v2(Bucket=full, FetchOwner=True)["Contents"][0]["Owner"]["ID"]
    one = second["Contents"][0]
    assert (one["Size"], one["StorageClass"]) == (1, "STANDARD")
    head = s3.head_object(Bucket=full, Key=one["Key"])
    assert one["ETag"] == head["ETag"]
    assert one["LastModified"].replace(microsecond=0) == head["LastModified"]
    assert names(s3.list_objects_v2(Bucket=full, MaxKeys=0)) == ([], [])


def test_a_list_tells_how_much_it_can_have_at_most(s3: Any, full: str) -> None:
    for call in (s3.list_objects, s3.list_objects_v2, s3.list_object_versions):
        assert [call(Bucket=full, MaxKeys=most)["MaxKeys"] for most in (2, 5_000)] == [2, 1_000]
    assert s3.list_multipart_uploads(Bucket=full, MaxUploads=5_000)["MaxUploads"] == 1_000


def test_encoding_type(s3: Any, bucket: str, http: httpx.Client) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    for key in ("foo+1/bar", "quux ab/thud", "asdf+b", "tab\tline\n"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    text = http.get(f"/{bucket}", params={"delimiter": "/", "encoding-type": "url"}).text
    for shown in ("asdf%2Bb", "foo%2B1/", "quux%20ab/", "tab%09line%0A"):
        assert f">{shown}<" in text
    assert http.get(f"/{bucket}", params={"encoding-type": "rot13"}).status_code == 400


def test_a_list_of_the_first_version_begins_after_no_key_but_a_marker(
    s3: Any, bucket: str, http: httpx.Client
) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    answer = http.get(f"/{bucket}?start-after=a")
    message = "startAfter only supported in REST.GET.BUCKET with list-type=2"
    assert answer.status_code == 400
    assert (
        f"<Code>InvalidArgument</Code><Message>{message}</Message>"
        "<ArgumentName>start-after</ArgumentName><ArgumentValue>a</ArgumentValue>"
    ) in answer.text
    assert http.get(f"/{bucket}?list-type=2&start-after=a").status_code == 200


@pytest.mark.parametrize(
    "options", ["max-keys=x", "max-keys=-1", "list-type=2&continuation-token=x", "max-keys=1e3"]
)
def test_lists_that_are_refused(s3: Any, bucket: str, http: httpx.Client, options: str) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    answer = http.get(f"/{bucket}?{options}")
    assert (answer.status_code, "<Code>InvalidArgument</Code>" in answer.text) == (400, True)


BETWEEN = "must be an integer between 0 and 2147483647"
NO_NUMBER = "not an integer or within integer range"


@pytest.mark.parametrize(
    ("query", "name", "message"),
    [
        ("max-keys=-1", "maxKeys", f"Argument maxKeys {BETWEEN}"),
        ("list-type=2&max-keys=-1", "maxKeys", f"Argument maxKeys {BETWEEN}"),
        ("max-keys=x", "max-keys", f"Provided max-keys {NO_NUMBER}"),
        ("max-keys=2147483648", "max-keys", f"Provided max-keys {NO_NUMBER}"),
        (f"max-keys={'9' * 5_000}", "max-keys", f"Provided max-keys {NO_NUMBER}"),
        ("versions&max-keys=-1", "max-keys", "max-keys cannot be negative"),
        ("versions&max-keys=x", "max-keys", f"Provided max-keys {NO_NUMBER}"),
        ("uploads&max-uploads=-1", "max-uploads", f"Argument max-uploads {BETWEEN}"),
        ("uploads&max-uploads=1.0", "max-uploads", f"Provided max-uploads {NO_NUMBER}"),
    ],
)
def test_numbers_in_queries_are_refused_in_s3_s_words(  # noqa: PLR0917
    s3: Any, bucket: str, http: httpx.Client, query: str, name: str, message: str
) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    answer = http.get(f"/{bucket}?{query}")
    value = query.rpartition("=")[2]
    assert answer.status_code == 400
    assert (
        f"<Code>InvalidArgument</Code><Message>{message}</Message>"
        f"<ArgumentName>{name}</ArgumentName><ArgumentValue>{value}</ArgumentValue>"
    ) in answer.text


def test_an_empty_number_is_none_that_was_said(s3: Any, bucket: str, http: httpx.Client) -> None:
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    for query in ("max-keys=", "list-type=2&max-keys=", "versions&max-keys="):
        assert "<MaxKeys>1000</MaxKeys>" in http.get(f"/{bucket}?{query}").text
    assert "<MaxUploads>1000</MaxUploads>" in http.get(f"/{bucket}?uploads&max-uploads=").text


def test_versions_and_markers(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a", "b"):
        for body in (b"1", b"2"):
            s3.put_object(Bucket=bucket, Key=key, Body=body)
    s3.delete_object(Bucket=bucket, Key="a")
    whole = s3.list_object_versions(Bucket=bucket)
    seen = []
    markers: dict[str, str] = {}
    while True:
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=1, **markers)
        seen += [
            (one["Key"], one["VersionId"]) for one in page.get("Versions", []) + page.get("DeleteMarkers", [])
        ]
        if not page["IsTruncated"]:
            break
        markers = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        assert (*markers.values(),) == seen[-1]
    marker = whole["DeleteMarkers"][0]
    versions_of = [(one["Key"], one["VersionId"]) for one in whole["Versions"]]
    assert seen == [("a", marker["VersionId"]), *versions_of]
    assert [one["IsLatest"] for one in whole["Versions"]] == [False, False, True, False]
    assert marker["IsLatest"]


# ---- against a model


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = Index(tmp_path_factory.mktemp("index") / "index.db", sync=False)
    yield made
    made.close()


def fill(index: Index, name: str, keys: set[str]) -> Bucket:
    def change(db: sqlite3.Connection) -> Bucket:
        bucket = buckets.create(db, name, 0.0, "", "private")
        db.execute("DELETE FROM versions WHERE bucket = ?", (bucket.number,))
        for key in keys:
            versions.put(db, bucket, key, Content(0, "e"), Meta(), 0.0, "v")
        return bucket

    return index.write(change)


def rolled(keys: set[str], prefix: str, delimiter: str) -> list[str]:
    """The whole list as it should be: keys and prefixes, in order."""
    found = set()
    for key in keys:
        if key.startswith(prefix):
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            found.add(key if at < 0 else key[: at + len(delimiter)])
    return sorted(found, key=str.encode)


KEY = st.text("a/\ud7ff\ue000\U0010ffff", min_size=1, max_size=6).filter(lambda text: "\ud800" not in text)


@settings(max_examples=150)
@given(
    st.sets(KEY, max_size=12),
    st.text("a/\U0010ffff", max_size=2),
    st.sampled_from(["", "/", "a", "//", "\U0010ffff"]),
    st.integers(1, 4),
)
def test_pages_make_up_the_whole(
    index: Index, keys: set[str], prefix: str, delimiter: str, most: int
) -> None:
    bucket = fill(index, "model", keys)
    listed: list[str] = []
    after = ""
    while True:
        page = listing.keys(index.db, bucket, Wanted(prefix, delimiter, after, "", most))
        shown = [one.key for one in page.entries if isinstance(one, Listed)] + list(page.prefixes)
        assert len(shown) <= most
        listed += sorted(shown, key=str.encode)
        if not page.truncated:
            break
        assert len(shown) == most
        after = page.next_key
    assert listed == rolled(keys, prefix, delimiter)


def test_a_rolled_up_page_does_not_read_what_it_does_not_show(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.db", sync=False)
    bucket = fill(index, "big", {f"{folder}/{number:04}" for folder in "abc" for number in range(3_000)})
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    index.db.set_progress_handler(count, 100)
    page = listing.keys(index.db, bucket, Wanted(delimiter="/"))
    assert page.prefixes == ("a/", "b/", "c/")
    assert steps < 10  # of 100 instructions of SQLite each: 9,000 keys would be thousands
    index.close()


def test_after_all_with() -> None:
    assert after_all_with("a/") == "a0"
    assert after_all_with("a\U0010ffff") == "b"
    assert after_all_with("\ud7ff") == "\ue000"
    assert after_all_with("\U0010ffff") is None


def test_buckets_are_listed_in_pages(s3: Any) -> None:
    for number in range(3):
        s3.create_bucket(Bucket=f"paged-{number}")
    first = s3.list_buckets(MaxBuckets=2, Prefix="paged-")
    assert [one["Name"] for one in first["Buckets"]] == ["paged-0", "paged-1"]
    second = s3.list_buckets(MaxBuckets=2, Prefix="paged-", ContinuationToken=first["ContinuationToken"])
    assert [one["Name"] for one in second["Buckets"]] == ["paged-2"]
    assert "ContinuationToken" not in second


def test_an_unknown_bucket(s3: Any) -> None:
    with pytest.raises(ClientError) as error:
        s3.list_objects_v2(Bucket="nowhere-at-all")
    assert error.value.response["Error"]["Code"] == "NoSuchBucket"
