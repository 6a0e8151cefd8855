"""Rows that are gone at their source, and rows that came with a time in the past."""

from __future__ import annotations

import pytest

from inspection.errors import ServiceError
from inspection.ingestion.reconciliation import Reconciled, reconcile
from inspection.settings import Settings
from tests.inspection.ingestion.plant import add_images, add_orders, database, elsewhere, images, orders, tick


def by_table(found: list[Reconciled]) -> dict[str, Reconciled]:
    return {table.table: table for table in found}


def test_nothing_to_do(plant: Settings) -> None:
    assert reconcile("erp", plant) == []  # nothing has been read yet
    with database(plant, "erp") as cursor:
        add_orders(cursor, "PO-1")
    tick(plant, "erp")
    assert by_table(reconcile("erp", plant)) == {
        "production_orders": Reconciled("production_orders", rows=1, deleted=0, fetched=0),
        "product_specs": Reconciled("product_specs", rows=0, deleted=0, fetched=0),
        "equipment_registry": Reconciled("equipment_registry", rows=0, deleted=0, fetched=0),
    }


def test_a_deleted_row_is_kept_apart(plant: Settings) -> None:
    with database(plant, "erp") as cursor:
        add_orders(cursor, "PO-1", "PO-2", "it's 3")
        cursor.execute("insert into erp.product_specs values ('shaft', 1, '{}'), ('shaft', 2, '{}')")
    tick(plant, "erp")
    with database(plant, "erp") as cursor:
        cursor.execute("delete from erp.production_orders where production_order_id <> 'PO-1'")
        cursor.execute("delete from erp.product_specs where revision = 2")
    found = by_table(reconcile("erp", plant))
    assert (found["production_orders"].deleted, found["product_specs"].deleted) == (2, 1)
    assert orders(plant) == {"PO-1": 1}
    with database(plant, "warehouse") as cursor:
        cursor.execute(
            """
            select source_name, table_name, source_key, document ->> 'part_type'
            from ingestion.deleted_rows order by source_key collate "C"
            """
        )
        assert cursor.fetchall() == [
            ("erp", "production_orders", "PO-2", "t"),
            ("erp", "product_specs", '["shaft", 2]', "shaft"),
            ("erp", "production_orders", "it's 3", "t"),
        ]
    assert by_table(reconcile("erp", plant))["production_orders"].deleted == 0


def test_a_row_with_a_time_in_the_past_is_fetched(plant: Settings) -> None:
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "first", 3)
    tick(plant, "quality_vision")
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "imported", 2, "now() - interval '30 days'")
    assert tick(plant, "quality_vision")["image_metadata"] == 0
    with database(plant, "warehouse") as cursor:
        cursor.execute("select max(read_at) from raw_quality_vision.image_metadata")
        ((before,),) = cursor.fetchall()
    assert by_table(reconcile("quality_vision", plant))["image_metadata"].fetched == 2
    assert images(plant) == {"first": 3, "imported": 2}
    with database(plant, "warehouse") as cursor:  # what is built from them notices
        cursor.execute("select count(*) from raw_quality_vision.image_metadata where read_at > %s", (before,))
        assert cursor.fetchone() == (2,)
    assert by_table(reconcile("quality_vision", plant))["image_metadata"].fetched == 0


def test_rows_that_the_next_tick_will_read_are_left_to_it(plant: Settings) -> None:
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "first", 1)
    tick(plant, "quality_vision")
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "second", 1)
    assert by_table(reconcile("quality_vision", plant))["image_metadata"].fetched == 0


def test_a_source_that_has_lost_everything_is_not_believed(plant: Settings) -> None:
    with database(plant, "erp") as cursor:
        add_orders(cursor, "PO-1", "PO-2")
    tick(plant, "erp")
    with database(plant, "erp") as cursor:
        cursor.execute("truncate erp.production_orders")
    with pytest.raises(ServiceError, match=r"has lost all of its 2 rows: .*else check the DSN of erp"):
        reconcile("erp", plant)
    assert orders(plant) == {"PO-1": 1, "PO-2": 1}


def test_a_source_that_does_not_answer_removes_nothing(plant: Settings) -> None:
    with database(plant, "erp") as cursor:
        add_orders(cursor, "PO-1", "PO-2")
    tick(plant, "erp")
    nowhere = elsewhere(plant, "erp", "postgresql://vqi@127.0.0.1:1/erp")
    with pytest.raises(ServiceError, match=r"cannot read the keys of erp\.production_orders"):
        reconcile("erp", nowhere)
    assert orders(plant) == {"PO-1": 1, "PO-2": 1}
