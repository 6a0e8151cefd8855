"""The image cache: what the network sees of each image, decoded once and kept in the object store.

    cache/<preprocessing digest>/<day of capture>.parquet      one row per image

A day that has all its images is left alone; one that misses some gets those and is written anew. An
image that cannot be read is told with the reason and tried again next time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import simplejpeg

from inspection.dataset import Sample, by_day
from inspection.errors import ImageError, NotAnImageError
from inspection.imaging import Pixels, Preprocessing, Window, decode, inspect_header, load_frame
from inspection.progress import report
from inspection.store import ObjectStore

QUALITY = 95

SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("sha256", pa.string()),
        ("frame", pa.binary()),
        ("window", pa.list_(pa.float64(), 4)),
        ("original_width", pa.int32()),
        ("original_height", pa.int32()),
        ("part_found", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class CachedImage:
    """One row of the cache.

    Attributes:
        sha256: of the original file.
        frame: JPEG of what the network sees.
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
        """Decodes the frame: uint8 RGB, [H, W, 3] of the preprocessing."""
        return decode(self.frame, inspect_header(self.frame))

    @property
    def place(self) -> Window:
        """The window under its names."""
        return Window(*self.window)


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
        digest: of the preprocessing; names the cache.
        images: in the cache now, of those asked for.
        added: decoded in this round.
        shards: written in this round.
        hashes: SHA-256 of the original file by image id, of `images`.
    """

    digest: str
    images: int
    added: int
    shards: int
    unreadable: tuple[Unreadable, ...]
    hashes: Mapping[str, str]


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


def build_cache(
    store: ObjectStore, samples: Iterable[Sample], preprocessing: Preprocessing, image_root: Path
) -> CacheReport:
    """Brings the cache up to date with the samples.

    Args:
        store: keeps the shards.
        samples: images that shall be in the cache.
        preprocessing: how they are seen; another one is another cache.
        image_root: folder of the originals.
    """
    days = by_day(samples)
    total = sum(len(day) for day in days.values())
    images = added = shards = 0
    unreadable: list[Unreadable] = []
    hashes: dict[str, str] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for day, wanted in days.items():
            kept = _read_shard(store, _key(preprocessing, day))
            missing = [sample for sample in wanted if sample.image_id not in kept]
            for result in pool.map(lambda s: _load(s, preprocessing, image_root), missing):
                if isinstance(result, Unreadable):
                    unreadable.append(result)
                else:
                    kept[result.image_id] = result
                    added += 1
            if any(sample.image_id in kept for sample in missing):
                _write_shard(store, _key(preprocessing, day), kept.values())
                shards += 1
            hashes |= {s.image_id: kept[s.image_id].sha256 for s in wanted if s.image_id in kept}
            images += len(wanted)
            report("image cache", images, total, f"{len(unreadable)} unreadable")
    return CacheReport(preprocessing.digest, len(hashes), added, shards, tuple(unreadable), hashes)


def read_cache(
    store: ObjectStore, samples: Iterable[Sample], preprocessing: Preprocessing
) -> dict[str, CachedImage]:
    """Returns the cached images of the samples by image id; those not in the cache are left out."""
    found: dict[str, CachedImage] = {}
    for day, wanted in by_day(samples).items():
        found |= read_day(store, day, [sample.image_id for sample in wanted], preprocessing)
    return found


def read_day(
    store: ObjectStore, day: str, image_ids: Iterable[str], preprocessing: Preprocessing
) -> dict[str, CachedImage]:
    """Returns the cached images of one day, ``YYYY-MM-DD``; those not in the cache are left out."""
    shard = _read_shard(store, _key(preprocessing, day))
    return {image_id: shard[image_id] for image_id in image_ids if image_id in shard}


def cached_hashes(
    store: ObjectStore, samples: Iterable[Sample], preprocessing: Preprocessing
) -> dict[str, str]:
    """Returns the SHA-256 of the original file by image id, of those samples that are in the cache."""
    found: dict[str, str] = {}
    for day, wanted in by_day(samples).items():
        key = _key(preprocessing, day)
        if store.exists(key):
            table = pq.read_table(BytesIO(store.get(key)), columns=["image_id", "sha256"])
            hashes = dict(zip(*(column.to_pylist() for column in table.columns), strict=True))
            found |= {s.image_id: hashes[s.image_id] for s in wanted if s.image_id in hashes}
    return found


def encode_frame(pixels: Pixels) -> bytes:
    """Encodes a frame for the cache: JPEG of high quality with full colour resolution."""
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=QUALITY, colorspace="RGB", colorsubsampling="444"
    )
    return encoded


def _load(sample: Sample, preprocessing: Preprocessing, root: Path) -> CachedImage | Unreadable:
    try:
        data = read_original(root, sample.image_path)
        frame = load_frame(data, preprocessing)
    except ImageError as error:
        return Unreadable(sample.image_id, sample.image_path, str(error))
    return CachedImage(
        image_id=sample.image_id,
        sha256=hashlib.sha256(data).hexdigest(),
        frame=encode_frame(frame.pixels),
        window=(*frame.window,),
        original_width=frame.original_width,
        original_height=frame.original_height,
        part_found=frame.part_found,
    )


def _key(preprocessing: Preprocessing, day: str) -> str:
    return f"cache/{preprocessing.digest}/{day}.parquet"


def _read_shard(store: ObjectStore, key: str) -> dict[str, CachedImage]:
    if not store.exists(key):
        return {}
    return {image.image_id: image for image in _rows(pq.read_table(BytesIO(store.get(key))))}


def _rows(table: pa.Table) -> Iterator[CachedImage]:
    for row in table.to_pylist():
        yield CachedImage(**{**row, "window": tuple(row["window"])})


def _write_shard(store: ObjectStore, key: str, images: Iterable[CachedImage]) -> None:
    ordered: Sequence[CachedImage] = sorted(images, key=lambda image: image.image_id)
    table = pa.Table.from_pylist([asdict(image) for image in ordered], SCHEMA)
    buffer = BytesIO()
    pq.write_table(table, buffer, compression="none")  # JPEG does not compress further
    store.put(key, buffer.getvalue())
