"""What a measurement means under an alert rule. Nothing here reads anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from inspection.alert_rules import WHAT_TO_DO, Rule, Unit

PLANT = "plant"
NAMED = 5  # parts that a message names


@dataclass(frozen=True)
class Period:
    """From when (exclusive) until when (inclusive) a measurement looks.

    Attributes:
        follows_resume: id of the last resume; parts that earlier alerts named were answered by it.
    """

    since: datetime
    until: datetime
    follows_resume: str | None = None


@dataclass(frozen=True)
class Measurement:
    """What was measured for one scope; `value` is None when there was nothing to measure.

    Attributes:
        bound: one-sided 95 % lower bound of a rate.
        count: what the value rests on: reviews, predictions or minutes.
        evidence: `inspection_id` of each part that the rule fires on by itself.
    """

    scope: str = PLANT
    value: float | None = None
    bound: float | None = None
    count: int = 0
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class AlertState:
    """A rule held against a measurement at a moment.

    Attributes:
        follows_resume: id of the last decision by which a person lifted a pause.
    """

    rule: Rule
    measured: Measurement
    at: datetime
    follows_resume: str | None = None

    @property
    def firing(self) -> bool:
        """Whether the limit is passed; a value that could not be measured passes none."""
        judged = self.measured.value if self.measured.bound is None else self.measured.bound
        if judged is None:
            return False
        return judged < self.rule.limit if self.rule.below else judged > self.rule.limit

    @property
    def message(self) -> str:
        """One line for the person who is told."""
        rule, measured = self.rule, self.measured
        bound = "" if measured.bound is None else f", at least {_show(measured.bound, rule.unit)}"
        limit = f"limit {_show(rule.limit, rule.unit)}, n = {measured.count}"
        parts = f"; inspections {_some(measured.evidence)}" if measured.evidence else ""
        value = _show(measured.value, rule.unit)
        return f"{rule.title} ({measured.scope}): {value}{bound} ({limit}){parts}; {WHAT_TO_DO[rule.action]}"


def sustained(series: Sequence[tuple[datetime, float]], minutes: int) -> float | None:
    """Returns the highest value that a series by the minute kept to or exceeded for `minutes` on end.

    Args:
        series: beginning of a minute and its value, ascending; minutes without a value are left out.
        minutes: how many in a row; one that was left out ends the row.

    Returns:
        The highest of the lowest values of each such stretch; None when there is no stretch.
    """
    stretches = [series[start : start + minutes] for start in range(len(series) - minutes + 1)]
    unbroken = [s for s in stretches if s[-1][0] - s[0][0] == timedelta(minutes=minutes - 1)]
    return max((min(value for _, value in s) for s in unbroken), default=None)


def _show(value: float | None, unit: Unit) -> str:
    if value is None:
        return "nothing measured"
    if unit == "%":
        return f"{value:.2%}"
    return f"{value:.2f}" if unit == "confidence" else f"{value:.4g} {unit}"


def _some(evidence: Sequence[str]) -> str:
    more = len(evidence) - NAMED
    return ", ".join(evidence[:NAMED]) + (f" and {more} more" if more > 0 else "")
