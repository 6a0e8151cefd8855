"""Bounds for shares. A rate without its bound says little about a small test set."""

from __future__ import annotations

from dataclasses import dataclass
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


def clopper_pearson_lower(successes: float, total: float, confidence: float = 0.95) -> float:
    """Returns the one-sided exact lower bound of a share (Clopper and Pearson 1934); 0 to 1.

    The counts may be effective ones, and so no whole numbers; see `WeightedShare`.
    """
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


@dataclass(frozen=True)
class WeightedShare:
    """A share among sampled parts of which each stands for `weight` parts of the whole.

    Its bound is Clopper and Pearson's on effective counts (Korn and Graubard 1998): as many parts,
    drawn with equal probability, as would estimate the share with the same variance, and never more
    than were looked at. With equal weights that is the plain bound.

    Attributes:
        count: parts looked at.
        weight: sum of their weights (1 / the probability of being looked at).
        weight_squared: sum of the squares of their weights.
        hit_weight: sum of the weights of the parts that have the property.
        hit_weight_squared: sum of the squares of the weights of those.
    """

    count: int
    weight: float
    weight_squared: float
    hit_weight: float
    hit_weight_squared: float

    @property
    def value(self) -> float | None:
        """The share among the whole, 0 to 1; None when nothing was looked at."""
        return self.hit_weight / self.weight if self.count else None

    @property
    def effective_count(self) -> float:
        """How many parts, drawn with equal probability, would say as much."""
        share = self.value
        if share is None:
            return 0.0
        if not 0 < share < 1:  # the sample shows no variance: what its weights alone cost (Kish 1965)
            return min(self.count, self.weight**2 / self.weight_squared)
        misses_squared = self.weight_squared - self.hit_weight_squared
        residuals = self.hit_weight_squared * (1 - share) ** 2 + misses_squared * share**2
        return min(self.count, share * (1 - share) * self.weight**2 / residuals)

    def lower(self, confidence: float = 0.95) -> float | None:
        """Returns the one-sided lower bound, 0 to 1; None when nothing was looked at."""
        if self.value is None:
            return None
        return clopper_pearson_lower(self.value * self.effective_count, self.effective_count, confidence)


def _check(successes: float, total: float) -> None:
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} of {total} is no share")
