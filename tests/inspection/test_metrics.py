"""Metrics against scikit-learn, against hand computation, and on the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from inspection.metrics import (
    Rate,
    auroc,
    class_metrics,
    confusion_matrix,
    expected_calibration_error,
    f1_score,
    mean_auroc,
    overall_confidence,
    primary_labels,
    reliability_curve,
)

NOTHING = Rate.of(0, 0)


def test_a_rate_of_nothing_has_no_value() -> None:
    assert Rate(value=None, low=None, high=None, successes=0, total=0) == NOTHING


@pytest.mark.parametrize(("successes", "total"), [(0, 1), (1, 1), (8, 10), (299, 299), (0, 50)])
def test_a_rate_has_wilson_bounds(successes: int, total: int) -> None:
    p, z = successes / total, 1.959963985
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))

    rate = Rate.of(successes, total)

    assert (rate.value, rate.successes, rate.total) == (p, successes, total)
    assert rate.low == pytest.approx(middle - half, abs=1e-9)
    assert rate.high == pytest.approx(middle + half, abs=1e-9)


def test_a_rate_counts_hits_among_some() -> None:
    hits = np.array([True, True, False, False, True])
    among = np.array([True, False, True, False, False])
    assert Rate.where(hits) == Rate.of(3, 5)
    assert Rate.where(hits, among) == Rate.of(1, 2)
    assert Rate.where(hits, np.zeros(5, bool)) == NOTHING
    assert Rate.where(np.zeros(0, bool)) == NOTHING


@pytest.mark.parametrize(
    ("scores", "truth", "expected"),
    [
        ([], [], None),
        ([0.3], [1], None),
        ([0.1, 0.9], [1, 1], None),
        ([0.1, 0.9], [0, 0], None),
        ([0.1, 0.9], [0, 1], 1.0),
        ([0.9, 0.1], [0, 1], 0.0),
        ([0.5, 0.5], [0, 1], 0.5),
        ([0.5, 0.5, 0.5, 0.9], [0, 0, 1, 1], 0.75),  # pairs: two ties, two won
    ],
)
def test_auroc_by_hand(scores: list[float], truth: list[int], expected: float | None) -> None:
    assert auroc(np.array(scores), np.array(truth, np.float32)) == expected


@pytest.mark.parametrize("decimals", [1, 2, 12])
@pytest.mark.parametrize("seed", range(4))
def test_auroc_is_that_of_scikit_learn(seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    truth = (rng.random(300) < 0.2).astype(np.float32)
    scores = np.round(rng.random(300) * 0.7 + truth * 0.3, decimals)  # one decimal: mostly ties
    assert auroc(scores, truth) == pytest.approx(reference.roc_auc_score(truth, scores), abs=1e-12)


def test_mean_auroc_leaves_out_classes_without_one() -> None:
    scores = np.array([[0.1, 0.5, 0.9], [0.9, 0.5, 0.1]])
    targets = np.array([[0, 0, 0], [1, 0, 1]], np.float32)
    assert mean_auroc(scores, targets) == 0.5  # 1, none, 0
    assert mean_auroc(scores[:, 1:2], targets[:, 1:2]) is None


@pytest.mark.parametrize(
    ("probabilities", "truth", "weights", "expected"),
    [
        ([0.0, 1.0], [0, 1], [1, 1], 0.0),
        ([1.0], [0], [1], 1.0),
        ([0.15, 0.15, 0.95, 0.95], [0, 1, 1, 1], [1, 1, 1, 1], (0.7 + 0.1) / 4),
        ([0.15, 0.15, 0.95, 0.95], [0, 1, 1, 1], [3, 1, 2, 2], (0.4 + 0.2) / 8),
        ([0.15, 0.19, 0.22], [0, 0, 1], [1, 1, 1], (0.34 + 0.78) / 3),  # 0.22 is in the next bin
        ([0.95, 1.0], [1, 0], [1, 1], (1.0 - 0.05) / 2),  # 1 belongs to the last bin
        ([0.15, 0.19], [0, 0], [1, 0], 0.15),  # an image of no weight says nothing
    ],
)
def test_calibration_error_by_hand(
    probabilities: list[float], truth: list[int], weights: list[float], expected: float
) -> None:
    found = expected_calibration_error(
        np.array(probabilities)[:, None], np.array(truth)[:, None], np.array(weights, float), bins=10
    )
    assert found == pytest.approx(expected, abs=1e-12)


def test_calibration_error_is_the_mean_over_classes() -> None:
    p, truth = np.array([[0.15, 1.0], [0.15, 1.0]]), np.array([[0, 1], [1, 0]])
    # First class 0.5 - 0.15 = 0.35, second 1 - 0.5 = 0.5.
    assert expected_calibration_error(p, truth, np.ones(2), bins=10) == pytest.approx((0.35 + 0.5) / 2)


def test_calibration_error_of_true_probabilities_is_small() -> None:
    rng = np.random.default_rng(0)
    p = rng.random((20_000, 2))
    truth = (rng.random(p.shape) < p).astype(float)
    assert expected_calibration_error(p, truth, np.ones(len(p))) < 0.015
    assert expected_calibration_error(p**2, truth, np.ones(len(p))) > 0.1


@pytest.mark.parametrize(
    ("scores", "present", "critical", "expected"),
    [
        ([0.9, 0.8, 0.7], [0, 0, 0], [2], 3),
        ([0.9, 0.8, 0.7], [0, 1, 0], [2], 1),
        ([0.7, 0.9, 0.8], [1, 1, 1], [], 1),
        ([0.9, 0.8, 0.1], [1, 1, 1], [2], 2),  # the critical one first, however low
        ([0.9, 0.8, 0.1], [1, 1, 0], [2], 0),  # but only if present
        ([0.9, 0.2, 0.1], [1, 1, 1], [1, 2], 1),
        ([3.0, -2.0, -9.0], [1, 1, 1], [2], 2),  # logits
        ([-3.0, -2.0, 0.0], [1, 1, 0], [], 1),
    ],
)
def test_primary_label(scores: list[float], present: list[int], critical: list[int], expected: int) -> None:
    found = primary_labels(np.array([scores], np.float32), np.array([present], bool), critical)
    assert found.tolist() == [expected]


def test_primary_labels_of_no_and_of_many_images() -> None:
    assert primary_labels(np.zeros((0, 2)), np.zeros((0, 2), bool), [0]).tolist() == []
    scores = np.array([[0.2, 0.9], [0.2, 0.9], [0.2, 0.9]])
    present = np.array([[True, True], [False, True], [False, False]])
    assert primary_labels(scores, present, [0]).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([0.1, 0.2], 0.8),  # PASS: 1 - the highest
        ([0.3, 0.2], 0.3),  # FAIL on the first, whose threshold is low
        ([0.3, 0.65], 0.3),  # FAIL on the first; the second, though higher, is not told
        ([0.3, 0.7], 0.7),  # at the threshold is told
        ([0.1, 0.69], 0.31),
    ],
)
def test_overall_confidence(probabilities: list[float], expected: float) -> None:
    found = overall_confidence(np.array([probabilities]), np.array([0.25, 0.7]))
    assert found.tolist() == pytest.approx([expected])


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_class_metrics_are_those_of_scikit_learn(threshold: float) -> None:
    rng = np.random.default_rng(1)
    truth = (rng.random(200) < 0.3).astype(np.float32)
    p = rng.random(200) * 0.6 + truth * 0.4
    told = p >= threshold

    found = class_metrics(p, truth, threshold, NOTHING)

    assert found.threshold == threshold
    assert found.precision.value == pytest.approx(reference.precision_score(truth, told))
    assert found.recall.value == pytest.approx(reference.recall_score(truth, told))
    assert found.f1 == pytest.approx(reference.f1_score(truth, told))
    assert found.auroc == pytest.approx(reference.roc_auc_score(truth, p))
    assert found.recall_bound == pytest.approx(
        beta.ppf(0.05, found.recall.successes, found.recall.total - found.recall.successes + 1)
    )


def test_class_metrics_at_the_bound_of_299() -> None:
    truth = np.ones(299, np.float32)
    found = class_metrics(truth, truth, 0.5, NOTHING)
    assert found.recall_bound == pytest.approx(0.05 ** (1 / 299))  # Clopper and Pearson without a miss
    assert found.auroc is None


@pytest.mark.parametrize(
    ("probabilities", "truth", "precision", "recall", "f1"),
    [
        ([], [], (0, 0), (0, 0), None),
        ([0.9, 0.1], [0, 0], (0, 1), (0, 0), 0.0),
        ([0.1, 0.1], [1, 0], (0, 0), (0, 1), 0.0),
        ([0.5], [1], (1, 1), (1, 1), 1.0),
    ],
)
def test_class_metrics_with_nothing_to_find_or_tell(
    probabilities: list[float],
    truth: list[int],
    precision: tuple[int, int],
    recall: tuple[int, int],
    f1: float | None,
) -> None:
    found = class_metrics(np.array(probabilities), np.array(truth), 0.5, NOTHING)
    assert found.precision == Rate.of(*precision)
    assert found.recall == Rate.of(*recall)
    assert found.f1 == f1
    assert (found.recall_bound is None) == (recall[1] == 0)


def test_f1_by_hand() -> None:
    # Precision 3/4, recall 3/6: harmonic mean 0.6.
    assert f1_score(3, 4, 6) == pytest.approx(0.6)
    assert f1_score(0, 0, 0) is None


@pytest.mark.parametrize("images", [0, 1, 200])
def test_confusion_is_that_of_scikit_learn(images: int) -> None:
    rng = np.random.default_rng(2)
    truth, told = rng.integers(0, 4, images), rng.integers(0, 3, images)
    expected = np.zeros((5, 5), int)
    if images:
        expected = reference.confusion_matrix(truth, told, labels=range(5))
    assert np.array_equal(confusion_matrix(truth, told, 5), expected)


@pytest.mark.parametrize("weight", [1, 3])
def test_the_reliability_curve_is_that_of_scikit_learn(weight: int) -> None:
    rng = np.random.default_rng(1)
    p = rng.random(400)
    truth = (rng.random(400) < p**2).astype(float)
    weights = np.where(truth > 0, 1, weight)
    # An image that weighs three counts three times.
    shares, stated = calibration_curve(np.repeat(truth, weights), np.repeat(p, weights), n_bins=15)

    found = reliability_curve(p, truth, weights.astype(float))

    assert found.stated == pytest.approx(stated)
    assert found.share == pytest.approx(shares)
    assert found.images.sum() == 400
    gap = np.average(np.abs(found.stated - found.share), weights=np.bincount((p * 15).astype(int), weights))
    assert expected_calibration_error(p[:, None], truth[:, None], weights) == pytest.approx(gap)


def test_a_reliability_curve_has_only_bins_with_images() -> None:
    found = reliability_curve(np.array([0.0, 1.0, 1.0]), np.array([0.0, 1, 0]), np.ones(3), bins=4)
    assert [column.tolist() for column in found] == [[0, 1], [0, 0.5], [1, 2]]
