"""One contract for every object store: a local folder, and S3 over its real protocol."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from inspection.errors import StoreError
from inspection.store import LocalStore, ObjectStore, S3Store, open_store
from tests.s3 import aws, connect, s3_server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(scope="module")
def s3(s3_url: str) -> S3Client:
    return connect(s3_url)


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
        for use in (store.get, store.open):
            with pytest.raises(StoreError, match=f"no object '{key}'"):
                use(key)
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


def test_sizes_are_those_of_what_was_put(store: ObjectStore) -> None:
    for key, size in {"b/2": 7, "b/10": 0, "a": 3, "c": 300_000}.items():
        store.put(key, bytes(size))
    assert [*store.sizes().items()] == [("a", 3), ("b/10", 0), ("b/2", 7), ("c", 300_000)]
    assert store.sizes("b/1") == {"b/10": 0}
    assert store.sizes("nowhere") == {}


def test_pieces_of_an_object_are_those_of_a_file(store: ObjectStore) -> None:
    data = bytes(range(256)) * 5
    store.put("model", data)
    store.put("empty", b"")
    with store.open("model") as file:
        assert file.read(3) == data[:3]
        assert file.tell() == 3
        assert file.seek(-10, 2) == len(data) - 10
        assert file.read(100) == data[-10:]
        assert file.read(1) == b""
        assert file.seek(700) == 700
        assert file.seek(60, 1) == 760
        assert file.read() == data[760:]
    with store.open("empty") as file:
        assert file.read() == file.read(5) == b""


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
    for use in (store.get, store.open, store.exists, store.delete, lambda key: store.put(key, b"x")):
        with pytest.raises(StoreError, match="no object key"):
            use(key)


@pytest.mark.parametrize("prefix", ["..", "../", "a/../..", "/", "/etc/"])
def test_prefixes_that_leave_the_store(store: ObjectStore, prefix: str) -> None:
    for use in (store.list, store.sizes):
        with pytest.raises(StoreError, match="no prefix"):
            use(prefix)


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
    for name, value in aws(s3_url).items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="usual")
    store = open_store("s3://usual/some/prefix/")
    store.put("a", b"1")
    assert client.get_object(Bucket="usual", Key="some/prefix/a")["Body"].read() == b"1"
    assert store.url == "s3://usual/some/prefix"


def test_a_bucket_that_is_not_there_is_a_store_error(s3: S3Client) -> None:
    store = S3Store(s3, "nowhere")
    reads = (store.get, store.open, store.exists, store.list, store.sizes, store.delete)
    for use in (*reads, lambda key: store.put(key, b"")):
        with pytest.raises(StoreError, match=r"s3://nowhere: .*check VQI_ARTIFACTS"):
            use("a")


def test_a_server_that_does_not_answer_is_a_store_error() -> None:
    store = S3Store(connect("http://127.0.0.1:9"), "bucket")  # the discard port: nobody listens
    with pytest.raises(StoreError, match="check VQI_ARTIFACTS"):
        store.get("a")
