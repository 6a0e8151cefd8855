"""The risk-coverage curve by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from inspection.risk import risk_coverage


def test_the_curve_by_hand() -> None:
    # Most confident first: right, wrong | right (as sure as the one before) | right, wrong.
    found = risk_coverage(np.array([0.6, 0.9, 0.8, 0.8, 0.5]), np.array([False, False, True, False, True]))
    assert found.confidence == (0.9, 0.8, 0.6, 0.5)
    assert found.coverage == pytest.approx((0.2, 0.6, 0.8, 1.0))
    assert found.risk == pytest.approx((0, 1 / 3, 1 / 4, 2 / 5))
    assert found.area == pytest.approx((0 + 2 / 3 + 1 / 4 + 2 / 5) / 5)


def test_each_point_is_the_error_of_the_parts_that_are_sure_enough() -> None:
    rng = np.random.default_rng(0)
    confidence, truth = rng.random(200).round(2), rng.random(200) < 0.5
    told = np.where(rng.random(200) < confidence, truth, ~truth)
    found = risk_coverage(confidence, told != truth)
    for limit, coverage, risk in zip(found.confidence, found.coverage, found.risk, strict=True):
        automatic = confidence >= limit
        assert coverage == pytest.approx(automatic.mean())
        assert risk == pytest.approx(1 - accuracy_score(truth[automatic], told[automatic]))
    assert found.coverage[-1] == 1


@pytest.mark.parametrize(("wrong", "risk"), [(False, 0.0), (True, 1.0)])
def test_one_part(wrong: bool, risk: float) -> None:
    found = risk_coverage(np.array([0.7]), np.array([wrong]))
    assert (found.confidence, found.coverage, found.risk, found.area) == ((0.7,), (1.0,), (risk,), risk)
