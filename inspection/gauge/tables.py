"""What the gauge reads from the warehouse: specifications and calibrations, as they were ingested."""

from __future__ import annotations

from typing import Any

from psycopg2.errors import UndefinedTable

from inspection.gauge.calibration import CameraHistory, camera_history
from inspection.gauge.specification import Specification, newest_specifications
from inspection.warehouse import transaction


def read_specifications(dsn: str) -> tuple[dict[str, Specification], dict[str, str]]:
    """Returns the newest specification of each part type, and the unreadable ones with the reason."""
    return newest_specifications(
        (str(row["part_type"]), int(row["revision"]), row["dimensions"])
        for row in _rows(dsn, "raw_erp.product_specs")
    )


def read_cameras(dsn: str) -> CameraHistory:
    """Returns all calibrations of the cameras."""
    return camera_history(
        _rows(dsn, "raw_calibration.camera_config"), _rows(dsn, "raw_calibration.lens_distortion_params")
    )


def _rows(dsn: str, table: str) -> list[dict[str, Any]]:
    # As JSON, because a column that the plant does not tell is not there; no table is no rows.
    try:
        with transaction(dsn) as cursor:
            cursor.execute(f"select to_jsonb(told) from {table} as told")
            return [row for (row,) in cursor.fetchall()]
    except UndefinedTable:
        return []
