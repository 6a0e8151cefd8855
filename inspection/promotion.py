"""May a shadow take over? One rule, stated once; a pure function: no clock, no files, no state.

    refuse   it passes a part in which production has found a safety-critical defect that a person confirmed,
             or its error or escapes are worse by more than the tolerance beyond chance, or it is too slow
    wait     the time, the parts, or what people have decided do not suffice yet
    promote  neither

Beyond chance: the lower bound of the difference is above the tolerance. To promote, the upper one must be at
most the tolerance (each one-sided, 95 %; see `inspection.shadowing.Difference`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from inspection.shadowing import Difference, Trial

Verdict = Literal["promote", "wait", "refuse"]


@dataclass(frozen=True)
class PromotionLimits:
    """What a shadow is held to.

    Attributes:
        hours: that it must have run.
        parts: that both models must have judged.
        tolerance: by which error and escapes may be worse, as shares of all parts.
        latency_p99_ms: of the shadow.
    """

    hours: float
    parts: int
    tolerance: float
    latency_p99_ms: float


class Promotion(BaseModel):
    """What the rule says, and why: each reason is one line for a person."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    reasons: tuple[str, ...]


def judge_shadow(trial: Trial, ran: timedelta, limits: PromotionLimits) -> Promotion:
    """Applies the rule.

    Args:
        trial: the shadow beside production.
        ran: how long it has.
        limits: what it is held to.
    """
    if refused := tuple(_against(trial, limits)):
        return Promotion(verdict="refuse", reasons=refused)
    if missing := tuple(_missing(trial, ran, limits)):
        return Promotion(verdict="wait", reasons=missing)
    return Promotion(verdict="promote", reasons=tuple(_for(trial, limits)))


def _against(trial: Trial, limits: PromotionLimits) -> Iterator[str]:
    if missed := trial.outcome.missed:
        yield (
            f"it passes {len(missed)} parts with a confirmed safety-critical defect that production found: "
            + ", ".join(missed[:3])
        )
    for name, found in _differences(trial):
        if found.low is not None and found.low > limits.tolerance:
            yield f"{name} is worse by {found.low:.2%} at least, {limits.tolerance:.2%} is tolerated"
    p99 = trial.latency_ms["candidate"].get("p99")
    if p99 is not None and trial.parts >= limits.parts and p99 > limits.latency_p99_ms:
        yield f"its P99 is {p99:.0f} ms, {limits.latency_p99_ms:.0f} ms are allowed"


def _missing(trial: Trial, ran: timedelta, limits: PromotionLimits) -> Iterator[str]:
    if ran < timedelta(hours=limits.hours):
        yield f"it has run for {ran / timedelta(hours=1):.1f} h of {limits.hours:g}"
    if trial.parts < limits.parts:
        yield f"both have judged {trial.parts} parts of {limits.parts}"
    for name, found in _differences(trial):
        if found.high is None:
            yield f"{name}: no person has decided on a part that both have judged"
        elif found.high > limits.tolerance:
            yield (
                f"{name} may be worse by up to {found.high:.2%}, {limits.tolerance:.2%} is tolerated: people "
                f"have decided on {trial.outcome.parts} parts"
            )


def _for(trial: Trial, limits: PromotionLimits) -> Iterator[str]:
    yield f"{trial.parts} parts, {trial.outcome.parts} of them decided by people"
    for name, found in _differences(trial):
        yield f"{name} is worse by at most {found.high:.2%}, {limits.tolerance:.2%} is tolerated"


def _differences(trial: Trial) -> Iterator[tuple[str, Difference]]:
    yield "the error", trial.outcome.error
    yield "the share of escapes", trial.outcome.escape
