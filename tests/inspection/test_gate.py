"""The gate: what passes, what fails, and when too little was counted to say."""

from __future__ import annotations

import pytest

from inspection.gate import judge_model
from inspection.profiles import GateLimits
from tests.inspection.judged import GOOD, Count, metrics

LIMITS = GateLimits()  # the plant's: 0.95, 0.93, 0.05, 0.99 with its bound, 299 positives
DEMO = GateLimits(safety_critical_positives=20, hold_bound=False)
BOUND_ALONE = GateLimits(safety_critical_positives=1)


@pytest.mark.parametrize(
    ("counts", "limits", "verdict"),
    [
        ({}, LIMITS, "passed"),
        # A limit holds when it is just met.
        ({"precision": (95, 100)}, LIMITS, "passed"),
        ({"recall": (93, 100)}, LIMITS, "passed"),
        ({"false_reject_rate": (5, 100)}, LIMITS, "passed"),
        ({"precision": (94, 100)}, LIMITS, "failed"),
        ({"recall": (92, 100)}, LIMITS, "failed"),
        ({"false_reject_rate": (6, 100)}, LIMITS, "failed"),
        ({"rust": (989, 1000)}, LIMITS, "failed"),
        # The lower bound of the safety-critical recall.
        ({"rust": (298, 298)}, LIMITS, "insufficient_evidence"),
        ({"rust": (298, 299)}, LIMITS, "failed"),
        ({"rust": (471, 472)}, LIMITS, "failed"),
        ({"rust": (472, 473)}, LIMITS, "passed"),
        ({"rust": (299, 299)}, BOUND_ALONE, "passed"),
        ({"rust": (298, 298)}, BOUND_ALONE, "failed"),
        # Too few positives: nothing is concluded, but a recall below the limit is.
        ({"rust": (10, 10)}, LIMITS, "insufficient_evidence"),
        ({"rust": (9, 10)}, LIMITS, "failed"),
        ({"rust": (0, 0)}, LIMITS, "insufficient_evidence"),
        # The demo tells the bound and does not hold it.
        ({"rust": (20, 20)}, DEMO, "passed"),
        ({"rust": (19, 19)}, DEMO, "insufficient_evidence"),
        ({"rust": (19, 20)}, DEMO, "failed"),
        ({"rust": (0, 0)}, DEMO, "insufficient_evidence"),
        # Nothing to count is no success; a failure elsewhere outweighs it.
        ({"precision": (0, 0)}, LIMITS, "insufficient_evidence"),
        ({"recall": (0, 0)}, LIMITS, "insufficient_evidence"),
        ({"false_reject_rate": (0, 0)}, LIMITS, "insufficient_evidence"),
        ({"precision": (0, 0), "recall": (92, 100)}, LIMITS, "failed"),
    ],
)
def test_verdict(counts: dict[str, Count], limits: GateLimits, verdict: str) -> None:
    assert judge_model(metrics(**{**GOOD, **counts}), limits, ["RUST"]).verdict == verdict


def test_each_reason_tells_the_count_and_the_limit() -> None:
    counts = {**GOOD, "recall": (92, 100)}
    reasons = judge_model(metrics(**counts), LIMITS, ["RUST"]).reasons
    assert [reason.split(" (")[0] for reason in reasons[:4]] == [
        "precision 0.9600",
        "recall 0.9200",
        "false reject rate 0.0400",
        "recall of RUST 1.0000",
    ]
    assert "92/100" in reasons[1]
    assert reasons[1].endswith("< 0.93")
    assert reasons[2].endswith("<= 0.05")
    assert reasons[4] == "299 test images of RUST; 299 are needed"
    assert reasons[5].endswith("recall of RUST: 0.9900 >= 0.99")
    assert len(reasons) == 6
    outcomes = judge_model(metrics(**counts), LIMITS, ["RUST"]).outcomes
    assert outcomes == ("passed", "failed", *["passed"] * 4)


def test_a_bound_that_is_not_held_is_told() -> None:
    reasons = judge_model(metrics(**{**GOOD, "rust": (20, 20)}), DEMO, ["RUST"]).reasons
    # By hand: 0.05 ** (1 / 20).
    assert reasons[-1].endswith("0.8609 (told, not held)")


def test_without_positives_no_bound_is_told() -> None:
    reasons = judge_model(metrics(**{**GOOD, "rust": (0, 0)}), LIMITS, ["RUST"]).reasons
    assert reasons[3:] == ("recall of RUST: nothing to count", "0 test images of RUST; 299 are needed")


def test_an_ontology_without_safety_critical_classes_has_the_common_limits() -> None:
    result = judge_model(metrics(**{**GOOD, "rust": (0, 10)}), LIMITS, [])
    assert result.verdict == "passed"
    assert len(result.reasons) == 3
