"""Bounds for an area under the ROC curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from inspection.bootstrap import Estimate
from inspection.metrics import auroc

Floats = NDArray[np.floating[Any]]


def auroc_estimate(scores: Floats, truth: Floats, confidence: float = 0.95) -> Estimate:
    """Returns the area with two-sided bounds (DeLong, DeLong and Clarke-Pearson 1988), cut to 0..1.

    No bounds are told where one kind has fewer than two images, or where the kinds are told apart without a
    mistake: the variance cannot be seen then.

    Args:
        scores: higher for the positive kind, [N].
        truth: 0 or 1, [N].
        confidence: two-sided coverage, between 0 and 1.
    """
    value = auroc(scores, truth)
    positive, negative = np.sort(scores[truth > 0]), np.sort(scores[truth <= 0])
    if value is None or min(len(positive), len(negative)) < 2:
        return Estimate(value=value, low=None, high=None, count=len(scores))
    # Of each image, the share of the other kind that it is ranked right against; a tie counts half.
    above, below = _placements(positive, negative), 1 - _placements(negative, positive)
    variance = float(np.var(above, ddof=1) / len(above) + np.var(below, ddof=1) / len(below))
    if variance == 0:
        return Estimate(value=value, low=None, high=None, count=len(scores))
    half = float(stats.norm.ppf((1 + confidence) / 2)) * variance**0.5
    return Estimate(value=value, low=max(value - half, 0.0), high=min(value + half, 1.0), count=len(scores))


def _placements(scores: Floats, others: Floats) -> Floats:
    """Returns the share of the sorted others that each score lies above, [N]."""
    below = np.searchsorted(others, scores, "left") + np.searchsorted(others, scores, "right")
    return np.asarray(below / (2 * len(others)))
