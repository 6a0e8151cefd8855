"""The rule by which a shadow takes over, case by case."""

from __future__ import annotations

from datetime import timedelta

import pytest

from inspection.promotion import Promotion, PromotionLimits, judge_shadow
from inspection.shadowing import Opinion, Pair, Prediction, Truth, compare_models

LIMITS = PromotionLimits(hours=48, parts=400, tolerance=0.02, latency_p99_ms=200)
LONG = timedelta(hours=50)


def pairs(
    count: int,
    production: Prediction,
    candidate: Prediction,
    *,
    defective: bool | None = None,
    ms: float = 50,
    told: str = "BURR",
) -> list[Pair]:
    opinions = [
        Opinion(p, frozenset({told} if p == "FAIL" else ()), 0.9, ms) for p in (production, candidate)
    ]
    truth = None if defective is None else Truth(defective, told if defective else None, 1)
    return [Pair(f"{production}/{candidate}", *opinions, truth)] * count


RIGHT = pairs(300, "PASS", "PASS", defective=False) + pairs(100, "FAIL", "FAIL", defective=True)
UNKNOWN = pairs(500, "PASS", "PASS")


@pytest.mark.parametrize(
    ("seen", "ran", "verdict", "words"),
    [
        (RIGHT, LONG, "promote", ["400 parts, 400 of them decided by people", "at most 0.92%"]),
        (RIGHT, timedelta(hours=47), "wait", ["47.0 h of 48"]),
        (RIGHT[:-1], LONG, "wait", ["399 parts of 400"]),
        ([], timedelta(), "wait", ["0.0 h", "0 parts of 400", "no person has decided"]),
        (UNKNOWN, LONG, "wait", ["no person has decided"]),
        (UNKNOWN + RIGHT[:100], LONG, "wait", ["may be worse by up to 3.62%", "on 100 parts"]),
        # As good on the whole, by letting more defective parts pass and rejecting fewer good ones.
        (
            RIGHT + pairs(40, "FAIL", "PASS", defective=True) + pairs(40, "FAIL", "PASS", defective=False),
            LONG,
            "refuse",
            ["share of escapes is worse"],
        ),
        # By SciPy: the exact lower bound (97.5 %) of 40 in 440, less the upper one of none in 440.
        (RIGHT + pairs(40, "PASS", "FAIL", defective=False), LONG, "refuse", ["the error is worse by 5.74%"]),
        (RIGHT + pairs(6, "PASS", "FAIL", defective=False), LONG, "wait", ["the error may be worse"]),
        # Better: production was wrong.
        (RIGHT + pairs(40, "PASS", "FAIL", defective=True), LONG, "promote", []),
        # One part is enough, at once, whatever else is known.
        (
            pairs(1, "FAIL", "PASS", defective=True, told="CRACK"),
            timedelta(),
            "refuse",
            ["1 parts with a confirmed safety-critical", "FAIL/PASS"],
        ),
        (pairs(400, "PASS", "PASS", defective=False, ms=201), LONG, "refuse", ["P99 is 201 ms, 200 ms"]),
        (pairs(399, "PASS", "PASS", defective=False, ms=201), LONG, "wait", ["399 parts"]),
    ],
)
def test_the_rule(seen: list[Pair], ran: timedelta, verdict: str, words: list[str]) -> None:
    found: Promotion = judge_shadow(compare_models(seen, {"CRACK"}), ran, LIMITS)
    assert found.verdict == verdict, found.reasons
    for word in words:
        assert word in " / ".join(found.reasons)
