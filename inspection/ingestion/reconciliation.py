"""Finds the rows that were deleted at their source, and those that no tick can see.

All keys of a table are compared with those in the warehouse, which takes time that grows with the
table: it runs by the hour, beside the ticks and never during one of its source. A row that is gone is
moved to ``ingestion.deleted_rows``. A row that was written with a time before the cursor (an import, a
clock that was set back) is fetched.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import psycopg2
import pyarrow as pa
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812
from psycopg2.extensions import make_dsn

from inspection.errors import ServiceError
from inspection.ingestion.changes import column_list, loaded_schema, read_time, stamped
from inspection.ingestion.progress import Progress, read_progress
from inspection.ingestion.source import CONNECT_SECONDS, Source
from inspection.ingestion.tables import TABLES, SourceTable, raw_schema
from inspection.ingestion.tick import exclusive, merge
from inspection.settings import Settings
from inspection.warehouse import ensure_warehouse

BATCH = 5_000


@dataclass(frozen=True)
class Reconciled:
    """What comparing the keys of one table found.

    Attributes:
        rows: at the source.
        deleted: rows that were gone there and have been removed here.
        fetched: rows that were missing here, with a time that no tick would have read.
    """

    table: str
    rows: int
    deleted: int
    fetched: int


def reconcile(name: str, settings: Settings) -> list[Reconciled]:
    """Compares the keys of each table of a source; tables that have not been read yet are left out.

    Args:
        name: a key of `TABLES`.
        settings: give the addresses.

    Raises:
        ServiceError: the source does not answer, or has lost every row of a table; nothing of that table
            is removed then.
    """
    dsn = settings.dsn("warehouse")
    ensure_warehouse(dsn)
    with exclusive(dsn, name):
        progress = read_progress(dsn, name)
        known = [table for table in TABLES[name] if table.name in progress]
        return [_reconcile(name, table, progress[table.name], settings) for table in known]


def _reconcile(name: str, table: SourceTable, progress: Progress, settings: Settings) -> Reconciled:
    source = Source(settings.dsn(name), settings.source_timeout_seconds)
    try:
        with (
            closing(psycopg2.connect(settings.dsn("warehouse"))) as connection,
            connection,
            connection.cursor() as warehouse,
        ):
            warehouse.execute("create temporary table keys (key text, behind boolean) on commit drop")
            rows = _copy_keys(table, source, progress, warehouse)
            warehouse.execute("analyze keys")
            deleted = _remove(name, table, rows, warehouse)
            missing = _missing(name, table, warehouse)
    except psycopg2.Error as error:
        raise ServiceError(f"cannot compare the keys of {table.place}: {_line(error)}") from error
    for start in range(0, len(missing), BATCH):
        rows_of = _fetch(table, source, progress, missing[start : start + BATCH])
        merge(name, settings, table, progress, rows_of)
    return Reconciled(table.name, rows, deleted, len(missing))


def _copy_keys(table: SourceTable, source: Source, progress: Progress, warehouse: Cursor) -> int:
    """Copies all keys of the source, and whether a tick is past each row; returns how many."""
    cursor = sql.Literal(progress.cursor)
    query = sql.SQL("copy (select {key}, updated_at <= {cursor} from {place}) to stdout").format(
        key=_key(table), cursor=cursor, place=sql.Identifier(table.schema, table.name)
    )
    dsn = make_dsn(source.dsn, connect_timeout=CONNECT_SECONDS)
    reading, writing = os.pipe()
    failures: list[psycopg2.Error | OSError] = []

    def send() -> None:
        try:
            with (
                os.fdopen(writing, "wb") as sink,
                closing(psycopg2.connect(dsn)) as connection,
                connection.cursor() as reader,
            ):
                reader.execute("set statement_timeout = %s", (int(source.seconds * 1000),))
                reader.copy_expert(query, sink)
        except (psycopg2.Error, OSError) as error:  # OSError: the warehouse broke off, and says so below
            failures.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    with os.fdopen(reading, "rb") as stream:
        warehouse.copy_expert("copy keys from stdin", stream)
    sender.join()
    if failures:
        raise ServiceError(f"cannot read the keys of {table.place}: {_line(failures[0])}") from failures[0]
    warehouse.execute("select count(*) from keys")
    ((rows,),) = warehouse.fetchall()
    return int(rows)


def _remove(name: str, table: SourceTable, rows: int, warehouse: Cursor) -> int:
    names = {"raw": sql.Identifier(raw_schema(name), table.name), "key": _key(table)}
    gone = sql.SQL("not exists (select from keys where keys.key = {key})").format(**names)
    if rows == 0:
        warehouse.execute(sql.SQL("select count(*) from {raw}").format(**names))
        ((here,),) = warehouse.fetchall()
        if here > 1:
            raise ServiceError(
                f"{table.place} has lost all of its {here} rows: if that is so, drop table {table.name} in "
                f"schema {raw_schema(name)} of the warehouse; else check the DSN of {name}"
            )
    warehouse.execute(
        sql.SQL(
            """
            with gone as (
                delete from {raw} as row where {gone} returning {key} as key, to_jsonb(row) as document
            )
            insert into ingestion.deleted_rows (source_name, table_name, source_key, document)
            select %s, %s, key, document from gone
            """
        ).format(gone=gone, **names),
        (name, table.name),
    )
    return int(warehouse.rowcount)


def _missing(name: str, table: SourceTable, warehouse: Cursor) -> list[str]:
    """Returns the keys that are not here although every tick is past them."""
    names = {"raw": sql.Identifier(raw_schema(name), table.name), "key": _key(table)}
    warehouse.execute(
        sql.SQL(
            "select key from keys where behind and not exists (select from {raw} where {key} = keys.key)"
        ).format(**names)
    )
    return [key for (key,) in warehouse.fetchall()]


def _fetch(table: SourceTable, source: Source, progress: Progress, keys: list[str]) -> Iterator[pa.Table]:
    with source.reading(table.place) as cursor:
        columns = column_list(cursor, table)
        # ADBC takes a list only in the type of the column, which is not the same in every table.
        listed = ", ".join(f"'{key}'" for key in (key.replace("'", "''") for key in keys))
        key = table.key[0] if len(table.key) == 1 else f"jsonb_build_array({', '.join(table.key)})::text"
        cursor.execute(f"select {columns} from {table.place} where {key} in ({listed})")
        reader = cursor.fetch_record_batch()
        schema = loaded_schema(reader.schema, progress, table.key)
        read_at = read_time(progress)
        for batch in reader:
            yield stamped(batch, schema, table, read_at)


def _key(table: SourceTable) -> sql.Composable:
    columns = [sql.Identifier(column) for column in table.key]
    if len(columns) == 1:
        return sql.SQL("{}::text").format(*columns)
    return sql.SQL("jsonb_build_array({})::text").format(sql.SQL(", ").join(columns))


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
