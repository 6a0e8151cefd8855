"""The parts that wait for a person."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import Field

from inspection.verdict import RouteReason
from serving.guard import READERS, allow
from serving.outbox import FRONT, Place
from serving.schemas import Absent, Name, QueueAnswer, QueueEntry
from serving.station import Station, the_station

router = APIRouter(prefix="/api/v1")

Cursor = Annotated[str, Field(pattern="^[01]-[0-9]{1,18}$")]


@router.get(
    "/queue",
    dependencies=[Depends(allow(*READERS))],
    summary="Parts that wait for a person",
)
def queue(
    station: Annotated[Station, Depends(the_station)],
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[Cursor | Absent, Query(description="The `next_cursor` of the page before.")] = None,
    camera_id: Name | Absent = None,
    line_id: Name | Absent = None,
    reason: RouteReason | Absent = None,
    first: Annotated[
        Literal["safety_critical"] | Absent,
        Query(description="Parts with a safety-critical defect come first. The same on every page."),
    ] = None,
) -> QueueAnswer:
    """Returns the parts that were routed to people and that nobody has decided on yet, oldest first.

    Of a part in the audit, what the model said is withheld.
    """
    found = station.outbox.queue(
        limit + 1,
        Place(*map(int, cursor.split("-"))) if cursor else FRONT,
        cameras=_cameras(station, camera_id, line_id),
        reason=reason,
        urgent=_safety_critical(station) if first else (),
    )
    page = found[:limit]
    return QueueAnswer(
        waiting=tuple(
            QueueEntry.waiting(
                record,
                station.lines.line(record.camera_id),
                image_kept=record.inspection_id in station.kept,
            )
            for _, record in page
        ),
        next_cursor="{}-{}".format(*page[-1][0]) if len(found) > limit else None,
    )


def _cameras(station: Station, camera_id: str | None, line_id: str | None) -> list[str] | None:
    if line_id is None:
        return None if camera_id is None else [camera_id]
    cameras = station.lines.cameras(line_id)
    if not cameras:
        raise HTTPException(404, f"no camera of the calibration file stands at line {line_id!r}")
    return [camera for camera in cameras if camera_id in (None, camera)]


def _safety_critical(station: Station) -> list[str]:
    ontology = station.models.current.manifest.ontology
    return [defect.id for defect in ontology.classes if defect.safety_critical]
