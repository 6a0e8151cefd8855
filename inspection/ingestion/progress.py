"""How far each table has been read: rows of ``ingestion.progress`` in the warehouse.

Written after the rows have been loaded: a tick that dies in between is read again, and merged on the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from inspection.ingestion.tables import raw_schema
from inspection.warehouse import transaction


@dataclass(frozen=True)
class Progress:
    """Where a reading of one table ended.

    Attributes:
        cursor: highest ``updated_at`` seen, never past the source's ``now()``; None while the table is empty.
        snapshot: the transactions that the reading saw, as ``pg_snapshot`` prints them.
        transactions: number of the source's next transaction at that time.
        read_at: the loader's clock, later than that of the reading before.
        schema: columns and types as loaded.
        rows: how many were moved.
    """

    cursor: datetime | None
    snapshot: str
    transactions: int
    read_at: datetime
    schema: pa.Schema
    rows: int


def read_progress(dsn: str, source: str) -> dict[str, Progress]:
    """Returns the progress by table; a table that the warehouse no longer holds has made none.

    Args:
        dsn: libpq URI of the warehouse.
        source: a key of `inspection.ingestion.tables.TABLES`.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            select table_name, read_until, snapshot, transactions, read_at, arrow_schema, moved
            from ingestion.progress
            where source_name = %s and to_regclass(format('%%I.%%I', %s::text, table_name)) is not null
            """,
            (source, raw_schema(source)),
        )
        return {
            table: Progress(cursor, snapshot, transactions, read_at, _schema(schema), moved)
            for table, cursor, snapshot, transactions, read_at, schema, moved in warehouse.fetchall()
        }


def write_progress(dsn: str, source: str, made: Mapping[str, Progress]) -> None:
    """Notes how far tables have been read."""
    with transaction(dsn) as warehouse:
        for table, progress in made.items():
            warehouse.execute(
                """
                insert into ingestion.progress (
                    source_name, table_name, read_until, snapshot, transactions, read_at, arrow_schema, moved
                )
                values (%s, %s, %s, %s, %s, %s, %s, %s)
                on conflict (source_name, table_name) do update set
                    read_until = excluded.read_until, snapshot = excluded.snapshot,
                    transactions = excluded.transactions, read_at = excluded.read_at,
                    arrow_schema = excluded.arrow_schema, moved = excluded.moved
                """,
                (
                    source,
                    table,
                    progress.cursor,
                    progress.snapshot,
                    progress.transactions,
                    progress.read_at,
                    progress.schema.serialize().to_pybytes(),
                    progress.rows,
                ),
            )


def _schema(stored: memoryview) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(bytes(stored)))
