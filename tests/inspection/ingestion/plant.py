"""Rows of the plant, and what has come of them in the warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2

from inspection.ingestion.tables import TABLES
from inspection.ingestion.tick import ingest
from inspection.settings import Settings

SCHEMA = Path("inspection/simulation/source_schema.sql").read_text()


@contextmanager
def database(settings: Settings, name: str) -> Iterator[Any]:
    connection = psycopg2.connect(settings.dsn(name))
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def elsewhere(settings: Settings, name: str, dsn: str) -> Settings:
    """Returns the settings with one database at another address, where nothing is made for the test."""
    addresses = {f"{each}_dsn": settings.dsn(each) for each in (*TABLES, "warehouse")}
    return Settings(home=settings.home, **{**addresses, f"{name}_dsn": dsn})


def add_images(cursor: Any, order: str, count: int, updated_at: str = "clock_timestamp()") -> None:
    cursor.execute(
        f"""
        insert into inspection.image_metadata
        select gen_random_uuid(), %s, 'm', 'c', 's', 't', now(), 'p', '{{"iso": 200}}', {updated_at}
        from generate_series(1, %s)
        """,
        (order, count),
    )


def add_orders(cursor: Any, *names: str) -> None:
    for name in names:
        cursor.execute("insert into erp.production_orders values (%s, 't', 'p', 'l', 1, now())", (name,))


def tick(settings: Settings, name: str) -> dict[str, int]:
    """Runs a tick; returns how many rows it moved, by table."""
    return {table: progress.rows for table, progress in ingest(name, settings).moved.items()}


def images(settings: Settings) -> dict[str, int]:
    """Returns how many images the warehouse holds, by order."""
    return counted(settings, "raw_quality_vision.image_metadata")


def orders(settings: Settings) -> dict[str, int]:
    """Returns how often the warehouse holds each order."""
    return counted(settings, "raw_erp.production_orders")


def counted(settings: Settings, table: str) -> dict[str, int]:
    with database(settings, "warehouse") as cursor:
        cursor.execute(f"select production_order_id, count(*) from {table} group by 1")
        return dict(cursor.fetchall())
