"""Each rule's measurement on a real PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import pytest

from inspection.alert_measures import evaluate
from inspection.alert_rules import AlertLimits, rules
from inspection.alert_states import AlertState
from inspection.settings import Settings
from inspection.statistics import clopper_pearson_lower
from tests.line import NOON, inspect, review, start_empty

RULES = rules(AlertLimits())
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def dsn(module_settings: Settings) -> str:
    dsn = module_settings.dsn("warehouse")
    start_empty(dsn)
    return dsn


def states(dsn: str, rule: str) -> list[AlertState]:
    return [state for state in evaluate(dsn, NOON, RULES) if state.rule.name == rule]


def test_every_rule_has_a_state_and_an_empty_plant_is_quiet(dsn: str) -> None:
    found = evaluate(dsn, NOON, RULES)
    assert [state.rule.name for state in found] == [rule.name for rule in RULES]
    assert not any(state.firing for state in found)
    assert {s.measured.value for s in found if s.rule.name != "safety_critical_accept"} == {None}


def test_false_accept_rate(dsn: str) -> None:
    accepted = inspect(dsn, 40, at=NOON - HOUR, review_probability=0.1)
    review(dsn, accepted[:10], "PASS", at=NOON - HOUR)
    review(dsn, accepted[10:12], "REWORK", at=NOON - HOUR, defect_class="BURR")
    review(dsn, inspect(dsn, 5, at=NOON - HOUR, action="REWORK"), "FAIL", at=NOON - HOUR)  # not accepted
    review(dsn, inspect(dsn, 5, at=NOON - HOUR, role="shadow"), "FAIL", at=NOON - HOUR)  # not production
    review(dsn, inspect(dsn, 5, at=NOON - 8 * DAY), "FAIL", at=NOON - 8 * DAY)  # before the window
    review(dsn, inspect(dsn, 5, at=NOON), "FAIL", at=NOON + MINUTE)  # after now
    (state,) = states(dsn, "false_accept_rate")
    assert (state.measured.count, state.measured.value) == (12, pytest.approx(2 / 12))
    assert state.measured.bound == pytest.approx(clopper_pearson_lower(2, 12))
    assert state.firing


def test_the_last_decision_on_a_part_is_the_truth(dsn: str) -> None:
    parts = inspect(dsn, 3, at=NOON - HOUR)
    review(dsn, parts, "FAIL", at=NOON - HOUR, defect_class="CRACK")
    review(dsn, parts, "PASS", at=NOON - MINUTE)
    (rate,), (event,) = states(dsn, "false_accept_rate"), states(dsn, "safety_critical_accept")
    assert (rate.measured.count, rate.measured.value, event.measured.value) == (3, 0, 0)


def test_false_reject_rate_weighs_by_the_chance_of_a_review(dsn: str) -> None:
    # Of the good parts, the reviewed stand for 10 * 20 accepted, 2 * 20 sent to rework, 60 * 1 seen anyway.
    for count, action, probability in [
        (10, "ACCEPT", 0.05),
        (2, "REWORK", 0.05),
        (60, "HUMAN_INSPECTION", 1),
    ]:
        good = inspect(dsn, count, at=NOON - HOUR, action=action, review_probability=probability)
        review(dsn, good, "PASS", at=NOON - HOUR)
    (state,) = states(dsn, "false_reject_rate")
    assert (state.measured.count, state.measured.value) == (72, pytest.approx(40 / 300))


def test_a_part_that_could_not_be_drawn_stands_for_nothing_known(dsn: str) -> None:
    review(dsn, inspect(dsn, 3, at=NOON - HOUR, review_probability=0), "FAIL", at=NOON - HOUR)
    (state,) = states(dsn, "false_accept_rate")
    assert (state.measured.count, state.measured.value, state.firing) == (0, None, False)


def test_override_rate_is_a_share_of_decisions(dsn: str) -> None:
    parts = inspect(dsn, 10, at=NOON - HOUR, review_probability=0.05)
    review(dsn, parts[:4], "FAIL", at=NOON - HOUR)
    review(dsn, parts[4:], "PASS", at=NOON - HOUR)
    (state,) = states(dsn, "human_override_rate")
    assert (state.measured.count, state.measured.value) == (10, pytest.approx(0.4))
    assert state.measured.bound == pytest.approx(clopper_pearson_lower(4, 10))


@pytest.mark.parametrize(
    ("action", "decision", "defect_class", "firing"),
    [
        ("ACCEPT", "FAIL", "CRACK", True),
        ("ACCEPT", "REWORK", "CRACK", True),
        ("ACCEPT", "FAIL", "BURR", False),
        ("ACCEPT", "FAIL", None, False),
        ("HUMAN_INSPECTION", "FAIL", "CRACK", False),
        ("SCRAP", "FAIL", "CRACK", False),
    ],
)
def test_one_accepted_safety_critical_defect(
    dsn: str, action: str, decision: str, defect_class: str | None, firing: bool
) -> None:
    parts = inspect(dsn, at=NOON - HOUR, action=action, review_probability=0.05)
    review(dsn, parts, decision, at=NOON - HOUR, defect_class=defect_class)
    (state,) = states(dsn, "safety_critical_accept")
    assert state.firing is firing
    assert state.measured.evidence == (tuple(parts) if firing else ())


@pytest.mark.parametrize(
    ("minutes", "milliseconds", "firing"), [(4, 900, False), (5, 900, True), (9, 90, False)]
)
def test_latency_of_five_minutes(dsn: str, minutes: int, milliseconds: float, firing: bool) -> None:
    inspect(dsn, 3 * minutes, at=NOON - 30 * MINUTE, apart=MINUTE / 3, milliseconds=milliseconds)
    inspect(dsn, 9, at=NOON - HOUR, apart=MINUTE, milliseconds=900, role="shadow")
    (state,) = states(dsn, "latency_p99")
    assert state.firing is firing


def test_throughput_is_each_lines_own(dsn: str) -> None:
    inspect(dsn, 10 * 30, at=NOON - 30 * MINUTE, apart=2 * MINUTE / 60, camera="A/1")
    inspect(dsn, 10, at=NOON - 30 * MINUTE, apart=MINUTE, camera="B/1")
    inspect(dsn, 3, at=NOON - 30 * MINUTE, apart=MINUTE, camera="C/1")  # too short to say
    inspect(dsn, 20, at=NOON - 30 * DAY, apart=MINUTE, camera="D/1")  # not running now
    found = {s.measured.scope: (s.measured.value, s.firing) for s in states(dsn, "throughput")}
    assert found == {"A": (30, False), "B": (1, True), "C": (None, False)}


def test_mean_confidence_of_a_day(dsn: str) -> None:
    for confidence, ago in [(0.9, HOUR), (0.7, HOUR), (None, HOUR), (0.1, 2 * DAY)]:
        inspect(dsn, at=NOON - ago, confidence=confidence)
    (state,) = states(dsn, "mean_confidence")
    assert (state.measured.value, state.measured.count) == (pytest.approx(0.8), 2)
    assert state.firing
