"""What the gauge says of one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

LARGEST_SHARE = 3.0
"""A deviation of more tolerances says no more: further out is no more out. Of 1.5 to 10 tolerances the limit
with the smallest Brier score on the simulated plant's validation side; without one the calibration is drawn
towards the few parts that are furthest off, and those that are clearly out get no clear probability."""


class PixelBox(NamedTuple):
    """A rectangle in pixels of the image as sent."""

    x: int
    y: int
    width: int
    height: int


class Measured(BaseModel):
    """One dimension of one part, in millimetres.

    Attributes:
        tolerance_mm: how far off the nominal size it may be, either way.
        box: around the edges that it was measured on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dimension: str
    measured_mm: float
    nominal_mm: float
    tolerance_mm: float
    box: PixelBox

    @property
    def deviation_mm(self) -> float:
        """Measured less nominal."""
        return self.measured_mm - self.nominal_mm

    @property
    def share(self) -> float:
        """The deviation's size in tolerances; above 1 the dimension is out of tolerance."""
        return abs(self.deviation_mm) / self.tolerance_mm


class Reading(BaseModel):
    """All planned dimensions of one part, or the reason why there are none.

    Attributes:
        part_type: as told; None if it was not.
        camera_id: that took the image.
        not_applicable: the reason; None if and only if there are dimensions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    part_type: str | None
    camera_id: str
    dimensions: tuple[Measured, ...] = ()
    not_applicable: str | None = None

    @property
    def worst(self) -> Measured | None:
        """The dimension that uses most of its tolerance; None without any."""
        return max(self.dimensions, key=lambda found: found.share, default=None)

    @property
    def score(self) -> float:
        """The worst dimension's deviation in tolerances, at most `LARGEST_SHARE`; 0 without any."""
        return min(self.worst.share, LARGEST_SHARE) if self.worst else 0.0

    def without(self, reason: str) -> Reading:
        """Returns the reading as one that says nothing, for a reason."""
        return Reading(part_type=self.part_type, camera_id=self.camera_id, not_applicable=reason)

    def shifted(self, millimetres: float) -> Reading:
        """Returns the reading with something added to each measured size."""
        moved = tuple(
            found.model_copy(update={"measured_mm": found.measured_mm + millimetres})
            for found in self.dimensions
        )
        return self.model_copy(update={"dimensions": moved})


@dataclass(frozen=True)
class Measurement:
    """The dimension that speaks for a class in a verdict.

    Attributes:
        repeatability_mm: standard deviation on good parts of the part type.
        box: in pixels of the image as sent.
    """

    dimension: str
    measured_mm: float
    nominal_mm: float
    tolerance_mm: float
    repeatability_mm: float
    box: PixelBox


Measurements = Mapping[str, Measurement]
"""By class of the ontology."""
