"""The gauge as an asset: on the warehouse's own rows, with and without anything to measure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from psycopg2.extras import execute_values

from assets import gauge
from inspection.settings import Settings
from inspection.warehouse import transaction
from resources.records import RecordIds
from tests.inspection.gauge.drawn import HEIGHT, PLAN, SCALE, SIZES, TOLERANCE, WIDTH, stepped
from tests.inspection.learning.test_gauge import MEASURED
from tests.inspection.learning.toy import profile, save_picture
from tests.inspection.test_dataset import MARTS

COUNT = 24
DIMENSIONS = json.dumps({f"{name}_mm": mm for name, mm in SIZES.items()} | {"tolerance_mm": TOLERANCE})
SPECIFICATIONS = f"""
create schema raw_erp;
create table raw_erp.product_specs (part_type text, revision integer, dimensions text);
insert into raw_erp.product_specs values ('stepped', 1, '{DIMENSIONS}'), ('gear', 1, 'oval');
"""
CALIBRATION = f"""
create schema raw_calibration;
create table raw_calibration.camera_config
    (camera_id text, width integer, height integer, effective_from timestamptz, px_per_mm double precision);
insert into raw_calibration.camera_config values ('c1', {WIDTH}, {HEIGHT}, '2026-01-01', {SCALE});
"""

Make = Callable[[], Mapping[str, Any]]


@pytest.fixture
def plant(settings: Settings, tmp_path: Path) -> Settings:
    """A training dataset of stepped plates, every third with a slot too wide."""
    rows = []
    for number in range(COUNT):
        wrong = number % 3 == 0
        name = f"{number:02}"
        slot = SIZES["slot"] + 0.01 * (number % 5) + wrong
        save_picture(settings.images / f"{name}.png", stepped(SIZES | {"slot": slot}))
        side, fold = ("validation", 5) if number < 9 else ("train", 1)
        label, labels = ("SIZE", ["SIZE"]) if wrong else ("FINE", [])
        rows.append(
            (name, "r", f"{name}.png", "stepped", "c1", "l1", "o1", "2026-03-01", label, labels, side, fold)
        )
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(MARTS)
        columns = "(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::text[], %s, %s, 1)"
        execute_values(warehouse, "insert into marts.training_dataset values %s", rows, template=columns)
    files = {
        "ontology.json": MEASURED.model_dump_json(),
        "plan.yaml": yaml.safe_dump(PLAN.model_dump(mode="json")),
        "profile.yaml": yaml.safe_dump(profile().model_dump(mode="json")),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return settings.model_copy(
        update={
            "ontology": tmp_path / "ontology.json",
            "gauge_plan": tmp_path / "plan.yaml",
            "profile": str(tmp_path / "profile.yaml"),
        }
    )


@pytest.fixture
def make(plant: Settings, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Materializes the gauge; returns its metadata as plain values."""
    monkeypatch.setattr(gauge, "get_settings", lambda: plant)

    def run() -> Mapping[str, Any]:
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [gauge.dimension_gauge], instance=instance, resources={"record_ids": RecordIds()}
            )
        (event,) = result.asset_materializations_for_node("dimension_gauge")
        return {name: value.value for name, value in event.metadata.items()}

    return run


def test_it_tells_what_it_measured_and_how_well(plant: Settings, make: Make) -> None:
    with transaction(plant.dsn("warehouse")) as warehouse:
        warehouse.execute(SPECIFICATIONS + CALIBRATION)
    told = make()
    assert told["gauge"] == "fitted"
    assert (told["images"], told["measured"], told["not applicable"]) == (COUNT, COUNT, {})
    assert list(told["broken specifications"]) == ["gear"]
    assert told["deviations"].startswith("![plots](data:image/png;base64,")
    assert told["fit"]["classes"]["SIZE"]["positives"] == 3
    # By hand: good parts of the training side differ by 0 to 0.04 mm, in steps that all occur.
    assert 0.005 < told["fit"]["repeatability_mm"]["stepped"]["slot"] < 0.04


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        (CALIBRATION, "erp.product_specs specifies no part type of the measurement plan"),
        (SPECIFICATIONS, "of the parts that could be measured, validation has 0 images with SIZE"),
    ],
)
def test_the_pipeline_goes_on_without_what_a_gauge_needs(
    plant: Settings, make: Make, tables: str, reason: str
) -> None:
    with transaction(plant.dsn("warehouse")) as warehouse:
        warehouse.execute(tables)
    told = make()
    assert told["gauge"].startswith(f"not applicable: {reason}")
    assert "fit" not in told
    assert len(told["record"]) == 64
