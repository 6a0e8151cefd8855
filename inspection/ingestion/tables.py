"""What is read from the plant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SourceTable:
    """A table of one of the plant's databases.

    Attributes:
        key: columns that name a row.
    """

    schema: str
    name: str
    key: tuple[str, ...]

    @property
    def place(self) -> str:
        """Schema and table."""
        return f"{self.schema}.{self.name}"


TABLES: Mapping[str, tuple[SourceTable, ...]] = {
    "quality_vision": (
        SourceTable("inspection", "image_metadata", ("image_id",)),
        SourceTable("inspection", "defect_annotations", ("annotation_id",)),
    ),
    "qms": (
        SourceTable("qms", "inspection_results", ("result_id",)),
        SourceTable("qms", "defect_taxonomy", ("class_id",)),
    ),
    "erp": (
        SourceTable("erp", "production_orders", ("production_order_id",)),
        SourceTable("erp", "product_specs", ("part_type", "revision")),
        SourceTable("erp", "equipment_registry", ("machine_id",)),
    ),
}

CALIBRATION = "calibration"
CALIBRATION_FILES: Mapping[str, tuple[str, ...]] = {
    "camera_config": ("camera_id", "effective_from"),
    "lens_distortion_params": ("camera_id", "calibrated_at"),
}

SOURCES = (*TABLES, CALIBRATION)


def raw_schema(source: str) -> str:
    """Returns the warehouse schema that holds a source as it is."""
    return f"raw_{source}"
