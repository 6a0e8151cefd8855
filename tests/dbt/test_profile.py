"""The label profile on the built plant: held against counting in Python, and drawn by its asset."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, timedelta

import dagster as dg
import pytest

from assets import label_profile
from inspection.label_profile import LineTrend, read_profile
from inspection.ontology import load_ontology
from inspection.settings import Settings
from inspection.statistics import wilson
from tests.dbt.plant import query

FACTS = """
    select plant_id, line_id, label, capture_timestamp
    from marts.fct_image_labels
    inner join intermediate.int_images using (image_id)
"""
TREND = LineTrend(
    "l1", "DENT", 9, 30, 0.3, 0.17, 0.48, 2, 60, 1, 90, 9.0, 2.5, 0.0001, 0.0002, elevated=True, rising=True
)


def test_labels_by_plant(built: Settings) -> None:
    ontology = load_ontology(built.ontology_file)
    facts = query(built, FACTS)
    images, sizes = Counter((plant, label) for plant, _, label, _ in facts), Counter(row[0] for row in facts)
    found = read_profile(built.dsn("warehouse")).plants
    assert [(row.plant_id, row.defect_class) for row in found] == [
        (plant, each.id) for plant in sorted(sizes) for each in ontology.classes
    ]
    for row in found:
        assert (row.images, row.plant_images) == (images[row.plant_id, row.defect_class], sizes[row.plant_id])
        expected = wilson(row.images, row.plant_images)
        assert (row.share, row.share_low, row.share_high) == pytest.approx(expected[:3])


def test_rates_by_line_and_week(built: Settings) -> None:
    ontology = load_ontology(built.ontology_file)
    hits: Counter[tuple[object, ...]] = Counter()
    sizes: Counter[tuple[object, ...]] = Counter()
    for _, line, label, at in query(built, FACTS):
        at = at.astimezone(UTC)
        monday = (at - timedelta(days=at.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
        hits[line, monday, label] += 1
        sizes[line, monday] += 1
    found = read_profile(built.dsn("warehouse")).weeks
    assert len(found) == len(sizes) * len(ontology.defect_classes)
    for row in found:
        assert row.defective == hits[row.line_id, row.week, row.defect_class]
        assert row.images == sizes[row.line_id, row.week]


def test_shares_of_cameras_add_up(built: Settings) -> None:
    cameras = read_profile(built.dsn("warehouse")).cameras
    assert sum(camera.image_share for camera in cameras) == pytest.approx(1)
    assert sum(camera.labelled_share or 0 for camera in cameras) == pytest.approx(1)
    ((usable, labelled),) = query(
        built,
        "select (select count(*) from intermediate.int_images where set_aside_for is null),"
        " (select count(*) from marts.fct_image_labels)",
    )
    assert sum(camera.images for camera in cameras) == usable
    assert sum(camera.labelled_images for camera in cameras) == labelled


def test_missing_values(built: Settings) -> None:
    missing = {(row.table_name, row.column_name): row for row in read_profile(built.dsn("warehouse")).missing}
    orders = missing["stg_production_orders", "completed_at"]  # the plant completes none
    assert orders.missing == orders.row_count > 0
    assert missing["stg_images", "image_path"].missing == 0


def test_the_asset_shows_pictures_and_the_check_its_evidence(
    built: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_profile, "get_settings", lambda: built)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [label_profile.label_profile, label_profile.no_line_elevated], instance=instance
        )
    (event,) = result.asset_materializations_for_node("label_profile")
    pictures = [name for name, value in event.metadata.items() if str(value.value).startswith("![")]
    assert pictures == [
        "labels by plant",
        "defects by line and week",
        "newest defects by line",
        "cameras",
        "missing values",
    ]
    (check,) = result.get_asset_check_evaluations()
    assert check.passed
    assert (check.severity, check.blocking) == (dg.AssetCheckSeverity.WARN, False)


def test_an_elevated_line_is_named_with_what_it_rests_on() -> None:
    told = label_profile.elevated_result([TREND, replace(TREND, line_id="l2", elevated=False)])
    assert not told.passed
    assert told.description == "l1: DENT on 9 of 30 images, elsewhere on 2 of 60, and rising"
    (row,) = told.metadata["evidence"].records  # type: ignore[union-attr]
    assert row.data["elevated_p"] == 0.0001


def test_without_images_nothing_is_compared() -> None:
    told = label_profile.elevated_result([replace(TREND, elevated_p=None, elevated=False)])
    assert (told.passed, told.description) == (True, "not applicable: too few images")
    assert told.metadata["status"].value == "not applicable"
