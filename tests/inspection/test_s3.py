"""S3 when it is busy, when the line is cut and when the process is killed: over its real protocol."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inspection.errors import StoreError
from inspection.s3 import PART
from inspection.store import S3Store, open_store
from resources.artifacts import Artifacts
from tests.s3 import Fault, Proxy, Request, aws, connect, proxy_before, s3_server

OLD, NEW = b"old" * 1000, os.urandom(1024) * (2 * PART // 1024) + b"the third part"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def proxy(server: str) -> Iterator[Proxy]:
    with proxy_before(server) as proxy:
        yield proxy


@pytest.fixture
def bucket(server: str, tmp_path: Path) -> str:
    name = tmp_path.name.replace("_", "-").lower()
    connect(server).create_bucket(Bucket=name)
    return name


def unfinished(server: str, bucket: str) -> int:
    """Returns the number of uploads of which S3 keeps parts."""
    return len(connect(server).list_multipart_uploads(Bucket=bucket).get("Uploads", []))


def second_part(request: Request) -> bool:
    return request.method == "PUT" and "partNumber=2" in request.path


def test_a_large_object_goes_in_parts(proxy: Proxy, server: str, bucket: str) -> None:
    store = S3Store(connect(proxy.url), bucket)
    store.put("small", bytes(PART - 1))
    assert [request.method for request in proxy.seen] == ["PUT"]
    store.put("large", NEW)
    parts = [request for request in proxy.seen if "partNumber=" in request.path]
    assert len(parts) == 3
    assert store.get("large") == NEW
    assert unfinished(server, bucket) == 0


def test_a_part_that_never_arrives_leaves_the_old_object_and_no_parts(
    proxy: Proxy, server: str, bucket: str
) -> None:
    store = S3Store(connect(proxy.url, attempts=2), bucket)
    store.put("model", OLD)
    proxy.fault = lambda request: "cut" if second_part(request) else None

    for key in ("model", "another"):
        with pytest.raises(StoreError, match="check VQI_ARTIFACTS"):
            store.put(key, NEW)

    assert sum(map(second_part, proxy.seen)) == 4  # each tried again once
    assert store.get("model") == OLD
    assert not store.exists("another")
    assert unfinished(server, bucket) == 0

    proxy.fault = lambda _: None
    store.put("model", NEW)
    assert store.get("model") == NEW


def test_a_part_that_is_cut_once_is_sent_again(proxy: Proxy, bucket: str) -> None:
    def once(request: Request) -> Fault | None:
        return "cut" if second_part(request) and sum(map(second_part, proxy.seen)) == 1 else None

    proxy.fault = once
    store = S3Store(connect(proxy.url, attempts=2), bucket)
    store.put("model", NEW)
    assert sum(map(second_part, proxy.seen)) == 2
    assert store.get("model") == NEW


def test_a_process_that_is_killed_in_the_middle_leaves_the_old_object(
    proxy: Proxy, server: str, bucket: str
) -> None:
    S3Store(connect(server), bucket).put("model", OLD)
    code = (
        "import os, sys; from inspection.store import open_store; "
        f"open_store(sys.argv[1]).put('model', os.urandom({2 * PART}))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, f"s3://{bucket}"], env=os.environ | aws(proxy.url)
    )

    def kill(request: Request) -> Fault | None:
        if not second_part(request):
            return None
        process.send_signal(signal.SIGKILL)
        return "cut"

    proxy.fault = kill
    assert process.wait(timeout=60) == -signal.SIGKILL
    store = S3Store(connect(server), bucket)
    assert store.get("model") == OLD
    assert store.list() == ["model"]
    assert unfinished(server, bucket) == 1

    store.put("another", NEW)  # this server tells of all uploads that they were begun in 2010
    assert unfinished(server, bucket) == 0
    store.put("model", NEW)
    assert store.get("model") == NEW


def test_an_upload_that_may_be_under_way_is_let_be(proxy: Proxy, server: str, bucket: str) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z").encode()
    proxy.edit = lambda body: body.replace(b"2010-11-10T20:48:33.000Z", now)
    store = S3Store(connect(proxy.url), bucket, "plant/north")
    client = connect(server)
    client.create_multipart_upload(Bucket=bucket, Key="plant/north/model")
    client.create_multipart_upload(Bucket=bucket, Key="plant/south/model")
    store.put("another", NEW)
    assert unfinished(server, bucket) == 2

    proxy.edit = bytes
    store.put("another", NEW)
    assert unfinished(server, bucket) == 1  # that of the other plant is none of ours


@pytest.mark.parametrize("made_by", ["open_store", "resource"])
def test_a_busy_server_is_asked_again(
    proxy: Proxy, bucket: str, monkeypatch: pytest.MonkeyPatch, made_by: str
) -> None:
    for name, value in aws(proxy.url).items():
        monkeypatch.setenv(name, value)
    store = {"open_store": open_store, "resource": Artifacts().open}[made_by](f"s3://{bucket}")
    refusals = 0

    def busy(_: Request) -> Fault | None:
        nonlocal refusals
        refusals += 1
        return "busy" if refusals in {1, 2, 4} else None  # the first use twice, the second once

    proxy.fault = busy
    store.put("model", OLD)
    assert store.get("model") == OLD
    assert [request.method for request in proxy.seen] == ["PUT"] * 3 + ["GET"] * 2


def test_a_server_that_stays_busy_is_an_error(proxy: Proxy, bucket: str) -> None:
    proxy.fault = lambda _: "busy"
    store = S3Store(connect(proxy.url, attempts=2), bucket)
    with pytest.raises(StoreError, match="SlowDown"):
        store.put("model", OLD)
    assert len(proxy.seen) == 2


def test_only_pieces_are_fetched(proxy: Proxy, bucket: str) -> None:
    store = S3Store(connect(proxy.url), bucket)
    store.put("model", NEW)
    before = proxy.received
    with store.open("model") as file:
        file.seek(-14, os.SEEK_END)
        assert file.read() == b"the third part"
    assert proxy.received - before == 14


def test_pieces_of_two_versions_are_an_error(proxy: Proxy, bucket: str) -> None:
    store = S3Store(connect(proxy.url), bucket)
    store.put("model", OLD)
    with store.open("model") as file:
        assert file.read(3) == b"old"
        store.put("model", NEW)
        with pytest.raises(StoreError, match="check VQI_ARTIFACTS"):
            file.read(3)
