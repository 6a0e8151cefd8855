"""Two models on the same parts: which of them is right more often, beyond chance."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import stats

from inspection.dataset import Sample


class PairedVerdicts(BaseModel):
    """How often two models are right on the same parts.

    Attributes:
        both: both right; `first_only`, `second_only`, `neither` likewise.
        exact_p: of McNemar's exact test (1947): chance to see verdicts differ as unevenly when both models
            are equally good; 1 when they never differ.
        mid_p: the same, less conservative on few parts (Fagerland, Lydersen and Laake 2013).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    both: int
    first_only: int
    second_only: int
    neither: int
    exact_p: float
    mid_p: float

    @property
    def parts(self) -> int:
        """How many parts both judged."""
        return self.both + self.first_only + self.second_only + self.neither


def compare_verdicts(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedVerdicts:
    """Counts and tests; both arrays tell whether the model is right on the part, [N]."""
    ahead, behind = int((first & ~second).sum()), int((second & ~first).sum())
    differing = ahead + behind
    exact = float(stats.binomtest(ahead, differing).pvalue) if differing else 1.0
    # The p-value less half the chance of what was seen, in both tails; in the middle there is but one.
    mid = exact if ahead == behind else exact - float(stats.binom.pmf(ahead, differing, 0.5))
    return PairedVerdicts(
        both=int((first & second).sum()),
        first_only=ahead,
        second_only=behind,
        neither=int((~first & ~second).sum()),
        exact_p=exact,
        mid_p=mid,
    )


def unseen(samples: Sequence[Sample], learnt_orders: Collection[str]) -> tuple[Sample, ...]:
    """Returns the samples of production orders of which a model has seen no part."""
    seen = set(learnt_orders)
    return tuple(sample for sample in samples if sample.production_order_id not in seen)
