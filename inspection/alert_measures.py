"""Holds the alert rules against the warehouse's marts; all of it is about the production model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from psycopg2.extensions import cursor

from inspection.alert_rules import Rule
from inspection.alert_states import AlertState, Measurement, Period, sustained
from inspection.alert_truth import rate, safety_critical_accepts
from inspection.registry import Decision
from inspection.warehouse import transaction

Measure = Callable[[cursor, Rule, Period], list[Measurement]]


def evaluate(
    dsn: str, now: datetime, rules: Sequence[Rule], resume: Decision | None = None
) -> list[AlertState]:
    """Measures every rule in the warehouse; each has at least one state, be it that nothing was measured.

    Args:
        dsn: libpq URI of the warehouse.
        now: nothing later counts.
        rules: see `inspection.alert_rules.rules`.
        resume: the last decision by which a person lifted a pause. The rate of a rule that pauses is
            counted from there; single events leave out the parts that alerts before it named.
    """
    states: list[AlertState] = []
    resume_id = resume.id if resume else None
    with transaction(dsn) as warehouse:
        for rule in rules:
            period = Period(_since(rule, now, resume), now, resume_id)
            measured = MEASURES[rule.name](warehouse, rule, period) or [Measurement()]
            states += [AlertState(rule, each, now, resume_id) for each in measured]
    return states


def _latency(warehouse: cursor, rule: Rule, period: Period) -> list[Measurement]:
    warehouse.execute(
        """
        select
            date_trunc('minute', predicted_at) as minute,
            percentile_cont(0.99) within group (order by inference_time_ms)
        from marts.fct_predictions
        where role = 'production' and inference_time_ms is not null
            and predicted_at > %(since)s and predicted_at < date_trunc('minute', %(until)s::timestamptz)
        group by minute
        order by minute
        """,
        {"since": period.since, "until": period.until},
    )
    series = [(minute, float(p99)) for minute, p99 in warehouse.fetchall()]
    return [Measurement(value=sustained(series, rule.minutes), count=len(series))]


def _mean_confidence(warehouse: cursor, rule: Rule, period: Period) -> list[Measurement]:
    warehouse.execute(
        """
        select avg(overall_confidence), count(overall_confidence)
        from marts.fct_predictions
        where role = 'production' and predicted_at > %(since)s and predicted_at <= %(until)s
        """,
        {"since": period.since, "until": period.until},
    )
    ((mean, count),) = warehouse.fetchall()
    return [Measurement(value=mean, count=count)]


def _throughput(warehouse: cursor, rule: Rule, period: Period) -> list[Measurement]:
    # Over the minutes in which the line made parts: a break is no slow line. Of a few minutes alone
    # nothing is said: they may be the beginning or the end of a shift.
    warehouse.execute(
        """
        select
            coalesce(line_id, 'an unknown line') as line,
            count(*)::float / count(distinct date_trunc('minute', predicted_at)) as parts_per_minute,
            count(distinct date_trunc('minute', predicted_at)) as minutes
        from marts.fct_predictions
        where role = 'production'
            and predicted_at >= date_trunc('minute', %(since)s::timestamptz)
            and predicted_at < date_trunc('minute', %(until)s::timestamptz)
        group by line
        order by line
        """,
        {"since": period.since, "until": period.until},
    )
    return [
        Measurement(line, value if minutes >= rule.minutes else None, count=minutes)
        for line, value, minutes in warehouse.fetchall()
    ]


MEASURES: dict[str, Measure] = {
    "safety_critical_accept": safety_critical_accepts,
    "false_accept_rate": partial(rate, among="auto_action = 'ACCEPT'", hit="decision <> 'PASS'"),
    "false_reject_rate": partial(
        rate, among="decision = 'PASS'", hit="coalesce(auto_action in ('REWORK', 'SCRAP'), false)"
    ),
    # About people's decisions, not about parts: each counts once.
    "human_override_rate": partial(rate, among="true", hit="overridden", weight="1.0::float"),
    "latency_p99": _latency,
    "throughput": _throughput,
    "mean_confidence": _mean_confidence,
}


def _since(rule: Rule, now: datetime, resume: Decision | None) -> datetime:
    begin = now - rule.window
    return max(begin, resume.at) if resume and rule.restarts else begin
