"""Reads what changed in a table of the plant, as a stream of Arrow batches.

What is read:

- rows changed since the cursor, and
- rows whose time lies up to `OVERLAP` before the cursor but whose transaction had not committed when
  the table was last read: late commits, found by the transaction snapshot that the last reading kept.

The cursor is the highest ``updated_at`` seen, but never past the source's own ``now()``: a row whose
clock runs ahead is read again with each tick until its time has come, and hides nothing behind it.
Deleted rows are not seen here; see `inspection.ingestion.reconciliation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from inspection.errors import ServiceError
from inspection.ingestion.progress import Progress
from inspection.ingestion.source import Source
from inspection.ingestion.tables import SourceTable

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Cursor

OVERLAP = timedelta(minutes=10)
# May be null in the warehouse: a table that was loaded without it gets the column while it holds rows.
READ_AT = pa.field("read_at", pa.timestamp("us", tz="UTC"))

# Types that Arrow or the loader would not carry as they are travel as text; dbt casts them back.
_COLUMNS = """
    select string_agg(
        format(
            case
                when t.typcategory = 'A' then 'array_to_json(%1$I)::text as %1$I'
                when t.typname in (
                    'bool', 'int2', 'int4', 'int8', 'float4', 'float8', 'text', 'varchar', 'date',
                    'timestamp', 'timestamptz'
                ) then '%1$I'
                else '%1$I::text as %1$I'
            end, a.attname),
        ', ' order by a.attnum)
    from pg_attribute as a inner join pg_type as t on a.atttypid = t.oid
    where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped
"""

_MOMENT = """
    select now(), snapshot::text, pg_snapshot_xmax(snapshot)::text::bigint
    from pg_current_snapshot() as snapshot
"""

# The first line is cheap and drops what is older than every transaction that was then in progress.
# xmin is the low half of a transaction number; the high half is that of the present snapshot, or one
# less where the low half has gone round since.
_LATE_COMMIT = """
    age(xmin) <= age('{oldest}'::xid) and not pg_visible_in_snapshot((
        xmin::text::bigint
        + ((pg_snapshot_xmax(pg_current_snapshot())::text::bigint - xmin::text::bigint) >> 32 << 32)
    )::text::xid8, '{snapshot}'::pg_snapshot)
"""


def read_changes(
    table: SourceTable, source: Source, since: Progress | None, done: Callable[[Progress], None]
) -> Iterator[pa.Table]:
    """Yields what changed since the last reading, and at the end tells how far this one came.

    Args:
        table: which one.
        source: its database.
        since: the last reading; None reads the whole table.
        done: called once all has been yielded.

    Raises:
        ServiceError: the source does not answer, or has no such table, or a column has another type now.
    """
    with source.reading(table.place) as cursor:
        columns = column_list(cursor, table)
        (now, snapshot, transactions) = one_row(cursor, _MOMENT)
        read_at = read_time(since)
        newest: datetime | None = None
        rows = 0
        cursor.execute(f"select {columns} from {table.place} where {_changed(since, transactions)}")
        reader = cursor.fetch_record_batch()
        schema = loaded_schema(reader.schema, since, table.key)
        if since is None:  # so that the warehouse has the table, be it empty
            yield schema.append(READ_AT).empty_table()
        for batch in reader:
            if batch.num_rows:
                newest = max(newest or _newest(batch), _newest(batch))
                rows += batch.num_rows
                yield stamped(batch, schema, table, read_at)
    reached = since.cursor if since else None
    if newest is not None:
        reached = min(newest, now)
    done(Progress(reached, snapshot, transactions, read_at, schema, rows))


def column_list(cursor: Cursor, table: SourceTable) -> str:
    """Returns the columns of a table as they are selected.

    Raises:
        ServiceError: there is no such table.
    """
    (columns,) = one_row(cursor, _COLUMNS, (table.place,))
    if columns is None:
        raise ServiceError(f"no table {table.place} in the source: check the DSN and its user's rights")
    return str(columns)


def one_row(cursor: Cursor, query: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
    """Returns the one row that a question to the source has for an answer.

    Raises:
        ServiceError: there is none.
    """
    cursor.execute(query, parameters=parameters or None)
    row = cursor.fetchone()
    if row is None:
        raise ServiceError("the source answered a question about itself with no row")
    return row


def stamped(batch: pa.RecordBatch, schema: pa.Schema, table: SourceTable, read_at: datetime) -> pa.Table:
    """Returns a batch in the types of a schema, with the time of the reading in each row.

    Raises:
        ServiceError: a value does not fit the type that the column was loaded with.
    """
    fields = [schema.field(name) for name in batch.schema.names]
    columns = [_cast(column, field, table) for column, field in zip(batch.columns, fields, strict=True)]
    columns.append(pa.repeat(pa.scalar(read_at, READ_AT.type), batch.num_rows))
    return pa.Table.from_arrays(columns, schema=pa.schema([*fields, READ_AT]))


def _changed(since: Progress | None, transactions: int) -> str:
    if since is None or since.cursor is None:
        return "true"
    cursor = since.cursor.astimezone(UTC).isoformat()
    late = f"updated_at > timestamptz '{cursor}' - interval '{OVERLAP.total_seconds()} seconds'"
    # A source restored from a dump counts its transactions anew: the old snapshot says nothing there.
    if since.transactions <= transactions:
        oldest = int(since.snapshot.split(":")[0]) % 2**32
        late += f" and {_LATE_COMMIT.format(snapshot=since.snapshot, oldest=oldest)}"
    return f"updated_at > timestamptz '{cursor}' or ({late})"


def read_time(since: Progress | None) -> datetime:
    """Returns the time of a reading: now by the clock here, and later than the reading before."""
    now = datetime.now(UTC)
    return max(now, since.read_at + timedelta(microseconds=1)) if since else now


def loaded_schema(found: pa.Schema, since: Progress | None, key: tuple[str, ...]) -> pa.Schema:
    """Returns the columns that are there now, in the types in which they were loaded before."""
    before = {field.name: field.type for field in since.schema} if since else {}
    return pa.schema(
        pa.field(field.name, before.get(field.name, field.type), nullable=field.name not in key)
        for field in found
    )


def _cast(column: pa.Array, field: pa.Field, table: SourceTable) -> pa.Array:
    if column.type == field.type:
        return column
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid as error:
        raise ServiceError(
            f"column {field.name} of {table.place} is {column.type} now and was {field.type}: {error}; give "
            f"it its type back, or drop table {table.name} in the warehouse to have it read anew"
        ) from error


def _newest(batch: pa.RecordBatch) -> datetime:
    newest: datetime = pc.max(batch["updated_at"]).as_py()
    return newest
