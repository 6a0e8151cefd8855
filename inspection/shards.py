"""Shards: rows about images as one Parquet file in the object store, of which only what is asked for is read.

Rows stand in the order of their `image_id`, so equal rows make equal bytes.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from io import BytesIO
from itertools import islice
from operator import itemgetter
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from inspection.errors import StoreError
from inspection.store import ObjectStore

ID = "image_id"
GROUP = 256
"""Rows that are read and written at a time: of cached frames some 20 MB."""


def encode_shard(schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Returns the file of rows that come in the order of their `image_id`."""
    buffer, left = BytesIO(), iter(rows)
    options = {
        "compression": "none",  # a JPEG does not compress further, and no two rows have one in common
        "use_dictionary": False,
        "write_statistics": False,
        "write_page_checksum": True,
    }
    with pq.ParquetWriter(buffer, schema, **options) as writer:
        while group := list(islice(left, GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema))
    return buffer.getvalue()


def extended_shard(
    store: ObjectStore, key: str | None, schema: pa.Schema, rows: Iterable[Mapping[str, Any]]
) -> bytes:
    """Returns the file of a shard with rows added.

    Args:
        store: keeps the shard.
        key: of it; None when there is none yet.
        schema: of all rows.
        rows: of images that are not in the shard, in order.

    Raises:
        StoreError: the shard is damaged.
    """
    by_id = itemgetter(ID)
    kept = read_rows(store, key, schema.names) if key else iter(())
    return encode_shard(schema, heapq.merge(rows, kept, key=by_id))


def read_rows(
    store: ObjectStore, key: str, columns: Sequence[str], wanted: AbstractSet[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yields rows of a shard in order, never more than `GROUP` of them in memory.

    Args:
        store: keeps it.
        key: of the shard.
        columns: which to read, `image_id` among them; what stands in others is not fetched.
        wanted: ids of the images to read; None reads all.

    Raises:
        StoreError: there is no such shard, or it is damaged.
    """
    with _opened(store, key) as file:
        absent = [name for name in columns if name not in file.schema_arrow.names]
        if absent:
            raise StoreError(_damaged(store, key, f"it has no {', '.join(absent)}"))
        for group in range(file.num_row_groups):
            if wanted is not None and wanted.isdisjoint(_ids(file, group)):
                continue
            table = file.read_row_group(group, [*columns])
            if wanted is not None:
                table = table.filter(pa.array([name in wanted for name in table[ID].to_pylist()], pa.bool_()))
            yield from table.to_pylist()


def count_rows(store: ObjectStore, key: str) -> int:
    """Returns the number of rows of a shard; raises as `read_rows`."""
    with _opened(store, key) as file:
        return int(file.metadata.num_rows)


def _ids(file: pq.ParquetFile, group: int) -> list[str]:
    names: list[str] = file.read_row_group(group, [ID])[ID].to_pylist()
    return names


@contextmanager
def _opened(store: ObjectStore, key: str) -> Iterator[pq.ParquetFile]:
    with store.open(key) as source:
        try:
            with pq.ParquetFile(source, page_checksum_verification=True) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise StoreError(_damaged(store, key, reason)) from error


def _damaged(store: ObjectStore, key: str, reason: str) -> str:
    return f"{key!r} in {store.url} is damaged: {reason}; delete it, and it is made anew"
