"""The plant's source databases: making them, emptying them, loading them by COPY."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pyarrow as pa
import pyarrow.csv as pacsv
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812

from inspection.errors import ServiceError
from inspection.ontology import Ontology
from inspection.settings import Settings

SCHEMA_FILE = Path(__file__).parent / "source_schema.sql"
SOURCES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "quality_vision": ("inspection", ("image_metadata", "defect_annotations")),
    "qms": ("qms", ("inspection_results", "defect_taxonomy")),
    "erp": ("erp", ("production_orders", "product_specs", "equipment_registry")),
}
"""Schema and tables of each source database."""


@contextmanager
def source(settings: Settings, database: str) -> Iterator[Connection]:
    """Connects to a source database, making its tables if they are missing; commits at the end.

    Raises:
        ServiceError: the database does not answer.
    """
    try:
        connection = psycopg2.connect(settings.dsn(database))
    except psycopg2.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        variable = f"VQI_{database.upper()}_DSN"
        raise ServiceError(f"cannot reach {database}: {reason}; run `vqi up` or check {variable}") from error
    try:
        with connection:
            _ensure_tables(connection, database)
            yield connection
    finally:
        connection.close()


def empty(connection: Connection, database: str) -> None:
    """Removes all rows of a source database."""
    schema, tables = SOURCES[database]
    names = sql.SQL(", ").join(sql.Identifier(schema, table) for table in tables)
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("truncate {}").format(names))


def copy_table(connection: Connection, schema: str, table: str, rows: pa.Table) -> int:
    """Loads rows with COPY and returns their number; null becomes NULL, columns go by name."""
    buffer = io.BytesIO()
    pacsv.write_csv(rows, buffer, pacsv.WriteOptions(include_header=False))
    buffer.seek(0)
    columns = sql.SQL(", ").join(map(sql.Identifier, rows.column_names))
    target = sql.Identifier(schema, table)
    with connection.cursor() as cursor:
        cursor.copy_expert(
            sql.SQL("copy {} ({}) from stdin with (format csv)").format(target, columns), buffer
        )
    return int(rows.num_rows)


def load(settings: Settings, database: str, tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """Replaces the contents of a source database; returns the rows of each table, named with its schema."""
    schema = SOURCES[database][0]
    with source(settings, database) as connection:
        empty(connection, database)
        return {
            f"{schema}.{name}": copy_table(connection, schema, name, rows) for name, rows in tables.items()
        }


def uuids(rng: np.random.Generator, count: int) -> list[str]:
    """Returns random UUIDs (version 4) that the generator's seed decides."""
    data = rng.bytes(16 * count)
    return [str(uuid.UUID(bytes=data[i : i + 16], version=4)) for i in range(0, 16 * count, 16)]


def instants(milliseconds: Any) -> pa.Array:  # noqa: ANN401
    """Returns milliseconds since 1970 (array or list, None allowed) as times in UTC."""
    return pa.array(milliseconds, pa.int64(), from_pandas=True).cast(pa.timestamp("ms", "UTC"))


def text_array(words: list[str]) -> str:
    """Returns a PostgreSQL array literal of words."""
    quoted = ('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words)
    return "{" + ",".join(quoted) + "}"


def taxonomy_table(ontology: Ontology) -> pa.Table:
    """Returns a taxonomy as rows of ``qms.defect_taxonomy``."""
    classes = ontology.classes
    return pa.table(
        {
            "class_id": [c.id for c in classes],
            "label": [c.label for c in classes],
            "parent": pa.array([c.parent for c in classes], pa.string()),
            "aliases": [text_array(list(c.aliases)) for c in classes],
            "severity_levels": [text_array(list(c.severity_levels)) for c in classes],
            "version": [ontology.version] * len(classes),
        }
    )


def _ensure_tables(connection: Connection, database: str) -> None:
    schema, tables = SOURCES[database]
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass(%s) is not null", (f"{schema}.{tables[0]}",))
        found = cursor.fetchone()
        if found is None or not found[0]:
            cursor.execute(_statements(database))


def _statements(database: str) -> str:
    """The section of the schema file between this database's heading and the next."""
    text = SCHEMA_FILE.read_text(encoding="utf-8")
    section = text.split(f"-- database {database} ", 1)[1].split("\n", 1)[1]
    return section.split("-- database ", 1)[0].split("-- files, monthly", 1)[0]
