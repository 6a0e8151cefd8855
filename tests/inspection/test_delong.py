"""DeLong's bounds against their definition and against SciPy's bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from inspection.delong import auroc_estimate


def drawn(seed: int, positives: int, negatives: int, decimals: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.repeat([1.0, 0.0], [positives, negatives])
    return rng.normal(truth * 1.2, 1).round(decimals), truth


@pytest.mark.parametrize(
    ("seed", "positives", "negatives"), [(0, 30, 50), (1, 5, 200), (2, 2, 2), (3, 60, 9)]
)
def test_the_variance_by_its_definition(seed: int, positives: int, negatives: int) -> None:
    scores, truth = drawn(seed, positives, negatives, decimals=1)  # with ties
    x, y = scores[truth > 0], scores[truth == 0]
    psi = np.array([[1.0 if a > b else 0.5 if a == b else 0.0 for b in y] for a in x])
    variance = psi.mean(1).var(ddof=1) / len(x) + psi.mean(0).var(ddof=1) / len(y)

    found = auroc_estimate(scores, truth)

    assert found.value == pytest.approx(roc_auc_score(truth, scores)) == pytest.approx(psi.mean())
    if variance:
        expected = np.clip(psi.mean() + np.array([-1, 1]) * 1.959964 * np.sqrt(variance), 0, 1)
        assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-6)


def test_the_bounds_are_near_those_of_the_bootstrap() -> None:
    scores, truth = drawn(7, 120, 150)

    def area(x: np.ndarray, y: np.ndarray) -> float:
        return float(stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)))

    interval = stats.bootstrap(
        (scores[truth > 0], scores[truth == 0]),
        area,
        vectorized=False,
        method="percentile",
        n_resamples=800,
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = auroc_estimate(scores, truth)
    assert found.low == pytest.approx(interval.low, abs=0.012)
    assert found.high == pytest.approx(interval.high, abs=0.012)


@pytest.mark.parametrize(
    ("scores", "truth", "value"),
    [
        ([], [], None),
        ([0.1, 0.2], [0, 0], None),
        ([0.1, 0.2, 0.9], [0, 0, 1], 1.0),  # one positive says nothing of others
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 1.0),  # no mistake was seen
    ],
)
def test_where_no_bounds_are_told(scores: list[float], truth: list[float], value: float | None) -> None:
    found = auroc_estimate(np.array(scores), np.array(truth))
    assert (found.value, found.low, found.high, found.count) == (value, None, None, len(scores))
