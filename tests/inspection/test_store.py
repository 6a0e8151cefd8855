"""One contract for every object store: a local folder, and S3 over its real protocol."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from inspection.errors import StoreError
from inspection.store import LocalStore, ObjectStore, S3Store, open_store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def s3(s3_url: str) -> S3Client:
    return connect(s3_url)


def connect(url: str) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture(params=["local", "s3", "s3 with prefix"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "local":
        return LocalStore(tmp_path / "objects")
    client: S3Client = request.getfixturevalue("s3")
    bucket = tmp_path.name.replace("_", "-").lower()
    client.create_bucket(Bucket=bucket)
    return S3Store(client, bucket, "plant/north" if "prefix" in request.param else "")


def test_what_is_put_is_got(store: ObjectStore) -> None:
    for data in (b"", b"text", bytes(range(256)) * 4096):
        store.put("models/ab/model.onnx", data)
        assert store.get("models/ab/model.onnx") == data
        assert store.exists("models/ab/model.onnx")


def test_what_is_not_there(store: ObjectStore) -> None:
    store.put("models/ab/model.onnx", b"1")
    for key in ("models", "models/ab", "models/ab/model", "models/ab/model.onnx/x", "other"):
        assert not store.exists(key)
        store.delete(key)
        with pytest.raises(StoreError, match=f"no object '{key}'"):
            store.get(key)
    assert store.get("models/ab/model.onnx") == b"1"


def test_listing_is_sorted_by_whole_key_and_takes_half_names(store: ObjectStore) -> None:
    keys = ["audit/2.json", "audit/10.json", "models/a/x", "models/ab/x", "top", "audit.txt"]
    for key in keys:
        store.put(key, b"")
    assert store.list() == sorted(keys)
    assert store.list("audit/") == ["audit/10.json", "audit/2.json"]
    assert store.list("audit") == ["audit.txt", "audit/10.json", "audit/2.json"]
    assert store.list("models/a") == ["models/a/x", "models/ab/x"]
    assert store.list("models/a/") == ["models/a/x"]
    assert store.list("models/c") == store.list("nowhere/") == store.list("top/") == []


def test_listing_is_complete_beyond_one_page(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "5")  # a real page holds 1,000, which take a while to put
    keys = [f"many/{number:02}" for number in range(12)]
    for key in keys:
        store.put(key, b"")
    assert store.list("many/") == keys


def test_delete(store: ObjectStore) -> None:
    store.put("a/b", b"1")
    store.put("a/c", b"2")
    store.delete("a/b")
    store.delete("a/b")
    assert store.list() == ["a/c"]


@pytest.mark.parametrize(
    "key", ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/./b", "a/", "a\0b"]
)
def test_keys_that_leave_the_store_or_have_two_spellings(store: ObjectStore, key: str) -> None:
    for use in (store.get, store.exists, store.delete, lambda key: store.put(key, b"x")):
        with pytest.raises(StoreError, match="no object key"):
            use(key)


@pytest.mark.parametrize("prefix", ["..", "../", "a/../..", "/", "/etc/"])
def test_prefixes_that_leave_the_store(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(StoreError, match="no prefix"):
        store.list(prefix)


def test_a_reader_sees_the_old_object_or_the_new_one(store: ObjectStore) -> None:
    versions = [bytes([number]) * 300_000 for number in range(8)]
    store.put("model", versions[0])
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(store.get("model"))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for data in versions[1:]:
            store.put("model", data)
    finally:
        done.set()
        reader.join()
    assert seen <= set(versions)
    assert store.list() == ["model"]


def test_a_put_that_fails_leaves_the_old_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)
    store.put("a/model", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("inspection.store.os.fsync", full)
    with pytest.raises(StoreError, match=r"cannot write 'a/model'.*No space left"):
        store.put("a/model", b"new")
    assert store.get("a/model") == b"old"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["model"]


def test_a_put_in_progress_is_not_listed(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("a/model", b"1")
    (tmp_path / "a" / ".put-1234").write_bytes(b"half")  # what a crash leaves behind
    assert store.list() == ["a/model"]


def test_a_folder_has_no_object_below_an_object(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("a", b"1")
    with pytest.raises(StoreError, match="cannot write 'a/b'"):
        store.put("a/b", b"2")


def test_open_store_takes_folders(tmp_path: Path) -> None:
    for url in (str(tmp_path), f"file://{tmp_path}"):
        store = open_store(url)
        store.put("a", b"1")
        assert (tmp_path / "a").read_bytes() == b"1"
        store.delete("a")


@pytest.mark.parametrize("url", ["gs://bucket", "s3://", "http://host/path"])
def test_open_store_refuses_other_addresses(url: str) -> None:
    with pytest.raises(StoreError, match="VQI_ARTIFACTS"):
        open_store(url)


def test_open_store_takes_the_usual_aws_variables(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**AWS, "AWS_ENDPOINT_URL_S3": s3_url}.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="usual")
    store = open_store("s3://usual/some/prefix/")
    store.put("a", b"1")
    assert client.get_object(Bucket="usual", Key="some/prefix/a")["Body"].read() == b"1"
    assert store.url == "s3://usual/some/prefix"


def test_a_bucket_that_is_not_there_is_a_store_error(s3: S3Client) -> None:
    store = S3Store(s3, "nowhere")
    for use in (store.get, store.exists, store.list, store.delete, lambda key: store.put(key, b"")):
        with pytest.raises(StoreError, match=r"s3://nowhere: .*check VQI_ARTIFACTS"):
            use("a")


def test_a_server_that_does_not_answer_is_a_store_error() -> None:
    store = S3Store(connect("http://127.0.0.1:9"), "bucket")  # the discard port: nobody listens
    with pytest.raises(StoreError, match="check VQI_ARTIFACTS"):
        store.get("a")
