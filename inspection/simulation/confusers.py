"""Things on and around a part that look like defects and are none: dust, stains, tool marks."""

from __future__ import annotations

import numpy as np

from inspection.simulation.noise import Field
from inspection.simulation.strokes import Patch, Points, area, lay, line, overlap, softened
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
    for _ in range(rng.poisson(16 * amount)):
        place, radius = rng.uniform((0, 0), (columns, rows)), unit * rng.uniform(0.6, 1.7)
        angle = np.linspace(0, 2 * np.pi, 9)[:-1]
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius * rng.uniform(0.6, 1.3, (8, 1))
        _veil(frame, place + ring, unit, rng.uniform(0.15, 0.5), filled=True)
    for _ in range(rng.poisson(1.6 * amount)):
        turn = np.cumsum(rng.normal(0, 0.22, 22)) + rng.uniform(0, 6.3) + rng.normal(0, 0.12) * np.arange(22)
        steps = unit * rng.uniform(1.2, 2.6) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        fibre = rng.uniform((0, 0), (columns, rows)) + np.cumsum(steps, axis=0)
        _veil(frame, fibre, unit, rng.uniform(0.15, 0.4), filled=False)


def _veil(frame: Field, points: Points, unit: float, cover: float, *, filled: bool) -> None:
    sharp = area(points, unit) if filled else line(points, np.full(len(points) - 1, 1.1 * unit), unit)
    patch = softened(sharp, 0.7 * unit)
    there, own = overlap(frame.shape, patch)
    # Dust is light grey: it brightens the mat and hardly changes bright metal.
    frame[there] += cover * patch.alpha[own] * (0.85 - frame[there])
