"""What building the label models costs: by increments, beside a full refresh of the same models.

A server of its own is made for the run and filled by the simulator. Between two increments the plant
changes as it does in a quarter of an hour and more, and is ingested. Both are the command of the pipeline
with all tests of the data; times are those of dbt's work, the start of its process is told beside them.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import Any

from bench.ingest import forget, machine, own_server, sync
from inspection.ingestion.tables import CALIBRATION
from inspection.ingestion.tick import ingest
from inspection.progress import report
from inspection.publication import publish
from inspection.settings import Settings
from inspection.simulation.volume import simulate_volume
from inspection.warehouse import transaction
from resources.dbt import build_words, run_dbt, target_path, write_profile

SCALES = (0.1, 1.0)
REPEATS = 3
MODELS = ["--exclude-resource-type", "unit_test", "--exclude", "tag:training tag:profile tag:monitoring"]
CHANGES = {
    "quality_vision": {"inspection.image_metadata": 100, "inspection.defect_annotations": 100},
    "qms": {"qms.inspection_results": 1000},
    "erp": {"erp.production_orders": 100},
}
"""Rows that change between two builds, by source and table."""

Result = dict[str, Any]


def run(scales: tuple[float, ...] = SCALES) -> Result:
    """Measures each scale, of which 1 is the plant's full volume.

    Args:
        scales: in rising order; they include 1.
    """
    measured: dict[float, dict[str, float]] = {}
    with own_server() as settings:
        for done, scale in enumerate(scales):
            report("dbt", done, len(scales), f"{scale:g} times the full volume")
            simulate_volume(settings, scale)
            publish(settings.dsn("warehouse"), settings.ontology_file)
            measured[scale] = _measure(settings)
        report("dbt", len(scales), len(scales))
    return {
        "name": "dbt",
        "machine": machine(),
        "ratios": {"increment_over_full": measured[1.0]["increment_s"] / measured[1.0]["full_s"]},
        "measured": {
            f"{name} at x{scale:g}": round(value, 3)
            for scale, values in measured.items()
            for name, value in values.items()
        },
    }


def _measure(settings: Settings) -> dict[str, float]:
    forget(settings)
    sync(settings)
    ingest(CALIBRATION, settings)
    fulls, increments, starts, changes = [], [], [], []
    for _ in range(REPEATS):  # in turn, so that what else the machine does meets both
        full, start = _build(settings, "--full-refresh")
        fulls.append(full)
        starts.append(start)
        _change(settings)
        sync(settings)
        increment, start = _build(settings)
        increments.append(increment)
        starts.append(start)
        changes.append(_images_made_again(settings))
    return {
        "full_s": statistics.median(fulls),
        "increment_s": statistics.median(increments),
        "start_s": statistics.median(starts),
        "images_of_increment": statistics.median(changes),
    }


def _build(settings: Settings, *more: str) -> tuple[float, float]:
    """Returns seconds of dbt's work, and of all else until it has ended."""
    target = target_path(settings)
    words = ["build", *MODELS, *build_words(settings), *more]
    begun = time.perf_counter()
    run_dbt(list(dict.fromkeys(words)), write_profile(settings), target)
    wall = time.perf_counter() - begun
    results = json.loads((target / "run_results.json").read_text(encoding="utf-8"))
    return results["elapsed_time"], wall - results["elapsed_time"]


def _change(settings: Settings) -> None:
    for source, tables in CHANGES.items():
        with transaction(settings.dsn(source)) as plant:
            for table, rows in tables.items():
                plant.execute(
                    f"""
                    update {table} set updated_at = clock_timestamp()
                    where ctid in (select ctid from {table} order by updated_at limit %s)
                    """,
                    (rows,),
                )


def _images_made_again(settings: Settings) -> float:
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute("select count(image_id) from intermediate.int_changes")
        ((images,),) = warehouse.fetchall()
    return float(images)
