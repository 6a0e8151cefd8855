"""A candidate beside production, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from inspection.shadow_report import ShadowReport
from inspection.shadowing import Difference, Outcome, Share, Trial
from inspection.statistics import Proportion

if TYPE_CHECKING:
    from vqi.replay import ReplayReport

MISSED = 3
"""Inspections that are named; the JSON holds all."""


def shadow_page(report: ShadowReport) -> RenderableType:
    """Returns the page of `vqi shadow`."""
    return Group(
        f"shadow {report.shadow[:12]} beside {report.production[:12]}, since {_moment(report.begun_at)}",
        f"compared: {_moment(report.since)} to {_moment(report.until)}",
        *_trial(report.trial),
        "",
        f"rule: {report.promotion.verdict}",
        *(f"  {reason}" for reason in report.promotion.reasons),
    )


def replay_page(report: ReplayReport) -> RenderableType:
    """Returns the page of `vqi replay`."""
    left_out = [f"  {count} left out: {reason}" for reason, count in sorted(report.left_out.items())]
    if not report.knows_what_it_learnt:
        left_out.append(
            "  this warehouse does not know what the candidate has learnt from: it may look better"
        )
    return Group(
        f"candidate {report.candidate[:12]}, {_moment(report.since)} to {_moment(report.until)}",
        *left_out,
        *_trial(report.trial),
    )


def _trial(trial: Trial) -> Iterator[RenderableType]:
    yield f"{trial.parts} parts judged by both"
    if not trial.parts:
        return
    agreement = trial.agreement
    yield (
        f"  same verdict {_bounded(agreement)}; only production fails {trial.verdicts['FAIL/PASS']}, "
        f"only the candidate {trial.verdicts['PASS/FAIL']}"
    )
    shift = trial.confidence_shift
    yield (
        f"  confidence {shift['mean']:+.3f} on the average, for 90 % of the parts between "
        f"{shift['q05']:+.3f} and {shift['q95']:+.3f}"
    )
    table = Table("", "production", "candidate", box=None, pad_edge=False)
    for name in ("p50", "p95", "p99"):
        table.add_row(f"  {name} ms", *(f"{of[name]:.0f}" for of in trial.latency_ms.values()))
    for name, each in trial.classes.items():
        table.add_row(f"  {name}", str(each.production), f"{each.candidate} ({each.both} on the same parts)")
    yield table
    yield from _outcome(trial.outcome)


def _outcome(outcome: Outcome) -> Iterator[str]:
    yield f"{outcome.parts} of them decided by people"
    if not outcome.parts:
        return
    yield f"  error of production {_bounded(outcome.production)}"
    yield f"  error of the candidate {_bounded(outcome.candidate)}"
    yield f"  difference of the error {_bounded(outcome.error, '+')}"
    yield f"  difference of the escapes {_bounded(outcome.escape, '+')}"
    paired = outcome.verdicts
    yield (
        f"  only production right {paired.first_only}, only the candidate {paired.second_only}, "
        f"neither {paired.neither} (McNemar: exact p {paired.exact_p:.3g}, mid-p {paired.mid_p:.3g})"
    )
    if outcome.missed:
        yield f"  passes {len(outcome.missed)} safety-critical defects that production found:"
        yield from (f"    inspection {missed}" for missed in outcome.missed[:MISSED])


def _bounded(found: Share | Difference | Proportion, sign: str = "") -> str:
    return f"{_percent(found.value, sign)} ({_percent(found.low, sign)} to {_percent(found.high, sign)})"


def _percent(value: float | None, sign: str = "") -> str:
    return "unknown" if value is None else f"{100 * value:{sign}.2f} %"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
