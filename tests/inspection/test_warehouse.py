"""A warehouse that an earlier version has made."""

from __future__ import annotations

from inspection.settings import Settings
from inspection.warehouse import ensure_warehouse, transaction

COLUMNS = "select column_name from information_schema.columns where table_schema = 'inference' order by 1"


def test_an_earlier_one_gets_the_columns_that_have_come_since(settings: Settings) -> None:
    warehouse = settings.dsn("warehouse")
    ensure_warehouse(warehouse)
    with transaction(warehouse) as db:
        db.execute(COLUMNS)
        columns = db.fetchall()
        db.execute(
            """
            alter table inference.predictions
                drop production_order_id, drop station_id, drop thresholds, drop confidence_threshold,
                drop image_quality, drop camera_fault;
            alter table inference.reviews drop key_name;
            """
        )
    for _ in range(2):
        ensure_warehouse(warehouse)
        with transaction(warehouse) as db:
            db.execute(COLUMNS)
            assert db.fetchall() == columns
