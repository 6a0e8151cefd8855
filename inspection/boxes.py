"""How well a drawn box covers an annotated one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from inspection.bootstrap import Estimate, ratio
from inspection.metrics import Rate


class Rectangle(NamedTuple):
    """A box in pixels of the original image."""

    x: float
    y: float
    width: float
    height: float


class BoxQuality(BaseModel):
    """Drawn boxes against annotated ones.

    Attributes:
        half: share of the drawn boxes whose IoU with an annotated one is at least 0.5, as of a detector.
        tenth: likewise 0.1: the box shows the place.
        mean: mean IoU.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    half: Rate
    tenth: Rate
    mean: Estimate


def iou(first: Rectangle, second: Rectangle) -> float:
    """Returns the area that two boxes share by the area that they cover together, 0 to 1."""
    width = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    height = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    shared = max(width, 0.0) * max(height, 0.0)
    together = first.width * first.height + second.width * second.height - shared
    return shared / together if together > 0 else 0.0


def best_iou(drawn: Rectangle, annotated: Sequence[Rectangle]) -> float:
    """Returns the IoU with the annotated box that fits best; at least one is given."""
    return max(iou(drawn, box) for box in annotated)


def box_quality(ious: Sequence[float]) -> BoxQuality:
    """Counts; `ious` has one for each defect that is told and has an annotated box."""
    values = np.asarray(ious, np.float64)
    return BoxQuality(
        half=Rate.where(values >= 0.5),
        tenth=Rate.where(values >= 0.1),
        mean=ratio(values, np.ones(len(values))),
    )
