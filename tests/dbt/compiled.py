"""A model's SQL, as dbt compiles it, on tables that a test fills as it likes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg2.extras import execute_values

from inspection.settings import Settings
from inspection.warehouse import transaction
from tests.dbt.plant import RawPlant, dbt

Table = tuple[str, Sequence[tuple[Any, ...]]]
"""Columns with their types, and rows."""


def compile_models(settings: Settings, *models: str) -> None:
    """Compiles models in a warehouse without data."""
    RawPlant().load(settings)
    dbt(settings, "compile", "--select", " ".join(models))


def rows_of(settings: Settings, model: str, tables: Mapping[str, Table]) -> list[dict[str, Any]]:
    """Returns what a compiled model makes of these tables, which take the place of those it reads."""
    (path,) = (settings.root / "dbt/target/compiled/inspection/models").rglob(f"{model}.sql")
    text = path.read_text(encoding="utf-8")
    with transaction(settings.dsn("warehouse")) as warehouse:
        for name, (columns, rows) in tables.items():
            text = re.sub(rf'"\w+"\."\w+"\."{name}"', f"pg_temp.{name}", text)
            warehouse.execute(f"create temporary table {name} ({columns}) on commit drop")
            if rows:
                execute_values(warehouse, f"insert into {name} values %s", rows)
        assert not re.search(r'"\w+"\."\w+"\."', text), "a table that the test does not give"
        warehouse.execute(text)
        names = [column.name for column in warehouse.description or ()]
        return [dict(zip(names, row, strict=True)) for row in warehouse.fetchall()]
