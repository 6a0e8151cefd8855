"""What the labelled data look like: the marts of the profile as typed rows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import TypeVar

from psycopg2 import sql
from psycopg2.extensions import cursor

from inspection.warehouse import transaction


@dataclass(frozen=True)
class PlantLabels:
    """Labelled images of a plant with one primary label, of `plant_images`; see ``marts.labels_by_plant``."""

    plant_id: str
    defect_class: str
    images: int
    share: float | None
    share_low: float | None
    share_high: float | None
    plant_images: int


@dataclass(frozen=True)
class LineWeek:
    """Defect rate of a line in a week that begins at `week`; see ``marts.defect_rates_by_line``."""

    line_id: str
    week: datetime
    defect_class: str
    defective: int
    rate: float | None
    images: int


@dataclass(frozen=True)
class LineTrend:
    """A line in the newest days against the other lines and against itself; ``marts.line_defect_trends``."""

    line_id: str
    defect_class: str
    recent_defective: int
    recent_images: int
    recent_rate: float | None
    recent_rate_low: float | None
    recent_rate_high: float | None
    other_defective: int
    other_images: int
    earlier_defective: int
    earlier_images: int
    rate_ratio: float | None
    rate_ratio_low: float | None
    elevated_p: float | None
    rising_p: float | None
    elevated: bool
    rising: bool


@dataclass(frozen=True)
class CameraShare:
    """Share of the images that a camera took, and of the labelled ones; see ``marts.camera_shares``."""

    camera_id: str
    line_id: str | None
    images: int
    image_share: float
    labelled_images: int
    labelled_share: float | None


@dataclass(frozen=True)
class MissingValues:
    """Rows of a staging table without a value in a column; see ``marts.missing_values``."""

    table_name: str
    column_name: str
    missing: int
    missing_share: float | None
    row_count: int


@dataclass(frozen=True)
class LabelProfile:
    """All of it. Classes are in the order of the ontology."""

    plants: tuple[PlantLabels, ...]
    weeks: tuple[LineWeek, ...]
    trends: tuple[LineTrend, ...]
    cameras: tuple[CameraShare, ...]
    missing: tuple[MissingValues, ...]

    @property
    def elevated(self) -> tuple[LineTrend, ...]:
        """Lines with more of a defect than the others, beyond chance."""
        return tuple(trend for trend in self.trends if trend.elevated)


Row = TypeVar("Row")


def read_profile(dsn: str) -> LabelProfile:
    """Reads the marts.

    Args:
        dsn: libpq URI of the warehouse, with the profile's marts built.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute("select defect_class, class_position from marts.dim_defect_class")
        place = dict(warehouse.fetchall())
        plants = _read(warehouse, "labels_by_plant", PlantLabels)
        weeks = _read(warehouse, "defect_rates_by_line", LineWeek)
        trends = _read(warehouse, "line_defect_trends", LineTrend)
        cameras = _read(warehouse, "camera_shares", CameraShare)
        missing = _read(warehouse, "missing_values", MissingValues)
    return LabelProfile(
        tuple(sorted(plants, key=lambda row: (row.plant_id, place[row.defect_class]))),
        tuple(sorted(weeks, key=lambda row: (place[row.defect_class], row.line_id, row.week))),
        tuple(sorted(trends, key=lambda row: (place[row.defect_class], row.line_id))),
        tuple(sorted(cameras, key=lambda row: row.camera_id)),
        tuple(sorted(missing, key=lambda row: (row.table_name, row.column_name))),
    )


def _read(warehouse: cursor, mart: str, kind: type[Row]) -> list[Row]:
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    warehouse.execute(sql.SQL("select {} from marts.{}").format(columns, sql.Identifier(mart)))
    return [kind(*row) for row in warehouse.fetchall()]
