"""Training examples: labels and boxes as the network sees them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from inspection.cache import CachedImage, encode_frame
from inspection.dataset import Box, Sample
from inspection.errors import OntologyError
from inspection.learning.augmentation import Geometric, Matrix, seen, turned
from inspection.learning.data import (
    Example,
    FrameDataset,
    Item,
    collate,
    frame_boxes,
    make_examples,
    touched_cells,
)
from inspection.profiles import Augmentation
from tests.inspection.learning.toy import CLASSES, COLUMNS, FRAME, ROWS, picture, sample

SIZE, GRID = (32, 48), (4, 6)  # cells of 8 x 8 pixels


def cached(image_id: str = "i1", window: tuple[float, float, float, float] = (0, 0, 96, 64)) -> CachedImage:
    return CachedImage(image_id, "0" * 64, encode_frame(picture((), 0)[0]), window, 96, 64, part_found=True)


def example(boxes: list[list[float]], classes: list[int], labels: list[int] | None = None) -> Example:
    """Returns a black frame of `SIZE` with boxes; it shows the boxes' classes unless told others."""
    targets = np.zeros(2, np.float32)
    targets[classes if labels is None else labels] = 1
    return Example(
        np.zeros((*SIZE, 3), np.uint8),
        targets,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(classes, np.int64),
        1.0,
        SIZE,
    )


@pytest.mark.parametrize(
    ("box", "window", "expected"),
    [
        ((10, 20, 30, 10), (0, 0, 96, 64), [10, 20, 40, 30]),  # the whole image at its own scale
        ((10, 20, 30, 10), (0, 0, 192, 128), [5, 10, 20, 15]),  # shrunk by two
        ((110, 60, 20, 8), (100, 50, 48, 32), [20, 20, 60, 36]),  # offset, enlarged by two
        ((110, 60, 20, 8), (100, 50, 192, 32), [5, 20, 15, 36]),  # each axis has its scale
        ((90, 40, 20, 20), (100, 50, 96, 64), [0, 0, 10, 10]),  # clipped at the corner
        ((0, 0, 500, 500), (100, 50, 96, 64), [0, 0, 96, 64]),
        ((0, 0, 100, 60), (100, 50, 96, 64), None),  # touches the window only
        ((300, 60, 10, 10), (100, 50, 96, 64), None),
    ],
)
def test_a_box_in_the_frame_by_hand(
    box: tuple[float, ...], window: tuple[float, float, float, float], expected: list[float] | None
) -> None:
    found, kept = frame_boxes([Box("DENT", *box)], cached(window=window), FRAME)
    assert found.dtype == np.float32
    assert found.tolist() == ([] if expected is None else [pytest.approx(expected)])
    assert kept == ([] if expected is None else [0])


@pytest.mark.parametrize(
    "unknown", [sample(labels=("TEAR",)), sample(labels=("DENT",), boxes=(Box("TEAR", 1, 1, 2, 2),))]
)
def test_a_class_that_the_model_does_not_have_is_named(unknown: Sample) -> None:
    with pytest.raises(OntologyError, match=r"TEAR \(1 images\)"):
        make_examples([unknown], {"i1": cached()}, CLASSES, FRAME)


def test_many_boxes_and_none() -> None:
    inside, outside = Box("DENT", 1, 1, 2, 2), Box("RUST", 500, 1, 2, 2)
    found, kept = frame_boxes([outside, inside, outside, inside], cached(), FRAME)
    assert found.shape == (2, 4)
    assert kept == [1, 3]
    assert frame_boxes([], cached(), FRAME)[0].shape == (0, 4)


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ([0, 0, 8, 8], (0, 1), (0, 1)),  # exactly one cell
        ([0, 0, 8.00001, 8], (0, 1), (0, 1)),  # rounding is not another cell
        ([7, 7, 9, 9], (0, 2), (0, 2)),
        ([8, 16, 24, 24], (2, 3), (1, 3)),
        ([9, 9, 9.5, 9.5], (1, 2), (1, 2)),  # a speck has its cell
        ([0, 0, 48, 32], (0, 4), (0, 6)),
        ([48, 32, 48, 32], (3, 4), (5, 6)),  # at the very edge
    ],
)
def test_touched_cells_by_hand(box: list[float], rows: tuple[int, int], columns: tuple[int, int]) -> None:
    expected = np.zeros((2, *GRID))
    expected[1, slice(*rows), slice(*columns)] = 1
    found = touched_cells(np.array([box], np.float32), np.array([1]), 2, SIZE, GRID)
    assert np.array_equal(found, expected)


def test_boxes_of_several_classes_touch_their_own_cells() -> None:
    boxes = np.array([[0, 0, 8, 8], [40, 24, 48, 32], [8, 0, 16, 8]], np.float32)
    found = touched_cells(boxes, np.array([0, 1, 0]), 2, SIZE, GRID)
    assert np.argwhere(found).tolist() == [[0, 0, 0], [0, 0, 1], [1, 3, 5]]
    assert not touched_cells(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), 2, SIZE, GRID).any()


@pytest.mark.parametrize("in_memory", [True, False])
def test_examples_put_frame_labels_and_boxes_together(in_memory: bool) -> None:
    samples = [
        sample("i1", ("RUST", "DENT"), boxes=(Box("DENT", 0, 0, 9, 9), Box("RUST", 999, 0, 9, 9))),
        sample("not in the cache", ("DENT",)),
        sample("i2", sample_weight=3.0),
    ]
    images = {"i1": cached("i1"), "i2": cached("i2")}

    first, second = make_examples(samples, images, CLASSES, FRAME, in_memory)

    assert first.targets.tolist() == [1, 1]
    assert first.boxes.tolist() == [[0, 0, 9, 9]]
    assert first.box_classes.tolist() == [0]
    assert (second.targets.tolist(), second.boxes.shape, second.weight) == ([0, 0], (0, 4), 3.0)
    assert isinstance(first.frame, CachedImage) != in_memory
    assert first.pixels().shape == (ROWS, COLUMNS, 3)
    assert make_examples([], images, CLASSES, FRAME) == []


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_frame_that_is_cached_larger_comes_down_to_the_boxes(in_memory: bool) -> None:
    pixels = np.zeros((2 * ROWS, 2 * COLUMNS, 3), np.uint8)
    pixels[40:80, 60:100] = 255
    image = CachedImage("i1", "0" * 64, encode_frame(pixels), (0, 0, 384, 256), 384, 256, part_found=True)
    marked = sample("i1", ("DENT",), boxes=(Box("DENT", 120, 80, 80, 80),))  # where the white is, by hand

    (found,) = make_examples([marked], {"i1": image}, CLASSES, FRAME, in_memory)

    expected = np.zeros((ROWS, COLUMNS), np.uint8)
    expected[20:40, 30:50] = 255
    assert found.pixels().shape == (ROWS, COLUMNS, 3)
    assert np.abs(found.pixels()[..., 0].astype(int) - expected).max() < 10  # what the JPEG changes
    assert found.boxes.tolist() == [[30, 20, 50, 40]]


@pytest.mark.parametrize("larger", [1, 1.2, 1.5, 3])
def test_a_frame_kept_larger_is_brought_to_its_size_and_changed_at_once(larger: float) -> None:
    rows, columns = np.mgrid[: round(SIZE[0] * larger), : round(SIZE[1] * larger)] / larger
    hills = np.stack([np.sin(rows / 5), np.cos(columns / 7), np.sin((rows + columns) / 9)], axis=2)
    frame = (127 + 100 * hills).astype(np.uint8)
    kept = replace(example([], []), frame=frame)
    change = turned(10, SIZE)

    found = kept.changed(change, SIZE)

    expected = seen(kept.pixels(), change, SIZE)  # one after the other
    inner = (slice(4, -4), slice(4, -4))
    assert found.shape == (*SIZE, 3)
    assert np.abs(found[inner].astype(int) - expected[inner]).max() <= 4


def test_without_changes_an_example_is_shown_as_it_is() -> None:
    data = FrameDataset([example([[0, 0, 8, 8]], [1], labels=[0, 1])], GRID)
    item = data[0]
    assert len(data) == 1
    assert item.pixels.shape == (*SIZE, 3)
    assert item.targets.tolist() == item.known.tolist() == [1, 1]
    assert np.argwhere(item.cells).tolist() == [[1, 0, 0]]


class Shift(Geometric):
    """Moves everything to the right by so many pixels."""

    def __init__(self, pixels: int) -> None:
        super().__init__(Augmentation(), SIZE)
        self.pixels = pixels

    def draw(self) -> Matrix:
        return np.array([[1.0, 0, self.pixels], [0, 1, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("shift", "minimum", "kept"),
    [
        (0, 1.0, True),
        (4, 0.5, True),  # half of it is left
        (5, 0.5, False),
        (7, 0.0, True),
        (8, 0.0, False),  # nothing is left: no share is small enough
        (40, 0.0, False),
    ],
)
def test_a_defect_that_was_cropped_away_loses_its_label(shift: int, minimum: float, kept: bool) -> None:
    shown = example([[40, 0, 48, 8], [0, 0, 1, 1]], [0, 1])  # the first at the right edge
    data = FrameDataset([shown], GRID, change=Shift(shift), minimum_visible=minimum)
    for _ in range(2):
        item = data[0]
        assert item.targets.tolist() == [float(kept), 1]
        assert item.known.tolist() == [1, 1]
        assert item.cells[0].any() == kept
    assert shown.targets.tolist() == [1, 1]


def test_a_class_with_one_of_two_boxes_left_keeps_its_label() -> None:
    data = FrameDataset(
        [example([[40, 0, 48, 8], [0, 0, 8, 8]], [0, 0])], GRID, change=Shift(8), minimum_visible=0.5
    )
    assert data[0].targets.tolist() == [1, 0]
    assert np.argwhere(data[0].cells).tolist() == [[0, 0, 1]]


def test_a_window_hides_what_it_does_not_show() -> None:
    # Two classes in opposite corners: a window shows one of them, and the other loses its label.
    data = FrameDataset(
        [example([[0, 0, 8, 8], [40, 24, 48, 32]], [0, 1])], (2, 2), window=(16, 16), minimum_visible=0.5
    )
    torch.manual_seed(0)
    found = {tuple(data[0].targets.tolist()) for _ in range(30)}
    assert found == {(1, 0), (0, 1)}
    assert data[0].known.tolist() == [1, 1]
    assert data[0].pixels.shape == (16, 16, 3)


def test_a_defect_larger_than_the_window_keeps_its_label() -> None:
    data = FrameDataset([example([[0, 0, 48, 32]], [0])], (1, 1), window=(8, 8), minimum_visible=0.5)
    assert data[0].targets.tolist() == [1, 0]
    assert data[0].cells[0].all()


@pytest.mark.parametrize(
    ("boxes", "classes", "labels", "window", "known"),
    [
        ([], [], [], (16, 16), [1, 1]),  # clean: nothing anywhere
        ([], [], [0], (16, 16), [0, 1]),  # somewhere in the frame, perhaps in the window
        ([], [], [0], None, [1, 1]),
        ([[0, 0, 8, 8]], [1], [0, 1], (16, 16), [0, 1]),
        ([[0, 0, 8, 8]], [1], [1], (16, 16), [1, 1]),
    ],
)
def test_in_a_window_an_unlocated_defect_is_unknown(
    boxes: list[list[float]],
    classes: list[int],
    labels: list[int],
    window: tuple[int, int] | None,
    known: list[float],
) -> None:
    assert FrameDataset([example(boxes, classes, labels)], (2, 2), window=window)[0].known.tolist() == known


def test_a_batch_stacks_its_items() -> None:
    rng = np.random.default_rng(0)
    items = [
        Item(
            rng.integers(0, 256, (*SIZE, 3), np.uint8),
            np.array([1, 0], np.float32),
            np.array([1, 1], np.float32),
            np.zeros((2, *GRID), np.float32),
            weight,
        )
        for weight in (1.0, 2.5, 4.0)
    ]
    for part in (items, items[:1]):
        batch = collate(part)
        assert np.array_equal(batch.images.numpy(), np.stack([item.pixels for item in part]))
        assert batch.targets.shape == batch.known.shape == (len(part), 2)
        assert batch.cells.shape == (len(part), 2, *GRID)
        assert batch.weights.tolist() == [item.weight for item in part]
        assert {tensor.dtype for tensor in batch[1:]} == {torch.float32}
