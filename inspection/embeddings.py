"""Embeddings of images in the object store: one vector of a frozen network per image, by day of capture.

    embeddings/<digest>/<day>.parquet      image_id, sha256 of the original file, embedding: float32 [D]
    embeddings/<digest>/manifest.json      written last: what made them, and which shards hold

A day that has all its images is left alone; one that misses some gets those and is written anew, and so is
what was made by other weights. Until the manifest is there, or while it tells of other shards than those
that are there, a run has not ended, and nothing is read.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from inspection.cache import Day
from inspection.cache_manifest import cache_digest
from inspection.dataset import Sample, by_day
from inspection.errors import InsufficientDataError, StoreError
from inspection.profiles import Profile
from inspection.progress import report
from inspection.store import ObjectStore

Vectors = NDArray[np.float32]

VERSION = 1
"""Of the layout and of the way from a cached frame to a vector: another one is another folder."""
WEIGHTS = b"weights_sha256"
"""Key in the metadata of a shard."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Backbone(_Record):
    """The network that made the embeddings.

    Attributes:
        weights: where they come from, for a person: "random, seed 0".
        weights_sha256: of all of them; a shard that others made is made again.
        height: rows that it sees; likewise `width`.
        dimensions: length of a vector, D.
    """

    architecture: str
    weights: str
    weights_sha256: str
    height: int
    width: int
    dimensions: int


class Shard(_Record):
    """One day: how many images, and the SHA-256 of the file."""

    images: int
    sha256: str


class Manifest(_Record):
    """What made the embeddings, and which shards hold.

    Attributes:
        cache: digest of the image cache that they were made from.
        images: in all days.
    """

    backbone: Backbone
    cache: str
    images: int
    days: dict[str, Shard]


@dataclass(frozen=True)
class Embeddings:
    """Vectors of images.

    Attributes:
        image_ids: N of them.
        vectors: float32 [N, D].
    """

    image_ids: tuple[str, ...]
    vectors: Vectors


class Order(NamedTuple):
    """Images of one day that miss their vector, sorted."""

    day: str
    image_ids: tuple[str, ...]


class Row(NamedTuple):
    """One image embedded: day of capture, id, SHA-256 of its original file, float32 [D]."""

    day: str
    image_id: str
    sha256: str
    vector: Vectors


Embed = Callable[[Iterable[Order]], Iterable[Row]]
"""Makes the vectors of orders, in their order; may take up orders ahead of what it has made."""


@dataclass(frozen=True)
class EmbeddingReport:
    """What one round did.

    Attributes:
        digest: names the embeddings.
        images: that have a vector now, of those asked for.
        added: embedded in this round.
        shards: written in this round.
        seconds: that it took.
    """

    digest: str
    images: int
    added: int
    shards: int
    seconds: float

    @property
    def images_per_second(self) -> float | None:
        """How fast; None when nothing was to be done."""
        return self.added / self.seconds if self.added else None


def embedding_digest(profile: Profile) -> str:
    """Returns the name of the embeddings of a profile: 16 hex digits, of the network and the image cache."""
    # How many images a pass takes, and where it runs, does not change what comes out.
    network = profile.embedding.model_dump_json(exclude={"batch_size", "device", "weights_file"})
    text = f"{VERSION} {network} {cache_digest(profile.cached_preprocessing)}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def update_embeddings(
    store: ObjectStore,
    days: Iterable[Day],
    images: int,
    digest: str,
    backbone: Backbone,
    cache: str,
    embed: Embed,
) -> EmbeddingReport:
    """Brings the embeddings up to date with the image cache.

    Days are taken up as `embed` asks for them: the cache may be built meanwhile.

    Args:
        store: takes the shards.
        days: what is in the cache, of the images that shall have a vector.
        images: how many shall have one, for who watches.
        digest: names the embeddings.
        backbone: what `embed` runs.
        cache: digest of the image cache.
        embed: makes what is missing.

    Raises:
        StoreError: an image left the cache meanwhile.
    """
    begin, added, there_already, written = perf_counter(), 0, 0, 0
    shards = _earlier(store, digest, backbone)
    waiting: deque[Order] = deque()

    def orders() -> Iterator[Order]:
        nonlocal there_already
        for day, hashes in days:
            there, shards[day] = _survey(store, digest, day, backbone)
            missing = tuple(image for image in sorted(hashes) if there.get(image) != hashes[image])
            there_already += len(hashes) - len(missing)
            if missing:
                waiting.append(Order(day, missing))
                yield waiting[-1]

    made: list[Row] = []
    for row in embed(orders()):
        order = waiting[0]
        _check(order, len(made), row)
        made.append(row)
        added += 1
        speed = f"{added / (perf_counter() - begin):.0f} images/s"
        report("embeddings", there_already + added, images, speed)
        if len(made) == len(order.image_ids):
            rows = {row.image_id: row for row in (*_kept(store, digest, order.day, backbone), *made)}
            shards[order.day] = _put(store, digest, order.day, rows.values(), backbone)
            waiting.popleft()
            made.clear()
            written += 1
    if waiting:
        _check(waiting[0], len(made), None)
    _put_manifest(store, digest, backbone, cache, shards)
    return EmbeddingReport(digest, there_already + added, added, written, perf_counter() - begin)


def read_manifest(store: ObjectStore, digest: str) -> Manifest:
    """Reads what made the embeddings.

    Raises:
        InsufficientDataError: there are none, or the run that makes them has not ended.
        StoreError: it is no manifest of this version.
    """
    key = _manifest_key(digest)
    if not store.exists(key):
        raise InsufficientDataError(
            f"there are no embeddings {digest} in {store.url}: materialize image_embeddings first"
        )
    try:
        return Manifest.model_validate_json(store.get(key))
    except ValidationError as error:
        raise StoreError(
            f"{key!r} in {store.url} is no manifest of this version: delete it and materialize "
            "image_embeddings again"
        ) from error


def read_embeddings(store: ObjectStore, samples: Iterable[Sample], digest: str) -> Embeddings:
    """Returns the vectors of images, in the order of the samples; images without one are left out.

    Raises:
        InsufficientDataError: there are no such embeddings.
        StoreError: a shard is not the one of the manifest.
    """
    wanted = list(samples)
    manifest = read_manifest(store, digest)
    found: dict[str, Vectors] = {}
    for day, of_day in by_day(wanted).items():
        if day not in manifest.days:
            continue
        data = store.get(_key(digest, day))
        if hashlib.sha256(data).hexdigest() != manifest.days[day].sha256:
            raise StoreError(
                f"{_key(digest, day)!r} in {store.url} is not the one of its manifest, as when a run was "
                "stopped: materialize image_embeddings again"
            )
        ids = {sample.image_id for sample in of_day}
        rows = _rows(pq.read_table(BytesIO(data)), day)
        found |= {row.image_id: row.vector for row in rows if row.image_id in ids}
    image_ids = tuple(sample.image_id for sample in wanted if sample.image_id in found)
    vectors = np.zeros((len(image_ids), manifest.backbone.dimensions), np.float32)
    for number, image_id in enumerate(image_ids):
        vectors[number] = found[image_id]
    return Embeddings(image_ids, vectors)


def _check(order: Order, number: int, row: Row | None) -> None:
    """Refuses another row than the one of an order that is due."""
    image_id = order.image_ids[number]
    if row is None or row.image_id != image_id:
        raise StoreError(f"{image_id} left the image cache meanwhile: materialize it again")


def _survey(
    store: ObjectStore, digest: str, day: str, backbone: Backbone
) -> tuple[dict[str, str], Shard | None]:
    """Returns what a day has by these weights: SHA-256 of the original file by image id, and the shard."""
    if not store.exists(_key(digest, day)):
        return {}, None
    data = store.get(_key(digest, day))
    table = pq.read_table(BytesIO(data), columns=["image_id", "sha256"])
    if not _made_by(table, backbone):
        return {}, None
    ids, hashes = (column.to_pylist() for column in table.columns)
    return dict(zip(ids, hashes, strict=True)), _shard(data, len(ids))


def _kept(store: ObjectStore, digest: str, day: str, backbone: Backbone) -> Iterator[Row]:
    """Returns the rows that a day has by these weights."""
    if store.exists(_key(digest, day)):
        table = pq.read_table(BytesIO(store.get(_key(digest, day))))
        if _made_by(table, backbone):
            yield from _rows(table, day)


def _made_by(table: pa.Table, backbone: Backbone) -> bool:
    metadata = table.schema.metadata or {}
    return bool(metadata.get(WEIGHTS) == backbone.weights_sha256.encode())


def _rows(table: pa.Table, day: str) -> Iterator[Row]:
    embedding = table.column("embedding").combine_chunks()
    vectors = embedding.flatten().to_numpy().reshape(len(table), embedding.type.list_size)
    ids, hashes = (table.column(name).to_pylist() for name in ("image_id", "sha256"))
    for image_id, sha256, vector in zip(ids, hashes, vectors, strict=True):
        yield Row(day, image_id, sha256, vector)


def _put(store: ObjectStore, digest: str, day: str, rows: Iterable[Row], backbone: Backbone) -> Shard:
    ordered = sorted(rows, key=lambda row: row.image_id)
    vectors = np.stack([row.vector for row in ordered]).astype(np.float32)
    columns: dict[str, Any] = {
        "image_id": pa.array([row.image_id for row in ordered], pa.string()),
        "sha256": pa.array([row.sha256 for row in ordered], pa.string()),
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), backbone.dimensions),
    }
    buffer = BytesIO()
    pq.write_table(pa.table(columns, metadata={WEIGHTS: backbone.weights_sha256}), buffer)
    store.put(_key(digest, day), buffer.getvalue())
    return _shard(buffer.getvalue(), len(ordered))


def _shard(data: bytes, images: int) -> Shard:
    return Shard(images=images, sha256=hashlib.sha256(data).hexdigest())


def _put_manifest(
    store: ObjectStore, digest: str, backbone: Backbone, cache: str, shards: Mapping[str, Shard | None]
) -> None:
    days = {day: shard for day, shard in sorted(shards.items()) if shard is not None}
    images = sum(shard.images for shard in days.values())
    manifest = Manifest(backbone=backbone, cache=cache, images=images, days=days)
    store.put(_manifest_key(digest), manifest.model_dump_json(indent=2).encode())


def _earlier(store: ObjectStore, digest: str, backbone: Backbone) -> dict[str, Shard | None]:
    """Returns the days of the manifest that is there, if the same weights made them."""
    if not store.exists(_manifest_key(digest)):
        return {}
    manifest = read_manifest(store, digest)
    same = manifest.backbone.weights_sha256 == backbone.weights_sha256
    return dict(manifest.days) if same else {}


def _key(digest: str, day: str) -> str:
    return f"embeddings/{digest}/{day}.parquet"


def _manifest_key(digest: str) -> str:
    return f"embeddings/{digest}/manifest.json"
