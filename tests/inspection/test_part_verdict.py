"""The worst picture of a part decides, and people decide before machines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from inspection.judgement import Action
from inspection.part_verdict import action_that_counts, newest_visit, worst_action

ACCEPT, REWORK, PERSON, SCRAP = Action.ACCEPT, Action.REWORK, Action.HUMAN_INSPECTION, Action.SCRAP
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("actions", "worst"),
    [
        ([ACCEPT], ACCEPT),
        ([ACCEPT, ACCEPT], ACCEPT),
        ([REWORK, ACCEPT], REWORK),
        ([PERSON, ACCEPT], PERSON),
        ([PERSON, REWORK], PERSON),
        ([SCRAP, ACCEPT], SCRAP),
        ([SCRAP, PERSON], SCRAP),
        ([ACCEPT, REWORK, PERSON, SCRAP], SCRAP),
        ([ACCEPT, REWORK, PERSON], PERSON),
    ],
)
def test_the_worst_counts_in_whatever_order(actions: list[Action], worst: Action) -> None:
    assert {worst_action(order) for order in permutations(actions)} == {worst}


def test_every_action_has_its_rank() -> None:
    assert {worst_action([action]) for action in Action} == set(Action)


@pytest.mark.parametrize(
    ("told", "decisions", "counts"),
    [
        (PERSON, [], PERSON),
        (SCRAP, [], SCRAP),
        (PERSON, ["PASS"], ACCEPT),
        (PERSON, ["REWORK"], REWORK),
        (PERSON, ["FAIL"], SCRAP),
        (ACCEPT, ["FAIL"], SCRAP),
        (SCRAP, ["PASS"], ACCEPT),
        (PERSON, ["PASS", "FAIL"], SCRAP),
        (PERSON, ["FAIL", "REWORK", "PASS"], ACCEPT),
    ],
)
def test_the_last_person_counts(told: Action, decisions: list[str], counts: Action) -> None:
    assert action_that_counts(told, decisions) is counts


@pytest.mark.parametrize(
    ("minutes", "start"),
    [
        ([0], 0),
        ([0, 10], 0),
        ([0, 10, 20], 0),  # each within the window of the one before
        ([0, 10.01], 1),
        ([0, 30, 31, 90, 92], 3),
        ([30, 0, 1], 0),  # the clock was set back
        ([30, 0, 1, 40], 3),
    ],
)
def test_a_long_gap_begins_a_new_visit(minutes: list[float], start: int) -> None:
    moments = [NOON + timedelta(minutes=minute) for minute in minutes]
    assert newest_visit(moments, timedelta(minutes=10)) == start
