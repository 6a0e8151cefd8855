"""Verdicts that were given, and what people decide on them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Header, HTTPException

from inspection.errors import DuplicateError
from inspection.judgement import Prediction
from inspection.verdict import RouteReason
from serving.guard import READERS, allow, is_inspector
from serving.records import PredictionRecord, ReviewRecord
from serving.schemas import Absent, InspectionDetail, ReviewAnswer, ReviewRequest
from serving.station import Station, the_station

router = APIRouter(prefix="/api/v1")
readers = [Depends(allow(*READERS))]
Here = Annotated[Station, Depends(the_station)]
Inspector = Annotated[str, Depends(allow("inspector"))]


@router.get("/inspections/{inspection_id}", dependencies=readers, summary="Read a verdict back")
def read(
    inspection_id: UUID, station: Here, for_inspector: Annotated[bool, Depends(is_inspector)]
) -> InspectionDetail:
    """Returns a verdict with what it rests on and what people said of it.

    An inspector's key learns what the model said of an audited part only when a person has decided.
    """
    record = find_inspection(station, inspection_id)
    detail = InspectionDetail.told(record, station.outbox.reviews(inspection_id))
    return detail.blinded() if for_inspector and is_blind(station, record) else detail


@router.post(
    "/inspections/{inspection_id}/review",
    status_code=201,
    summary="Decide on a part",
)
@router.post(
    "/inspections/{inspection_id}/override",
    status_code=201,
    summary="Decide on a part (alias)",
)
def review(
    inspection_id: UUID,
    request: ReviewRequest,
    station: Here,
    key_name: Inspector,
    idempotency_key: Annotated[UUID | Absent, Header(description="The review_id.")] = None,
) -> ReviewAnswer:
    """Writes down a person's decision, agreeing with the model or overriding it; the last one counts."""
    record = find_inspection(station, inspection_id)
    decided = ReviewRecord(
        review_id=idempotency_key or uuid4(),
        inspection_id=inspection_id,
        image_id=record.image_id,
        inspector_id=request.inspector_id,
        decision=request.decision,
        defect_class=_class_of(station, request.defect_class),
        comment=request.comment,
        key_name=key_name,
        reviewed_at=datetime.now(UTC),
    )
    written = station.outbox.add_review(decided)
    if written.model_copy(update={"reviewed_at": decided.reviewed_at}) != decided:
        raise DuplicateError(f"review {written.review_id} was written with other contents: use a new key")
    station.kept.decide(inspection_id)
    return ReviewAnswer(**written.model_dump(), overrides=overrides(record, written))


def overrides(record: PredictionRecord, review: ReviewRecord) -> bool | None:
    """Tells whether a person and the model disagree; None where no model judged.

    On the verdict, or on the class of a rejected part, as ``marts.fct_overrides`` has it.
    """
    if record.prediction is None:
        return None
    if (record.prediction is Prediction.PASS) != (review.decision == "PASS"):
        return True
    if record.prediction is Prediction.PASS or review.defect_class is None:
        return False
    return review.defect_class != max(record.defects, key=lambda d: d.confidence).defect_class


def find_inspection(station: Station, inspection_id: UUID) -> PredictionRecord:
    """Returns a verdict that this station has given.

    Raises:
        HTTPException: 404, it has not.
    """
    record = station.outbox.find(inspection_id)
    if record is None:
        raise HTTPException(404, f"there is no inspection {inspection_id} on this station")
    return record


def is_blind(station: Station, record: PredictionRecord) -> bool:
    """Tells whether an audited part still waits for a person, whom the model's verdict would sway."""
    return record.route_reason is RouteReason.AUDIT and station.outbox.waits_for_person(record.inspection_id)


def _class_of(station: Station, label: str | None) -> str | None:
    if label is None:
        return None
    ontology = station.models.current.manifest.ontology
    found = ontology.resolve(label)
    if found is None:
        known = ", ".join(c.id for c in ontology.classes)
        raise HTTPException(422, f"defect_class {label!r} is no class of the ontology: use one of {known}")
    return found
