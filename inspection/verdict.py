"""Where a part goes, and whether a person looks at it. Pure functions: no clock, no files, no state.

The machine decides unless there is a reason that it should not; then a person does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from inspection.camera_health import CameraFault
from inspection.judgement import Action, Defect, Judgement, Prediction


class RouteReason(StrEnum):
    """Why a person looks at a part."""

    LOW_CONFIDENCE = "low_confidence"
    CAMERA_HEALTH = "camera_health"
    AUTO_PASS_PAUSED = "auto_pass_paused"  # noqa: S105
    AUDIT = "audit"
    DEADLINE = "deadline"
    OUTBOX_FULL = "outbox_full"


DESTINATIONS = {
    Action.ACCEPT: "next_station",
    Action.REWORK: "rework_station",
    Action.SCRAP: "scrap_bin",
    Action.HUMAN_INSPECTION: "human_review",
}


@dataclass(frozen=True)
class RoutingRules:
    """What decides between machine and person.

    Attributes:
        confidence_threshold: below it a person looks; 0 to 1.
        audit_share: share of the automatically accepted and rejected parts that a person looks at
            all the same; 0 to 1.
        auto_pass_paused: no part is accepted without a person.
        outbox_full: no part is decided without a person: soon no verdict can be written down.
    """

    confidence_threshold: float = 0.8
    audit_share: float = 0.05
    auto_pass_paused: bool = False
    outbox_full: bool = False


@dataclass(frozen=True)
class Verdict:
    """Where a part goes.

    Attributes:
        auto_action: the routing before the audit draw.
        review_probability: how probable it was, when the verdict fell, that a person would look: 1 if
            routed to one, else the audit share. A reviewed part weighs its inverse.
        routed_to: the name of the place.
    """

    prediction: Prediction | None
    defects: tuple[Defect, ...]
    overall_confidence: float | None
    probabilities: dict[str, float]
    recommended_action: Action
    auto_action: Action
    route_reason: RouteReason | None
    review_probability: float
    routed_to: str


def decide(
    judgement: Judgement, rules: RoutingRules, *, fault: CameraFault | None = None, draw: float
) -> Verdict:
    """Routes a part.

    Args:
        judgement: what the model says.
        rules: thresholds and state in force.
        fault: what is wrong with the picture: the model judged something else than a part as it is.
        draw: from `audit_draw`, in [0, 1).
    """
    reason = _reason(judgement, rules, fault)
    auto_action = Action.HUMAN_INSPECTION if reason else judgement.recommended_action
    review_probability = 1.0 if reason else rules.audit_share
    if reason is None and draw < rules.audit_share:
        reason = RouteReason.AUDIT
    action = Action.HUMAN_INSPECTION if reason else auto_action
    return Verdict(
        prediction=judgement.prediction,
        defects=judgement.defects,
        overall_confidence=judgement.overall_confidence,
        probabilities=judgement.probabilities,
        recommended_action=action,
        auto_action=auto_action,
        route_reason=reason,
        review_probability=review_probability,
        routed_to=DESTINATIONS[action],
    )


def unjudged(reason: RouteReason) -> Verdict:
    """Returns the verdict on a part that no model has judged: a person does."""
    return Verdict(
        prediction=None,
        defects=(),
        overall_confidence=None,
        probabilities={},
        recommended_action=Action.HUMAN_INSPECTION,
        auto_action=Action.HUMAN_INSPECTION,
        route_reason=reason,
        review_probability=1.0,
        routed_to=DESTINATIONS[Action.HUMAN_INSPECTION],
    )


def audit_draw(inspection_id: str, secret: bytes) -> float:
    """Returns a number in [0, 1) that is fixed for an inspection and cannot be told without the secret.

    Uniform over inspections: the first 53 bits of a keyed BLAKE2b hash. A repeated request draws the
    same number, so asking again does not get a part out of the audit.
    """
    digest = hashlib.blake2b(inspection_id.encode(), key=secret[:64], digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def _reason(judgement: Judgement, rules: RoutingRules, fault: CameraFault | None) -> RouteReason | None:
    if fault is not None:
        return RouteReason.CAMERA_HEALTH
    if judgement.overall_confidence < rules.confidence_threshold:
        return RouteReason.LOW_CONFIDENCE
    if rules.outbox_full:
        return RouteReason.OUTBOX_FULL
    if rules.auto_pass_paused and judgement.recommended_action is Action.ACCEPT:
        return RouteReason.AUTO_PASS_PAUSED
    return None
