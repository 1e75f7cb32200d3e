"""Programs of other makers, each doing what its users do with it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from boto3.s3.transfer import TransferConfig
from minio import Minio

from tests.objectstore.conftest import ID, SECRET, Served, client

MIB = 1024 * 1024
LARGE_BYTES = 64 * MIB
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """A small file and a large one."""
    folder = tmp_path_factory.mktemp("files")
    small, large = folder / "small.txt", folder / "large.bin"
    small.write_bytes(b"Hello")
    large.write_bytes(os.urandom(MIB) * (LARGE_BYTES // MIB))
    yield small, large
    shutil.rmtree(folder)


Run = Callable[..., str]


@pytest.fixture
def run(served: Served, tmp_path: Path) -> Run:
    """Run a program, and give what it says."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": served.url,
        "RCLONE_CONFIG_STORE_TYPE": "s3",
        "RCLONE_CONFIG_STORE_PROVIDER": "Other",
        "RCLONE_CONFIG_STORE_ENV_AUTH": "true",
        "RCLONE_CONFIG_STORE_ENDPOINT": served.url,
        "RCLONE_CONFIG_STORE_REGION": "us-east-1",
    }

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, env=environment, timeout=110, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def same(left: Path, right: Path) -> bool:
    return left.read_bytes() == right.read_bytes()


def check_presigned(get: str, put: str) -> None:
    with httpx.Client(trust_env=False) as http:
        assert http.get(get).content == b"Hello"
        assert http.put(put, content=b"presigned").status_code == 200


@pytest.mark.timeout(300)
def test_boto3(served: Served, files: tuple[Path, Path], tmp_path: Path) -> None:
    small, large = files
    s3 = client(served)
    s3.create_bucket(Bucket="by-boto3")
    s3.upload_file(str(small), "by-boto3", "small.txt")
    s3.upload_file(str(large), "by-boto3", "large.bin", Config=TransferConfig(multipart_chunksize=16 * MIB))
    assert [one["Size"] for one in s3.list_objects_v2(Bucket="by-boto3")["Contents"]] == [LARGE_BYTES, 5]
    s3.download_file("by-boto3", "large.bin", str(tmp_path / "back"))
    assert same(large, tmp_path / "back")
    s3.copy({"Bucket": "by-boto3", "Key": "small.txt"}, "by-boto3", "copy.txt")
    where = {"Bucket": "by-boto3", "Key": "small.txt"}
    get = s3.generate_presigned_url("get_object", Params=where)
    put = s3.generate_presigned_url("put_object", Params={**where, "Key": "other"})
    check_presigned(get, put)
    keys = [{"Key": key} for key in ("small.txt", "large.bin", "copy.txt", "other")]
    assert len(s3.delete_objects(Bucket="by-boto3", Delete={"Objects": keys})["Deleted"]) == 4
    s3.delete_bucket(Bucket="by-boto3")
    s3.close()


@pytest.mark.timeout(300)
def test_the_aws_command_line(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    small, large = files
    aws = BIN / "aws"
    run(aws, "s3", "mb", "s3://by-aws")
    run(aws, "s3", "cp", small, "s3://by-aws/small.txt")
    run(aws, "s3", "cp", large, "s3://by-aws/dir/large.bin")
    listed = run(aws, "s3", "ls", "--recursive", "s3://by-aws")
    assert "dir/large.bin" in listed
    assert "PRE dir/" in run(aws, "s3", "ls", "s3://by-aws")
    run(aws, "s3", "cp", "s3://by-aws/dir/large.bin", tmp_path / "back")
    assert same(large, tmp_path / "back")
    run(aws, "s3", "cp", "s3://by-aws/small.txt", "s3://by-aws/copy.txt")
    get = run(aws, "s3", "presign", "s3://by-aws/small.txt").strip()
    assert httpx.get(get, trust_env=False).content == b"Hello"
    run(aws, "s3", "rm", "--recursive", "s3://by-aws")
    run(aws, "s3", "rb", "s3://by-aws")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("signature", ["v4", "v2"])
def test_s3cmd(run: Run, served: Served, files: tuple[Path, Path], tmp_path: Path, signature: str) -> None:
    small, large = files
    host = str(served.address)
    options = [
        "--no-ssl",
        f"--host={host}",
        f"--host-bucket={host}",
        f"--access_key={ID}",
        f"--secret_key={SECRET}",
        *(["--signature-v2"] if signature == "v2" else []),
    ]
    bucket = f"s3://by-s3cmd-{signature}"
    s3cmd = [str(BIN / "s3cmd"), "--config=/dev/null", *options]
    run(*s3cmd, "mb", bucket)
    run(*s3cmd, "put", small, f"{bucket}/small.txt")
    run(*s3cmd, "put", large, f"{bucket}/large.bin")
    assert f"{bucket}/large.bin" in run(*s3cmd, "ls", bucket)
    run(*s3cmd, "get", f"{bucket}/large.bin", tmp_path / "back")
    assert same(large, tmp_path / "back")
    run(*s3cmd, "cp", f"{bucket}/small.txt", f"{bucket}/copy.txt")
    get = run(*s3cmd, "signurl", f"{bucket}/small.txt", "+600").strip()
    assert httpx.get(get, trust_env=False).content == b"Hello"
    run(*s3cmd, "rm", "--recursive", "--force", bucket)
    run(*s3cmd, "rb", bucket)


@pytest.mark.timeout(300)
def test_the_minio_sdk(served: Served, files: tuple[Path, Path], tmp_path: Path) -> None:
    small, large = files
    minio: Any = Minio(str(served.address), access_key=ID, secret_key=SECRET, secure=False)
    minio.make_bucket("by-minio")
    assert minio.bucket_exists("by-minio")
    minio.fput_object("by-minio", "small.txt", str(small))
    minio.fput_object("by-minio", "large.bin", str(large), part_size=16 * MIB)
    minio.put_object("by-minio", "stream", io.BytesIO(b"x" * 100), -1, part_size=5 * MIB)
    assert [one.object_name for one in minio.list_objects("by-minio")] == ["large.bin", "small.txt", "stream"]
    minio.fget_object("by-minio", "large.bin", str(tmp_path / "back"))
    assert same(large, tmp_path / "back")
    get = minio.presigned_get_object("by-minio", "small.txt", expires=timedelta(minutes=5))
    put = minio.presigned_put_object("by-minio", "other", expires=timedelta(minutes=5))
    check_presigned(get, put)
    for name in ("small.txt", "large.bin", "stream", "other"):
        minio.remove_object("by-minio", name)
    minio.remove_bucket("by-minio")


@pytest.mark.timeout(300)
@pytest.mark.skipif(
    not shutil.which("rclone"), reason="rclone is not installed (Debian: apt-get install rclone)"
)
def test_rclone(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    small, large = files
    run("rclone", "mkdir", "store:by-rclone")
    run("rclone", "copyto", small, "store:by-rclone/small.txt")
    chunks = ("--s3-upload-cutoff", "16M", "--s3-chunk-size", "16M")
    run("rclone", "copyto", *chunks, large, "store:by-rclone/dir/large.bin")
    assert "dir/large.bin" in run("rclone", "lsf", "-R", "store:by-rclone")
    run("rclone", "copyto", "store:by-rclone/dir/large.bin", tmp_path / "back")
    assert same(large, tmp_path / "back")
    run("rclone", "copyto", "store:by-rclone/small.txt", "store:by-rclone/copy.txt")
    run("rclone", "check", small.parent, "store:by-rclone", "--one-way", "--include", "small.txt")
    get = run("rclone", "link", "store:by-rclone/small.txt").strip()
    assert httpx.get(get, trust_env=False).content == b"Hello"
    run("rclone", "delete", "store:by-rclone")
    run("rclone", "rmdir", "store:by-rclone")
