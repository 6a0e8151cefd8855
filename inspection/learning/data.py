"""Training images as the network takes them: frames, labels, boxes, and random changes to all three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from inspection.cache import CachedImage
from inspection.dataset import Box, Sample, check_classes
from inspection.imaging import Pixels, Preprocessing, resized
from inspection.learning.augmentation import Geometric, Matrix, cropped, moved, seen, visible_share, windowed

Floats = NDArray[np.float32]

MOST_SHRUNK = 1.5
"""Beyond this a linear filter leaves out pixels, and area averaging brings a frame to its size first."""


@dataclass(frozen=True)
class Example:
    """One training image.

    Attributes:
        frame: uint8 RGB [h, w, 3], or the cached JPEG of it; it may be kept larger than `size`.
        targets: 1 for each class that the image shows, float32 [C].
        boxes: left, top, right, bottom in pixels of the frame, float32 [K, 4].
        box_classes: index of the class of each box, int64 [K].
        weight: of the image in the loss.
        size: rows and columns, H and W, of the frame as the network sees it, in which the boxes lie.
        repeats: how often it stands in an epoch of training.
    """

    frame: Pixels | CachedImage
    targets: Floats
    boxes: Floats
    box_classes: NDArray[np.int64]
    weight: float
    size: tuple[int, int]
    repeats: int = 1

    def decoded(self) -> Pixels:
        """Returns the frame as it is kept, decoded if need be."""
        return self.frame.pixels() if isinstance(self.frame, CachedImage) else self.frame

    def pixels(self) -> Pixels:
        """Returns the frame as the network sees it: uint8 RGB [H, W, 3]."""
        return resized(self.decoded(), *self.size)

    def changed(self, change: Matrix, size: tuple[int, int]) -> Pixels:
        """Returns what a change makes of the frame as the network sees it.

        Args:
            change: takes a place of that frame to its new one.
            size: rows and columns of the result.
        """
        pixels = self.decoded()
        if pixels.shape[0] > MOST_SHRUNK * self.size[0] or pixels.shape[1] > MOST_SHRUNK * self.size[1]:
            pixels = resized(pixels, *self.size)
        # To its size and changed in one step: the first alone takes as long as to decode it.
        to_size = cropped(0, 0, pixels.shape[1], pixels.shape[0], self.size)
        return seen(pixels, change @ to_size, size)


class Item(NamedTuple):
    """One example as a step sees it: pixels [H, W, 3], targets, known [C], cells [C, h, w], weight."""

    pixels: Pixels
    targets: Floats
    known: Floats
    cells: Floats
    weight: float


class Batch(NamedTuple):
    """What a training step takes.

    Attributes:
        images: uint8 RGB [N, H, W, 3]: a quarter of the bytes that go to a GPU, where they are normalised.
        targets: float32 [N, C].
        known: 0 where the target is not known, float32 [N, C].
        cells: 1 for each cell of the activation grid that a box of the class touches, float32 [N, C, h, w].
        weights: float32 [N].
    """

    images: Tensor
    targets: Tensor
    known: Tensor
    cells: Tensor
    weights: Tensor


def make_examples(
    samples: Sequence[Sample],
    cached: Mapping[str, CachedImage],
    classes: Sequence[str],
    preprocessing: Preprocessing,
    in_memory: bool = False,
) -> list[Example]:
    """Puts frames, labels and boxes together; samples that are not in the cache are left out.

    Args:
        samples: of one side.
        cached: by image id.
        classes: the model's outputs in order.
        preprocessing: the network's; the cache may keep larger frames.
        in_memory: decode now instead of in each epoch.

    Raises:
        OntologyError: a label or box is of another class.
    """
    check_classes(samples, classes)
    number = {name: index for index, name in enumerate(classes)}
    examples: list[Example] = []
    for sample in samples:
        image = cached.get(sample.image_id)
        if image is None:
            continue
        targets = np.zeros(len(classes), np.float32)
        targets[[number[name] for name in sample.labels]] = 1
        boxes, kept = frame_boxes(sample.boxes, image, preprocessing)
        named = np.array([number[sample.boxes[index].defect_class] for index in kept], np.int64)
        size = (preprocessing.height, preprocessing.width)
        example = Example(image, targets, boxes, named, sample.sample_weight, size, sample.repeats)
        examples.append(replace(example, frame=example.pixels()) if in_memory else example)
    return examples


def frame_boxes(
    boxes: Sequence[Box], image: CachedImage, preprocessing: Preprocessing
) -> tuple[Floats, list[int]]:
    """Maps boxes from the original image into the frame, clipped to it.

    Returns:
        Left, top, right, bottom in pixels of the frame, float32 [K, 4], and which of `boxes` they
        are; a box outside the frame's window is left out.
    """
    window = image.place
    by_x, by_y = preprocessing.width / window.width, preprocessing.height / window.height
    mapped: list[tuple[float, float, float, float]] = []
    kept: list[int] = []
    for index, box in enumerate(boxes):
        left, top = (box.x - window.x) * by_x, (box.y - window.y) * by_y
        right, bottom = left + box.width * by_x, top + box.height * by_y
        left, right = np.clip([left, right], 0, preprocessing.width)
        top, bottom = np.clip([top, bottom], 0, preprocessing.height)
        if right > left and bottom > top:
            mapped.append((left, top, right, bottom))
            kept.append(index)
    return np.array(mapped, np.float32).reshape(-1, 4), kept


def touched_cells(
    boxes: Floats, box_classes: NDArray[np.int64], classes: int, size: tuple[int, int], grid: tuple[int, int]
) -> Floats:
    """Marks the cells of the activation grid that boxes touch.

    Args:
        boxes: left, top, right, bottom in pixels of the frame, inside it, [K, 4].
        box_classes: index of the class of each, [K].
        classes: number of classes, C.
        size: rows and columns of the frame.
        grid: rows and columns of the activation maps.

    Returns:
        0 or 1, float32 [C, h, w]; at least one cell for each box.
    """
    cells = np.zeros((classes, *grid), np.float32)
    scale = np.array([grid[1] / size[1], grid[0] / size[0]] * 2)
    for (left, top, right, bottom), index in zip(boxes * scale, box_classes, strict=True):
        column, row = min(int(left), grid[1] - 1), min(int(top), grid[0] - 1)
        # A hair's breadth over an edge is rounding, not another cell.
        end_column, end_row = int(np.ceil(right - 1e-4)), int(np.ceil(bottom - 1e-4))
        cells[index, row : max(end_row, row + 1), column : max(end_column, column + 1)] = 1
    return cells


class FrameDataset(Dataset[Item]):
    """Examples, each time changed at random as the profile says."""

    def __init__(
        self,
        examples: Sequence[Example],
        grid: tuple[int, int],
        *,
        change: Geometric | None = None,
        window: tuple[int, int] | None = None,
        minimum_visible: float = 0.0,
    ) -> None:
        """Makes the dataset.

        Args:
            examples: what is in it.
            grid: rows and columns of the activation maps.
            change: random change to what is shown, from `augmentation.geometric`.
            window: rows and columns of the piece of a frame to show; None shows the whole frame.
            minimum_visible: a defect of whose box less than this share is left, or nothing, loses its
                label.
        """
        self.examples, self.grid, self.change = examples, grid, change
        self.window, self.minimum_visible = window, minimum_visible

    def __len__(self) -> int:
        """Returns the number of examples."""
        return len(self.examples)

    def __getitem__(self, index: int) -> Item:
        """Returns one example, changed."""
        example = self.examples[index]
        frame, boxes = example.size, example.boxes
        size = self.window or frame
        if self.window is None and self.change is None:
            pixels = example.pixels()
        else:
            place = np.eye(3) if self.window is None else windowed(boxes, frame, self.window)
            place = place if self.change is None else self.change.draw() @ place
            pixels, boxes = example.changed(place, size), moved(boxes, place)
        share = visible_share(boxes, size)
        left = (share > 0) & (share >= self.minimum_visible)
        limits = np.array([size[1], size[0]] * 2, np.float32)
        box_classes, boxes = example.box_classes, np.clip(boxes, 0, limits)
        targets, known = example.targets.copy(), np.ones_like(example.targets)
        targets[list(set(box_classes.tolist()) - set(box_classes[left].tolist()))] = 0
        if self.window is not None:  # a defect that nobody located may be outside the window
            known[(example.targets > 0) & ~np.isin(np.arange(len(targets)), box_classes)] = 0
        cells = touched_cells(boxes[left], box_classes[left], len(targets), size, self.grid)
        return Item(pixels, targets, known, cells, example.weight)


def collate(items: Sequence[Item]) -> Batch:
    """Makes a batch of items."""
    pixels, targets, known, cells, weights = zip(*items, strict=True)
    return Batch(
        torch.from_numpy(np.stack(pixels)),
        torch.from_numpy(np.stack(targets)),
        torch.from_numpy(np.stack(known)),
        torch.from_numpy(np.stack(cells)),
        torch.tensor(weights, dtype=torch.float32),
    )
