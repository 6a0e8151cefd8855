"""How the cameras are doing, and having one learn again what is normal for it."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException

from serving.guard import READERS, allow
from serving.schemas import CameraForgotten, CamerasAnswer, DecisionRequest
from serving.station import Station, the_station

log = logging.getLogger(__name__)

router = APIRouter(prefix="/api/v1")
Here = Annotated[Station, Depends(the_station)]


@router.get("/cameras", dependencies=[Depends(allow(*READERS))], summary="List the cameras")
def cameras(station: Here) -> CamerasAnswer:
    """Returns what is normal for each camera and part type, how it is now, and what was wrong since."""
    return CamerasAnswer(cameras=tuple(station.cameras.standings()))


@router.post("/cameras/{camera_id}/relearn", summary="Have a camera learn again what is normal")
def relearn(
    camera_id: str,
    request: DecisionRequest,
    station: Here,
    actor: Annotated[str, Depends(allow("engineer"))],
) -> CameraForgotten:
    """Forgets the references of a camera whose light, lens or place has been changed on purpose."""
    forgotten = station.cameras.forget(camera_id)
    if forgotten is None:
        raise HTTPException(404, f"no part has come from a camera {camera_id!r} yet")
    log.warning("%s has camera %s learn again: %s", actor, camera_id, request.reason)
    return CameraForgotten(camera_id=camera_id, references=forgotten)
