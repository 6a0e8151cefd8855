"""The record of alerts: each fires once, and again only after its condition had gone.

An alert that pauses auto-pass is answered by the person who lifts the pause: that closes it, and what
it rested on does not fire again. Evidence that no alert has named yet does.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from psycopg2.extensions import cursor

from inspection.alert_rules import AlertAction, Severity
from inspection.alert_states import AlertState
from inspection.registry import Decision
from inspection.warehouse import transaction


class Alert(NamedTuple):
    """A row of ``monitoring.alerts``."""

    alert_id: str
    rule: str
    scope: str
    severity: Severity
    value: float | None
    bound: float | None
    threshold: float | None
    action: AlertAction
    message: str
    evidence: list[str]
    follows_resume: str | None
    fired_at: datetime


_COLUMNS = ", ".join(Alert._fields)
_VALUES = ", ".join(f"%({name})s" for name in Alert._fields)


def record(dsn: str, states: Sequence[AlertState]) -> list[Alert]:
    """Writes down what fires and closes what does no more.

    Returns:
        The alerts that were not open before.
    """
    with transaction(dsn) as warehouse:
        fired = [_fire(warehouse, _alert(state)) for state in states if state.firing]
        _clear(warehouse, states)
    return [alert for alert in fired if alert is not None]


def raise_alert(
    dsn: str,
    rule: str,
    scope: str,
    severity: Severity,
    message: str,
    *,
    action: AlertAction,
    value: float | None = None,
    threshold: float | None = None,
) -> Alert | None:
    """Writes down an alert that another program has found; None when it is open already."""
    alert = Alert(
        str(uuid.uuid4()), rule, scope, severity, value, None, threshold, action, message, [], None,
        datetime.now(UTC),
    )  # fmt: skip
    with transaction(dsn) as warehouse:
        return _fire(warehouse, alert)


def close_answered(dsn: str, resume: Decision) -> None:
    """Closes the alerts that paused auto-pass before this decision lifted the pause."""
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            update monitoring.alerts set cleared_at = %s
            where action = 'pause_auto_pass' and cleared_at is null and follows_resume is distinct from %s
            """,
            (resume.at, resume.id),
        )


def close_decided(dsn: str, rule: str, decisions: Sequence[Decision]) -> None:
    """Closes the alerts of a rule that asked a person about a model which a decision has let through.

    Args:
        dsn: libpq URI of the warehouse.
        rule: whose alerts have a model's id, or the beginning of it, as their scope.
        decisions: of the audit log, oldest first.
    """
    let_through = {d.model: d.at for d in decisions if d.action in ("approve", "rollback") and d.model}
    with transaction(dsn) as warehouse:
        for model, at in let_through.items():
            warehouse.execute(
                """
                update monitoring.alerts set cleared_at = greatest(%s, fired_at)
                where rule = %s and cleared_at is null and starts_with(%s, scope)
                """,
                (at, rule, model),
            )


def open_alerts(dsn: str, *, unnotified: bool = False) -> list[Alert]:
    """Returns the alerts that are open, oldest first; if wished, only those nobody has been told of."""
    with transaction(dsn) as warehouse:
        warehouse.execute(
            f"""
            select {_COLUMNS.replace("alert_id", "alert_id::text")} from monitoring.alerts
            where cleared_at is null and (notified_at is null or not %s)
            order by fired_at, rule, scope
            """,
            (unnotified,),
        )
        return [Alert._make(row) for row in warehouse.fetchall()]


def mark_notified(dsn: str, alerts: Sequence[Alert], at: datetime) -> None:
    """Notes that somebody has been told."""
    with transaction(dsn) as warehouse:
        warehouse.execute(
            "update monitoring.alerts set notified_at = %s where alert_id = any(%s::uuid[])",
            (at, [alert.alert_id for alert in alerts]),
        )


def _alert(state: AlertState) -> Alert:
    rule, measured = state.rule, state.measured
    return Alert(
        str(uuid.uuid4()), rule.name, measured.scope, rule.severity, measured.value, measured.bound,
        rule.limit, rule.action, state.message, list(measured.evidence), state.follows_resume, state.at,
    )  # fmt: skip


def _fire(warehouse: cursor, alert: Alert) -> Alert | None:
    warehouse.execute(
        f"""
        insert into monitoring.alerts ({_COLUMNS}) values ({_VALUES})
        on conflict (rule, scope) where cleared_at is null do nothing
        returning {_COLUMNS.replace("alert_id", "alert_id::text")}
        """,
        alert._asdict(),
    )
    if row := warehouse.fetchone():
        return Alert._make(row)
    # It is open already. Parts that came since join it, so that the answer to it answers them too.
    warehouse.execute(
        """
        update monitoring.alerts set evidence = %(evidence)s, message = %(message)s
        where rule = %(rule)s and scope = %(scope)s and cleared_at is null and evidence <> %(evidence)s
        """,
        alert._asdict(),
    )
    return None


def _clear(warehouse: cursor, states: Sequence[AlertState]) -> None:
    for rule in {state.rule.name: state for state in states}:
        firing = [s.measured.scope for s in states if s.rule.name == rule and s.firing]
        warehouse.execute(
            """
            update monitoring.alerts set cleared_at = %s
            where rule = %s and cleared_at is null and not (scope = any(%s::text[]))
            """,
            (max(s.at for s in states), rule, firing),
        )
