"""Calibration recovers what is known, and thresholds are the best that there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score

from inspection.errors import InsufficientDataError, SettingsError
from inspection.learning.calibration import (
    SLOPE_BOUNDS,
    Calibration,
    best_f1_threshold,
    calibrate,
    calibrated,
    cheapest_threshold,
    check_counts,
    choose_thresholds,
    recall_threshold,
)
from inspection.profiles import CalibrationProfile, MistakeCost

MINIMUM = CalibrationProfile(minimum_positives=2, minimum_negatives=3)
Floats = NDArray[np.float64]


def drawn(slope: float, offset: float, images: int = 40_000, seed: int = 0) -> tuple[Floats, Floats]:
    """Returns logits and truths that were drawn with sigmoid(slope * logit + offset), each [N, 1]."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 2, (images, 1))
    return logits, (rng.random(logits.shape) < expit(slope * logits + offset)).astype(float)


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.4, 1.0), (2.5, -2.0), (0.05, 0.3)])
def test_known_slope_and_offset_are_found(slope: float, offset: float) -> None:
    logits, truth = drawn(slope, offset)
    found = calibrate(logits, truth, np.ones(len(logits)))
    assert found.slopes[0] == pytest.approx(slope, abs=0.02 + 0.03 * slope)
    assert found.offsets[0] == pytest.approx(offset, abs=0.06)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_fit_is_that_of_scikit_learn(dtype: type) -> None:
    logits, truth = drawn(1.7, -0.5, images=5000)
    weights = np.random.default_rng(1).uniform(1, 5, len(logits))
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(logits, truth[:, 0], weights)

    found = calibrate(logits.astype(dtype), truth.astype(dtype), weights)

    # Platt's smoothed targets pull a little towards the middle.
    assert found.slopes[0] == pytest.approx(reference.coef_[0, 0], rel=0.01)
    assert found.offsets[0] == pytest.approx(reference.intercept_[0], abs=0.01)


def test_classes_are_fitted_apart_and_in_order() -> None:
    one, another = drawn(0.5, 1.0), drawn(2.0, -1.0, seed=1)
    both = calibrate(np.hstack([one[0], another[0]]), np.hstack([one[1], another[1]]), np.ones(40_000))
    alone = [calibrate(*pair, np.ones(40_000)) for pair in (one, another)]
    assert both.slopes == pytest.approx([fit.slopes[0] for fit in alone])
    assert both.offsets == pytest.approx([fit.offsets[0] for fit in alone])


def test_weights_undo_what_balancing_did() -> None:
    logits, truth = drawn(1.0, -2.0)
    kept = (truth[:, 0] > 0) | (np.random.default_rng(2).random(len(truth)) < 0.1)
    weights = np.where(truth[:, 0] > 0, 1.0, 10.0)[kept]

    weighted = calibrate(logits[kept], truth[kept], weights)
    plain = calibrate(logits[kept], truth[kept], np.ones(kept.sum()))

    assert weighted.offsets[0] == pytest.approx(-2.0, abs=0.1)
    assert plain.offsets[0] == pytest.approx(-2.0 + np.log(10), abs=0.1)


@pytest.mark.parametrize("separation", [0.1, 1.0, 100.0])
def test_a_separable_class_stays_finite(separation: float) -> None:
    truth = (np.arange(60) < 20).astype(float)[:, None]
    logits = (2 * truth - 1) * separation + np.linspace(0, separation / 10, 60)[:, None]
    found = calibrate(logits, truth, np.ones(60))
    assert SLOPE_BOUNDS[0] <= found.slopes[0] <= SLOPE_BOUNDS[1]
    p = calibrated(logits, found)
    # By hand, Platt's targets: 21/22 for the 20 positives, 1/42 for the 40 negatives.
    assert p[:20].mean() == pytest.approx(21 / 22, abs=0.01)
    assert p[20:].mean() == pytest.approx(1 / 42, abs=0.01)


def test_a_class_whose_logits_say_nothing_gets_its_share() -> None:
    truth = (np.arange(100) < 20).astype(float)[:, None]
    logits = np.full((100, 1), 3.0)
    p = calibrated(logits, calibrate(logits, truth, np.ones(100)))
    # By hand: (20 * 21/22 + 80 * 1/82) / 100.
    assert p.mean() == pytest.approx((20 * 21 / 22 + 80 / 82) / 100, abs=1e-4)


def test_logits_that_mislead_do_not_turn_the_order_round() -> None:
    logits, truth = drawn(-1.0, 0.0, images=2000)
    assert calibrate(logits, truth, np.ones(2000)).slopes[0] >= SLOPE_BOUNDS[0]


def test_probabilities_are_sigmoids() -> None:
    logits = np.array([[-1000.0, 2.0], [0.0, -1.0], [1000.0, 0.5]])
    found = calibrated(logits, Calibration((2.0, 0.5), (1.0, -1.0)))
    assert found == pytest.approx(expit(logits * [2.0, 0.5] + [1.0, -1.0]))


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ([1, 1, 0, 0, 0], [0, 0, 1, 1, 0], None),
        ([1, 0, 0, 0, 0], [0, 0, 1, 1, 0], "1 images with DENT and 4 without"),
        ([1, 1, 1, 0, 0], [0, 0, 1, 1, 0], "3 images with DENT and 2 without"),
        ([1, 1, 0, 0, 0], [0, 0, 0, 0, 0], "0 images with RUST and 5 without"),
        ([], [], "0 images with DENT and 0 without"),
    ],
)
def test_counts_below_the_minimum_are_refused(first: list[int], second: list[int], named: str | None) -> None:
    targets = np.array([first, second], float).T
    if named is None:
        check_counts(targets, ["DENT", "RUST"], MINIMUM)
    else:
        with pytest.raises(InsufficientDataError, match=f"{named}; at least 2 and 3"):
            check_counts(targets, ["DENT", "RUST"], MINIMUM)


probabilities = st.floats(0, 1, width=32, allow_subnormal=False)
# Also few distinct values, so that ties and neighbours occur.
lists = st.lists(
    st.tuples(probabilities | st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans()), min_size=1, max_size=12
).filter(lambda rows: any(truth for _, truth in rows))


def candidates(p: Sequence[float]) -> list[float]:
    """Returns thresholds of which one gives each possible decision, highest first."""
    return sorted({max(x, float(np.finfo(np.float32).tiny)) for x in p}, reverse=True)


def f1(truth: Floats, told: NDArray[np.bool_]) -> float:
    return float(2 * truth[told].sum() / (truth.sum() + told.sum()))


@settings(max_examples=300, deadline=None)
@given(rows=lists)
def test_the_f1_threshold_is_as_good_as_any(rows: list[tuple[float, bool]]) -> None:
    p, truth = np.array([x for x, _ in rows], np.float32), np.array([float(t) for _, t in rows])
    scores = {t: f1(truth, p >= t) for t in candidates(p.tolist())}

    found = best_f1_threshold(p, truth)

    assert 0 < found <= 1
    best = max(scores.values())
    assert f1(truth, p >= found) == pytest.approx(best)
    if best > 0:  # of equally good ones the highest: the fewest images are told
        highest = max(t for t, score in scores.items() if score == pytest.approx(best))
        assert (p >= found).sum() == (p >= highest).sum()


@settings(max_examples=300, deadline=None)
@given(p=st.lists(probabilities.filter(bool), min_size=1, max_size=12), recall=st.floats(0, 1))
def test_the_recall_threshold_is_the_highest_that_reaches_it(p: list[float], recall: float) -> None:
    found = recall_threshold(np.array(p, np.float32), recall)
    reaching = [t for t in candidates(p) if (np.array(p) >= t).mean() >= recall - 1e-9]
    assert 0 < found <= 1
    assert found == max(reaching)


@pytest.mark.parametrize(
    ("recall", "expected"), [(1.0, 0.1), (0.99, 0.1), (0.75, 0.2), (0.5, 0.4), (0.51, 0.2), (0.0, 0.8)]
)
def test_the_recall_threshold_by_hand(recall: float, expected: float) -> None:
    assert recall_threshold(np.array([0.4, 0.1, 0.8, 0.2]), recall) == expected


def test_a_hundred_positives_may_lose_one_at_a_recall_of_99_percent() -> None:
    p = np.linspace(0.01, 1, 100)
    assert recall_threshold(p, 0.99) == pytest.approx(0.02)
    assert recall_threshold(p[:99], 0.99) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("p", "truth", "expected"),
    [
        ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 0.5),  # midway
        ([0.9, 0.9, 0.9], [1, 0, 1], 0.9),  # one value: tell all
        ([0.7], [1], 0.7),
        ([0.0, 0.0], [1, 0], float(np.finfo(np.float32).tiny)),  # never 0, which would tell each part
    ],
)
def test_the_f1_threshold_by_hand(p: list[float], truth: list[int], expected: float) -> None:
    assert best_f1_threshold(np.array(p), np.array(truth)) == pytest.approx(expected)


def test_the_middle_between_neighbours_does_not_tell_the_lower_one() -> None:
    low = np.float32(0.5)
    high = np.nextafter(low, np.float32(1))
    for p in (np.array([high, low]), np.array([np.nextafter(high, np.float32(1)), high])):
        assert (p >= best_f1_threshold(p, np.array([1, 0]))).tolist() == [True, False]


def test_safety_critical_classes_are_held_to_recall_and_the_others_to_f1() -> None:
    rng = np.random.default_rng(3)
    targets = (rng.random((400, 2)) < 0.3).astype(float)
    p = np.clip(rng.normal(0.3 + 0.3 * targets, 0.2), 0, 1)

    found = choose_thresholds(p, targets, ["DENT", "RUST"], ["RUST"], 0.99, 0.1)

    assert list(found) == ["DENT", "RUST"]
    assert recall_score(targets[:, 1], p[:, 1] >= found["RUST"]) >= 0.99
    assert recall_score(targets[:, 1], p[:, 1] > found["RUST"]) < 0.99
    assert found["DENT"] == best_f1_threshold(p[:, 0], targets[:, 0], 0.05)
    assert (p[:, 0] >= found["DENT"])[targets[:, 0] == 0].mean() <= 0.05


@settings(max_examples=300, deadline=None)
@given(rows=lists, cap=st.floats(0, 1))
def test_the_f1_threshold_keeps_the_false_alarms_below_their_limit(
    rows: list[tuple[float, bool]], cap: float
) -> None:
    p, truth = np.array([x for x, _ in rows], np.float32), np.array([float(t) for _, t in rows])
    allowed = {
        t: f1(truth, p >= t)
        for t in candidates(p.tolist())
        if (p[truth == 0] >= t).sum() <= cap * (truth == 0).sum()
    }

    found = best_f1_threshold(p, truth, cap)

    told = p >= found
    assert 0 < found <= 1
    if allowed:
        assert told[truth == 0].sum() <= cap * (truth == 0).sum()
        assert f1(truth, told) == pytest.approx(max(allowed.values()))
    elif p.max() < 1:
        assert not told.any()


def test_a_class_that_cannot_be_told_falls_silent() -> None:
    rng = np.random.default_rng(5)
    truth = (rng.random(400) < 0.1).astype(float)
    noise = rng.random(400)
    assert (noise >= best_f1_threshold(noise, truth)).mean() > 0.2
    assert (noise >= best_f1_threshold(noise, truth, 0.01)).mean() < 0.02


def cost_of(told: NDArray[np.bool_], truth: Floats, weights: Floats, cost: MistakeCost) -> float:
    wrong = np.where(truth > 0, cost.miss * ~told, cost.false_alarm * told)
    return float((wrong * weights).sum())


@settings(max_examples=300, deadline=None)
@given(
    rows=lists,
    miss=st.sampled_from([0.5, 1.0, 20.0]),
    false_alarm=st.sampled_from([1.0, 3.0]),
    weight=st.sampled_from([1.0, 4.0]),
)
def test_no_threshold_is_cheaper_than_the_cheapest(
    rows: list[tuple[float, bool]], miss: float, false_alarm: float, weight: float
) -> None:
    p, truth = np.array([x for x, _ in rows], np.float32), np.array([float(t) for _, t in rows])
    cost, weights = MistakeCost(miss=miss, false_alarm=false_alarm), np.where(truth > 0, 1, weight)
    possible = [cost_of(p >= t, truth, weights, cost) for t in candidates(p.tolist())]
    if p.max() < 1:  # a probability of 1 reaches every threshold
        possible.append(cost_of(np.zeros(len(p), bool), truth, weights, cost))

    found = cheapest_threshold(p, truth, weights, cost)

    assert 0 < found <= 1
    assert cost_of(p >= found, truth, weights, cost) == pytest.approx(min(possible))


@pytest.mark.parametrize(
    ("miss", "false_alarm", "weight", "told"),
    [
        (1, 1, 1, 2),  # three told would cost one more false alarm for no hit; two find two of three
        (1, 3, 1, 2),
        (10, 1, 1, 4),  # a miss is dear: the third defect is worth the false alarm before it
        (10, 1, 20, 2),  # but not where each good part stands for twenty of the line
        (1, 1, 4, 2),
    ],
)
def test_the_cheapest_threshold_by_hand(miss: float, false_alarm: float, weight: float, told: int) -> None:
    p, truth = np.array([0.9, 0.8, 0.6, 0.4, 0.2]), np.array([1.0, 1, 0, 1, 0])
    weights = np.where(truth > 0, 1.0, weight)
    found = cheapest_threshold(p, truth, weights, MistakeCost(miss=miss, false_alarm=false_alarm))
    assert (p >= found).sum() == told


def test_of_calibrated_probabilities_the_cheapest_threshold_is_the_ratio_of_the_costs() -> None:
    # Elkan (2001): tell from false_alarm / (false_alarm + miss) on; with weights, the line's own mix counts.
    rng = np.random.default_rng(8)
    p = rng.random(200_000)
    truth = (rng.random(len(p)) < p).astype(float)
    cost = MistakeCost(miss=4, false_alarm=1)
    assert cheapest_threshold(p, truth, np.ones(len(p)), cost) == pytest.approx(0.2, abs=0.02)
    kept = (truth > 0) | (rng.random(len(p)) < 0.25)
    weights = np.where(truth > 0, 1.0, 4.0)
    assert cheapest_threshold(p[kept], truth[kept], weights[kept], cost) == pytest.approx(0.2, abs=0.03)


def test_costs_choose_where_they_are_given_and_are_refused_where_the_gate_decides() -> None:
    rng = np.random.default_rng(3)
    targets = (rng.random((400, 2)) < 0.3).astype(float)
    p = np.clip(rng.normal(0.3 + 0.3 * targets, 0.2), 0, 1)
    cost = MistakeCost(miss=30, false_alarm=1)

    def choose(costs: dict[str, MistakeCost]) -> dict[str, float]:
        return choose_thresholds(p, targets, ["DENT", "RUST"], ["RUST"], 0.99, 0.1, costs)

    found, plain = choose({"DENT": cost}), choose({})
    assert found["DENT"] == cheapest_threshold(p[:, 0], targets[:, 0], np.ones(400), cost) < plain["DENT"]
    assert found["RUST"] == plain["RUST"]
    with pytest.raises(SettingsError, match="RUST, safety-critical"):
        choose({"RUST": cost})
    with pytest.raises(SettingsError, match="names TEAR: the classes are DENT, RUST"):
        choose({"TEAR": cost})
