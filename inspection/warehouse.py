"""The warehouse tables that programs write; see ``warehouse.sql``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from psycopg2.extensions import cursor

DDL = Path(__file__).with_name("warehouse.sql")


def ensure_warehouse(dsn: str) -> None:
    """Makes the schemas and tables that are missing; safe to repeat."""
    with transaction(dsn) as warehouse:
        warehouse.execute(DDL.read_text(encoding="utf-8"))


@contextmanager
def transaction(dsn: str) -> Iterator[cursor]:
    """Yields a cursor; what it did is committed at the end, or none of it when an error comes through."""
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as opened:
        yield opened
