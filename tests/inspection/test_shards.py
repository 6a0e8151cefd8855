"""Shards: rows come back as they were, damage is told, and only what is asked for is read."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inspection.errors import StoreError
from inspection.shards import GROUP, count_rows, encode_shard, extended_shard, read_rows
from inspection.store import LocalStore, S3Store
from tests.s3 import Proxy, connect, proxy_before, s3_server

SCHEMA = pa.schema([("image_id", pa.string()), ("size", pa.int64()), ("frame", pa.binary())])
COLUMNS = SCHEMA.names
KEY = "cache/day.parquet"


def rows(count: int, step: int = 1, frame: int = 10) -> list[dict[str, Any]]:
    """Returns rows with frames that do not compress."""
    rng = np.random.default_rng(0)
    return [
        {"image_id": f"{n:05}", "size": n, "frame": rng.bytes(frame)} for n in range(0, count * step, step)
    ]


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.mark.parametrize("count", [0, 1, GROUP, GROUP + 1, 3 * GROUP + 7])
def test_rows_come_back_in_order(store: LocalStore, count: int) -> None:
    store.put(KEY, encode_shard(SCHEMA, rows(count)))
    assert [*read_rows(store, KEY, COLUMNS)] == rows(count)
    assert count_rows(store, KEY) == count
    assert pq.read_table(BytesIO(store.get(KEY))).to_pylist() == rows(count)


def test_columns_and_images_are_chosen(store: LocalStore) -> None:
    store.put(KEY, encode_shard(SCHEMA, rows(2 * GROUP)))
    wanted = {"00003", "00300", "99999"}
    found = [*read_rows(store, KEY, ["image_id", "size"], wanted)]
    assert found == [{"image_id": "00003", "size": 3}, {"image_id": "00300", "size": 300}]
    assert [*read_rows(store, KEY, COLUMNS, set())] == []


def test_an_extended_shard_is_as_if_written_at_once(store: LocalStore) -> None:
    everything = rows(2 * GROUP + 5)
    first, second = everything[::3], [row for row in everything if row["size"] % 3]
    store.put(KEY, extended_shard(store, None, SCHEMA, iter(first)))
    data = extended_shard(store, KEY, SCHEMA, iter(second))
    assert data == encode_shard(SCHEMA, everything)


def test_a_shard_that_is_not_there(store: LocalStore) -> None:
    with pytest.raises(StoreError, match="no object"):
        [*read_rows(store, KEY, COLUMNS)]


@pytest.mark.parametrize("damage", [slice(0, 100), slice(0, 0), slice(50, None), slice(0, -1)])
def test_damage_is_told_with_what_to_do(store: LocalStore, damage: slice) -> None:
    store.put(KEY, encode_shard(SCHEMA, rows(9))[damage])
    with pytest.raises(StoreError, match=r"'cache/day\.parquet' in .* is damaged: .*delete it"):
        [*read_rows(store, KEY, COLUMNS)]


def test_one_bit_of_a_frame_is_damage(store: LocalStore) -> None:
    data = bytearray(encode_shard(SCHEMA, rows(9, frame=1000)))
    data[data.index(rows(9, frame=1000)[4]["frame"]) + 500] ^= 1
    store.put(KEY, bytes(data))
    assert len([*read_rows(store, KEY, ["image_id", "size"])]) == 9
    with pytest.raises(StoreError, match=r"is damaged: .*CRC"):
        [*read_rows(store, KEY, COLUMNS)]


def test_a_column_that_is_not_there_is_no_quiet_nothing(store: LocalStore) -> None:
    store.put(KEY, encode_shard(SCHEMA, rows(9)))
    with pytest.raises(StoreError, match="it has no sharpness; delete it"):
        [*read_rows(store, KEY, ["image_id", "sharpness"])]


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with s3_server() as server, proxy_before(server) as proxy:
        yield proxy


def test_small_columns_are_read_without_the_frames(proxy: Proxy) -> None:
    client = connect(proxy.url)
    client.create_bucket(Bucket="shards")
    store = S3Store(client, "shards")
    stored = encode_shard(SCHEMA, rows(3 * GROUP, frame=10_000))
    store.put(KEY, stored)

    def fetched(columns: list[str], wanted: set[str] | None = None) -> float:
        before = proxy.received
        assert [*read_rows(store, KEY, columns, wanted)]
        return (proxy.received - before) / len(stored)

    assert fetched(["image_id", "size"]) < 0.03
    assert 0.3 < fetched(COLUMNS, {"00003"}) < 0.4  # one group of three
    assert 0.9 < fetched(COLUMNS) < 1.1


def test_a_store_that_refuses_in_the_middle_says_why(proxy: Proxy) -> None:
    client = connect(proxy.url)
    client.create_bucket(Bucket="refusing")
    store = S3Store(client, "refusing")
    store.put(KEY, encode_shard(SCHEMA, rows(3 * GROUP, frame=1000)))
    found = read_rows(store, KEY, COLUMNS)
    next(found)
    proxy.fault = lambda _: "busy"
    with pytest.raises(StoreError, match="SlowDown"):
        list(found)
    proxy.fault = lambda _: None
