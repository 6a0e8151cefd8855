"""A camera's scale and lens at a time of capture, and the way from pixels to millimetres.

The lens is the usual model (Brown 1971, as OpenCV has it): k1, k2, k3 radial, p1, p2 tangential, focal
length and principal point in pixels of the camera's full frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Points = NDArray[np.float64]

ASPECT_TOLERANCE = 0.01
"""Relative difference of the sides' ratio up to which an image counts as the whole frame, made smaller."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Lens(_Model):
    """Distortion of a lens; the defaults of the coefficients have none."""

    fx: float = Field(gt=0)
    fy: float = Field(gt=0)
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0

    @property
    def distorts(self) -> bool:
        """Whether there is anything to take out."""
        return any((self.k1, self.k2, self.p1, self.p2, self.k3))

    @property
    def matrix(self) -> Points:
        """The camera matrix, float64 [3, 3]."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])

    @property
    def coefficients(self) -> Points:
        """As OpenCV orders them, float64 [5]."""
        return np.array([self.k1, self.k2, self.p1, self.p2, self.k3])


class Camera(_Model):
    """What turns a camera's pixels into millimetres.

    Attributes:
        width: of the full frame that the numbers are given for, in pixels; likewise `height`.
        px_per_mm: scale in the plane of the part's outline.
        lens: None where the lens was not calibrated: it then counts as free of distortion.
    """

    width: int = Field(gt=0)
    height: int = Field(gt=0)
    px_per_mm: float = Field(gt=0)
    lens: Lens | None = None

    def fits(self, width: int, height: int) -> bool:
        """Tells whether an image of this size can be the camera's whole frame, at whatever scale."""
        return abs(width * self.height / (height * self.width) - 1) <= ASPECT_TOLERANCE

    def millimetres(self, points: Points, image_width: int) -> Points:
        """Takes the distortion out of points of an image and scales them.

        Args:
            points: in pixels of the image, the middle of the first pixel at 0, float64 [n, 2].
            image_width: columns of that image; it shows the whole frame.

        Returns:
            Millimetres from the frame's upper left corner, float64 [n, 2].
        """
        factor = self.width / image_width
        placed = (points + 0.5) * factor - 0.5
        if self.lens is not None and self.lens.distorts:
            matrix = self.lens.matrix
            found = cv2.undistortPoints(placed[:, None], matrix, self.lens.coefficients, P=matrix)
            placed = np.asarray(found, np.float64)[:, 0]
        return placed / self.px_per_mm


class CameraHistory(_Model):
    """All calibrations of the cameras, as the two files tell them.

    Attributes:
        configs: by camera: since when, and the frame's width, height and scale in px/mm (None: not told).
        lenses: by camera: since when, and the lens.
        broken: rows that say nothing usable, such as a width of 0.
    """

    configs: Mapping[str, tuple[tuple[AwareDatetime, int, int, float | None], ...]]
    lenses: Mapping[str, tuple[tuple[AwareDatetime, Lens], ...]]
    broken: int = 0

    def at(self, camera_id: str, moment: datetime) -> Camera | str:
        """Returns a camera's calibration at a time, of its newest rows not after it, or why there is none."""
        if camera_id not in self.configs:
            return "camera unknown to camera_config"
        configs = [row for row in self.configs[camera_id] if row[0] <= moment]
        if not configs:
            return "captured before the camera's first configuration"
        _, width, height, scale = max(configs, key=lambda row: row[0])
        if scale is None:
            return "no scale (px_per_mm) of the camera"
        lenses = [row for row in self.lenses.get(camera_id, ()) if row[0] <= moment]
        lens = max(lenses, key=lambda row: row[0])[1] if lenses else None
        return Camera(width=width, height=height, px_per_mm=scale, lens=lens)


def camera_history(
    configs: Iterable[Mapping[str, Any]], lenses: Iterable[Mapping[str, Any]]
) -> CameraHistory:
    """Reads the rows of the two calibration files; those that make no sense are counted.

    Args:
        configs: of ``camera_config``; the column px_per_mm may be missing.
        lenses: of ``lens_distortion_params``.
    """
    known: dict[str, list[tuple[datetime, int, int, float | None]]] = {}
    seen: dict[str, list[tuple[datetime, Lens]]] = {}
    broken = 0
    for row in configs:
        try:
            frame = int(row["width"]), int(row["height"])
            told = row.get("px_per_mm")
            scale = None if told is None else float(told)
            if min(frame) <= 0 or not (scale is None or 0 < scale < np.inf):
                raise ValueError("not positive")
            since = _time(row["effective_from"])
            known.setdefault(str(row["camera_id"]), []).append((since, *frame, scale))
        except (KeyError, TypeError, ValueError):
            broken += 1
    for row in lenses:
        try:
            lens = Lens(**{name: float(row[name]) for name in Lens.model_fields})
            since = _time(row["calibrated_at"])
            seen.setdefault(str(row["camera_id"]), []).append((since, lens))
        except (KeyError, TypeError, ValueError):
            broken += 1
    return CameraHistory.model_validate({"configs": known, "lenses": seen, "broken": broken})


def _time(told: object) -> datetime:
    moment = told if isinstance(told, datetime) else datetime.fromisoformat(str(told))
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
