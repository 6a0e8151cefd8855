"""The machined surface of one part, drawn upright on its own canvas."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from inspection.simulation.noise import Field, clouds, profile, streaks
from inspection.simulation.parts import PartType, Polygon, Shape, Texture

MARGIN_MM = 8.0
CUTTER_MM = 46.0
PASS_MM = 13.0
FINE = 4
"""Samples of a surface profile in one pixel."""
SAMPLES = 4
"""Samples of the silhouette each way in one pixel of the reference width."""


@dataclass
class Canvas:
    """A part while it is being drawn.

    Attributes:
        luminance: brightness, float32 [h, w], about 0 to 1.
        mask: how much of a pixel the part covers, float32 [h, w], 0 to 1.
        across: position across the tool marks in pixels, float32 [h, w].
        scale: pixels in a millimetre.
        unit: pixels that one pixel of the reference width has become.
        light: direction towards the lamp, (x, y).
    """

    luminance: Field
    mask: Field
    across: Field
    scale: float
    unit: float
    light: tuple[float, float]

    def to_pixels(self, millimetres: Polygon) -> Polygon:
        """Returns points given in millimetres around the middle as pixels of the canvas, [n, 2]."""
        rows, columns = self.mask.shape
        return np.asarray(millimetres * self.scale + np.array([columns / 2, rows / 2]))


def draw_surface(
    rng: np.random.Generator,
    part: PartType,
    shape: Shape,
    size: tuple[int, int],
    scale: float,
    unit: float,
    light: tuple[float, float],
) -> Canvas:
    """Draws a clean part.

    Args:
        rng: source of the surface's randomness.
        part: gives metal and texture.
        shape: its true geometry.
        size: (rows, columns) of the canvas; see `canvas_size`.
        scale: pixels in a millimetre.
        unit: pixels that one pixel of the reference width has become.
        light: direction towards the lamp, (x, y).
    """
    across = _across(part.texture, size, round(scale, 6))
    canvas = Canvas(np.empty(size, np.float32), np.empty(size, np.float32), across, scale, unit, light)
    canvas.mask = _silhouette(canvas, shape)
    canvas.luminance = part.albedo * _shading(canvas, part.texture, shape) * _texture(rng, canvas, part)
    canvas.luminance += _bevel(canvas, 0.10 if part.texture == "turned" else 0.17)
    return canvas


def canvas_size(shape: Shape, scale: float) -> tuple[int, int]:
    """Returns (rows, columns) of a canvas that holds the shape with its margin."""
    extent = np.abs(np.concatenate(shape.solids)).max(axis=0) + MARGIN_MM
    columns, rows = np.ceil(2 * extent * scale).astype(int)
    return int(rows), int(columns)


def _silhouette(canvas: Canvas, shape: Shape) -> Field:
    # OpenCV's antialiasing makes a polygon a pixel wider, more or less by where its edges fall: too coarse
    # to be measured. Large and then averaged it is right to a tenth of a pixel of the reference width.
    rows, columns = canvas.mask.shape
    times = max(1, round(SAMPLES / canvas.unit))
    mask = np.zeros((times * rows, times * columns), np.uint8)
    for polygons, value in ((shape.solids, 255), (shape.holes, 0)):
        for polygon in polygons:
            points = (canvas.to_pixels(polygon) + 0.5) * times - 0.5
            cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], (value,), cv2.LINE_8, 4)
    averaged = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(averaged, dtype=np.float32) / np.float32(255)


@lru_cache(maxsize=64)
def _across(texture: Texture, size: tuple[int, int], scale: float) -> Field:
    rows, columns = size
    x = np.arange(columns, dtype=np.float32)[None, :] - columns / 2
    y = np.arange(rows, dtype=np.float32)[:, None] - rows / 2
    if texture == "turned":
        field = x + 0 * y
    elif texture == "rings":
        field = np.sqrt(x * x + y * y)
    elif texture == "passes":
        field = y + 0 * x
    else:
        radius = max(CUTTER_MM * scale, rows * 0.75)
        field = x - np.sqrt(radius**2 - (y + 0.1 * rows) ** 2)
    field = np.ascontiguousarray(field - field.min(), dtype=np.float32)
    field.setflags(write=False)
    return field


def _texture(rng: np.random.Generator, canvas: Canvas, part: PartType) -> Field:
    """Factor around 1: tool marks, broken up along their direction, and slow unevenness."""
    size, unit = canvas.mask.shape, canvas.unit
    feed = unit * rng.uniform(3.0, 5.5)
    strength = {"turned": 0.10, "rings": 0.10, "arcs": 0.11, "passes": 0.10}[part.texture]
    heights = profile(rng, int(canvas.across.max() * FINE) + 2, feed * FINE)
    marks = np.take(heights, (canvas.across * FINE).astype(np.int32))
    if part.texture == "turned":
        grain = streaks(rng, (size[1], size[0]), 30 * unit).T
    elif part.texture == "passes":
        grain = streaks(rng, size, 40 * unit)
    else:
        grain = clouds(rng, size, 2.5 * unit)
    uneven = clouds(rng, size, 110 * unit)
    field = 1 + strength * rng.uniform(0.6, 1.2) * marks + 0.022 * grain + 0.030 * uneven
    if part.texture == "passes":
        step = PASS_MM * canvas.scale
        number = (canvas.across[:, 0] // step).astype(int)
        edge = np.minimum(canvas.across[:, 0] % step, step - canvas.across[:, 0] % step) / unit
        level = rng.normal(0, 0.035, number.max() + 1)[number] + 0.05 * np.exp(-((edge / 1.3) ** 2))
        field += level[:, None].astype(np.float32)
    return np.asarray(field, dtype=np.float32)


def _shading(canvas: Canvas, texture: Texture, shape: Shape) -> Field:
    """How the form reflects the lamp: bands on a cylinder, a bow tie on a turned face."""
    rows, columns = canvas.mask.shape
    x = (np.arange(columns, dtype=np.float32) - columns / 2) / canvas.scale
    y = (np.arange(rows, dtype=np.float32) - rows / 2) / canvas.scale
    if texture == "turned":
        return _cylinders(shape, x, y, canvas.light)
    if texture == "rings":
        cosine, sine = canvas.light[0] ** 2 - canvas.light[1] ** 2, 2 * canvas.light[0] * canvas.light[1]
        xx, yy = x[None, :] ** 2, y[:, None] ** 2
        turn = ((xx - yy) * cosine + 2 * x[None, :] * y[:, None] * sine) / (xx + yy + 1)
        return np.asarray(1.0 + 0.20 * turn + 0.06 * turn**3, dtype=np.float32)
    along = (x[None, :] * canvas.light[0] + y[:, None] * canvas.light[1]) / 100
    return np.asarray(1.0 + 0.10 * along, dtype=np.float32)


def _cylinders(shape: Shape, x: Field, y: Field, light: tuple[float, float]) -> Field:
    field = np.ones((y.size, x.size), dtype=np.float32)
    for left, right, radius in shape.journals:
        height = np.clip(y / radius, -1, 1)
        body = 0.60 + 0.36 * np.sqrt(1 - height**2)
        lamp = 0.30 * np.exp(-(((height - 0.48 * light[1]) / 0.15) ** 2))
        room = 0.09 * np.exp(-(((height + 0.62 * light[1]) / 0.12) ** 2))
        band = (x >= left - 1) & (x <= right + 1)
        field[:, band] = (body + lamp + room)[:, None]
        # A step in diameter has a small dark undercut on both sides.
        for step in (left, right):
            field *= (1 - 0.28 * np.exp(-(((x - step) / 0.55) ** 2)))[None, :].astype(np.float32)
    return field


def _bevel(canvas: Canvas, strength: float) -> Field:
    soft = cv2.GaussianBlur(canvas.mask, (0, 0), 1.3 * canvas.unit)
    slope_x = cv2.Sobel(soft, cv2.CV_32F, 1, 0, ksize=3)
    slope_y = cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3)
    facing = -(slope_x * canvas.light[0] + slope_y * canvas.light[1]) * canvas.unit
    return np.asarray(facing * strength, dtype=np.float32)
