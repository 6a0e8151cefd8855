"""Random changes to training images, with the profile's numbers."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from inspection.imaging import Pixels, Preprocessing
from inspection.profiles import Augmentation


class View(NamedTuple):
    """What is seen: pixels, uint8 RGB [H, W, 3], and boxes, left, top, right, bottom, float32 [K, 4]."""

    pixels: Pixels
    boxes: NDArray[np.float32]


def geometric(augmentation: Augmentation, size: tuple[int, int]) -> v2.Transform | None:
    """Returns the changes that resample the whole frame, for image and boxes together; None for none.

    Flips are not among them: see `flipped`.

    Args:
        augmentation: how much.
        size: rows and columns of the frame.
    """
    steps: list[v2.Transform] = []
    if augmentation.rotation_degrees:
        steps.append(v2.RandomRotation(augmentation.rotation_degrees, v2.InterpolationMode.BILINEAR))
    if augmentation.crop_scale < 1:
        # Around the frame's own shape: torchvision's default is a square, whatever the frame.
        ratio = (3 / 4 * size[1] / size[0], 4 / 3 * size[1] / size[0])
        steps.append(v2.RandomResizedCrop(size, scale=(augmentation.crop_scale, 1.0), ratio=ratio))
    return v2.Compose(steps) if steps else None


def changed(view: View, change: v2.Transform) -> View:
    """Applies a geometric change to pixels and boxes; boxes may come to lie outside."""
    image = tv_tensors.Image(torch.from_numpy(view.pixels).permute(2, 0, 1))
    boxes = tv_tensors.BoundingBoxes(  # not clamped, so that the visible share can be told
        torch.from_numpy(view.boxes), format="XYXY", canvas_size=view.pixels.shape[:2], clamping_mode=None
    )
    image, boxes = change(image, boxes)
    pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
    return View(pixels, boxes.as_subclass(Tensor).numpy())


def flipped(view: View, probability: float) -> View:
    """Mirrors left and right, and top and bottom, each with a probability.

    OpenCV turns it: as strides of NumPy it would be free here, and copied pixel by pixel into the batch.
    """
    rows, columns = view.pixels.shape[:2]
    pixels, (left, top, right, bottom) = view.pixels, view.boxes.T
    sideways, upside_down = (torch.rand(2) < probability).tolist()
    if sideways:
        left, right = columns - right, columns - left
    if upside_down:
        top, bottom = rows - bottom, rows - top
    if sideways or upside_down:
        axes = {(True, False): 1, (False, True): 0, (True, True): -1}[sideways, upside_down]
        pixels = np.asarray(cv2.flip(pixels, axes), np.uint8)
    return View(pixels, np.stack([left, top, right, bottom], axis=1))


def turning_room(window: tuple[int, int], degrees: float, frame: tuple[int, int]) -> tuple[int, int]:
    """Returns rows and columns of the piece that still covers a window when it is turned, inside the frame.

    To turn a piece costs as much less than to turn the frame as it is smaller.
    """
    turn = math.radians(min(degrees, 90))
    rows = math.ceil(window[0] * math.cos(turn) + window[1] * math.sin(turn))
    columns = math.ceil(window[1] * math.cos(turn) + window[0] * math.sin(turn))
    return min(max(rows, window[0]), frame[0]), min(max(columns, window[1]), frame[1])


def windowed(view: View, size: tuple[int, int]) -> View:
    """Cuts a random piece that shows one of the boxes, or any piece when there is none.

    Args:
        view: pixels at least as large as `size`.
        size: rows and columns of the piece.
    """
    box = view.boxes[int(torch.randint(len(view.boxes), ()))] if len(view.boxes) else None
    top, left = (
        _start(view.pixels.shape[axis], size[axis], None if box is None else (box[1 - axis], box[3 - axis]))
        for axis in (0, 1)
    )
    pixels = view.pixels[top : top + size[0], left : left + size[1]]
    return View(pixels, view.boxes - np.array([left, top] * 2, np.float32))


def _start(length: int, size: int, span: tuple[float, float] | None) -> int:
    """Draws where a piece of `size` begins so that it holds the span, or as much of it as fits."""
    low, high = 0, length - size
    if span is not None:
        begin, end = (int(span[0]), math.ceil(span[1])) if span[1] - span[0] <= size else _middle(span, size)
        low, high = max(low, min(end - size, high)), min(high, max(begin, low))
    return low + int(torch.randint(max(high - low, 0) + 1, ()))


def _middle(span: tuple[float, float], size: int) -> tuple[int, int]:
    begin = round((span[0] + span[1] - size) / 2)
    return begin, begin + size


def photometric(images: Tensor, augmentation: Augmentation, preprocessing: Preprocessing) -> Tensor:
    """Changes brightness and contrast and adds noise, image by image, on the device of the images.

    The same as on values of 0 to 1 before normalisation, in one multiplication and one addition; the
    range is not clipped, as a darker lamp does not clip it.

    Args:
        images: normalised, float32 [N, 3, H, W].
        augmentation: how much.
        preprocessing: gives mean and standard deviation of the normalisation.
    """
    if augmentation.brightness or augmentation.contrast:
        count = len(images)
        brightness = _factors(count, augmentation.brightness).to(images.device)
        contrast = _factors(count, augmentation.contrast).to(images.device)
        # In normalised values, black lies at -mean/std; contrast pivots on the image's own mean.
        black = torch.tensor(preprocessing.mean) / torch.tensor(preprocessing.std)
        black = black.view(1, 3, 1, 1).to(images.device)
        middle = (images.mean((2, 3), keepdim=True) + black) * brightness - black
        images = images * (brightness * contrast) + (black * (brightness - 1) - middle) * contrast + middle
    if augmentation.noise:
        deviation = augmentation.noise / torch.tensor(preprocessing.std).view(1, 3, 1, 1).to(images.device)
        images = images + torch.randn_like(images) * deviation
    return images


def visible_share(boxes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Returns how much of each box lies inside the frame, of what a frame of this size could show.

    Args:
        boxes: left, top, right, bottom, [K, 4].
        size: rows and columns of the frame.

    Returns:
        Shares of the area, float32 [K], 0 to 1.
    """
    limits = np.array([size[1], size[0]], np.float32)
    inside = np.clip(boxes, 0, np.tile(limits, 2))
    possible = np.minimum(boxes[:, 2:] - boxes[:, :2], limits).prod(1)
    shown = (inside[:, 2:] - inside[:, :2]).prod(1)
    return np.asarray(shown / np.maximum(possible, 1e-9), np.float32)


def _factors(count: int, spread: float) -> Tensor:
    return 1 + (2 * torch.rand(count, 1, 1, 1) - 1) * spread
