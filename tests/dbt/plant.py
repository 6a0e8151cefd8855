"""A small plant with known truth, written straight into the raw tables, and the models built over it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg2.extras import execute_values

from inspection.publication import publish
from inspection.settings import Settings
from inspection.warehouse import transaction
from resources.dbt import dbt_resource, target_path

START = datetime(2026, 3, 1, tzinfo=UTC)
SEEN = datetime(2026, 6, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2126, 1, 1, tzinfo=UTC)

_TABLES = {
    "raw_quality_vision.image_metadata": (
        "image_id text, production_order_id text, machine_id text, camera_id text, part_serial text,"
        " part_type text, capture_timestamp timestamptz, image_path text, exposure_settings text,"
        " updated_at timestamptz, read_at timestamptz"
    ),
    "raw_quality_vision.defect_annotations": (
        "annotation_id text, image_id text, defect_type text, bounding_box text, annotator_id text,"
        " confidence bigint, updated_at timestamptz, read_at timestamptz"
    ),
    "raw_qms.inspection_results": (
        "result_id text, image_id text, inspector_id text, decision text, defect_codes text,"
        " decided_at timestamptz, updated_at timestamptz, read_at timestamptz"
    ),
    "raw_erp.production_orders": (
        "production_order_id text, part_type text, plant_id text, line_id text, quantity bigint,"
        " started_at timestamptz, completed_at timestamptz, updated_at timestamptz, read_at timestamptz"
    ),
    "raw_erp.equipment_registry": (
        "machine_id text, plant_id text, line_id text, kind text, updated_at timestamptz, read_at timestamptz"
    ),
    "raw_calibration.camera_config": (
        "camera_id text, line_id text, plant_id text, model text, width bigint, height bigint, fps bigint,"
        " effective_from date"
    ),
}

Row = tuple[Any, ...]


@dataclass
class RawPlant:
    """Rows of the raw tables, in the order of their columns."""

    rows: dict[str, list[Row]] = field(default_factory=lambda: {table: [] for table in _TABLES})

    def order(self, name: str, *, part: str = "shaft", plant: str = "p1", start: datetime = START) -> None:
        self.rows["raw_erp.production_orders"].append(
            (name, part, plant, f"line-{plant}", 100, start, None, SEEN, SEEN)
        )

    def image(
        self,
        name: str,
        order: str,
        *,
        at: datetime | None = None,
        part: str = "shaft",
        camera: str = "cam-1",
        path: str | None = None,
    ) -> None:
        taken = at or START + timedelta(hours=len(self.rows["raw_quality_vision.image_metadata"]))
        self.rows["raw_quality_vision.image_metadata"].append(
            (name, order, "m-1", camera, f"sn-{name}", part, taken, path or f"{name}.jpg", None, SEEN, SEEN)
        )

    def annotation(
        self,
        image: str,
        annotator: str,
        label: str,
        *,
        confidence: int | None = 4,
        box: object = None,
        at: datetime = SEEN,
    ) -> str:
        rows = self.rows["raw_quality_vision.defect_annotations"]
        key = f"ann-{len(rows)}"
        drawn = None if box is None else json.dumps(box)
        rows.append((key, image, label, drawn, annotator, confidence, at, SEEN))
        return key

    def result(
        self,
        image: str | None,
        decision: str,
        codes: Sequence[str] = (),
        *,
        inspector: str = "insp-1",
        at: datetime = SEEN,
    ) -> str:
        rows = self.rows["raw_qms.inspection_results"]
        key = f"res-{len(rows)}"
        rows.append((key, image, inspector, decision, json.dumps(list(codes)), at, SEEN, SEEN))
        return key

    def load(self, settings: Settings) -> None:
        """Replaces the raw tables by these rows, and publishes the default ontology."""
        dsn = settings.dsn("warehouse")
        publish(dsn, settings.ontology_file)
        with transaction(dsn) as warehouse:
            for table, columns in _TABLES.items():
                warehouse.execute(f"create schema if not exists {table.split('.')[0]}")
                warehouse.execute(f"create table if not exists {table} ({columns})")
                warehouse.execute(f"truncate {table}")
                if self.rows[table]:
                    execute_values(warehouse, f"insert into {table} values %s", self.rows[table])


def dbt(settings: Settings, *arguments: str) -> None:
    """Runs dbt on the warehouse; a failed model or test raises."""
    dbt_resource(settings).cli(list(arguments), target_path=target_path(settings)).wait()


def query(settings: Settings, text: str, parameters: Sequence[object] | None = None) -> list[Row]:
    """Runs a query in the warehouse and returns its rows."""
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(text, parameters)
        return warehouse.fetchall()
