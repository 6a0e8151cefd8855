"""Bounds for what is no plain share: ratios of sums over images, by resampling the images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Floats = NDArray[np.floating[Any]]

RESAMPLES = 2000
SEED = 0


class Estimate(BaseModel):
    """A figure with two-sided 95 % bootstrap bounds; the three are None when there is nothing to divide by.

    The bounds alone are None where all images give the same ratio: drawing them again shows nothing new.

    Attributes:
        count: images, or other units, that it rests on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None
    low: float | None
    high: float | None
    count: int


def ratio(
    numerators: Floats, denominators: Floats, confidence: float = 0.95, resamples: int = RESAMPLES
) -> Estimate:
    """Returns the ratio of two sums over images with percentile bootstrap bounds (Efron 1979).

    F1 is such a ratio (2 hits / (told + actual)), and so are a weighted share and a mean. The images are
    drawn anew, as the decisions about one image are not independent. A resample without a denominator is
    left out. The drawing is seeded: equal images give equal bounds.

    Args:
        numerators: of each image, [N].
        denominators: of each image, [N], none negative.
        confidence: two-sided coverage, between 0 and 1.
        resamples: how often the images are drawn anew.
    """
    count, total = len(denominators), float(np.sum(denominators))
    if total <= 0:
        return Estimate(value=None, low=None, high=None, count=count)
    rng = np.random.default_rng(SEED)
    parts = np.stack([numerators, denominators], axis=1).astype(np.float64)
    value, even = float(parts[:, 0].sum() / total), np.full(count, 1 / count)
    if np.allclose(parts[:, 0], value * parts[:, 1]):
        return Estimate(value=value, low=None, high=None, count=count)
    drawn = np.array([rng.multinomial(count, even) @ parts for _ in range(resamples)])
    usable = drawn[drawn[:, 1] > 0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(usable[:, 0] / usable[:, 1], [tail, 1 - tail])
    return Estimate(value=value, low=float(low), high=float(high), count=count)
