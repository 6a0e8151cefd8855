"""An alert fires once, and again only after its condition had gone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from inspection.alert_rules import AlertLimits, rules
from inspection.alert_states import AlertState, Measurement
from inspection.alerts import mark_notified, open_alerts, raise_alert, record
from inspection.settings import Settings
from inspection.warehouse import transaction
from tests.line import NOON, start_empty

THROUGHPUT = next(rule for rule in rules(AlertLimits()) if rule.name == "throughput")
HOUR = timedelta(hours=1)


@pytest.fixture
def dsn(module_settings: Settings) -> str:
    dsn = module_settings.dsn("warehouse")
    start_empty(dsn)
    return dsn


def slow(line: str, value: float | None = 5, at: datetime = NOON) -> AlertState:
    return AlertState(THROUGHPUT, Measurement(line, value, count=30), at)


def test_fires_once_clears_and_fires_again(dsn: str) -> None:
    (fired,) = record(dsn, [slow("A")])
    assert (fired.rule, fired.scope, fired.severity, fired.value) == ("throughput", "A", "high", 5)
    assert (fired.threshold, fired.fired_at) == (20, NOON)
    assert record(dsn, [slow("A", 4, NOON + HOUR)]) == []
    assert open_alerts(dsn) == [fired]

    assert record(dsn, [slow("A", 30, NOON + 2 * HOUR)]) == []
    assert open_alerts(dsn) == []
    with transaction(dsn) as warehouse:
        warehouse.execute("select cleared_at from monitoring.alerts")
        assert warehouse.fetchall() == [(NOON + 2 * HOUR,)]

    (again,) = record(dsn, [slow("A", 5, NOON + 3 * HOUR)])
    assert again.alert_id != fired.alert_id


def test_scopes_fire_and_clear_by_themselves(dsn: str) -> None:
    assert [a.scope for a in record(dsn, [slow("A"), slow("B", 30), slow("C")])] == ["A", "C"]
    # Line C stands still and is not measured any more: nothing is known to be wrong there.
    assert [a.scope for a in record(dsn, [slow("A"), slow("B")])] == ["B"]
    assert {a.scope for a in open_alerts(dsn)} == {"A", "B"}


def test_nothing_measured_clears(dsn: str) -> None:
    record(dsn, [slow("A")])
    assert record(dsn, [slow("A", None)]) == []
    assert open_alerts(dsn) == []


def test_no_states_change_nothing(dsn: str) -> None:
    record(dsn, [slow("A")])
    assert record(dsn, []) == []
    assert len(open_alerts(dsn)) == 1


def test_other_programs_raise_alerts_that_the_rules_leave_alone(dsn: str) -> None:

    def gate() -> object:
        return raise_alert(dsn, "deployment_gate", "ab12", "warning", "gate failed", action="decide")

    assert gate() is not None
    assert gate() is None
    record(dsn, [slow("A", 30)])
    assert [(a.rule, a.scope, a.message) for a in open_alerts(dsn)] == [
        ("deployment_gate", "ab12", "gate failed")
    ]


def test_told_alerts_are_not_told_again(dsn: str) -> None:
    told, other = record(dsn, [slow("A"), slow("B")])
    mark_notified(dsn, [told], NOON)
    assert open_alerts(dsn, unnotified=True) == [other]
