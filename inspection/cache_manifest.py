"""Where an image cache lies, and its manifest: what it holds, written after all that it names.

    cache/<digest>/manifest.json

A shard only ever grows. So a shard of another size than the manifest tells has been written since, by a
process that did not come to its end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict, ValidationError

from inspection.errors import StoreError
from inspection.imaging import Preprocessing
from inspection.shards import count_rows
from inspection.store import ObjectStore

NAME = "manifest.json"
SUFFIX = ".parquet"
CHUNK = 2**20
QUALITY = 90
"""Of the JPEG frames: 0.7 to 1.1 of 255 from the frame on average, a fifth less to decode than 95."""
LAYOUT = 2
"""Version of the columns; with others it is another cache."""
DECIDING = {"height", "width", "crop", "crop_height", "crop_width"}
"""What of a `Preprocessing` decides a frame's pixels; two normalisations share a cache."""


class ShardEntry(BaseModel):
    """One day's shard.

    Attributes:
        images: rows.
        size: in bytes.
        sha256: of the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    size: int
    sha256: str


class CacheManifest(BaseModel):
    """What a cache holds.

    Attributes:
        layout: version of the rows' columns.
        quality: of the JPEG frames.
        preprocessing: how the images are seen.
        images: in all shards.
        days: shards by day of capture, UTC, in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: int
    quality: int
    preprocessing: Preprocessing
    images: int
    days: Mapping[str, ShardEntry]


def cache_digest(preprocessing: Preprocessing) -> str:
    """Returns the name of a cache, 16 hex digits: of what decides the pixels and the columns of its rows."""
    basis = {"layout": LAYOUT, "quality": QUALITY, **preprocessing.model_dump(include=DECIDING)}
    return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()[:16]


def cache_folder(preprocessing: Preprocessing) -> str:
    """Returns where a cache lies in the store."""
    return f"cache/{cache_digest(preprocessing)}"


def read_manifest(store: ObjectStore, preprocessing: Preprocessing) -> CacheManifest | None:
    """Reads the manifest of a cache.

    Args:
        store: keeps the cache.
        preprocessing: that of the cache (`Profile.cached_preprocessing`).

    Returns:
        None when no building of the cache has come to its end yet.

    Raises:
        StoreError: it is damaged.
    """
    key = f"{cache_folder(preprocessing)}/{NAME}"
    if not store.exists(key):
        return None
    try:
        return CacheManifest.model_validate_json(store.get(key))
    except ValidationError as error:
        raise StoreError(f"{key!r} in {store.url} is damaged: delete it, and it is made anew") from error


def list_shards(store: ObjectStore, folder: str) -> dict[str, int]:
    """Returns the size in bytes of each day's shard, by day, sorted."""
    return {
        PurePosixPath(key).stem: size
        for key, size in store.sizes(f"{folder}/").items()
        if key.endswith(SUFFIX)
    }


def shard_key(folder: str, day: str) -> str:
    """Returns the key of a day's shard."""
    return f"{folder}/{day}{SUFFIX}"


def describe(images: int, data: bytes) -> ShardEntry:
    """Returns the entry of a shard that has just been made."""
    return ShardEntry(images=images, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def update_manifest(
    store: ObjectStore, preprocessing: Preprocessing, written: Mapping[str, ShardEntry]
) -> None:
    """Makes the manifest tell what stands in the store; the last thing that the building of a cache does.

    Args:
        store: keeps the cache.
        preprocessing: that of the cache.
        written: shards that have just been written, by day.

    Raises:
        StoreError: a shard or the old manifest is damaged.
    """
    folder, old = cache_folder(preprocessing), read_manifest(store, preprocessing)
    days: dict[str, ShardEntry] = {}
    for day, size in list_shards(store, folder).items():
        told = written.get(day) or (old.days.get(day) if old else None)
        days[day] = told if told and told.size == size else _examined(store, shard_key(folder, day))
    manifest = CacheManifest(
        layout=LAYOUT,
        quality=QUALITY,
        preprocessing=preprocessing,
        images=sum(entry.images for entry in days.values()),
        days=days,
    )
    if days and manifest != old:
        store.put(f"{folder}/{NAME}", manifest.model_dump_json(indent=2).encode())


def _examined(store: ObjectStore, key: str) -> ShardEntry:
    """Returns the entry of a shard that an earlier process wrote; reads all of it, a piece at a time."""
    digest, size = hashlib.sha256(), 0
    with store.open(key) as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
            size += len(piece)
    return ShardEntry(images=count_rows(store, key), size=size, sha256=digest.hexdigest())
