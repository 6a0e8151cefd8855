"""The line's route: an image in, a verdict out."""

from __future__ import annotations

import time
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Depends, Header, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from serving.body import IMAGE_TYPES, MULTIPART, media_type, read_upload
from serving.guard import allow
from serving.inspector import Part
from serving.schemas import Absent, InspectionAnswer, PartMetadata, PartQuery
from serving.station import Station, the_station

PATH = "/api/v1/ml/predict/visual-inspection"

router = APIRouter()

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "required": ["image"],
        "properties": {
            "image": {"type": "string", "format": "binary"},
            **PartQuery.model_json_schema()["properties"],
        },
    }
}
_BODY = {"required": True, "content": {**dict.fromkeys(IMAGE_TYPES, _BINARY), MULTIPART: _FORM}}


@router.post(
    PATH,
    openapi_extra={"requestBody": _BODY},
    dependencies=[Depends(allow("line"))],
    summary="Judge a part",
)
async def predict(
    request: Request,
    query: Annotated[PartQuery, Query()],
    station: Annotated[Station, Depends(the_station)],
    background: BackgroundTasks,
    idempotency_key: Annotated[UUID | Absent, Header(description="The inspection_id.")] = None,
) -> InspectionAnswer:
    """Judges one image of one part.

    The image is the body, with the metadata in the query, or the field `image` of a multipart body, with
    the metadata in its other fields. Repeated with the same Idempotency-Key it gives the stored answer.
    """
    told: dict[str, Any] = query.model_dump(exclude_none=True)
    request.state.line_id = station.lines.line(query.camera_id)
    if media_type(request) != MULTIPART:
        _metadata(told, idempotency_key)  # before a body is read that would be refused anyway
    station.lanes.check()  # likewise
    upload = await read_upload(request, station.uploads)
    metadata = _metadata(told | upload.fields, idempotency_key)
    request.state.line_id = station.lines.line(metadata.camera_id)
    part = Part(
        image=upload.image,
        received=time.perf_counter(),
        **metadata.model_dump(),
    )
    with station.lanes.place():
        record = await station.lanes.inspect(part)
    background.add_task(station.shadow.offer, part, record)  # which runs when the answer is out
    return InspectionAnswer.of(record)


def _metadata(told: dict[str, Any], key: UUID | None) -> PartMetadata:
    try:
        metadata = PartMetadata.model_validate(({"inspection_id": key} if key else {}) | told)
        if key and metadata.inspection_id != key:
            raise HTTPException(422, "inspection_id and the Idempotency-Key are two different ids: send one")
    except ValidationError as error:
        errors = [{**found, "loc": ("metadata", *found["loc"])} for found in error.errors()]
        raise RequestValidationError(errors) from error
    return metadata
