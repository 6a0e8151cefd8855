"""Copies of a photograph on two sides of the split that are no copies of its file.

Someone encoded, resized or cropped an image and it came in again. Candidates are the nearest neighbours by
two descriptions, the embeddings and the visual words of `inspection.fingerprints`: embeddings of a trained
network know a picture whose brightness has changed or of which a part is left; those of a network with random
weights do not, and the words do. Each candidate is then held pixel against pixel, so that a description that
takes like parts for one costs time and tells nothing false.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspection.cache import read_cache
from inspection.dataset import Sample, TrainingData, by_day
from inspection.embeddings import Embeddings
from inspection.fingerprints import AGREEMENT, BUCKETS, TABLES, Fingerprint, agreement, fingerprint, words
from inspection.imaging import Preprocessing
from inspection.leakage import SHOWN, Leak
from inspection.progress import report
from inspection.store import ObjectStore

CHECK = "no_near_duplicates_across_splits"
TASK = "near-duplicates"
ACROSS = 3
"""Nearest neighbours in other folds that each image is held against, by either description. Of simulated
copies all that were encoded, resized or made brighter were among them, 97 % of those cropped to 95 % of each
side, and 60 to 80 % of those cropped to 80 %, by words alone."""
WITHIN = 1
"""Likewise in its own fold, where a copy counts double and gives nothing away."""
BLOCK = 256
"""Rows of similarities in memory at a time."""

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]
Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class NearDuplicate:
    """Two images that are one photograph.

    Attributes:
        first: image id; likewise `second`.
        first_side: ``train 1`` (side and fold), ``test``; likewise `second_side`.
        similarity: cosine of their centred embeddings, -1 to 1.
        agreement: of their pixels (see `inspection.fingerprints`), 1 and more for copies.
    """

    first: str
    first_side: str
    second: str
    second_side: str
    similarity: float
    agreement: float

    @property
    def leak(self) -> bool:
        """Whether they are on two sides or in two folds."""
        return self.first_side != self.second_side


def side_of(sample: Sample) -> str:
    """Returns side and fold of an image, for a person."""
    return sample.split if sample.fold_id is None else f"{sample.split} {sample.fold_id}"


def centred(vectors: Floats) -> NDArray[np.float32]:
    """Returns vectors of length 1 without what all have in common, float32 [N, D].

    A network with random weights gives any two images a cosine above 0.99; without the mean they differ.
    """
    moved = vectors.astype(np.float32)
    moved -= moved.mean(axis=0) if len(moved) else 0
    length = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.asarray(moved / np.where(length > 0, length, 1), np.float32)


def nearest_pairs(vectors: NDArray[Any], weights: Floats, groups: Integers) -> Pairs:
    """Finds candidates: each vector with its nearest in other groups and in its own.

    Similarities are made `BLOCK` rows at a time; memory grows with N alone.

    Args:
        vectors: [N, D]; integers as well.
        weights: of the dimensions, [D]; the similarity is the cosine of the weighted vectors.
        groups: [N]; `ACROSS` neighbours are of other groups, `WITHIN` of the own.

    Returns:
        int64 [P, 2], each pair once, the smaller index first.
    """
    count = len(vectors)
    scale = np.ones(count, np.float32)
    for rows in _blocks(count):
        length = np.linalg.norm(vectors[rows] * weights, axis=1)
        scale[rows] = 1 / np.where(length > 0, length, 1)
    found = [np.zeros((0, 2), np.int64)]
    for rows in _blocks(count):
        block = (vectors[rows] * (weights * weights)).astype(np.float32)
        similar = np.concatenate([block @ vectors[part].astype(np.float32).T for part in _blocks(count)], 1)
        similar *= scale
        own = np.arange(count)[rows]
        similar[np.arange(len(own)), own] = -np.inf
        apart = groups[own][:, None] != groups[None, :]
        for allowed, wanted in ((apart, ACROSS), (~apart, WITHIN)):
            found.append(_best(np.where(allowed, similar, -np.inf), own, min(wanted, count - 1)))
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def find_near_duplicates(
    samples: Sequence[Sample], embeddings: Embeddings, prints: Mapping[str, Fingerprint]
) -> tuple[NearDuplicate, ...]:
    """Finds copies of photographs among images; those across folds come first, the surest first.

    Args:
        samples: images with their sides; those without a vector or a fingerprint are left out.
        embeddings: of the samples.
        prints: fingerprint by image id.
    """
    rows = {image_id: row for row, image_id in enumerate(embeddings.image_ids)}
    known = [s for s in samples if s.image_id in rows and s.image_id in prints]
    if len(known) < 2:
        return ()
    vectors = centred(embeddings.vectors[[rows[s.image_id] for s in known]])
    counts = np.stack([words(prints[s.image_id]) for s in known])
    sides = [side_of(s) for s in known]
    groups = np.unique(sides, return_inverse=True)[1].astype(np.int64)
    pairs = np.unique(
        np.concatenate(
            [
                nearest_pairs(vectors, np.ones(vectors.shape[1], np.float32), groups),
                nearest_pairs(counts, _rarity(counts), groups),
            ]
        ),
        axis=0,
    )
    found = []
    for (one, two), agreed in zip(pairs, _agreements(pairs, known, prints), strict=True):
        if agreed >= AGREEMENT:
            similar = float(vectors[one] @ vectors[two])
            ids = known[one].image_id, known[two].image_id
            found.append(NearDuplicate(ids[0], sides[one], ids[1], sides[two], similar, agreed))
    return tuple(sorted(found, key=lambda pair: (not pair.leak, -pair.agreement, pair.first, pair.second)))


def read_fingerprints(
    store: ObjectStore, data: TrainingData, preprocessing: Preprocessing
) -> dict[str, Fingerprint]:
    """Takes the fingerprints of the cached frames, by image id; about 70 kB each."""
    found: dict[str, Fingerprint] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for wanted in by_day(data.samples).values():
            frames = read_cache(store, wanted, preprocessing)
            prints = pool.map(lambda image: fingerprint(image.pixels()), frames.values())
            found |= dict(zip(frames, prints, strict=True))
            report("fingerprints", len(found), len(data.samples))
    return found


def duplicate_leak(found: Sequence[NearDuplicate], looked_at: int, images: int) -> Leak:
    """Says what the check of near-duplicates found.

    Args:
        found: copies, those across folds first.
        looked_at: images with a frame and a vector.
        images: of the training dataset.
    """
    if looked_at < 2:
        return Leak(CHECK, "not applicable", f"{looked_at} of {images} images have a frame and an embedding")
    leaks = [pair for pair in found if pair.leak]
    evidence = (
        f"{len(leaks)} pairs of copies on two sides or in two folds, {len(found) - len(leaks)} in one fold; "
        f"{looked_at} of {images} images compared"
    )
    rows = tuple({**vars(pair), "leak": pair.leak} for pair in found[:SHOWN])
    return Leak(CHECK, "failed" if leaks else "passed", evidence, rows)


def _rarity(counts: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Weighs a word by how few images have it: log of the inverse share (Spärck Jones 1972)."""
    having = np.zeros(TABLES * BUCKETS, np.int64)
    for rows in _blocks(len(counts)):
        having += (counts[rows] > 0).sum(axis=0)
    return np.log(len(counts) / np.maximum(having, 1)).astype(np.float32)


def _agreements(pairs: Pairs, known: Sequence[Sample], prints: Mapping[str, Fingerprint]) -> Iterator[float]:
    def compare(pair: NDArray[np.int64]) -> float:
        one, two = (prints[known[index].image_id] for index in pair)
        return agreement(one, two)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, agreed in enumerate(pool.map(compare, pairs, chunksize=64), start=1):
            report(TASK, done, len(pairs), "candidates compared")
            yield agreed


def _best(similar: NDArray[np.float32], own: Integers, wanted: int) -> Pairs:
    places = np.argpartition(-similar, wanted - 1, axis=1)[:, :wanted]
    rows = np.repeat(np.arange(len(own)), places.shape[1])
    there = similar[rows, places.ravel()] > -np.inf
    return np.stack([own[rows], places.ravel()], axis=1)[there].astype(np.int64)


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK))
