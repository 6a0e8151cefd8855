"""Bounds for shares. A rate without its bound says little about a small test set."""

from __future__ import annotations

from typing import NamedTuple

from scipy import stats


class Proportion(NamedTuple):
    """A share with its two-sided bounds; all three are None when nothing was counted."""

    value: float | None
    low: float | None
    high: float | None
    successes: int
    total: int


def wilson(successes: int, total: int, confidence: float = 0.95) -> Proportion:
    """Returns a share with its two-sided Wilson score interval (Wilson 1927).

    Args:
        successes: how many of `total` had the property; 0 to `total`.
        total: how many were looked at; 0 gives no value and no bounds.
        confidence: two-sided coverage, between 0 and 1.
    """
    _check(successes, total)
    if total == 0:
        return Proportion(None, None, None, 0, 0)
    interval = stats.binomtest(successes, total).proportion_ci(confidence, method="wilson")
    return Proportion(successes / total, float(interval.low), float(interval.high), successes, total)


def clopper_pearson_lower(successes: int, total: int, confidence: float = 0.95) -> float:
    """Returns the one-sided exact lower bound of a share (Clopper and Pearson 1934); 0 to 1."""
    _check(successes, total)
    if successes == 0:
        return 0.0
    return float(stats.beta.ppf(1 - confidence, successes, total - successes + 1))


def clopper_pearson_upper(successes: int, total: int, confidence: float = 0.95) -> float:
    """Returns the one-sided exact upper bound of a share (Clopper and Pearson 1934); 0 to 1."""
    _check(successes, total)
    if successes == total:
        return 1.0
    return float(stats.beta.ppf(confidence, successes + 1, total - successes))


def _check(successes: int, total: int) -> None:
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} of {total} is no share")
