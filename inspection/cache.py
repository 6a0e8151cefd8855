"""The image cache: what the network sees of each image, decoded once and kept in the object store.

    cache/<digest>/<day of capture>.parquet      one row per image
    cache/<digest>/manifest.json                 what the shards hold; written last

A day that has all its images is left alone; one that misses some gets those and is written anew. An
image that cannot be read is told with the reason and tried again next time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import simplejpeg

from inspection.cache_manifest import (
    QUALITY,
    ShardEntry,
    cache_folder,
    describe,
    list_shards,
    shard_key,
    update_manifest,
)
from inspection.dataset import Sample, by_day
from inspection.errors import ImageError, NotAnImageError
from inspection.image_quality import ImageQuality, measure_quality
from inspection.imaging import Pixels, Preprocessing, Window, decode, inspect_header, load_frame
from inspection.progress import report
from inspection.shards import extended_shard, read_rows
from inspection.store import ObjectStore

AHEAD = 64
"""Images that are decoded ahead of the shard's writing."""

# With other columns, `cache_manifest.LAYOUT` must be another.
SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("sha256", pa.string()),
        ("file_bytes", pa.int64()),
        ("sharpness", pa.float64()),
        ("brightness", pa.float64()),
        ("black_share", pa.float64()),
        ("white_share", pa.float64()),
        ("window", pa.list_(pa.float64(), 4)),
        ("original_width", pa.int32()),
        ("original_height", pa.int32()),
        ("part_found", pa.bool_()),
        ("frame", pa.binary()),  # last: what is small lies together and is fetched together
    ]
)


@dataclass(frozen=True)
class CachedImage:
    """One row of the cache.

    Attributes:
        sha256: of the original file.
        frame: JPEG of what the network sees, or more: in the cache's size.
        window: where that lies, (x, y, width, height) in pixels of the original.
    """

    image_id: str
    sha256: str
    frame: bytes
    window: tuple[float, float, float, float]
    original_width: int
    original_height: int
    part_found: bool

    def pixels(self) -> Pixels:
        """Decodes the frame: uint8 RGB, [H, W, 3] of the cache's preprocessing; `imaging.resized` fits it."""
        return decode(self.frame, inspect_header(self.frame))

    @property
    def place(self) -> Window:
        """The window under its names."""
        return Window(*self.window)


IMAGE_COLUMNS = tuple(field.name for field in fields(CachedImage))


@dataclass(frozen=True)
class FileFacts:
    """What reading an image told beside what it shows.

    Attributes:
        sha256: of the original file.
        file_bytes: its size.
        quality: of the frame in the cache's size, before it became a JPEG.
    """

    sha256: str
    file_bytes: int
    quality: ImageQuality


FACT_COLUMNS = ("image_id", "sha256", "file_bytes", *(field.name for field in fields(ImageQuality)))


@dataclass(frozen=True)
class Unreadable:
    """An image that is missing or damaged."""

    image_id: str
    image_path: str
    reason: str


@dataclass(frozen=True)
class CacheReport:
    """What one round did.

    Attributes:
        folder: of the cache.
        images: in the cache now, of those asked for.
        added: decoded in this round.
        shards: written in this round.
        files: what reading them told, by image id, of `images`.
    """

    folder: str
    images: int
    added: int
    shards: int
    unreadable: tuple[Unreadable, ...]
    files: Mapping[str, FileFacts]


@dataclass(frozen=True)
class _Row:
    """One row of a shard."""

    image: CachedImage
    facts: FileFacts

    def as_dict(self) -> dict[str, Any]:
        """Returns the values by column."""
        facts = {"file_bytes": self.facts.file_bytes, **vars(self.facts.quality)}
        return {**vars(self.image), **facts}


def read_original(root: Path, image_path: str) -> bytes:
    """Reads an original.

    Args:
        root: the image root.
        image_path: relative to it.

    Raises:
        NotAnImageError: there is no such file below the root, or it cannot be read.
    """
    try:
        path = (root / image_path).resolve()
        if not path.is_relative_to(root.resolve()):
            raise NotAnImageError("the path leads out of the image root")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotAnImageError("there is no such file") from error
    except OSError as error:
        raise NotAnImageError(f"the file cannot be read: {error.strerror}") from error
    except RuntimeError as error:  # pathlib's word for links in a circle
        raise NotAnImageError("the path is a circle of links") from error


Day = tuple[str, dict[str, str]]
"""A day, ``YYYY-MM-DD``, and the SHA-256 of the original file of each wanted image in its shard, by id."""


def build_cache(
    store: ObjectStore, samples: Iterable[Sample], preprocessing: Preprocessing, image_root: Path
) -> CacheReport:
    """Brings the cache up to date with the samples: `build_days` to its end; its arguments, its errors."""
    days = build_days(store, samples, preprocessing, image_root)
    while True:
        try:
            next(days)
        except StopIteration as end:
            found: CacheReport = end.value
            return found


def build_days(
    store: ObjectStore, samples: Iterable[Sample], preprocessing: Preprocessing, image_root: Path
) -> Generator[Day, None, CacheReport]:
    """Brings the cache up to date with the samples, and yields each day once its shard is there.

    A day's shard is written whole or not at all, and the manifest after all shards: who was killed goes on
    where it was, and no image that stands in a shard is decoded again.

    Args:
        store: keeps the shards.
        samples: images that shall be in the cache.
        preprocessing: how they are kept (`Profile.cached_preprocessing`); another one is another cache.
        image_root: folder of the originals.

    Raises:
        StoreError: the store refuses, or what stands in it is damaged.
    """
    folder, days = cache_folder(preprocessing), by_day(samples)
    present = list_shards(store, folder)
    total = sum(len(day) for day in days.values())
    images = added = 0
    written: dict[str, ShardEntry] = {}
    unreadable: list[Unreadable] = []
    files: dict[str, FileFacts] = {}
    load = partial(_load, preprocessing=preprocessing, root=image_root)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for day, wanted in days.items():
            key = shard_key(folder, day) if day in present else None
            known = _facts(store, key) if key else {}
            before = len(known)
            missing = {sample.image_id: sample for sample in wanted if sample.image_id not in known}
            rows = _loaded(pool, load, [missing[name] for name in sorted(missing)], known, unreadable)
            if first := next(rows, None):  # with none to add, the shard need not be read
                data = extended_shard(store, key, SCHEMA, chain([first], rows))
                store.put(shard_key(folder, day), data)
                written[day] = describe(len(known), data)
            added += len(known) - before
            found = {s.image_id: known[s.image_id] for s in wanted if s.image_id in known}
            files |= found
            images += len(wanted)
            report("image cache", images, total, f"{len(unreadable)} unreadable")
            yield day, {image_id: facts.sha256 for image_id, facts in found.items()}
    update_manifest(store, preprocessing, written)
    return CacheReport(folder, len(files), added, len(written), tuple(unreadable), files)


def read_cache(
    store: ObjectStore, samples: Iterable[Sample], preprocessing: Preprocessing
) -> dict[str, CachedImage]:
    """Returns the cached images of the samples by image id; those not in the cache are left out.

    Args:
        store: keeps the cache.
        samples: which images.
        preprocessing: that of the cache (`Profile.cached_preprocessing`).

    Raises:
        StoreError: a shard is damaged.
    """
    return {image.image_id: image for image in stream_cache(store, samples, preprocessing)}


def stream_cache(
    store: ObjectStore, samples: Iterable[Sample], preprocessing: Preprocessing
) -> Iterator[CachedImage]:
    """Yields what `read_cache` returns, by day and image id, with a few hundred frames in memory at most."""
    folder = cache_folder(preprocessing)
    present = list_shards(store, folder)
    for day, wanted in by_day(samples).items():
        if day in present:
            yield from read_day(store, day, {sample.image_id for sample in wanted}, preprocessing)


def read_day(
    store: ObjectStore, day: str, image_ids: AbstractSet[str], preprocessing: Preprocessing
) -> Iterator[CachedImage]:
    """Yields the cached images of a day, ``YYYY-MM-DD``, by image id; those not in its shard are left out.

    Raises:
        StoreError: there is no such shard, or it is damaged.
    """
    for row in read_rows(store, shard_key(cache_folder(preprocessing), day), IMAGE_COLUMNS, image_ids):
        yield CachedImage(**{**row, "window": tuple(row["window"])})


def cached_days(store: ObjectStore, samples: Iterable[Sample], preprocessing: Preprocessing) -> Iterator[Day]:
    """Yields the days of the samples, with what the cache has of them.

    Raises:
        StoreError: a shard is damaged.
    """
    folder = cache_folder(preprocessing)
    present = list_shards(store, folder)
    for day, wanted in by_day(samples).items():
        hashes: dict[str, str] = {}
        if day in present:
            names = {sample.image_id for sample in wanted}
            rows = read_rows(store, shard_key(folder, day), ("image_id", "sha256"), names)
            hashes = {row["image_id"]: row["sha256"] for row in rows}
        yield day, hashes


def encode_frame(pixels: Pixels) -> bytes:
    """Encodes a frame for the cache: JPEG of high quality with full colour resolution."""
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=QUALITY, colorspace="RGB", colorsubsampling="444"
    )
    return encoded


def _load(sample: Sample, preprocessing: Preprocessing, root: Path) -> _Row | Unreadable:
    try:
        data = read_original(root, sample.image_path)
        frame = load_frame(data, preprocessing)
    except ImageError as error:
        return Unreadable(sample.image_id, sample.image_path, str(error))
    sha256 = hashlib.sha256(data).hexdigest()
    image = CachedImage(
        image_id=sample.image_id,
        sha256=sha256,
        frame=encode_frame(frame.pixels),
        window=(*frame.window,),
        original_width=frame.original_width,
        original_height=frame.original_height,
        part_found=frame.part_found,
    )
    return _Row(image, FileFacts(sha256, len(data), measure_quality(frame.pixels)))


def _loaded(
    pool: Executor,
    load: Callable[[Sample], _Row | Unreadable],
    samples: Sequence[Sample],
    facts: dict[str, FileFacts],
    unreadable: list[Unreadable],
) -> Iterator[dict[str, Any]]:
    """Yields rows of what can be read, in order, a few ahead of who takes them; notes facts and failures."""
    for start in range(0, len(samples), AHEAD):
        for result in pool.map(load, samples[start : start + AHEAD]):
            if isinstance(result, Unreadable):
                unreadable.append(result)
            else:
                facts[result.image.image_id] = result.facts
                yield result.as_dict()


def _facts(store: ObjectStore, key: str) -> dict[str, FileFacts]:
    found: dict[str, FileFacts] = {}
    for row in read_rows(store, key, FACT_COLUMNS):
        name, sha256, size = row.pop("image_id"), row.pop("sha256"), row.pop("file_bytes")
        found[name] = FileFacts(sha256, size, ImageQuality(**row))
    return found
