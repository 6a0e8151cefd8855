"""The images of parts for people, and where the model saw what in them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import cv2
from fastapi import APIRouter, Depends, HTTPException, Query, Response

from inspection.heatmap import draw_heatmap
from inspection.imaging import Window
from serving.guard import READERS, allow, is_inspector
from serving.records import PredictionRecord
from serving.routes.inspections import find_inspection, is_blind
from serving.schemas import Absent, Name
from serving.station import Station, the_station

router = APIRouter(prefix="/api/v1/inspections/{inspection_id}")
readers = [Depends(allow(*READERS))]
Here = Annotated[Station, Depends(the_station)]

QUALITY = 90


def _files(*types: str) -> dict[int | str, dict[str, Any]]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": "The file.", "content": dict.fromkeys(types, binary)}}


@router.get(
    "/image",
    dependencies=readers,
    response_class=Response,
    responses=_files("image/jpeg", "image/png"),
    summary="The image as it was sent",
)
def image(inspection_id: UUID, station: Here) -> Response:
    """Returns the image of a part that was routed to people, to the byte."""
    record = find_inspection(station, inspection_id)
    kept = station.kept.image(inspection_id, record.image_sha256)
    if kept is None:
        raise _not_kept(inspection_id, "image")
    return Response(kept.content, media_type=kept.media_type)


@router.get(
    "/heatmap",
    dependencies=readers,
    response_class=Response,
    responses=_files("image/jpeg"),
    summary="Where the model saw a defect",
)
def heatmap(
    inspection_id: UUID,
    station: Here,
    for_inspector: Annotated[bool, Depends(is_inspector)],
    defect_class: Annotated[
        Name | Absent, Query(alias="class", description="Without it, the class that the model is surest of.")
    ] = None,
) -> Response:
    """Returns the image with the activations of one class over it, and the boxes of that class."""
    record = find_inspection(station, inspection_id)
    if for_inspector and is_blind(station, record):
        raise HTTPException(403, "this part is in the audit: decide first, then see what the model saw")
    kept = station.kept.image(inspection_id, record.image_sha256)
    activations = station.kept.activations(inspection_id)
    if kept is None or activations is None or not record.probabilities:
        raise _not_kept(inspection_id, "heatmap")
    if defect_class is None:
        defect_class = surest_class(record)
    elif defect_class not in activations.classes:
        known = ", ".join(activations.classes)
        raise HTTPException(404, f"the model that judged has no class {defect_class!r}: use one of {known}")
    boxes = [
        Window(**defect.bounding_box.model_dump())
        for defect in record.defects
        if defect.defect_class == defect_class
    ]
    drawn = draw_heatmap(kept.content, activations, defect_class, boxes)
    _, encoded = cv2.imencode(".jpg", drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return Response(encoded.tobytes(), media_type="image/jpeg")


def surest_class(record: PredictionRecord) -> str:
    """Returns the most probable class that reached its threshold, else the most probable one."""
    if record.defects:
        return max(record.defects, key=lambda defect: defect.confidence).defect_class
    return max(record.probabilities, key=lambda name: record.probabilities[name])


def _not_kept(inspection_id: UUID, what: str) -> HTTPException:
    return HTTPException(
        404,
        f"no {what} of inspection {inspection_id} is kept: only of parts that go to people, "
        "until some time after the decision; a heatmap only where the model judged in time",
    )
