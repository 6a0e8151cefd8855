"""The eight cameras of the simulated plant: where they hang, how they light, how they see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

REFERENCE_WIDTH = 1024
"""Lengths in pixels are given for images of this width and grow with it."""


@dataclass(frozen=True)
class Camera:
    """One fixed camera; its lens does not distort.

    Attributes:
        px_per_mm: scale at `REFERENCE_WIDTH`; fixed, so a size deviation stays visible.
        exposure: factor on the brightness, around 1.
        light: direction towards the lamp in the image plane, unit vector (x right, y down).
        falloff: how much darker (0 to 1) the frame is on the side away from the lamp.
        backdrop: brightness of the mat, 0 to 1; well below that of any part.
        backdrop_tint: factor per channel of the mat, BGR; likewise `tint` of the light.
        blur: sigma of the optics in pixels at `REFERENCE_WIDTH`.
        noise: standard deviation of the sensor's noise in mid grey, 0 to 1.
    """

    camera_id: str
    line_id: str
    plant_id: str
    px_per_mm: float
    exposure: float
    light: tuple[float, float]
    falloff: float
    backdrop: float
    backdrop_tint: tuple[float, float, float]
    tint: tuple[float, float, float]
    blur: float
    noise: float


_BLUE, _GREEN, _BLACK = (1.18, 1.0, 0.86), (0.94, 1.1, 0.92), (1.02, 1.0, 0.98)
_COOL, _NEUTRAL, _WARM = (1.04, 1.0, 0.97), (1.0, 1.0, 1.0), (0.95, 1.0, 1.04)

# id, line, plant, px/mm, exposure, light, falloff, mat, tint of the mat, of the light, blur, noise
CAMERAS = (
    Camera("cam-line-a-01", "line-a", "plant-1", 3.40, 1.00, (-0.60, -0.80),
           0.16, 0.130, _BLUE, _NEUTRAL, 0.55, 0.012),
    Camera("cam-line-a-02", "line-a", "plant-1", 3.43, 0.94, (0.60, -0.80),
           0.20, 0.120, _BLUE, _COOL, 0.60, 0.013),
    Camera("cam-line-b-01", "line-b", "plant-1", 3.37, 1.06, (-0.28, -0.96),
           0.14, 0.145, _BLACK, _NEUTRAL, 0.50, 0.011),
    Camera("cam-line-b-02", "line-b", "plant-1", 3.41, 0.90, (0.80, -0.60),
           0.22, 0.115, _BLACK, _WARM, 0.62, 0.015),
    Camera("cam-line-c-01", "line-c", "plant-2", 3.44, 1.03, (-0.80, -0.60),
           0.18, 0.140, _GREEN, _COOL, 0.58, 0.012),
    Camera("cam-line-c-02", "line-c", "plant-2", 3.38, 0.97, (0.28, -0.96),
           0.12, 0.125, _GREEN, _NEUTRAL, 0.52, 0.014),
    Camera("cam-line-d-01", "line-d", "plant-3", 3.42, 1.08, (0.00, -1.00),
           0.10, 0.150, _BLACK, _WARM, 0.56, 0.012),
    Camera("cam-line-d-02", "line-d", "plant-3", 3.39, 0.92, (-0.96, -0.28),
           0.24, 0.120, _BLUE, _NEUTRAL, 0.60, 0.015),
)  # fmt: skip

CAMERA_BY_ID = {camera.camera_id: camera for camera in CAMERAS}


@lru_cache(maxsize=16)
def illumination(camera: Camera, width: int, height: int) -> NDArray[np.float32]:
    """Returns the brightness factor of each pixel, float32 [height, width]: lamp side and vignette."""
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    towards_lamp = (x * camera.light[0] + y * camera.light[1]) / 2
    field = np.asarray(1 + camera.falloff * towards_lamp - 0.07 * (x * x + y * y), dtype=np.float32)
    field.setflags(write=False)
    return field
