"""A part on its mat as the camera sees it: pose, shadow, light, optics, sensor, colour."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.simulation.cameras import Camera, illumination
from inspection.simulation.noise import Field, clouds
from inspection.simulation.parts import PartType
from inspection.simulation.strokes import Points
from inspection.simulation.surface import Canvas

MAX_TURN_DEGREES = 3.0
SHADOW_REACH = 56
"""Pixels at the reference width beyond which no shadow falls."""
TWO_DICE_SPREAD = ((256**2 - 1) / 6) ** 0.5
"""Standard deviation of the sum of two even bytes."""

Matrix = NDArray[np.float64]
Size = tuple[int, int]


class Region(NamedTuple):
    """Rows and columns of a frame; indexes an array."""

    rows: slice
    columns: slice


class Box(NamedTuple):
    """A rectangle in pixels of the image."""

    x: int
    y: int
    width: int
    height: int


def pose(rng: np.random.Generator, size: Size, canvas_shape: Size, unit: float) -> Matrix:
    """The 2x3 matrix from canvas to frame: a small turn and a shift from the middle."""
    turn = np.deg2rad(rng.uniform(-MAX_TURN_DEGREES, MAX_TURN_DEGREES))
    middle = np.array(size) / 2 + unit * rng.uniform((-60, -85), (60, 85))
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    offset = middle - rotation @ (np.array(canvas_shape[::-1]) / 2)
    return np.hstack([rotation, offset[:, None]])


def around(canvas: Canvas, matrix: Matrix, size: Size) -> Region:
    """The frame's region that the part and its shadow can reach."""
    rows, columns = canvas.mask.shape
    corners = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], dtype=np.float64)
    x, y, width, height = box_around(corners, matrix, size)
    grow = round(SHADOW_REACH * canvas.unit)
    left, top = max(0, x - grow), max(0, y - grow)
    right, bottom = min(size[0], x + width + grow), min(size[1], y + height + grow)
    return Region(slice(top, bottom), slice(left, right))


def mat(rng: np.random.Generator, size: Size, camera: Camera, unit: float) -> Field:
    """The empty mat's brightness, float32 [height, width]: slow shades and a fine grain."""
    half = size[1] // 2, size[0] // 2
    shades = clouds(rng, half, 60 * unit) + clouds(rng, half, 1.5 * unit)
    grey = camera.backdrop * (1 + 0.05 * shades)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def lay_on_mat(frame: Field, camera: Camera, canvas: Canvas, matrix: Matrix, region: Region) -> Field:
    """Lays the part and its shadow on the frame, in place.

    Returns:
        How much of each pixel of the region is part, float32, 0 to 1.
    """
    unit = canvas.unit
    place = frame[region]
    size = place.shape[1], place.shape[0]
    local = matrix - np.array([[0, 0, region.columns.start], [0, 0, region.rows.start]])
    cover = np.asarray(cv2.warpAffine(canvas.mask, local, size), dtype=np.float32)
    part = cv2.warpAffine(canvas.luminance, local, size, borderMode=cv2.BORDER_REPLICATE)
    small = cv2.resize(cover, (size[0] // 8, size[1] // 8), interpolation=cv2.INTER_AREA)
    away = np.array([[1, 0, -1.6 * unit * camera.light[0]], [0, 1, -1.6 * unit * camera.light[1]]])
    shade = cv2.GaussianBlur(cv2.warpAffine(small, away, small.shape[::-1]), (0, 0), 1.8 * unit)
    place *= 1 - 0.65 * np.asarray(cv2.resize(shade, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    place += cover * (np.asarray(part, dtype=np.float32) - place)
    return cover


def expose(rng: np.random.Generator, camera: Camera, frame: Field, light: float, unit: float) -> Field:
    """Returns what the sensor reads, float32 [height, width]: lit, through the optics, with noise."""
    rows, columns = frame.shape
    # OpenCV does each of these in one pass; NumPy would walk the frame twice as often.
    lit = cv2.multiply(frame, illumination(camera, columns, rows), scale=light)
    seen = np.asarray(cv2.GaussianBlur(lit, (0, 0), camera.blur * unit), dtype=np.float32)
    np.maximum(seen, 0, out=seen)
    # The sum of two even bytes is bell-shaped enough for a sensor, and five times quicker than a Gaussian.
    dice = np.frombuffer(rng.bytes(2 * seen.size), np.uint8).reshape(2, rows, columns)
    share = 1.4 * camera.noise / TWO_DICE_SPREAD
    grain = cv2.addWeighted(dice[0], share, dice[1], share, -255 * share, dtype=cv2.CV_32F)
    return np.asarray(cv2.add(seen, cv2.multiply(grain, cv2.sqrt(seen))), dtype=np.float32)


def coloured(seen: Field, camera: Camera, part: PartType, cover: Field, region: Region) -> NDArray[np.uint8]:
    """Gives mat and metal their colours: uint8 BGR, [height, width, 3]."""
    channels = []
    for mat, metal, lamp in zip(camera.backdrop_tint, part.tint, camera.tint, strict=True):
        channel = cv2.convertScaleAbs(seen, alpha=255 * lamp * mat)
        tint = cover * (lamp * (metal - mat)) + lamp * mat
        channel[region] = cv2.convertScaleAbs(seen[region] * tint, alpha=255)
        channels.append(channel)
    return np.asarray(cv2.merge(channels), dtype=np.uint8)


def box_around(points: Points, matrix: Matrix, size: Size) -> Box:
    """The smallest box, in whole pixels inside the frame, around canvas points laid on the mat."""
    placed = points @ matrix[:, :2].T + matrix[:, 2]
    limit = np.array(size)
    low = np.clip(np.floor(placed.min(axis=0)), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(placed.max(axis=0)) + 1, low + 1, limit).astype(int)
    return Box(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))
