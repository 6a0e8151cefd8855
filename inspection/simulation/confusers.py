"""Things on and around a part that look like defects and are none: dust, stains, tool marks."""

from __future__ import annotations

import cv2
import numpy as np

from inspection.simulation.noise import Field
from inspection.simulation.strokes import Patch, area, lay, softened
from inspection.simulation.surface import Canvas


def tool_marks(rng: np.random.Generator, canvas: Canvas, amount: float) -> None:
    """Chatter and single deep lines; both follow the direction of machining over the whole part."""
    across, unit = canvas.across, canvas.unit
    reach = float(across.max())
    change = np.zeros(int(reach) + 2, np.float32)
    x = np.arange(change.size, dtype=np.float32)
    for _ in range(rng.poisson(0.7 * amount)):
        place, spread = rng.uniform(0, reach), unit * rng.uniform(12, 40)
        wave = np.sin(2 * np.pi * x / (unit * rng.uniform(6, 11)))
        change += rng.uniform(0.03, 0.07) * wave * np.exp(-(((x - place) / spread) ** 2))
    for _ in range(rng.poisson(1.2 * amount)):
        place, width = rng.uniform(0, reach), unit * rng.uniform(0.7, 1.2)
        depth = rng.uniform(0.05, 0.12)
        change -= depth * np.exp(-(((x - place) / width) ** 2))
        change += 0.7 * depth * np.exp(-(((x - place - 2 * width) / width) ** 2))
    if change.any():
        canvas.luminance += np.take(change, across.astype(np.int32))


def stains(rng: np.random.Generator, canvas: Canvas, amount: float) -> None:
    """Dried coolant: wide, soft, a little darker, with a darker rim."""
    rows, columns = canvas.mask.shape
    unit = canvas.unit
    for _ in range(rng.poisson(0.9 * amount)):
        middle = rng.uniform((0, 0), (columns, rows))
        angle = np.linspace(0, 2 * np.pi, 41)[:-1]
        phase = np.arange(2, 6)[:, None] * angle + rng.uniform(0, 6.3, (4, 1))
        wave = (rng.normal(0, 0.13, (4, 1)) * np.cos(phase)).sum(axis=0)
        reach = unit * rng.uniform(12, 42) * (1 + wave)
        blob = area(middle + reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1), unit)
        wide = softened(blob, unit * rng.uniform(1.2, 2.5))
        rim = wide.alpha * (1 - wide.alpha) * 4
        depth = rng.uniform(0.02, 0.06)
        lay(canvas, wide, -depth)
        lay(canvas, Patch(rim, wide.x, wide.y), -0.9 * depth)


def dust(rng: np.random.Generator, frame: Field, unit: float, amount: float) -> None:
    """Specks and fibres, on the part and on the mat alike, brighter than what is below.

    Args:
        rng: source of randomness.
        frame: brightness, float32 [h, w]; changed in place.
        unit: pixels that one pixel of the reference width has become.
        amount: factor on how much of it there is.
    """
    rows, columns = frame.shape
    veil = np.zeros(frame.shape, np.uint8)
    for _ in range(rng.poisson(16 * amount)):
        place, radius = rng.uniform((0, 0), (columns, rows)), unit * rng.uniform((0.6, 0.6), (1.7, 1.7))
        middle, axes = ((16 * values).astype(int).tolist() for values in (place, radius))
        cover = 255 * rng.uniform(0.25, 0.75)
        cv2.ellipse(veil, middle, axes, 0, 0, 360, (cover,), cv2.FILLED, cv2.LINE_AA, 4)
    for _ in range(rng.poisson(1.6 * amount)):
        turn = np.cumsum(rng.normal(0, 0.22, 22)) + rng.uniform(0, 6.3) + rng.normal(0, 0.12) * np.arange(22)
        steps = unit * rng.uniform(1.2, 2.6) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        fibre = rng.uniform((0, 0), (columns, rows)) + np.cumsum(steps, axis=0)
        points, cover = (16 * fibre).astype(np.int32), 255 * rng.uniform(0.2, 0.5)
        cv2.polylines(veil, [points], False, (cover,), max(1, round(unit)), cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(veil, (0, 0), 0.7 * unit)
    # Dust is light grey: it brightens the mat and hardly changes bright metal.
    frame += np.asarray(soft, dtype=np.float32) * ((0.85 - frame) / np.float32(255))
