"""Measurement plans: where on a part each dimension is measured. Data, written by people.

Places are millimetres in the frame of the part as it is drawn: the origin is the middle of the smallest
rectangle around its outline, x runs along the rectangle's long side, y along the short one, down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Place = tuple[float, float]
Axis = Literal["x", "y"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Width(_Model):
    """The distance of two facing straight edges.

    Attributes:
        along: the direction in which it is measured.
        between: the stations, on the other axis, between which the edges are straight.
        hole: a point in the hole that has the edges; None for the outline of the part.
    """

    kind: Literal["width"]
    along: Axis
    between: tuple[float, float]
    hole: Place | None = None

    @model_validator(mode="after")
    def _ascending(self) -> Width:
        if self.between[0] >= self.between[1]:
            raise ValueError(f"between {list(self.between)}: the first station lies before the second")
        return self


class Circle(_Model):
    """The diameter of a round edge.

    Attributes:
        hole: the middle of the hole; None for a round part.
    """

    kind: Literal["circle"]
    hole: Place | None = None


class Extent(_Model):
    """The whole length of the part along an axis, from its outermost points; a burr adds to it."""

    kind: Literal["extent"]
    along: Axis


Feature = Annotated[Width | Circle | Extent, Field(discriminator="kind")]


class PartPlan(_Model):
    """What is measured of one part type.

    Attributes:
        mirrored: parts may lie either side up. Turned by 180 degrees they may always lie.
        dimensions: by name; ``bore_diameter`` is held against ``bore_diameter_mm`` of the specification.
    """

    mirrored: bool = True
    dimensions: Mapping[str, Feature] = Field(min_length=1)


class Plan(_Model):
    """The measurement plan of a plant.

    Attributes:
        search_mm: how far from the nominal size an edge is looked for, and how far from its place a
            hole. What is not found is not measured.
        parts: by part type.
    """

    search_mm: float = Field(default=8.0, gt=0)
    parts: Mapping[str, PartPlan]
