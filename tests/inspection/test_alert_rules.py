"""The alert rules: what fires, from which value on, and what the message tells."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from inspection.alert_rules import AlertLimits, rules
from inspection.alert_states import AlertState, Measurement, sustained
from inspection.settings import Settings
from tests.line import NOON

RULES = {rule.name: rule for rule in rules(AlertLimits())}


@pytest.mark.parametrize(
    ("rule", "value", "bound", "firing"),
    [
        ("false_accept_rate", None, None, False),
        ("false_accept_rate", 0.0, 0.0, False),
        ("false_accept_rate", 0.5, 0.01, False),  # at the limit is not past it
        ("false_accept_rate", 0.5, 0.0101, True),
        ("false_accept_rate", 0.02, 0.005, False),  # the bound decides, not the value
        ("false_reject_rate", 0.06, 0.05, False),
        ("false_reject_rate", 0.06, 0.051, True),
        ("human_override_rate", 0.2, 0.1, False),
        ("human_override_rate", 0.2, 0.11, True),
        ("safety_critical_accept", 0, None, False),
        ("safety_critical_accept", 1, None, True),
        ("latency_p99", None, None, False),
        ("latency_p99", 200, None, False),
        ("latency_p99", 200.1, None, True),
        ("mean_confidence", None, None, False),
        ("mean_confidence", 0.85, None, False),
        ("mean_confidence", 0.849, None, True),
        ("throughput", 20, None, False),
        ("throughput", 19.9, None, True),
    ],
)
def test_firing(rule: str, value: float | None, bound: float | None, firing: bool) -> None:
    assert AlertState(RULES[rule], Measurement(value=value, bound=bound), NOON).firing is firing


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({0: 900, 1: 900, 2: 900, 3: 900}, None),  # four minutes are not five
        ({0: 201, 1: 202, 2: 203, 3: 204, 4: 205}, 201),
        ({0: 900, 1: 900, 2: 100, 3: 900, 4: 900}, 100),  # one good minute in between
        ({0: 900, 1: 900, 3: 900, 4: 900, 5: 900}, None),  # a minute without parts ends the row
        ({0: 10, 1: 300, 2: 300, 3: 300, 4: 300, 5: 250, 6: 10}, 250),
    ],
)
def test_sustained(values: dict[int, float], expected: float | None) -> None:
    series = [(NOON + timedelta(minutes=minute), value) for minute, value in values.items()]
    assert sustained(series, 5) == expected


def test_message_tells_value_bound_limit_and_what_to_do() -> None:
    state = AlertState(RULES["false_accept_rate"], Measurement("plant", 0.032, 0.0141, 250), NOON)
    assert state.message == (
        "false accept rate (plant): 3.20%, at least 1.41% (limit 1.00%, n = 250); "
        "auto-pass is paused: look at the parts, then `vqi resume --reason ...`"
    )


@pytest.mark.parametrize(("count", "named"), [(1, "inspections 0;"), (7, "0, 1, 2, 3, 4 and 2 more;")])
def test_message_names_the_parts(count: int, named: str) -> None:
    measured = Measurement(value=count, count=count, evidence=tuple(map(str, range(count))))
    assert named in AlertState(RULES["safety_critical_accept"], measured, NOON).message


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQI_ALERTS", '{"false_accept_rate": 0.02, "rate_window_days": 14}')
    far, frr = (rules(Settings().alerts)[number] for number in (1, 2))
    assert (far.limit, frr.limit, far.window) == (0.02, 0.05, timedelta(days=14))


def test_a_limit_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="false_acept_rate"):
        AlertLimits.model_validate({"false_acept_rate": 0.02})
