"""Parts drawn from their signed distance: each pixel has the grey that a sharp edge through it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.gauge.calibration import Camera
from inspection.gauge.gauge import ClassFit, Fit, Gauge
from inspection.gauge.plan import Plan
from inspection.gauge.specification import Specification

WIDTH, HEIGHT = 480, 320
SCALE = 4.0
CAMERA = Camera(width=WIDTH, height=HEIGHT, px_per_mm=SCALE)
BACKDROP, METAL = 40.0, 180.0

# A stepped plate: 80 mm long, 40 mm high on the left and 30 mm on the right of x = 5, with a hole of 12 mm
# at (-20, 5) and a slot of 6 mm from x = 12 to 32.
SIZES = {"length": 80.0, "left": 40.0, "right": 30.0, "bore": 12.0, "slot": 6.0}
TOLERANCE = 0.5
PLAN = Plan.model_validate(
    {
        "search_mm": 4,
        "parts": {
            "stepped": {
                "dimensions": {
                    "length": {"kind": "width", "along": "x", "between": [-10, 10]},
                    "left": {"kind": "width", "along": "y", "between": [-36, 0]},
                    "right": {"kind": "width", "along": "y", "between": [10, 36]},
                    "bore": {"kind": "circle", "hole": [-20, 5]},
                    "slot": {"kind": "width", "along": "y", "between": [16, 28], "hole": [22, 0]},
                }
            }
        },
    }
)
SPECIFICATIONS = {
    "stepped": Specification(revision=1, nominal=SIZES, tolerance=dict.fromkeys(SIZES, TOLERANCE))
}


def gauge(measured: str, camera: str = "cam-gauge") -> Gauge:
    """Returns a gauge for the stepped plate: at the tolerance a half, half as much beyond it 0.98."""
    fit = Fit(
        classes={measured: ClassFit(slope=8, offset=-8, positives=20, negatives=80)},
        repeatability_mm={"stepped": dict.fromkeys(SIZES, 0.01)},
        bias_mm={},
    )
    return Gauge(plan=PLAN, specifications=SPECIFICATIONS, cameras={camera: CAMERA}, fit=fit)


@dataclass(frozen=True)
class Pose:
    """Where a drawn part lies: middle in pixels, turn in degrees, and whether it is on its other side."""

    x: float = WIDTH / 2
    y: float = HEIGHT / 2
    turn: float = 0.0
    mirrored: bool = False


def stepped(sizes: Mapping[str, float] = SIZES, pose: Pose = Pose(), dark: bool = False) -> NDArray[np.uint8]:
    """Returns the stepped plate, uint8 RGB [320, 480, 3]; `dark` swaps metal and backdrop."""
    x, y = placed(pose)
    half = sizes["length"] / 2
    left = rectangle(x, y, (-half, -sizes["left"] / 2, 5, sizes["left"] / 2))
    right = rectangle(x, y, (0, -sizes["right"] / 2, half, sizes["right"] / 2))
    bore = np.hypot(x + 20, y - 5) - sizes["bore"] / 2
    slot = rectangle(x, y, (12, -sizes["slot"] / 2, 32, sizes["slot"] / 2))
    inside = np.maximum(np.minimum(left, right), -np.minimum(bore, slot))
    return picture(inside, dark)


def placed(pose: Pose) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns each pixel's place in the part's own millimetres."""
    columns, rows = np.meshgrid(np.arange(WIDTH) - pose.x, np.arange(HEIGHT) - pose.y)
    angle = np.deg2rad(pose.turn)
    x = (columns * np.cos(angle) + rows * np.sin(angle)) / SCALE
    y = (rows * np.cos(angle) - columns * np.sin(angle)) / SCALE
    return (-x if pose.mirrored else x), y


def rectangle(
    x: NDArray[np.float64], y: NDArray[np.float64], box: tuple[float, float, float, float]
) -> NDArray[np.float64]:
    """Returns the distance of each place from a rectangle's edge, negative inside (exact but at corners)."""
    left, top, right, bottom = box
    return np.maximum(np.maximum(left - x, x - right), np.maximum(top - y, y - bottom))


def picture(distance: NDArray[np.float64], dark: bool = False, noise: float = 1.0) -> NDArray[np.uint8]:
    """Returns the picture of what lies where the distance (mm) is negative, slightly blurred and noisy."""
    cover = np.clip(0.5 - distance * SCALE, 0, 1)
    ground, metal = (METAL, BACKDROP) if dark else (BACKDROP, METAL)
    grey = cv2.GaussianBlur(ground + (metal - ground) * cover, (0, 0), 0.7)
    grey = grey + np.random.default_rng(1).normal(0, noise, grey.shape)
    return np.clip(np.round(grey), 0, 255).astype(np.uint8)[..., None].repeat(3, 2)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Returns an image file without loss."""
    return cv2.imencode(".png", pixels)[1].tobytes()
