"""Bootstrap bounds against SciPy's, and where there is nothing to divide by."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from inspection.bootstrap import Estimate, ratio


def test_the_bounds_are_those_of_scipy() -> None:
    rng = np.random.default_rng(5)
    truth, told = rng.random(300) < 0.4, rng.random(300) < 0.5
    numerators, denominators = 2.0 * (truth & told), (truth + 0.0) + told

    found = ratio(numerators, denominators)

    assert found.value == pytest.approx(f1_score(truth, told))
    reference = stats.bootstrap(
        (numerators, denominators),
        lambda a, b, axis: a.sum(axis) / b.sum(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=5000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found.low == pytest.approx(reference.low, abs=0.01)
    assert found.high == pytest.approx(reference.high, abs=0.01)
    assert found.count == 300


def test_the_bounds_of_a_share_are_near_those_of_the_normal_distribution() -> None:
    hits = (np.arange(400) < 100).astype(float)
    found = ratio(hits, np.ones(400))
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert (found.low, found.high) == pytest.approx((0.25 - half, 0.25 + half), abs=0.006)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_nothing_to_divide_by_gives_no_figure(count: int) -> None:
    assert ratio(np.zeros(count), np.zeros(count)) == Estimate(value=None, low=None, high=None, count=count)


@pytest.mark.parametrize(
    ("numerators", "denominators", "value"),
    [([2.0], [4.0], 0.5), ([1.0, 3.0, 0.0], [1.0, 3.0, 0.0], 1.0), ([0.0, 0.0], [1.0, 2.0], 0.0)],
)
def test_images_that_are_all_alike_give_no_bounds(
    numerators: list[float], denominators: list[float], value: float
) -> None:
    found = ratio(np.array(numerators), np.array(denominators))
    assert found == Estimate(value=value, low=None, high=None, count=len(numerators))


def test_resamples_without_a_denominator_are_left_out_and_bounds_can_be_repeated() -> None:
    numerators, denominators = np.array([1.0, 0, 0, 0]), np.array([1.0, 1, 0, 0])
    found = ratio(numerators, denominators)
    assert (found.value, found.low, found.high) == (0.5, 0, 1)
    assert ratio(numerators, denominators) == found
