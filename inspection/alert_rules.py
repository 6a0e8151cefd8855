"""The alert rules as data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Severity = Literal["warning", "high", "critical"]
AlertAction = Literal["pause_auto_pass", "scale_up", "investigate", "decide"]
Unit = Literal["%", "ms", "confidence", "parts/min", "parts"]

GATE_RULE = "deployment_gate"
"""Of the alerts that a model waits for a person; their scope is the beginning of its id."""

WHAT_TO_DO: dict[AlertAction, str] = {
    "pause_auto_pass": "auto-pass is paused: look at the parts, then `vqi resume --reason ...`",
    "scale_up": "add replicas of the service",
    "investigate": "find out why",
    "decide": "a person has to decide: `vqi approve MODEL --reason ...`, or leave it",
}


class AlertLimits(BaseModel):
    """The numbers of the rules; the defaults are the plant's.

    Attributes:
        false_accept_rate: share of accepted parts that truth rejects.
        false_reject_rate: share of good parts that are sent to rework or scrap.
        human_override_rate: share of people's decisions that disagree with the model.
        latency_p99_ms: milliseconds; to be exceeded in each of `sustained_minutes` minutes on end.
        mean_confidence: lower limit, 0 to 1.
        throughput_per_min: lower limit, parts per minute of a line.
        rate_window_days: trailing window of the rates that rest on reviews.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    false_accept_rate: float = Field(default=0.01, gt=0, lt=1)
    false_reject_rate: float = Field(default=0.05, gt=0, lt=1)
    human_override_rate: float = Field(default=0.10, gt=0, lt=1)
    latency_p99_ms: float = Field(default=200, gt=0)
    mean_confidence: float = Field(default=0.85, gt=0, lt=1)
    throughput_per_min: float = Field(default=20, gt=0)
    sustained_minutes: int = Field(default=5, ge=1)
    rate_window_days: float = Field(default=7, gt=0)


@dataclass(frozen=True)
class Rule:
    """One rule; `inspection.alert_measures` measures what its name says.

    Attributes:
        limit: the rule fires when the measured value, or its bound where it has one, passes this.
        window: how far back the measurement looks.
        below: fires below the limit instead of above it.
        minutes: for measurements by the minute: how many it takes.
        restarts: a person who lifts a pause has judged what there was: counted from there on.
    """

    name: str
    title: str
    severity: Severity
    action: AlertAction
    limit: float
    unit: Unit
    window: timedelta
    below: bool = False
    minutes: int = 1
    restarts: bool = False


def rules(limits: AlertLimits) -> tuple[Rule, ...]:
    """Returns the rules with these limits."""
    rates, day, hour = timedelta(days=limits.rate_window_days), timedelta(days=1), timedelta(hours=1)
    minutes = limits.sustained_minutes
    return (
        Rule("safety_critical_accept", "accepted parts with a confirmed safety-critical defect",
             "critical", "pause_auto_pass", 0, "parts", rates),
        Rule("false_accept_rate", "false accept rate",
             "critical", "pause_auto_pass", limits.false_accept_rate, "%", rates, restarts=True),
        Rule("false_reject_rate", "false reject rate",
             "high", "investigate", limits.false_reject_rate, "%", rates),
        # Looked at hourly: with two hours no stretch of minutes falls between two looks.
        Rule("latency_p99", f"P99 latency through {minutes} minutes",
             "high", "scale_up", limits.latency_p99_ms, "ms", 2 * hour, minutes=minutes),
        Rule("throughput", "throughput",
             "high", "investigate", limits.throughput_per_min, "parts/min", hour, True, minutes),
        Rule("mean_confidence", "mean confidence of a day",
             "warning", "investigate", limits.mean_confidence, "confidence", day, below=True),
        Rule("human_override_rate", "human override rate of a day",
             "warning", "investigate", limits.human_override_rate, "%", day),
    )  # fmt: skip
