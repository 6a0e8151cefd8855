"""The inspectors' routes: verdicts given, parts that wait for a person, and what people decide."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Header, HTTPException, Query

from inspection.judgement import Prediction
from serving.guard import READERS, allow
from serving.records import PredictionRecord, ReviewRecord
from serving.schemas import (
    Absent,
    InspectionAnswer,
    InspectionDetail,
    QueueAnswer,
    ReviewAnswer,
    ReviewRequest,
)
from serving.station import Station, the_station

router = APIRouter(prefix="/api/v1")
readers = [Depends(allow(*READERS))]
Here = Annotated[Station, Depends(the_station)]


@router.get("/inspections/{inspection_id}", dependencies=readers, summary="Read a verdict back")
def read(inspection_id: UUID, station: Here) -> InspectionDetail:
    """Returns a verdict with what it rests on and what people said of it."""
    return InspectionDetail.told(_find(station, inspection_id), station.outbox.reviews(inspection_id))


@router.get("/queue", dependencies=readers, summary="Parts that wait for a person")
def queue(station: Here, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> QueueAnswer:
    """Returns the parts that were routed to people and that nobody has reviewed yet, oldest first."""
    return QueueAnswer(waiting=tuple(map(InspectionAnswer.of, station.outbox.queue(limit))))


@router.post(
    "/inspections/{inspection_id}/review",
    dependencies=[Depends(allow("inspector"))],
    status_code=201,
    summary="Decide on a part",
)
@router.post(
    "/inspections/{inspection_id}/override",
    dependencies=[Depends(allow("inspector"))],
    status_code=201,
    summary="Decide on a part (alias)",
)
def review(
    inspection_id: UUID,
    request: ReviewRequest,
    station: Here,
    idempotency_key: Annotated[UUID | Absent, Header(description="The review_id.")] = None,
) -> ReviewAnswer:
    """Writes down a person's decision, agreeing with the model or overriding it."""
    record = _find(station, inspection_id)
    written = station.outbox.add_review(
        ReviewRecord(
            review_id=idempotency_key or uuid4(),
            inspection_id=inspection_id,
            image_id=record.image_id,
            inspector_id=request.inspector_id,
            decision=request.decision,
            defect_class=_class_of(station, request.defect_class),
            comment=request.comment,
            reviewed_at=datetime.now(UTC),
        )
    )
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


def _find(station: Station, inspection_id: UUID) -> PredictionRecord:
    record = station.outbox.find(inspection_id)
    if record is None:
        raise HTTPException(404, f"there is no inspection {inspection_id} on this station")
    return record


def _class_of(station: Station, label: str | None) -> str | None:
    if label is None:
        return None
    ontology = station.models.current.manifest.ontology
    found = ontology.resolve(label)
    if found is None:
        known = ", ".join(c.id for c in ontology.classes)
        raise HTTPException(422, f"defect_class {label!r} is no class of the ontology: use one of {known}")
    return found
