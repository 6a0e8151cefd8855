"""Two models on the same parts of the line: how they differ, and which is right where people have decided.

Truth is a person's decision, of several on a part the last. A part that a person has looked at weighs
1 / the probability that one would, which was fixed with the production model's verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from inspection.comparison import PairedVerdicts, compare_verdicts
from inspection.statistics import Proportion, WeightedShare, wilson

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Prediction = Literal["PASS", "FAIL"]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
LATENCIES = (0.5, 0.95, 0.99)


@dataclass(frozen=True)
class Opinion:
    """What one model said of a part.

    Attributes:
        classes: that it told, where it said FAIL.
        milliseconds: that it took.
    """

    prediction: Prediction
    classes: frozenset[str]
    confidence: float
    milliseconds: float


@dataclass(frozen=True)
class Truth:
    """What a person decided on a part.

    Attributes:
        defective: it was no PASS.
        defect_class: that the person named; None without.
        weight: 1 / the probability that a person would look.
    """

    defective: bool
    defect_class: str | None
    weight: float


@dataclass(frozen=True)
class Pair:
    """A part that both models have judged; `truth` is None where nobody decided."""

    inspection_id: str
    production: Opinion
    candidate: Opinion
    truth: Truth | None = None


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Share(_Record):
    """A share of all parts, estimated from weighted ones, with one-sided 95 % bounds; None without any."""

    value: float | None
    low: float | None
    high: float | None


class Difference(_Record):
    """How much more often the candidate does something than production, as shares of all parts.

    Attributes:
        high: it is not larger than this, with 95 % confidence; likewise `low`. The share of the parts where
            only the candidate does it, at its upper bound, less that where only production does, at its
            lower one, each of 97.5 % (Bonferroni). None where nobody has decided.
    """

    value: float | None
    low: float | None
    high: float | None


class ClassAgreement(_Record):
    """How many parts each model told a class of."""

    production: int
    candidate: int
    both: int


class Outcome(_Record):
    """Which model is right where a person has decided.

    Attributes:
        parts: on which one has.
        production: share of wrong verdicts, PASS or FAIL; likewise `candidate`.
        error: difference of those.
        escape: difference of the defective parts that are passed, as shares of all parts.
        verdicts: paired, without weights: `first` is production.
        missed: inspections of parts that production failed, in which a person confirmed a safety-critical
            defect (who named no class confirms what production told), and which the candidate passes.
    """

    parts: int
    production: Share
    candidate: Share
    error: Difference
    escape: Difference
    verdicts: PairedVerdicts
    missed: tuple[str, ...]


class Trial(_Record):
    """A candidate beside production, part by part.

    Attributes:
        parts: that both have judged.
        verdicts: counts by "production/candidate", such as ``PASS/FAIL``.
        agreement: share of equal verdicts, with two-sided 95 % bounds (Wilson).
        classes: by class.
        confidence_shift: candidate's less production's overall confidence: ``mean``, and quantiles
            (``q05`` ...).
        latency_ms: of each model: ``p50``, ``p95``, ``p99``.
    """

    parts: int
    verdicts: dict[str, int]
    agreement: Proportion
    classes: dict[str, ClassAgreement]
    confidence_shift: dict[str, float]
    latency_ms: dict[Literal["production", "candidate"], dict[str, float]]
    outcome: Outcome


def compare_models(pairs: Sequence[Pair], safety_critical: Collection[str]) -> Trial:
    """Compares two models; no part at all is a comparison too.

    Args:
        pairs: what both said of each part.
        safety_critical: ids of the classes of which none may be missed.
    """
    models = [[pair.production for pair in pairs], [pair.candidate for pair in pairs]]
    equal = sum(a.prediction == b.prediction for a, b in zip(*models, strict=True))
    kinds = [f"{pair.production.prediction}/{pair.candidate.prediction}" for pair in pairs]
    return Trial(
        parts=len(pairs),
        verdicts={f"{a}/{b}": kinds.count(f"{a}/{b}") for a in ("PASS", "FAIL") for b in ("PASS", "FAIL")},
        agreement=wilson(equal, len(pairs)),
        classes={name: _class_agreement(pairs, name) for name in _classes(pairs)},
        confidence_shift=_shift(pairs),
        latency_ms={
            "production": _quantiles([o.milliseconds for o in models[0]], LATENCIES, "p"),
            "candidate": _quantiles([o.milliseconds for o in models[1]], LATENCIES, "p"),
        },
        outcome=_outcome(pairs, frozenset(safety_critical)),
    )


def share(hits: Bools, weights: Floats, confidence: float = 0.95) -> Share:
    """Returns a share of all parts from weighted ones; both arrays [N]."""
    found, rest = _weighted(hits, weights), _weighted(~hits, weights)
    low, complement = found.lower(confidence), rest.lower(confidence)
    return Share(value=found.value, low=low, high=None if complement is None else 1 - complement)


def difference(production: Bools, candidate: Bools, weights: Floats) -> Difference:
    """Returns how much more often the candidate does something; all arrays [N]."""
    more, less = (share(mask, weights, 0.975) for mask in (candidate & ~production, production & ~candidate))
    if more.value is None or less.value is None:
        return Difference(value=None, low=None, high=None)
    bounds = [bound or 0.0 for bound in (more.low, more.high, less.low, less.high)]
    return Difference(value=more.value - less.value, low=bounds[0] - bounds[3], high=bounds[1] - bounds[2])


def _outcome(pairs: Sequence[Pair], safety_critical: frozenset[str]) -> Outcome:
    known = [(pair, pair.truth) for pair in pairs if pair.truth is not None]
    weights = np.array([truth.weight for _, truth in known], np.float64)
    defective = np.array([truth.defective for _, truth in known], np.bool_)
    fails = [
        np.array([opinion.prediction == "FAIL" for opinion in opinions], np.bool_)
        for opinions in ([p.production for p, _ in known], [p.candidate for p, _ in known])
    ]
    wrong = [failed != defective for failed in fails]
    escaped = [defective & ~failed for failed in fails]
    return Outcome(
        parts=len(known),
        production=share(wrong[0], weights),
        candidate=share(wrong[1], weights),
        error=difference(wrong[0], wrong[1], weights),
        escape=difference(escaped[0], escaped[1], weights),
        verdicts=compare_verdicts(~wrong[0], ~wrong[1]),
        missed=tuple(
            pair.inspection_id
            for pair, truth in known
            if truth.defective
            and safety_critical & ({truth.defect_class} if truth.defect_class else pair.production.classes)
            and pair.production.prediction == "FAIL"
            and pair.candidate.prediction == "PASS"
        ),
    )


def _weighted(hits: Bools, weights: Floats) -> WeightedShare:
    hit = weights[hits]
    return WeightedShare(
        len(weights),
        float(weights.sum()),
        float((weights**2).sum()),
        float(hit.sum()),
        float((hit**2).sum()),
    )


def _classes(pairs: Sequence[Pair]) -> list[str]:
    return sorted({name for pair in pairs for name in pair.production.classes | pair.candidate.classes})


def _class_agreement(pairs: Sequence[Pair], name: str) -> ClassAgreement:
    told = [(name in pair.production.classes, name in pair.candidate.classes) for pair in pairs]
    return ClassAgreement(
        production=sum(a for a, _ in told),
        candidate=sum(b for _, b in told),
        both=sum(a and b for a, b in told),
    )


def _shift(pairs: Sequence[Pair]) -> dict[str, float]:
    shifts = [pair.candidate.confidence - pair.production.confidence for pair in pairs]
    mean = {"mean": float(np.mean(shifts))} if shifts else {}
    return mean | _quantiles(shifts, QUANTILES, "q")


def _quantiles(values: Sequence[float], at: Sequence[float], letter: str) -> dict[str, float]:
    if not values:
        return {}
    names = [f"{letter}{round(100 * each):02}" for each in at]
    return dict(zip(names, np.quantile(values, at).tolist(), strict=True))
