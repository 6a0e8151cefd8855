"""The dbt project as its readers find it: one way of writing SQL, and no column without its meaning."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inspection.settings import Settings
from resources.dbt import PROJECT, ensure_manifest
from tests.dbt.plant import query


@pytest.fixture(scope="module")
def manifest(built: Settings) -> Any:
    return json.loads(ensure_manifest(built).read_text(encoding="utf-8"))


def test_sql_is_written_in_one_way() -> None:
    sqlfluff = Path(sys.executable).with_name("sqlfluff")
    done = subprocess.run(
        [sqlfluff, "lint", "--disable-progress-bar", PROJECT / "models"],
        cwd=PROJECT.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_model_says_its_grain_and_every_column_its_meaning(built: Settings, manifest: Any) -> None:
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    assert len(models) > 30
    silent = [model["name"] for model in models if not model["description"].strip().startswith("Grain: ")]
    assert not silent
    for model in models:
        columns = {
            name
            for (name,) in query(
                built,
                "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0",
                [f"{model['schema']}.{model['name']}"],
            )
        }
        described = {name for name, column in model["columns"].items() if column["description"].strip()}
        assert described == columns, model["name"]


def test_every_source_says_where_it_comes_from(manifest: Any) -> None:
    for source in manifest["sources"].values():
        name = f"{source['source_name']}.{source['name']}"
        assert "Grain: " in source["description"], name
        assert "Source: " in source["description"], name
        assert all(column["description"].strip() for column in source["columns"].values()), name
        assert source["columns"], name


def test_no_mart_is_a_dead_end(manifest: Any) -> None:
    """Each mart is read by another model or stands under something that people use."""
    parents = {
        parent
        for node in (*manifest["nodes"].values(), *manifest["exposures"].values())
        if node["resource_type"] in ("model", "exposure")
        for parent in node["depends_on"]["nodes"]
    }
    marts = {key for key, node in manifest["nodes"].items() if node["fqn"][1:2] == ["marts"]}
    assert {key for key in marts if manifest["nodes"][key]["resource_type"] == "model"} <= parents
    kinds = {exposure["type"] for exposure in manifest["exposures"].values()}
    assert {"ml", "application", "dashboard"} <= kinds
