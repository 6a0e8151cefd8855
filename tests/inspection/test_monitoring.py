"""What a pause, a person's resume and new evidence do to one another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from inspection.alert_measures import evaluate
from inspection.alert_rules import GATE_RULE, AlertLimits, rules
from inspection.alerts import close_answered, open_alerts, raise_alert, record
from inspection.monitoring import Look, last_resume, look
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import LocalStore
from tests.inspection.bundles import add_bundle
from tests.line import inspect, review, start_empty

RULES = rules(AlertLimits())
CRITICAL = ["safety_critical_accept", "false_accept_rate"]


class Plant:
    """A plant that is looked at; each step happens a moment after the one before."""

    def __init__(self, dsn: str, artifacts: Path) -> None:
        self.dsn = dsn
        self.registry = ModelRegistry(LocalStore(artifacts))

    def accept(self, count: int, truth: str, defect_class: str | None = None) -> None:
        now = datetime.now(UTC)
        parts = inspect(self.dsn, count, at=now, review_probability=0.05)
        review(self.dsn, parts, truth, at=now, defect_class=defect_class)

    def look(self) -> Look:
        return look(self.dsn, self.registry, SecretStr(""), RULES, datetime.now(UTC))

    def resume(self) -> None:
        self.registry.resume(actor="a person", reason="the lamp was replaced")


@pytest.fixture
def plant(module_settings: Settings, tmp_path: Path) -> Plant:
    dsn = module_settings.dsn("warehouse")
    start_empty(dsn)
    return Plant(dsn, tmp_path)


def fired(seen: Look) -> list[str]:
    return [alert.rule for alert in seen.fired if alert.action == "pause_auto_pass"]


def test_good_parts_pause_nothing(plant: Plant) -> None:
    plant.accept(30, "PASS")
    seen = plant.look()
    assert (fired(seen), seen.paused) == ([], None)


def test_wrong_accepts_fire_once_and_pause_once(plant: Plant) -> None:
    plant.accept(10, "PASS")
    plant.accept(3, "FAIL", "CRACK")
    seen = plant.look()
    assert fired(seen) == CRITICAL
    assert seen.paused is not None
    assert seen.paused.actor in {f"rule:{rule}" for rule in CRITICAL}
    assert all(alert.message in seen.paused.reason for alert in seen.fired if alert.rule in CRITICAL)
    again = plant.look()
    assert (fired(again), again.paused) == ([], None)
    assert plant.registry.auto_pass_paused() == seen.paused


def test_old_evidence_does_not_come_back_after_a_resume(plant: Plant) -> None:
    plant.accept(10, "PASS")
    plant.accept(3, "FAIL", "CRACK")
    plant.look()
    plant.resume()
    for _ in range(2):
        seen = plant.look()
        assert (fired(seen), seen.paused) == ([], None)
    assert plant.registry.auto_pass_paused() is None
    assert not [a for a in open_alerts(plant.dsn) if a.action == "pause_auto_pass"]


@pytest.mark.parametrize(("defect_class", "expected"), [("CRACK", CRITICAL), ("BURR", CRITICAL[1:])])
def test_new_evidence_after_a_resume_does(plant: Plant, defect_class: str, expected: list[str]) -> None:
    plant.accept(3, "FAIL", "CRACK")
    plant.look()
    plant.resume()
    plant.look()
    plant.accept(1, "FAIL", defect_class)
    seen = plant.look()
    assert fired(seen) == expected
    assert seen.paused is not None
    assert {len(a.evidence) for a in seen.fired} <= {0, 1}


def test_a_crack_found_between_the_last_look_and_the_resume_is_told(plant: Plant) -> None:
    plant.accept(1, "FAIL", "CRACK")
    plant.look()
    plant.accept(1, "FAIL", "CRACK")  # nobody has been told of this one
    plant.resume()
    seen = plant.look()
    assert fired(seen) == ["safety_critical_accept"]
    assert seen.paused is not None


def test_a_crack_that_joined_an_open_alert_is_answered_with_it(plant: Plant) -> None:
    plant.accept(1, "FAIL", "CRACK")
    plant.look()
    plant.accept(1, "FAIL", "CRACK")
    assert fired(plant.look()) == []
    assert {len(a.evidence) for a in open_alerts(plant.dsn)} == {0, 2}
    plant.resume()
    assert fired(plant.look()) == []


def test_a_second_review_of_an_answered_part_is_no_new_part(plant: Plant) -> None:
    now = datetime.now(UTC)
    parts = inspect(plant.dsn, at=now, review_probability=0)
    review(plant.dsn, parts, "FAIL", at=now, defect_class="CRACK")
    assert fired(plant.look()) == ["safety_critical_accept"]
    plant.resume()
    review(plant.dsn, parts, "FAIL", at=datetime.now(UTC), defect_class="CRACK")
    assert fired(plant.look()) == []


def test_a_decision_taken_back_and_taken_again_fires_again(plant: Plant) -> None:
    now = datetime.now(UTC) - timedelta(minutes=1)
    parts = inspect(plant.dsn, at=now, review_probability=0)
    for second, (decision, expected) in enumerate([("FAIL", 1), ("PASS", 0), ("FAIL", 1)]):
        review(plant.dsn, parts, decision, at=now + timedelta(seconds=second), defect_class="CRACK")
        assert len(fired(plant.look())) == expected


def test_a_look_that_was_cut_short_before_the_pause_is_made_good(plant: Plant) -> None:
    plant.accept(1, "FAIL", "CRACK")
    seen = plant.look()
    plant.resume()
    resume = last_resume(plant.registry)
    assert resume is not None
    close_answered(plant.dsn, resume)
    plant.accept(1, "FAIL", "CRACK")
    # As if the process had died between the record and the pause.
    assert record(plant.dsn, evaluate(plant.dsn, datetime.now(UTC), RULES, resume))
    assert plant.registry.auto_pass_paused() is None
    late = plant.look()
    assert fired(late) == []
    assert late.paused is not None
    assert late.paused.id != (seen.paused.id if seen.paused else None)


def test_a_pause_of_a_persons_own_is_left_alone(plant: Plant) -> None:
    own = plant.registry.pause(actor="a person", reason="new tool")
    plant.accept(1, "FAIL", "CRACK")
    assert plant.look().paused is None
    assert plant.registry.auto_pass_paused() == own


def waiting(plant: Plant) -> set[str]:
    return {alert.scope for alert in open_alerts(plant.dsn) if alert.rule == GATE_RULE}


def ask(plant: Plant, bundle: str) -> None:
    raise_alert(plant.dsn, GATE_RULE, bundle[:12], "warning", "a model waits", action="decide")


def test_an_approval_answers_the_gates_question_about_that_model_alone(plant: Plant) -> None:
    first, second = add_bundle(plant.registry.store), add_bundle(plant.registry.store, seed=8)
    for bundle in (first, second):
        ask(plant, bundle)
    plant.look()
    assert waiting(plant) == {first[:12], second[:12]}

    plant.registry.approve(first, actor="a person", reason="the line stands still without it")
    plant.look()
    assert waiting(plant) == {second[:12]}

    plant.registry.rollback(second, actor="a person", reason="it was good")
    plant.look()
    assert waiting(plant) == set()


def test_other_decisions_answer_no_question_of_the_gate(plant: Plant) -> None:
    bundle = add_bundle(plant.registry.store)
    ask(plant, bundle)
    plant.registry.pause(actor="a person", reason="a trial")
    plant.resume()
    plant.registry.start_shadow(bundle, actor="a person", reason="a trial")
    plant.look()
    assert waiting(plant) == {bundle[:12]}


def test_an_approved_model_that_the_gate_asks_about_again_needs_no_second_answer(plant: Plant) -> None:
    bundle = add_bundle(plant.registry.store)
    plant.registry.approve(bundle, actor="a person", reason="a trial")
    ask(plant, bundle)
    seen = plant.look()
    assert waiting(plant) == set()
    assert GATE_RULE not in [alert.rule for alert in seen.delivery.told]
