"""What moves from the plant's databases and files into the warehouse, and how little of it moves again.

A table is read as a stream of Arrow batches and merged on its key. What is read:

- rows changed since the cursor, and
- rows whose time lies up to `OVERLAP` before the cursor but whose transaction had not committed when
  the table was last read: late commits, found by the transaction snapshot that the last read kept.

The cursor is the highest ``updated_at`` seen, but never past the source's own ``now()``: a row whose
clock runs ahead is read again with each tick until its time has come, and hides nothing behind it.
Deleted rows are not seen here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from dlt.extract import DltResource, DltSource

from inspection.errors import ServiceError
from inspection.settings import Settings

OVERLAP = timedelta(minutes=10)
BEGINNING = "-infinity"


@dataclass(frozen=True)
class SourceTable:
    """A table of the plant's databases."""

    schema: str
    name: str
    key: tuple[str, ...]


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

CALIBRATION_FILES = {
    "camera_config": ("camera_id", "effective_from"),
    "lens_distortion_params": ("camera_id", "calibrated_at"),
}

# Types that Arrow or the loader would not carry as they are travel as text; dbt casts them back.
_COLUMNS = """
    select string_agg(
        format(
            case
                when data_type = 'ARRAY' then 'array_to_json(%1$I)::text as %1$I'
                when data_type in ('uuid', 'json', 'jsonb', 'numeric') then '%1$I::text as %1$I'
                else '%1$I'
            end, column_name),
        ', ' order by ordinal_position)
    from information_schema.columns where table_schema = $1 and table_name = $2
"""

_MOMENT = """
    select now(), snapshot::text, pg_snapshot_xmax(snapshot)::text::bigint
    from pg_current_snapshot() as snapshot
"""

# xmin is the low half of a transaction number; the high half is that of the present snapshot, or one
# less where the low half has gone round since.
_LATE_COMMIT = """
    not pg_visible_in_snapshot((
        xmin::text::bigint
        + ((pg_snapshot_xmax(pg_current_snapshot())::text::bigint - xmin::text::bigint) >> 32 << 32)
    )::text::xid8, '{snapshot}'::pg_snapshot)
"""


def database_source(name: str, settings: Settings) -> DltSource:
    """Returns the dlt source of one of the plant's databases; nothing is opened until it is read.

    Args:
        name: a key of `TABLES`.
        settings: give the database's address when it is read.
    """
    resources = [_table_resource(table, name, settings) for table in TABLES[name]]
    return DltSource(dlt.Schema(name), name, resources)


def calibration_source(settings: Settings) -> DltSource:
    """Returns the dlt source of the calibration CSV files, which are small and read whole."""
    resources = [_file_resource(name, key, settings) for name, key in CALIBRATION_FILES.items()]
    return DltSource(dlt.Schema("calibration"), "calibration", resources)


def pipeline(name: str, settings: Settings) -> dlt.Pipeline:
    """Returns the dlt pipeline that loads a source into the warehouse schema ``raw_NAME``."""
    return dlt.pipeline(
        pipeline_name=name,
        pipelines_dir=str(settings.root / "dlt"),
        destination=dlt.destinations.postgres(credentials=settings.dsn("warehouse")),
        dataset_name=f"raw_{name}",
    )


def _table_resource(table: SourceTable, database: str, settings: Settings) -> DltResource:
    def changed() -> Iterator[pa.Table]:
        yield from read_changes(table, settings.dsn(database), dlt.current.resource_state())

    return dlt.resource(
        changed,
        name=table.name,
        primary_key=list(table.key),
        write_disposition={"disposition": "merge", "strategy": "delete-insert"},
    )


def read_changes(table: SourceTable, dsn: str, state: dict[str, Any]) -> Iterator[pa.Table]:
    """Yields what changed since the read that `state` remembers, and moves `state` on at the end.

    Args:
        table: which one.
        dsn: libpq URI of the database.
        state: ``cursor`` and ``snapshot`` of the last read; empty at the first.

    Raises:
        ServiceError: the source does not answer, or has no such table.
    """
    import adbc_driver_postgresql.dbapi as adbc
    from adbc_driver_manager import Error

    place = f"{table.schema}.{table.name}"
    try:
        with adbc.connect(dsn) as connection, connection.cursor() as cursor:
            # One transaction for all that follows, so that the snapshot is the one that was read with.
            cursor.execute("set transaction isolation level repeatable read read only")
            cursor.execute(_COLUMNS, parameters=(table.schema, table.name))
            (columns,) = _row(cursor.fetchone())
            if columns is None:
                raise ServiceError(f"no table {place} in the source: check the DSN and its user's rights")
            cursor.execute(_MOMENT)
            now, snapshot, transactions = _row(cursor.fetchone())
            newest: datetime | None = None
            cursor.execute(f"select {columns} from {place} where {_changed_since(state, transactions)}")
            reader = cursor.fetch_record_batch()
            schema = _with_key(reader.schema, table.key)
            if not state:  # so that the warehouse has the table, be it empty
                yield schema.empty_table()
            for batch in reader:
                if batch.num_rows:
                    newest = max(newest or _newest(batch), _newest(batch))
                    yield pa.Table.from_arrays(batch.columns, schema=schema)
    except Error as error:
        raise ServiceError(f"cannot read {place}: {str(error).strip().splitlines()[0]}") from error
    state.update(snapshot=snapshot, transactions=transactions)
    if newest is not None:
        state["cursor"] = min(newest, now).astimezone(UTC).isoformat()


def _changed_since(state: Mapping[str, Any], transactions: int) -> str:
    if "cursor" not in state:
        return "true"
    cursor = state["cursor"]
    late = f"updated_at > timestamptz '{cursor}' - interval '{OVERLAP.total_seconds()} seconds'"
    # A source restored from a dump counts its transactions anew: the old snapshot says nothing there.
    if state["transactions"] <= transactions:
        late += f" and {_LATE_COMMIT.format(snapshot=state['snapshot'])}"
    return f"updated_at > timestamptz '{cursor}' or ({late})"


def _row(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    if row is None:
        raise ServiceError("the source answered a question about itself with no row")
    return row


def _with_key(schema: pa.Schema, key: tuple[str, ...]) -> pa.Schema:
    fields = (field.with_nullable(False) if field.name in key else field for field in schema)
    return pa.schema(fields)


def _newest(batch: pa.RecordBatch) -> datetime:
    newest: datetime = pc.max(batch["updated_at"]).as_py()
    return newest


def _file_resource(name: str, key: tuple[str, ...], settings: Settings) -> DltResource:
    def whole() -> Iterator[pa.Table]:
        path: Path = settings.calibration / f"{name}.csv"
        if not path.exists():
            raise ServiceError(f"no calibration file {path}: put it there or set VQI_CALIBRATION_DIR")
        try:
            table = pa_csv.read_csv(path)
        except pa.ArrowInvalid as error:
            raise ServiceError(f"{path} is no CSV table: {error}") from error
        if holes := [name for name in key if name not in table.column_names or _has_blanks(table[name])]:
            raise ServiceError(f"{path} needs a value of {', '.join(holes)} in each row: complete the file")
        yield table.cast(_with_key(table.schema, key))

    return dlt.resource(whole, name=name, primary_key=list(key), write_disposition="replace")


def _has_blanks(column: pa.ChunkedArray) -> bool:
    # In a column of text an empty cell is an empty text, not null.
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return bool(column.null_count or pc.any(pc.equal(texts, "")).as_py())
