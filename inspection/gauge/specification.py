"""What a part shall measure: the newest revision of each part type in ``erp.product_specs``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

UNIT, TOLERANCE = "_mm", "tolerance"


class Specification(BaseModel):
    """Sizes of a part type in millimetres.

    Attributes:
        nominal: by dimension, without its ``_mm``.
        tolerance: how far off each may be, either way; only dimensions that have one are measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: int
    nominal: Mapping[str, float]
    tolerance: Mapping[str, float]


def parse_specification(revision: int, dimensions: Any) -> Specification:  # noqa: ANN401
    """Reads the JSON of one row: ``{"length_mm": 120, "tolerance_mm": 0.5, "length_tolerance_mm": 1}``.

    ``tolerance_mm`` holds for each dimension that has none of its own.

    Args:
        revision: of the row.
        dimensions: JSON text, or what it says.

    Raises:
        ValueError: it is no object of positive numbers.
    """
    told = json.loads(dimensions) if isinstance(dimensions, str) else dimensions
    if not isinstance(told, dict):
        raise ValueError("no JSON object")
    sizes = {name.removesuffix(UNIT): float(mm) for name, mm in told.items() if name.endswith(UNIT)}
    if not all(0 < mm < math.inf for mm in sizes.values()):
        raise ValueError("a size is not positive")
    common = sizes.pop(TOLERANCE, None)
    own = {n.removesuffix(f"_{TOLERANCE}"): mm for n, mm in sizes.items() if n.endswith(f"_{TOLERANCE}")}
    nominal = {name: mm for name, mm in sizes.items() if not name.endswith(f"_{TOLERANCE}")}
    tolerance = {name: own.get(name, common) for name in nominal}
    return Specification(
        revision=revision, nominal=nominal, tolerance={n: mm for n, mm in tolerance.items() if mm is not None}
    )


def newest_specifications(
    rows: Iterable[tuple[str, int, Any]],
) -> tuple[dict[str, Specification], dict[str, str]]:
    """Returns the newest revision of each part type, and why it cannot be read where it cannot.

    Args:
        rows: part type, revision, dimensions.
    """
    newest: dict[str, tuple[int, Any]] = {}
    for part_type, revision, dimensions in rows:
        if part_type not in newest or revision > newest[part_type][0]:
            newest[part_type] = revision, dimensions
    good: dict[str, Specification] = {}
    broken: dict[str, str] = {}
    for part_type, (revision, dimensions) in newest.items():
        try:
            good[part_type] = parse_specification(revision, dimensions)
        except (TypeError, ValueError) as error:
            broken[part_type] = f"revision {revision}: {error}"
    return good, broken
