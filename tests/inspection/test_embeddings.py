"""Embeddings in the store: by day, only what is missing, and nothing of a run that has not ended."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inspection.cache import Day
from inspection.dataset import Sample, by_day
from inspection.embeddings import (
    Backbone,
    EmbeddingReport,
    Order,
    Row,
    Vectors,
    embedding_digest,
    read_embeddings,
    read_manifest,
    update_embeddings,
)
from inspection.errors import InsufficientDataError, StoreError
from inspection.progress import listening
from inspection.store import LocalStore
from tests.inspection.learning.toy import BEGIN, profile, sample

WIDTH = 3
FIRST = Backbone(
    architecture="toy", weights="by hand", weights_sha256="aa", height=1, width=1, dimensions=WIDTH
)
OTHER = FIRST.model_copy(update={"weights_sha256": "bb"})
DAYS = {"a": 0, "b": 0, "c": 1, "d": 2}
SAMPLES = tuple(sample(name, captured_at=BEGIN + timedelta(days=day)) for name, day in DAYS.items())
HASHES = {name: f"hash of {name}" for name in DAYS}


def vector(image_id: str, sha256: str, backbone: Backbone = FIRST) -> Vectors:
    """Returns what stands for an image: another content or network, another vector."""
    data = hashlib.sha256(f"{image_id}{sha256}{backbone.weights_sha256}".encode()).digest()
    return np.frombuffer(data[:WIDTH], np.uint8).astype(np.float32)


class Machine:
    """Embeds, remembers what it was asked for, and breaks down when it comes to a day."""

    def __init__(self, hashes: dict[str, str], backbone: Backbone, breaks: str = "") -> None:
        self.hashes, self.backbone, self.breaks = hashes, backbone, breaks
        self.asked: list[str] = []

    def __call__(self, orders: Iterable[Order]) -> Iterator[Row]:
        for order in orders:
            if order.day == self.breaks:
                raise RuntimeError("out of memory")
            for image in order.image_ids:
                self.asked.append(image)
                sha256 = self.hashes[image]
                yield Row(order.day, image, sha256, vector(image, sha256, self.backbone))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def days(samples: Sequence[Sample], hashes: dict[str, str]) -> Iterator[Day]:
    """Returns what a cache has of samples."""
    for day, found in by_day(samples).items():
        yield day, {s.image_id: hashes[s.image_id] for s in found if s.image_id in hashes}


def update(
    store: LocalStore,
    samples: Sequence[Sample] = SAMPLES,
    hashes: dict[str, str] = HASHES,
    backbone: Backbone = FIRST,
    breaks: str = "",
) -> tuple[EmbeddingReport, list[str]]:
    machine = Machine(hashes, backbone, breaks)
    found = update_embeddings(store, days(samples, hashes), len(samples), "d1", backbone, "cache-1", machine)
    return found, machine.asked


def test_a_row_for_each_image_by_day(store: LocalStore) -> None:
    report, asked = update(store)

    assert (report.digest, report.images, report.added, report.shards) == ("d1", 4, 4, 3)
    assert asked == ["a", "b", "c", "d"]
    assert store.list() == [
        *(f"embeddings/d1/2026-03-0{day}.parquet" for day in (1, 2, 3)),
        "embeddings/d1/manifest.json",
    ]
    table = pq.read_table(store.root / "embeddings/d1/2026-03-01.parquet")
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == {
        "image_id": pa.string(),
        "sha256": pa.string(),
        "embedding": pa.list_(pa.float32(), WIDTH),
    }
    assert table.to_pylist() == [
        {"image_id": n, "sha256": HASHES[n], "embedding": vector(n, HASHES[n]).tolist()} for n in "ab"
    ]
    manifest = read_manifest(store, "d1")
    assert (manifest.backbone, manifest.cache, manifest.images) == (FIRST, "cache-1", 4)
    assert {day: shard.images for day, shard in manifest.days.items()} == {
        "2026-03-01": 2,
        "2026-03-02": 1,
        "2026-03-03": 1,
    }
    for day, shard in manifest.days.items():
        data = store.get(f"embeddings/d1/{day}.parquet")
        assert shard.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("names", ["abcd", "dbca", "ca", "", "xaz"])
def test_vectors_come_in_the_order_of_the_samples(store: LocalStore, names: str) -> None:
    update(store)
    known = {s.image_id: s for s in SAMPLES}
    late = BEGIN + timedelta(days=9)  # a day without a shard
    wanted = [known.get(n) or sample(n, captured_at=late if n == "z" else BEGIN) for n in names]

    found = read_embeddings(store, wanted, "d1")

    there = [n for n in names if n in DAYS]
    assert found.image_ids == tuple(there)
    assert (found.vectors.dtype, found.vectors.shape) == (np.float32, (len(there), WIDTH))
    for name, got in zip(there, found.vectors, strict=True):
        np.testing.assert_array_equal(got, vector(name, HASHES[name]))


def test_only_what_is_missing_is_embedded(store: LocalStore) -> None:
    update(store, SAMPLES[:1])
    report, asked = update(store)
    assert (asked, report.images, report.added, report.shards) == (["b", "c", "d"], 4, 3, 3)

    report, asked = update(store)
    assert (asked, report.images, report.added, report.shards) == ([], 4, 0, 0)
    assert report.images_per_second is None


def test_a_file_with_other_contents_is_embedded_again(store: LocalStore) -> None:
    update(store)
    untouched = store.root / "embeddings/d1/2026-03-01.parquet"
    before = untouched.stat()

    report, asked = update(store, hashes={**HASHES, "c": "other contents"})

    assert (asked, report.added, report.shards) == (["c"], 1, 1)
    found = read_embeddings(store, SAMPLES, "d1")
    np.testing.assert_array_equal(found.vectors[2], vector("c", "other contents"))
    assert (untouched.stat().st_ino, untouched.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_image_that_is_not_in_the_cache_has_no_vector(store: LocalStore) -> None:
    report, asked = update(store, hashes={"b": HASHES["b"]})
    assert (asked, report.images, report.shards) == (["b"], 1, 1)
    assert read_embeddings(store, SAMPLES, "d1").image_ids == ("b",)


@pytest.mark.parametrize("gone", "abcd")
def test_an_image_that_leaves_the_cache_meanwhile_stops_the_run(store: LocalStore, gone: str) -> None:
    def embed(orders: Iterable[Order]) -> Iterator[Row]:
        return (row for row in Machine(HASHES, FIRST)(orders) if row.image_id != gone)

    with pytest.raises(StoreError, match=f"{gone} left the image cache"):
        update_embeddings(store, days(SAMPLES, HASHES), 4, "d1", FIRST, "cache-1", embed)
    assert not store.exists("embeddings/d1/manifest.json")


def test_nothing_asked_for_is_a_manifest_of_nothing(store: LocalStore) -> None:
    report, _ = update(store, ())
    assert (report.images, report.added, report.shards) == (0, 0, 0)
    assert read_embeddings(store, SAMPLES, "d1").vectors.shape == (0, WIDTH)


def test_days_that_are_not_asked_for_stay(store: LocalStore) -> None:
    update(store)
    update(store, SAMPLES[2:3], hashes={"c": "other contents"})
    assert read_embeddings(store, SAMPLES, "d1").image_ids == ("a", "b", "c", "d")


def test_other_weights_make_everything_again(store: LocalStore) -> None:
    update(store)
    report, asked = update(store, SAMPLES[:3], backbone=OTHER)

    assert (asked, report.added) == (["a", "b", "c"], 3)
    found = read_embeddings(store, SAMPLES, "d1")
    assert found.image_ids == ("a", "b", "c")  # the first network's vector of "d" is not among them
    np.testing.assert_array_equal(found.vectors[0], vector("a", HASHES["a"], OTHER))
    assert read_manifest(store, "d1").backbone == OTHER


def test_a_first_run_that_was_stopped_is_not_read_and_is_ended_by_the_next(
    store: LocalStore, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        update(store, breaks="2026-03-03")
    assert store.list() == [f"embeddings/d1/2026-03-0{day}.parquet" for day in (1, 2)]
    with pytest.raises(InsufficientDataError, match="materialize image_embeddings first"):
        read_embeddings(store, SAMPLES, "d1")

    _, asked = update(store)

    assert asked == ["d"]
    whole = LocalStore(tmp_path / "whole")
    update(whole)
    ended = {key: store.get(key) for key in store.list("embeddings/")}
    assert ended == {key: whole.get(key) for key in whole.list()}


def test_a_later_run_that_was_stopped_is_not_mixed_with_the_one_before(store: LocalStore) -> None:
    update(store, SAMPLES[:1])
    with pytest.raises(RuntimeError, match="out of memory"):
        update(store, breaks="2026-03-02")
    with pytest.raises(StoreError, match="materialize image_embeddings again"):
        read_embeddings(store, SAMPLES, "d1")

    _, asked = update(store)

    assert asked == ["c", "d"]
    assert read_embeddings(store, SAMPLES, "d1").image_ids == ("a", "b", "c", "d")


def test_a_manifest_of_another_kind_is_told(store: LocalStore) -> None:
    store.put("embeddings/d1/manifest.json", b'{"version": 0}')
    with pytest.raises(StoreError, match="no manifest of this version"):
        read_embeddings(store, SAMPLES, "d1")


@pytest.mark.parametrize(
    ("section", "changes", "same"),
    [
        ("embedding", {}, True),
        ("embedding", {"batch_size": 4}, True),
        ("embedding", {"device": "cuda"}, True),
        ("embedding", {"architecture": "resnet18"}, False),
        ("embedding", {"pretrained": "none"}, False),
        ("embedding", {"height": 225}, False),
        ("embedding", {"width": 225}, False),
        ("embedding", {"seed": 1}, False),
        ("preprocessing", {"width": 100}, False),
        ("preprocessing", {"crop": "part"}, False),
        ("cache", {"short_side": 128}, False),
        ("training", {"epochs": 2}, True),
    ],
)
def test_the_digest_tells_what_decides_the_vectors(
    section: str, changes: dict[str, object], same: bool
) -> None:
    assert (embedding_digest(profile(**{section: changes})) == embedding_digest(profile())) is same


def test_a_moved_weights_file_is_the_same_weights(tmp_path: Path) -> None:
    def from_file(path: str, sha256: str) -> str:
        network = {"pretrained": "file", "weights_file": tmp_path / path, "weights_sha256": sha256}
        return embedding_digest(profile(embedding=network))

    assert from_file("a", "11") == from_file("b", "11") != from_file("a", "22")


def test_progress_counts_images(store: LocalStore) -> None:
    told: list[tuple[str, int, int]] = []
    with listening(lambda task, done, total, note: told.append((task, done, total))):
        update(store)
    assert told == [("embeddings", n, 4) for n in (1, 2, 3, 4)]


def test_a_day_is_asked_for_when_it_is_needed(store: LocalStore) -> None:
    events: list[str] = []

    def growing() -> Iterator[Day]:
        for day, hashes in days(SAMPLES, HASHES):
            events.append(f"{day} cached")
            yield day, hashes

    def embed(orders: Iterable[Order]) -> Iterator[Row]:
        for row in Machine(HASHES, FIRST)(orders):
            events.append(row.image_id)
            yield row

    update_embeddings(store, growing(), 4, "d1", FIRST, "cache-1", embed)

    assert events == [
        "2026-03-01 cached", "a", "b", "2026-03-02 cached", "c", "2026-03-03 cached", "d",
    ]  # fmt: skip
