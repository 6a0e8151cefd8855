"""An increment gives the rows of a full refresh, whatever has changed and wherever the build before ended."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from inspection.publication import publish
from inspection.settings import Settings
from inspection.warehouse import transaction
from tests.conftest import fresh_settings
from tests.dbt.generated import generated_plant
from tests.dbt.plant import SEEN, dbt, query

MODELS = ("--exclude", "tag:training tag:monitoring")
UNTOUCHED = "PO-040-0"

# Each statement is one thing that happens at a plant; {read} is when ingestion saw it.
FIRST_CHANGES = (
    # a new order with an image, an annotation and a decision; a decision on no image
    """insert into raw_erp.production_orders
        values ('PO-new', 'shaft', 'p1', 'l', 1, {t}, null, {t}, {read})""",
    """insert into raw_quality_vision.image_metadata
        values ('new', 'PO-new', 'm-1', 'cam-1', 's', 'shaft', {t}, 'new.jpg', null, {t}, {read})""",
    """insert into raw_quality_vision.defect_annotations
        values ('new', 'new', 'crack', null, 'ann', 4, {t}, {read})""",
    "insert into raw_qms.inspection_results values ('new', 'new', 'i', 'PASS', '[]', {t}, {t}, {read})",
    "insert into raw_qms.inspection_results values ('none', null, 'i', 'PASS', '[]', {t}, {t}, {read})",
    # an order moves to another line, one comes that images had waited for
    """update raw_erp.production_orders set line_id = 'moved', read_at = {read}
        where production_order_id = 'PO-001'""",
    """insert into raw_erp.production_orders
        values ('PO-unheard-of', 'shaft', 'p1', 'l', 1, {t}, null, {t}, {read})""",
    # images: one joins the file of another, one leaves it, one changes its order, one comes late, one has
    # its clock set right
    """update raw_quality_vision.image_metadata set image_path = 'PO-002-0.jpg', read_at = {read}
        where image_id = 'PO-003-0'""",
    """update raw_quality_vision.image_metadata set image_path = 'PO-018-0.jpg', read_at = {read}
        where image_id = 'PO-019-0'""",
    """update raw_quality_vision.image_metadata set image_path = 'alone.jpg', read_at = {read}
        where image_id = 'one-clean'""",
    """update raw_quality_vision.image_metadata set production_order_id = 'PO-005', read_at = {read}
        where image_id = 'PO-004-0'""",
    """insert into raw_quality_vision.image_metadata
        values ('lost', 'PO-new', 'm-1', 'cam-1', 's', 'shaft', {t}, 'lost.jpg', null, {t}, {read})""",
    """update raw_quality_vision.image_metadata set capture_timestamp = {t}, read_at = {read}
        where image_id = 'early'""",
    # annotations: another label, another image, one more; the copy of a file gets the only one
    """update raw_quality_vision.defect_annotations set defect_type = 'pit', read_at = {read}
        where image_id = 'PO-006-0'""",
    """update raw_quality_vision.defect_annotations set image_id = 'PO-008-0', read_at = {read}
        where image_id = 'PO-007-0'""",
    """insert into raw_quality_vision.defect_annotations
        values ('third', 'tie', 'pit', null, 'cid', 5, {t}, {read})""",
    """insert into raw_quality_vision.defect_annotations
        values ('copied', 'copy', 'pit', null, 'cid', 5, {t}, {read})""",
    # decisions: another one, one on another image
    "update raw_qms.inspection_results set decision = 'FAIL', read_at = {read} where image_id = 'passed'",
    """update raw_qms.inspection_results set image_id = 'nobody', read_at = {read}
        where image_id = 'unmapped-code'""",
    # reading finds a file damaged
    "insert into features.unreadable_images values ('PO-010-0', 'PO-010-0.jpg', 'damaged')",
    "insert into features.unreadable_images values ('PO-011-0', 'PO-011-0.jpg', 'damaged')",
)
DELETED = (
    ("quality_vision", "image_metadata", "image_id", "PO-012-0"),
    ("quality_vision", "image_metadata", "image_id", "PO-002-0"),  # whose file another image names by now
    ("quality_vision", "defect_annotations", "image_id", "PO-013-0"),
    ("quality_vision", "defect_annotations", "image_id", "one-crack"),
    ("qms", "inspection_results", "image_id", "coded"),
    ("erp", "production_orders", "production_order_id", "PO-014"),
)


@pytest.fixture(scope="module")
def warehouse(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = fresh_settings(postgres, tmp_path_factory.mktemp("increments"))
    generated_plant().load(settings)
    dbt(settings, "run", *MODELS)
    return settings


def test_every_kind_of_change(warehouse: Settings) -> None:
    before = _written(warehouse)
    for statement in FIRST_CHANGES:
        _change(warehouse, statement, day=1)
    for source, table, column, value in DELETED:
        _delete(warehouse, source, table, column, value)
    dbt(warehouse, "run", *MODELS)
    assert _written(warehouse) == before, "a row that nothing has changed was written again"
    gone = ["PO-012-0", "PO-013-0"]
    assert not query(warehouse, "select image_id from marts.fct_annotations where image_id = any(%s)", [gone])
    assert not query(
        warehouse, "select image_id from marts.fct_image_labels where image_id like 'PO-014-%%'"
    ), "images of a deleted order"
    _assert_as_after_full_refresh(warehouse)


def test_build_that_was_cut_short(warehouse: Settings) -> None:
    """Some models have taken a change in and others have not, when the next change comes."""
    _change(warehouse, "delete from features.unreadable_images where image_id = 'PO-010-0'", day=2)
    for image in ("PO-021-0", "PO-022-0"):
        _delete(warehouse, "quality_vision", "defect_annotations", "image_id", image)
        decided = f"('{image}', '{image}', 'i', 'PASS', '[]', {{t}}, {{t}}, {{read}})"
        _change(warehouse, f"insert into raw_qms.inspection_results values {decided}", day=2)
    without_annotations = "int_inputs int_changes int_images int_inspection_results int_inspector_labels"
    _move_annotations(warehouse, "PO-020-0", "PO-021-0", day=2)
    dbt(warehouse, "run", "--select", without_annotations)
    _move_annotations(warehouse, "PO-021-0", "PO-022-0", day=3)
    dbt(warehouse, "run", "--select", without_annotations)
    _move_annotations(warehouse, "PO-022-0", "PO-023-0", day=4)
    dbt(warehouse, "run", "--select", "int_inputs int_changes int_annotations int_consensus")
    # The file of an image that has not changed itself is no longer that of another as well.
    _change(
        warehouse,
        """update raw_quality_vision.image_metadata set image_path = 'x.jpg', read_at = {read}
        where image_id = 'PO-018-0'""",
        day=5,
    )
    dbt(warehouse, "run", *MODELS)
    _assert_as_after_full_refresh(warehouse)


def test_taxonomy_and_machines(warehouse: Settings, tmp_path: Path) -> None:
    """What every image depends on has changed: everything is made again, without being told so."""
    document = json.loads(warehouse.ontology_file.read_text(encoding="utf-8"))
    document["version"] += "-next"
    pit = next(each for each in document["classes"] if "pit" in each["aliases"])
    pit["aliases"].append("kratzer")
    file = tmp_path / "next.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    publish(warehouse.dsn("warehouse"), file)
    _change(warehouse, "update raw_erp.equipment_registry set line_id = 'elsewhere', read_at = {read}", day=6)
    dbt(warehouse, "run", *MODELS)
    found = query(warehouse, "select label, labels from marts.fct_image_labels where image_id = 'nobody'")
    assert found == [(pit["id"], [pit["id"]])]
    _assert_as_after_full_refresh(warehouse)


def _change(settings: Settings, statement: str, *, day: int) -> None:
    times = {"t": f"'{SEEN}'::timestamptz", "read": f"'{SEEN + timedelta(days=day)}'::timestamptz"}
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(statement.format(**times))
        assert warehouse.rowcount, f"changes nothing: {statement}"


def _move_annotations(settings: Settings, one: str, other: str, *, day: int) -> None:
    _change(
        settings,
        f"""update raw_quality_vision.defect_annotations set image_id = '{other}', read_at = {{read}}
        where image_id = '{one}'""",
        day=day,
    )


def _delete(settings: Settings, source: str, table: str, column: str, value: str) -> None:
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(
            f"""
            with gone as (
                delete from raw_{source}.{table} as row where {column} = %s returning to_jsonb(row) as row
            )
            insert into ingestion.deleted_rows (source_name, table_name, source_key, document)
            select %s, %s, '', row from gone
            """,
            (value, source, table),
        )
        assert warehouse.rowcount


def _written(settings: Settings) -> list[tuple[object, ...]]:
    """Which transaction wrote the rows of an image in the tables that are kept."""
    tables = ("int_images", "int_annotations", "int_consensus", "int_labelled_images")
    return [
        row
        for table in tables
        for row in query(
            settings, f"select xmin::text from intermediate.{table} where image_id = %s", [UNTOUCHED]
        )
    ]


def _assert_as_after_full_refresh(settings: Settings) -> None:
    # What the incremental build keeps for itself is not a result.
    tables = [
        (schema, name)
        for schema, name in query(
            settings,
            "select schemaname, tablename from pg_tables where schemaname in ('intermediate', 'marts')",
        )
        if name not in ("int_changes", "int_inputs")
    ]
    assert len(tables) > 15
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute("drop schema if exists increment cascade")
        warehouse.execute("create schema increment")
        for schema, name in tables:
            warehouse.execute(f"create table increment.{name} as table {schema}.{name}")
    dbt(settings, "run", "--full-refresh", *MODELS)
    for schema, name in tables:
        for one, other in ((schema, "increment"), ("increment", schema)):
            extra = query(settings, f"table {one}.{name} except all table {other}.{name}")
            assert not extra, f"{name}: {one} alone has {len(extra)} rows, such as {extra[:2]}"
