"""The manifest is written last, and a process that was killed is taken over from where it was."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from inspection.cache import build_cache
from inspection.cache_manifest import CacheManifest, cache_folder, read_manifest
from inspection.dataset import Sample
from inspection.errors import StoreError
from inspection.progress import listening
from inspection.store import LocalStore, ObjectStore, S3Store
from tests.inspection.learning.toy import BEGIN, FRAME, picture, sample, save_picture
from tests.s3 import Fault, Request, aws, connect, proxy_before, s3_server
from vqi.supervisor import wait_until

FOLDER = cache_folder(FRAME)
DAYS = ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"]
BUILD = """
import sys
from pathlib import Path
from inspection.cache import build_cache
from inspection.store import open_store
from tests.inspection.learning.toy import FRAME
from tests.inspection.test_cache_manifest import four_days
build_cache(open_store(sys.argv[1]), four_days(), FRAME, Path(sys.argv[2]))
"""


def four_days() -> list[Sample]:
    """Three images on each of four days."""
    return [
        sample(f"{day}-{name}", captured_at=BEGIN + timedelta(days=day)) for day in range(4) for name in "abc"
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, image in enumerate(four_days()):
        save_picture(tmp_path / "images" / image.image_path, picture((), seed=number)[0])
    return tmp_path / "images"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def whole(tmp_path: Path, root: Path) -> dict[str, bytes]:
    """What a building that nobody interrupts leaves, by key."""
    store = LocalStore(tmp_path / "whole")
    assert build_cache(store, four_days(), FRAME, root).added == 12
    return objects(store)


def objects(store: ObjectStore) -> dict[str, bytes]:
    return {key: store.get(key) for key in store.list()}


def building(store: str, root: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Starts a process of its own that builds the cache."""
    command = [sys.executable, "-c", BUILD, store, str(root)]
    return subprocess.Popen(command, env=os.environ | environment, cwd=Path(__file__).parents[2])


def manifest(store: ObjectStore) -> CacheManifest:
    found = read_manifest(store, FRAME)
    assert found is not None
    return found


def test_it_tells_what_stands_in_the_store(store: LocalStore, root: Path) -> None:
    assert read_manifest(store, FRAME) is None
    build_cache(store, four_days(), FRAME, root)
    found = manifest(store)
    assert (found.preprocessing, found.quality, found.images) == (FRAME, 90, 12)
    assert [*found.days] == DAYS
    for day, entry in found.days.items():
        data = store.get(f"{FOLDER}/{day}.parquet")
        assert entry.images == pq.read_metadata(BytesIO(data)).num_rows == 3
        assert (entry.size, entry.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_days_that_are_not_asked_for_stay_in_it(store: LocalStore, root: Path) -> None:
    samples = four_days()
    build_cache(store, samples[:4], FRAME, root)
    first = manifest(store)
    build_cache(store, samples[4:9], FRAME, root)
    second = manifest(store)
    assert [entry.images for entry in first.days.values()] == [3, 1]
    assert [entry.images for entry in second.days.values()] == [3, 3, 3]
    assert second.days[DAYS[0]] == first.days[DAYS[0]]


def test_nothing_new_leaves_it_alone(store: LocalStore, root: Path) -> None:
    build_cache(store, four_days(), FRAME, root)
    file = store.root / FOLDER / "manifest.json"
    before = file.stat()
    build_cache(store, four_days(), FRAME, root)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_shard_that_was_deleted_is_made_anew(
    store: LocalStore, root: Path, whole: dict[str, bytes]
) -> None:
    build_cache(store, four_days(), FRAME, root)
    store.delete(f"{FOLDER}/{DAYS[1]}.parquet")
    assert build_cache(store, four_days(), FRAME, root).added == 3
    assert objects(store) == whole


def test_a_damaged_manifest_is_told(store: LocalStore, root: Path) -> None:
    build_cache(store, four_days(), FRAME, root)
    store.put(f"{FOLDER}/manifest.json", b"{}")
    with pytest.raises(StoreError, match=r"manifest\.json' in .* is damaged: delete it"):
        build_cache(store, four_days(), FRAME, root)


def test_a_process_killed_in_the_middle_of_a_day(
    store: LocalStore, root: Path, whole: dict[str, bytes]
) -> None:
    blocking = root / four_days()[7].image_path
    sound = blocking.read_bytes()
    blocking.unlink()
    os.mkfifo(blocking)  # its reader waits: the process is in the third day, and stays there

    process, ends = building(str(store.root), root), []

    def reading() -> bool:
        with suppress(OSError):  # nobody has opened the other end
            ends.append(os.open(blocking, os.O_WRONLY | os.O_NONBLOCK))
        return bool(ends)

    wait_until(reading, 60, "the cache is not built")
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    os.close(ends[0])
    assert store.list() == [f"{FOLDER}/{day}.parquet" for day in DAYS[:2]]

    blocking.unlink()
    blocking.write_bytes(sound)
    for image in four_days()[:6]:
        (root / image.image_path).unlink()  # what stands in a finished shard is not looked at again
    found = build_cache(store, four_days(), FRAME, root)

    assert (found.images, found.added, found.shards, found.unreadable) == (12, 6, 2, ())
    assert objects(store) == whole


def test_a_shard_written_after_the_manifest_is_told_by_the_next(
    store: LocalStore, root: Path, whole: dict[str, bytes]
) -> None:
    class Killed(BaseException):
        pass

    def kill(task: str, done: int, total: int, note: str) -> None:
        if done == 9:
            raise Killed

    partly = [image for image in four_days() if not image.image_id.endswith("c")]
    build_cache(store, partly, FRAME, root)
    before = manifest(store)
    with listening(kill), pytest.raises(Killed):
        build_cache(store, four_days(), FRAME, root)  # three days are whole now, the manifest is of before
    assert manifest(store) == before

    assert build_cache(store, four_days(), FRAME, root).added == 1
    assert objects(store) == whole


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


def test_a_process_killed_before_the_manifest_is_written_to_s3(
    server: str, root: Path, whole: dict[str, bytes]
) -> None:
    client = connect(server)
    client.create_bucket(Bucket="cache")
    store = S3Store(client, "cache", "plant")
    with proxy_before(server) as proxy:
        process = building("s3://cache/plant", root, **aws(proxy.url))

        def kill(request: Request) -> Fault | None:
            if not (request.method == "PUT" and request.path.endswith("manifest.json")):
                return None
            process.send_signal(signal.SIGKILL)
            return "cut"

        proxy.fault = kill
        assert process.wait(timeout=60) == -signal.SIGKILL
    assert store.list() == [f"{FOLDER}/{day}.parquet" for day in DAYS]

    found = build_cache(store, four_days(), FRAME, root)

    assert (found.images, found.added, found.shards) == (12, 0, 0)
    assert objects(store) == whole
