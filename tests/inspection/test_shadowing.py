"""Two models part by part, by hand and by the bounds' promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from inspection.shadowing import Opinion, Pair, Prediction, Truth, compare_models, difference, share

CRITICAL = {"CRACK"}


def opinion(prediction: Prediction, *classes: str, confidence: float = 0.9, ms: float = 50) -> Opinion:
    return Opinion(prediction, frozenset(classes), confidence, ms)


GOOD, BAD = opinion("PASS"), opinion("FAIL", "BURR")
CRACKED = opinion("FAIL", "CRACK", "BURR")


def test_no_part_is_a_comparison_too() -> None:
    found = compare_models([], CRITICAL)
    assert found.parts == 0
    assert found.agreement.value is None
    assert found.classes == found.confidence_shift == found.latency_ms["candidate"] == {}
    assert found.outcome.parts == 0
    assert found.outcome.error.high is found.outcome.production.value is None


def test_agreement_by_hand() -> None:
    pairs = [Pair("1", GOOD, GOOD), Pair("2", GOOD, BAD), Pair("3", BAD, CRACKED), Pair("4", BAD, BAD)]
    found = compare_models(pairs, CRITICAL)
    assert found.verdicts == {"PASS/PASS": 1, "PASS/FAIL": 1, "FAIL/PASS": 0, "FAIL/FAIL": 2}
    assert (found.agreement.value, found.agreement.successes) == (0.75, 3)
    assert found.classes["BURR"].model_dump() == {"production": 2, "candidate": 3, "both": 2}
    assert found.classes["CRACK"].model_dump() == {"production": 0, "candidate": 1, "both": 0}


def test_confidence_and_latency_by_hand() -> None:
    pairs = [
        Pair(str(n), opinion("PASS", confidence=0.5, ms=10), opinion("PASS", confidence=c, ms=20))
        for n, c in enumerate((0.4, 0.5, 0.9))
    ]
    found = compare_models(pairs, CRITICAL)
    assert found.confidence_shift["mean"] == pytest.approx(0.1)
    assert found.confidence_shift["q50"] == 0
    assert found.confidence_shift["q25"] == pytest.approx(-0.05)
    assert found.latency_ms == {
        "production": {"p50": 10, "p95": 10, "p99": 10},
        "candidate": {"p50": 20, "p95": 20, "p99": 20},
    }


def test_outcomes_weigh_what_a_part_stands_for() -> None:
    # An audited part stands for twenty, one that was sent to a person for itself.
    pairs = [
        Pair("audited, candidate wrong", GOOD, BAD, Truth(False, None, 20)),
        Pair("unsure, production wrong", GOOD, BAD, Truth(True, "BURR", 1)),
        Pair("unsure, both right", BAD, BAD, Truth(True, "BURR", 1)),
        Pair("nobody looked", GOOD, BAD),
    ]
    found = compare_models(pairs, CRITICAL).outcome
    assert found.parts == 3
    assert found.production.value == pytest.approx(1 / 22)
    assert found.candidate.value == pytest.approx(20 / 22)
    assert found.error.value == pytest.approx(19 / 22)
    assert found.escape.value == pytest.approx(-1 / 22)
    verdicts = found.verdicts
    assert (verdicts.both, verdicts.first_only, verdicts.second_only, verdicts.neither) == (1, 1, 1, 0)


@pytest.mark.parametrize(
    ("production", "candidate", "truth", "missed"),
    [
        (CRACKED, GOOD, Truth(True, "CRACK", 1), True),
        (CRACKED, GOOD, Truth(True, None, 1), True),  # who names no class confirms what production told
        (CRACKED, GOOD, Truth(True, "BURR", 1), False),  # the person saw another defect
        (CRACKED, GOOD, Truth(False, None, 1), False),
        (CRACKED, GOOD, None, False),
        (CRACKED, BAD, Truth(True, "CRACK", 1), False),  # for another reason, but it does not pass
        (GOOD, GOOD, Truth(True, "CRACK", 1), False),  # production has not found it either
        (BAD, GOOD, Truth(True, None, 1), False),
    ],
)
def test_a_missed_safety_critical_defect(
    production: Opinion, candidate: Opinion, truth: Truth | None, missed: bool
) -> None:
    found = compare_models([Pair("it", production, candidate, truth)], CRITICAL)
    assert found.outcome.missed == (("it",) if missed else ())


def test_bounds_of_equal_weights_are_clopper_and_pearsons() -> None:
    hits = np.arange(200) < 5
    found = share(hits, np.ones(200))
    assert found.value == 0.025
    exact = stats.binomtest(5, 200).proportion_ci(0.9, method="exact")  # two-sided 90 %: each side 95 %
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_without_a_difference_the_bound_is_that_of_no_event() -> None:
    same = np.zeros(300, np.bool_)
    found = difference(same, same, np.ones(300))
    bound = 1 - 0.025 ** (1 / 300)  # by hand: what gives no event in 300 in one of 40 cases
    assert (found.value, found.low, found.high) == pytest.approx((0, -bound, bound))


def test_a_difference_lies_below_its_bound_in_95_of_100_cases() -> None:
    rng = np.random.default_rng(0)
    more, less, covered = 0.03, 0.02, 0
    for _ in range(300):
        draw = rng.random(500)
        candidate, production = draw < more, (draw >= more) & (draw < more + less)
        found = difference(production, candidate, np.ones(500))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= more - less <= found.high
    assert covered >= 285
