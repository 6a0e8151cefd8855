"""Where a part goes, and who looks at it."""

from __future__ import annotations

import uuid

import pytest

from inspection.camera_health import CameraFault
from inspection.judgement import Action, BoundingBox, Defect, Judgement, Prediction
from inspection.verdict import RouteReason, RoutingRules, audit_draw, decide, unjudged

DEFECT = Defect("ANY", 0.9, "minor", BoundingBox(0, 0, 1, 1), 1.0)
HUMAN = Action.HUMAN_INSPECTION
GONE = CameraFault.NO_PART
PAUSED = {"auto_pass_paused": True}
FULL = {"outbox_full": True}


def judgement(action: Action, confidence: float) -> Judgement:
    if action is Action.ACCEPT:
        return Judgement(Prediction.PASS, (), confidence, {"ANY": 1 - confidence}, action)
    return Judgement(Prediction.FAIL, (DEFECT,), confidence, {"ANY": confidence}, action)


CASES = [
    # action of the model, confidence, rules, fault, draw -> action, auto action, reason, probability
    ("accepted", Action.ACCEPT, 0.9, {}, None, 0.5, Action.ACCEPT, Action.ACCEPT, None, 0.05),
    ("reworked", Action.REWORK, 0.9, {}, None, 0.5, Action.REWORK, Action.REWORK, None, 0.05),
    ("scrapped", Action.SCRAP, 0.9, {}, None, 0.5, Action.SCRAP, Action.SCRAP, None, 0.05),
    ("sure enough", Action.ACCEPT, 0.8, {}, None, 0.5, Action.ACCEPT, Action.ACCEPT, None, 0.05),
    ("unsure pass", Action.ACCEPT, 0.79, {}, None, 0.5, HUMAN, HUMAN, "low_confidence", 1),
    ("unsure fail", Action.SCRAP, 0.79, {}, None, 0.5, HUMAN, HUMAN, "low_confidence", 1),
    ("no part", Action.ACCEPT, 0.99, {}, GONE, 0.5, HUMAN, HUMAN, "camera_health", 1),
    ("no part, unsure, paused", Action.ACCEPT, 0.1, PAUSED, GONE, 0.0, HUMAN, HUMAN, "camera_health", 1),
    ("paused", Action.ACCEPT, 0.99, PAUSED, None, 0.5, HUMAN, HUMAN, "auto_pass_paused", 1),
    ("paused and unsure", Action.ACCEPT, 0.5, PAUSED, None, 0.5, HUMAN, HUMAN, "low_confidence", 1),
    ("full", Action.ACCEPT, 0.99, FULL, None, 0.5, HUMAN, HUMAN, "outbox_full", 1),
    ("full holds rejects too", Action.SCRAP, 0.99, FULL, None, 0.5, HUMAN, HUMAN, "outbox_full", 1),
    ("full and paused", Action.ACCEPT, 0.99, PAUSED | FULL, None, 0.5, HUMAN, HUMAN, "outbox_full", 1),
    ("full and unsure", Action.ACCEPT, 0.5, FULL, None, 0.5, HUMAN, HUMAN, "low_confidence", 1),
    ("paused lets rejects go", Action.SCRAP, 0.99, PAUSED, None, 0.5, Action.SCRAP, Action.SCRAP, None, 0.05),
    ("audit of an accept", Action.ACCEPT, 0.9, {}, None, 0.04, HUMAN, Action.ACCEPT, "audit", 0.05),
    ("audit of a reject", Action.REWORK, 0.9, {}, None, 0.0, HUMAN, Action.REWORK, "audit", 0.05),
    ("edge of the audit", Action.ACCEPT, 0.9, {}, None, 0.05, Action.ACCEPT, Action.ACCEPT, None, 0.05),
    ("audit of all", Action.ACCEPT, 0.9, {"audit_share": 1}, None, 0.999, HUMAN, Action.ACCEPT, "audit", 1),
    ("no audit of the unsure", Action.ACCEPT, 0.5, {}, None, 0.0, HUMAN, HUMAN, "low_confidence", 1),
    (
        "other threshold",
        Action.ACCEPT,
        0.6,
        {"confidence_threshold": 0.6},
        None,
        0.5,
        "ACCEPT",
        "ACCEPT",
        None,
        0.05,
    ),
]


@pytest.mark.parametrize(
    ("model", "confidence", "rules", "fault", "draw", "action", "auto", "reason", "probability"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_routing(
    model: Action,
    confidence: float,
    rules: dict[str, float],
    fault: CameraFault | None,
    draw: float,
    action: Action,
    auto: Action,
    reason: str | None,
    probability: float,
) -> None:
    said = judgement(model, confidence)
    verdict = decide(said, RoutingRules(**rules), fault=fault, draw=draw)  # type: ignore[arg-type]

    assert verdict.recommended_action == action
    assert verdict.auto_action == auto
    assert verdict.route_reason == reason
    assert verdict.review_probability == probability
    # Routing never changes what the model said.
    assert (verdict.prediction, verdict.defects) == (said.prediction, said.defects)
    assert verdict.overall_confidence == said.overall_confidence


@pytest.mark.parametrize(
    ("action", "place"),
    [("ACCEPT", "next_station"), ("REWORK", "rework_station"), ("SCRAP", "scrap_bin")],
)
def test_places(action: str, place: str) -> None:
    verdict = decide(judgement(Action(action), 0.9), RoutingRules(), draw=0.9)
    assert verdict.routed_to == place


def test_a_part_that_nobody_judged_goes_to_a_person() -> None:
    verdict = unjudged(RouteReason.DEADLINE)
    assert verdict.prediction is None
    assert verdict.defects == ()
    assert verdict.recommended_action == verdict.auto_action == HUMAN
    assert verdict.routed_to == "human_review"
    assert verdict.review_probability == 1


def test_the_audit_draw_is_fixed_secret_and_uniform() -> None:
    ids = [str(uuid.UUID(int=number)) for number in range(20_000)]
    draws = [audit_draw(name, b"secret") for name in ids]

    assert draws == [audit_draw(name, b"secret") for name in ids]
    assert all(0 <= draw < 1 for draw in draws)
    # A share of 5 % of 20,000 is 1,000 with a standard deviation of 31: five of them either way.
    assert sum(draw < 0.05 for draw in draws) == pytest.approx(1000, abs=155)
    assert sum(draw < 0.5 for draw in draws) == pytest.approx(10_000, abs=355)
    other = [audit_draw(name, b"another") for name in ids]
    both = sum(a < 0.05 and b < 0.05 for a, b in zip(draws, other, strict=True))
    assert both == pytest.approx(50, abs=40)
