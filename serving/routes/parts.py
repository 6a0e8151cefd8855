"""The verdict on a part that several cameras have seen."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException

from inspection.part_verdict import action_that_counts, newest_visit, worst_action
from inspection.verdict import DESTINATIONS
from serving.guard import READERS, allow
from serving.records import PredictionRecord
from serving.schemas import PartAnswer, PartView
from serving.station import Station, the_station

router = APIRouter(prefix="/api/v1")

MOST_VIEWS = 200


@router.get(
    "/parts/{part_serial:path}",
    dependencies=[Depends(allow("line", *READERS))],
    summary="The verdict on a whole part",
)
def part(part_serial: str, station: Annotated[Station, Depends(the_station)]) -> PartAnswer:
    """Returns the worst of what the cameras at this station say of a part; people's decisions count first."""
    records = station.outbox.of_part(part_serial, MOST_VIEWS + 1)
    if not records:
        raise HTTPException(404, f"there is no inspection of a part {part_serial!r} on this station")
    window = timedelta(seconds=station.settings.part_window_seconds)
    visit = records[newest_visit([record.predicted_at for record in records], window) :]
    if len(visit) > MOST_VIEWS:
        raise HTTPException(
            409,
            f"more than {MOST_VIEWS} inspections on end bear {part_serial!r}: give each part its own serial",
        )
    views = tuple(_view(station, record) for record in visit)
    action = worst_action([view.action for view in views])
    return PartAnswer(
        part_serial=part_serial, action=action, routed_to=DESTINATIONS[action], inspections=views
    )


def _view(station: Station, record: PredictionRecord) -> PartView:
    decisions = [review.decision for review in station.outbox.reviews(record.inspection_id)]
    return PartView(
        inspection_id=record.inspection_id,
        image_id=record.image_id,
        camera_id=record.camera_id,
        timestamp=record.predicted_at,
        recommended_action=record.recommended_action,
        route_reason=record.route_reason,
        decision=decisions[-1] if decisions else None,
        action=action_that_counts(record.recommended_action, decisions),
    )
