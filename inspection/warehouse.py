"""The warehouse tables that programs write; see ``warehouse.sql``."""

from __future__ import annotations

from pathlib import Path

import psycopg2

DDL = Path(__file__).with_name("warehouse.sql")


def ensure_warehouse(dsn: str) -> None:
    """Makes the schemas and tables that are missing; safe to repeat."""
    with psycopg2.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(DDL.read_text(encoding="utf-8"))
    connection.close()
