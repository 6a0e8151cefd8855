"""Random changes to training images, with the profile's numbers."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms import v2

from inspection.imaging import Pixels, Preprocessing
from inspection.profiles import Augmentation

Boxes = NDArray[np.float32]
"""Left, top, right, bottom, [K, 4]."""

Matrix = NDArray[np.float64]
"""An affine map of the plane, [3, 3], on columns (x, y, 1); the first pixel reaches from 0 to 1."""

# OpenCV counts from the middle of the first pixel.
MIDDLE = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
FROM_MIDDLE = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])


class Geometric:
    """Random rotation, resized crop and flips.

    Drawn as torchvision draws them; but as torchvision resamples once for each of them, in floating point,
    they are one affine map here, which OpenCV follows in a fraction of the time.
    """

    def __init__(self, augmentation: Augmentation, size: tuple[int, int]) -> None:
        """Makes the change.

        Args:
            augmentation: how much.
            size: rows and columns of what is changed, before and after.
        """
        self.size, self._flip = size, augmentation.flip
        # Around the frame's own shape: torchvision's default is a square, whatever the frame.
        ratio = (3 / 4 * size[1] / size[0], 4 / 3 * size[1] / size[0])
        self._rotation = v2.RandomRotation(augmentation.rotation_degrees)
        self._crop = v2.RandomResizedCrop(size, scale=(augmentation.crop_scale, 1.0), ratio=ratio)

    def draw(self) -> Matrix:
        """Draws a change: the map that takes a place to its new one."""
        matrix = np.eye(3)
        if self._rotation.degrees[1]:
            matrix = turned(self._rotation.make_params([])["angle"], self.size)
        if self._crop.scale[0] < 1:
            cut = self._crop.make_params([torch.empty(1).expand(3, *self.size)])  # it asks for the size alone
            matrix = cropped(cut["left"], cut["top"], cut["width"], cut["height"], self.size) @ matrix
        if self._flip:
            sideways, upside_down = (torch.rand(2) < self._flip).tolist()
            matrix = flipped(sideways, upside_down, self.size) @ matrix
        return matrix


def geometric(augmentation: Augmentation, size: tuple[int, int]) -> Geometric | None:
    """Returns the changes to image and boxes together; None for none.

    Args:
        augmentation: how much.
        size: rows and columns of what is changed.
    """
    changes = augmentation.rotation_degrees or augmentation.crop_scale < 1 or augmentation.flip
    return Geometric(augmentation, size) if changes else None


def turned(degrees: float, size: tuple[int, int]) -> Matrix:
    """Returns the map that turns so many rows and columns about their middle, counter-clockwise."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = size[1] / 2, size[0] / 2
    return np.array(
        [
            [cosine, sine, x - cosine * x - sine * y],
            [-sine, cosine, y + sine * x - cosine * y],
            [0, 0, 1],
        ]
    )


def cropped(left: float, top: float, width: float, height: float, size: tuple[int, int]) -> Matrix:
    """Returns the map that makes a piece as large as `size`, rows and columns."""
    across, down = size[1] / width, size[0] / height
    return np.array([[across, 0, -left * across], [0, down, -top * down], [0, 0, 1]])


def flipped(sideways: bool, upside_down: bool, size: tuple[int, int]) -> Matrix:
    """Returns the map that mirrors left and right, and top and bottom, of so many rows and columns."""
    x, y = (-1, size[1]) if sideways else (1, 0), (-1, size[0]) if upside_down else (1, 0)
    return np.array([[x[0], 0, x[1]], [0, y[0], y[1]], [0, 0, 1]], np.float64)


def windowed(boxes: Boxes, size: tuple[int, int], window: tuple[int, int]) -> Matrix:
    """Draws a piece that shows one of the boxes, or any piece when there is none.

    Args:
        boxes: in a frame.
        size: rows and columns of the frame.
        window: rows and columns of the piece, at most the frame's.

    Returns:
        The map that takes a place of the frame to the one in the piece.
    """
    box = boxes[int(torch.randint(len(boxes), ()))] if len(boxes) else None
    top, left = (
        _start(size[axis], window[axis], None if box is None else (box[1 - axis], box[3 - axis]))
        for axis in (0, 1)
    )
    return cropped(left, top, window[1], window[0], window)


def seen(pixels: Pixels, change: Matrix, size: tuple[int, int]) -> Pixels:
    """Returns what a map makes of pixels.

    Args:
        pixels: uint8 RGB [H, W, 3].
        change: takes a place to its new one.
        size: rows and columns of the result.

    Returns:
        Resampled linearly; black where nothing comes to lie.
    """
    by_index = (FROM_MIDDLE @ change @ MIDDLE)[:2]
    # With a fourth channel OpenCV takes half the time, there and back, for the same result.
    four = cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA)
    four = cv2.warpAffine(four, by_index, (size[1], size[0]), flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(four, cv2.COLOR_RGBA2RGB), np.uint8)


def moved(boxes: Boxes, change: Matrix) -> Boxes:
    """Returns the smallest boxes around the four mapped corners of each; they may lie outside."""
    corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]] @ change[:2, :2].T + change[:2, 2]
    return np.concatenate([corners.min(1), corners.max(1)], axis=1).astype(np.float32)


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
    """Changes brightness and contrast, adds noise, and normalises, image by image.

    The same as on values of 0 to 1 before normalisation, in one multiplication and one addition; the
    range is not clipped, as a darker lamp does not clip it.

    Args:
        images: uint8 RGB [N, H, W, 3], on the device that does it.
        augmentation: how much.
        preprocessing: gives mean and standard deviation of the normalisation.

    Returns:
        float32 [N, 3, H, W], its memory in the order of `images`.
    """
    values = images.permute(0, 3, 1, 2).float()
    mean, deviation = (
        torch.tensor(part, device=images.device).view(1, 3, 1, 1)
        for part in (preprocessing.mean, preprocessing.std)
    )
    # Of values of 0 to 255: v * factor + shift.
    factor, shift = 1 / (255 * deviation), -mean / deviation
    if augmentation.brightness or augmentation.contrast:
        brightness = _factors(len(images), augmentation.brightness).to(images.device)
        contrast = _factors(len(images), augmentation.contrast).to(images.device)
        # Contrast pivots on the image's own mean, as bright as it then is.
        pivot = values.mean((2, 3), keepdim=True) * brightness
        shift = shift + pivot * (1 - contrast) * factor
        factor = factor * (brightness * contrast)
    values = torch.addcmul(shift, values, factor)
    if augmentation.noise:
        values += torch.randn_like(values) * (augmentation.noise / deviation)
    return values


def normalised(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Does what `imaging.to_tensor` does where the images are: uint8 [N, H, W, 3] to float32 [N, 3, H, W]."""
    return photometric(images, Augmentation(), preprocessing)


def visible_share(boxes: Boxes, size: tuple[int, int]) -> NDArray[np.float32]:
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
