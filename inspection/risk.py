"""What deciding by machine costs: how many parts against how many wrong verdicts among them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Floats = NDArray[np.floating[Any]]


class RiskCoverage(BaseModel):
    """The risk-coverage curve (El-Yaniv and Wiener 2010); one point for each confidence that occurs.

    Attributes:
        confidence: below which a person looks, falling.
        coverage: share of the parts at or above it, which are decided automatically.
        risk: share of wrong verdicts among those.
        area: mean risk over all coverages: the sum over the parts, most confident first, of the risk so far,
            by their number; parts of equal confidence count with the risk after all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    confidence: tuple[float, ...]
    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    area: float


def risk_coverage(confidence: Floats, wrong: NDArray[np.bool_]) -> RiskCoverage:
    """Returns the curve.

    Args:
        confidence: of each verdict, [N]; at least one.
        wrong: whether the verdict is wrong, [N].
    """
    order = np.argsort(-confidence, kind="stable")
    sure, mistakes = confidence[order], np.cumsum(wrong[order])
    # Parts of equal confidence go to people together.
    last = np.append(np.flatnonzero(np.diff(sure)), len(sure) - 1)
    decided = last + 1
    risk = mistakes[last] / decided
    return RiskCoverage(
        confidence=tuple(float(c) for c in sure[last]),
        coverage=tuple(float(c) for c in decided / len(sure)),
        risk=tuple(float(r) for r in risk),
        area=float((risk * np.diff(np.append(0, decided))).sum() / len(sure)),
    )
