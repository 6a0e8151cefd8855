"""The deployment gate: whether the numbers allow a model on the line. A pure function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from inspection.metrics import ClassMetrics, Rate, TestMetrics
from inspection.profiles import GateLimits

Verdict = Literal["passed", "failed", "insufficient_evidence"]
WORST_FIRST: tuple[Verdict, ...] = ("failed", "insufficient_evidence", "passed")


class GateResult(BaseModel):
    """What the gate says.

    Attributes:
        verdict: ``failed`` when a limit is missed; else ``insufficient_evidence`` when too little was
            counted to hold every limit; else ``passed``.
        reasons: one line for each limit, with what was counted, whether it holds or not.
        outcomes: of each reason, in order: what it alone would make the verdict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    reasons: tuple[str, ...]
    outcomes: tuple[Verdict, ...] = ()


def judge_model(metrics: TestMetrics, limits: GateLimits, safety_critical: Sequence[str]) -> GateResult:
    """Holds test metrics against the limits.

    Args:
        metrics: from the exported model on original bytes of the test set.
        limits: of the profile.
        safety_critical: classes of which none may slip through.
    """
    findings = [
        _at_least("precision", metrics.precision, limits.precision),
        _at_least("recall", metrics.recall, limits.recall),
        _at_most("false reject rate", metrics.false_reject_rate, limits.false_reject_rate),
    ]
    for name in safety_critical:
        findings += _safety(name, metrics.per_class[name], limits)
    outcomes, reasons = zip(*findings, strict=True)
    worst = next(verdict for verdict in WORST_FIRST if verdict in outcomes)
    return GateResult(verdict=worst, reasons=reasons, outcomes=outcomes)


Finding = tuple[Verdict, str]


def _safety(name: str, found: ClassMetrics, limits: GateLimits) -> Iterator[Finding]:
    yield _at_least(f"recall of {name}", found.recall, limits.safety_critical_recall)
    positives, needed = found.recall.total, limits.safety_critical_positives
    enough = positives >= needed
    yield (
        "passed" if enough else "insufficient_evidence",
        f"{positives} test images of {name}; {needed} are needed",
    )
    if found.recall_bound is None:
        return
    text = f"one-sided 95 % lower bound of the recall of {name}: {found.recall_bound:.4f}"
    if not limits.hold_bound:
        yield "passed", f"{text} (told, not held)"
    elif found.recall_bound >= limits.safety_critical_recall:
        yield "passed", f"{text} >= {limits.safety_critical_recall}"
    else:  # with too few images no model could reach it: that says nothing against this one
        verdict: Verdict = "failed" if enough else "insufficient_evidence"
        yield verdict, f"{text} < {limits.safety_critical_recall}"


def _at_least(name: str, rate: Rate, limit: float) -> Finding:
    if rate.value is None:
        return "insufficient_evidence", f"{name}: nothing to count"
    holds = rate.value >= limit
    return "passed" if holds else "failed", f"{_told(name, rate)} {'>=' if holds else '<'} {limit}"


def _at_most(name: str, rate: Rate, limit: float) -> Finding:
    if rate.value is None:
        return "insufficient_evidence", f"{name}: nothing to count"
    holds = rate.value <= limit
    return "passed" if holds else "failed", f"{_told(name, rate)} {'<=' if holds else '>'} {limit}"


def _told(name: str, rate: Rate) -> str:
    bounds = f"95 % {rate.low:.4f} to {rate.high:.4f}"
    return f"{name} {rate.value:.4f} ({rate.successes}/{rate.total}, {bounds})"
