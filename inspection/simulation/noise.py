"""Random fields and lines from which surfaces are made."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def clouds(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> Field:
    """Returns smooth noise of unit variance at its nodes, float32 [h, w], that changes over `cell` pixels."""
    nodes = max(2, round(shape[0] / cell) + 1), max(2, round(shape[1] / cell) + 1)
    coarse = rng.standard_normal(nodes, dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC))


def streaks(rng: np.random.Generator, shape: tuple[int, int], length: float) -> Field:
    """Returns noise drawn out along the rows, float32 [h, w]: each row its own, `length` pixels long."""
    nodes = shape[0], max(2, round(shape[1] / length) + 1)
    coarse = rng.standard_normal(nodes, dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR))


def profile(rng: np.random.Generator, length: int, feed: float) -> Field:
    """Returns the height of a machined surface across its tool marks, float32 [length].

    Args:
        rng: source of randomness.
        length: in pixels.
        feed: distance of two passes of the tool in pixels.

    Returns:
        Values around 0, mostly within 1: feed marks, their irregularity, and slow waves.
    """
    x = np.arange(length, dtype=np.float32)
    fine = _smooth(rng, length, 0.8)
    middle = _smooth(rng, length, 2.2 * feed)
    slow = _smooth(rng, length, 11 * feed)
    wobble = 0.6 * middle
    marks = np.sin(2 * np.pi * x / feed + wobble) * (0.7 + 0.3 * slow)
    return np.asarray(0.30 * marks + 0.22 * fine + 0.28 * middle + 0.20 * slow, dtype=np.float32)


def _smooth(rng: np.random.Generator, length: int, sigma: float) -> Field:
    nodes = max(2, round(length / sigma) + 1)
    coarse = rng.standard_normal((1, nodes), dtype=np.float32)
    line = cv2.resize(coarse, (length, 1), interpolation=cv2.INTER_CUBIC)
    return np.asarray(line, dtype=np.float32).ravel()
