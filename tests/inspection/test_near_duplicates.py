"""Copies planted among simulated photographs on another side: each is found, and no other pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inspection.cache import encode_frame
from inspection.dataset import Sample
from inspection.embeddings import Embeddings
from inspection.fingerprints import AGREEMENT, Fingerprint, agreement, fingerprint, words
from inspection.imaging import Pixels, Preprocessing, load_frame
from inspection.near_duplicates import (
    ACROSS,
    BLOCK,
    WITHIN,
    NearDuplicate,
    centred,
    duplicate_leak,
    find_near_duplicates,
    nearest_pairs,
)
from inspection.simulation.cameras import CAMERAS
from inspection.simulation.parts import PART_TYPES
from inspection.simulation.rendering import ImageSpec, photograph
from tests.inspection.learning.toy import sample
from tests.inspection.simulation.copies import COPIES, copy_of

PART = Preprocessing(height=416, width=832, crop="part", crop_height=416 / 768, crop_width=832 / 1024)
WHOLE = Preprocessing(height=380, width=380)
COUNT = 30


def photo(index: int) -> bytes:
    """One of a few parts, before one of two cameras: many are alike."""
    part, camera = PART_TYPES[index % len(PART_TYPES)], CAMERAS[index % 2]
    return photograph(ImageSpec(5, index, part.name, camera.camera_id)).jpeg


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    return [photo(index) for index in range(COUNT)]


def seen(jpeg: bytes, preprocessing: Preprocessing) -> Pixels:
    """What the cache has of a file."""
    frame = encode_frame(load_frame(jpeg, preprocessing).pixels)
    return load_frame(frame, Preprocessing(height=preprocessing.height, width=preprocessing.width)).pixels


def small_picture(frame: Pixels) -> NDArray[np.float32]:
    """A poor embedding, as of a network that has learnt nothing: the frame at 16x16."""
    return cv2.resize(frame, (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()


def nothing(_: Pixels) -> NDArray[np.float32]:
    """An embedding that tells nothing: all images have the same."""
    return np.ones(8, np.float32)


def on_side(number: int) -> Sample:
    side = {"split": "test", "fold_id": None} if number % 6 == 0 else {"fold_id": number % 4 + 1}
    return sample(f"p{number:02}", **side)


@pytest.mark.parametrize("preprocessing", [PART, WHOLE], ids=["part", "whole"])
@pytest.mark.parametrize("embed", [small_picture, nothing])
def test_each_planted_copy_is_found_and_no_other(
    photos: list[bytes], preprocessing: Preprocessing, embed: Callable[[Pixels], NDArray[np.float32]]
) -> None:
    frames = {on_side(number): seen(jpeg, preprocessing) for number, jpeg in enumerate(photos)}
    originals = list(frames)
    planted = set()
    for number, kind in enumerate(COPIES):
        original = originals[number]
        side = (
            {"split": "train", "fold_id": 3}
            if original.split == "test"
            else {"split": "test", "fold_id": None}
        )
        copy = replace(original, image_id=f"{original.image_id} {kind}", **side)
        frames[copy] = seen(copy_of(photos[number], kind), preprocessing)
        planted.add((original.image_id, copy.image_id))
    embeddings = Embeddings(tuple(s.image_id for s in frames), np.stack([embed(f) for f in frames.values()]))
    prints = {s.image_id: fingerprint(frame) for s, frame in frames.items()}

    found = find_near_duplicates(list(frames), embeddings, prints)
    assert {(pair.first, pair.second) for pair in found} == planted
    assert all(
        pair.leak and AGREEMENT <= pair.agreement <= 1 and -1 <= pair.similarity <= 1 for pair in found
    )
    assert sum({"test"} < {pair.first_side, pair.second_side} for pair in found) == len(planted)

    clean = find_near_duplicates(originals, embeddings, prints)
    assert clean == ()


def test_a_copy_in_the_same_fold_is_told_and_is_no_leak(photos: list[bytes]) -> None:
    frames = [seen(jpeg, PART) for jpeg in (*photos[:5], copy_of(photos[1], "darker"))]
    samples = [sample(f"i{number}", fold_id=2) for number in range(6)]
    prints = {s.image_id: fingerprint(frame) for s, frame in zip(samples, frames, strict=True)}
    vectors = np.stack([small_picture(frame) for frame in frames])
    (pair,) = find_near_duplicates(samples, Embeddings(tuple(prints), vectors), prints)
    assert (pair.first, pair.second, pair.first_side, pair.leak) == ("i1", "i5", "train 2", False)
    leak = duplicate_leak([pair], 6, 7)
    assert (leak.status, leak.name) == ("passed", "no_near_duplicates_across_splits")
    assert leak.evidence == (
        "0 pairs of copies on two sides or in two folds, 1 in one fold; 6 of 7 images compared"
    )


def test_what_a_leak_says() -> None:
    pairs = [NearDuplicate("a", "train 1", "b", "test", 0.9, 0.8)] * 30
    leak = duplicate_leak(pairs, 50, 50)
    assert leak.status == "failed"
    assert leak.evidence.startswith("30 pairs of copies on two sides or in two folds, 0 in one fold")
    assert len(leak.rows) == 20
    assert leak.rows[0] == {
        "first": "a", "first_side": "train 1", "second": "b", "second_side": "test", "similarity": 0.9,
        "agreement": 0.8, "leak": True,
    }  # fmt: skip
    nothing_read = duplicate_leak([], 0, 9)
    assert (nothing_read.status, nothing_read.evidence) == (
        "not applicable",
        "0 of 9 images have a frame and an embedding",
    )


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_to_compare(count: int) -> None:
    samples = [sample(f"i{n}") for n in range(count)]
    prints = {s.image_id: fingerprint(np.zeros((64, 96, 3), np.uint8)) for s in samples}
    assert (
        find_near_duplicates(samples, Embeddings(tuple(prints), np.zeros((count, 4), np.float32)), prints)
        == ()
    )


def test_images_without_a_vector_or_a_frame_are_left_out(photos: list[bytes]) -> None:
    samples = [sample("a"), sample("b", split="test", fold_id=None), sample("c", fold_id=2)]
    prints = {name: fingerprint(seen(photos[0], WHOLE)) for name in "ab"}
    embeddings = Embeddings(("a", "c"), np.eye(2, dtype=np.float32))
    assert find_near_duplicates(samples, embeddings, prints) == ()


def test_a_flat_frame_has_no_points_and_agrees_with_nothing(photos: list[bytes]) -> None:
    flat = fingerprint(np.full((416, 832, 3), 90, np.uint8))
    other = fingerprint(seen(photos[0], PART))
    assert flat.points.shape == (0, 2)
    assert words(flat).sum() == 0
    assert agreement(flat, flat) == agreement(flat, other) == agreement(other, flat) == 0


def test_agreement_does_not_depend_on_the_order(photos: list[bytes]) -> None:
    one, two = (fingerprint(seen(jpeg, WHOLE)) for jpeg in (photos[3], copy_of(photos[3], "half the size")))
    assert 1 / 0.77 - 1e-3 <= agreement(one, one) <= 1 / 0.28
    assert agreement(one, two) == pytest.approx(agreement(two, one), abs=0.1)
    assert min(agreement(one, two), agreement(two, one)) > AGREEMENT


def test_another_part_before_the_same_marks_of_the_mat_is_no_copy(photos: list[bytes]) -> None:
    """A fixed background agrees to the last grain, and the part does not."""
    frame, other = (seen(jpeg, WHOLE) for jpeg in (photos[0], photos[10]))
    mixed = frame.copy()
    mixed[95:285, 60:320] = other[95:285, 60:320]  # a third of the frame
    assert agreement(fingerprint(frame), fingerprint(mixed)) < AGREEMENT


def test_nearest_pairs_are_those_of_brute_force() -> None:
    rng = np.random.default_rng(0)
    count = 2 * BLOCK + 37  # three blocks, the last not full
    vectors = rng.normal(size=(count, 12)).astype(np.float32)
    weights = rng.uniform(0.5, 2, 12).astype(np.float32)
    groups = rng.integers(0, 4, count)
    weighted = (vectors * weights).astype(np.float64)
    weighted /= np.linalg.norm(weighted, axis=1, keepdims=True)
    cosine = weighted @ weighted.T
    expected = set()
    for row in range(count):
        order = [int(column) for column in np.argsort(-cosine[row]) if column != row]
        nearest = [column for column in order if groups[column] != groups[row]][:ACROSS]
        nearest += [column for column in order if groups[column] == groups[row]][:WITHIN]
        expected |= {tuple(sorted((row, column))) for column in nearest}
    assert {tuple(pair) for pair in nearest_pairs(vectors, weights, groups).tolist()} == expected


def test_nearest_pairs_of_one_group_and_of_few() -> None:
    same = nearest_pairs(np.eye(3, dtype=np.float32), np.ones(3, np.float32), np.zeros(3, np.int64))
    assert {index for pair in same.tolist() for index in pair} == {0, 1, 2}
    two = nearest_pairs(np.eye(2, dtype=np.float32), np.ones(2, np.float32), np.array([0, 1]))
    assert two.tolist() == [[0, 1]]


def test_centred_vectors() -> None:
    vectors = np.array([[3, 0], [1, 0], [2, 1], [2, -1]], np.float32)
    assert np.allclose(centred(vectors), [[1, 0], [-1, 0], [0, 1], [0, -1]])
    assert np.array_equal(centred(np.ones((3, 2), np.float32)), np.zeros((3, 2)))
    assert centred(np.zeros((0, 2), np.float32)).shape == (0, 2)


def test_words_count_descriptors() -> None:
    descriptors = np.random.default_rng(0).integers(0, 256, (50, 32), np.uint8)
    grey = np.zeros((8, 8), np.uint8)
    one = words(Fingerprint(grey, np.zeros((50, 2), np.float32), descriptors))
    twice = words(Fingerprint(grey, np.zeros((100, 2), np.float32), np.tile(descriptors, (2, 1))))
    assert one.sum() == 8 * 50
    assert np.array_equal(twice, 2 * one)
