"""A small plant in a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from inspection.errors import ServiceError, SettingsError
from inspection.ontology import DEFAULT_ONTOLOGY, load_ontology
from inspection.settings import Settings
from inspection.simulation.cameras import CAMERAS
from inspection.simulation.flaws import AT_LEAST, BROKEN_BOXES
from inspection.simulation.plant import TRUTH_FILE, PlantReport, simulate_plant
from inspection.simulation.volume import simulate_volume

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
IMAGES = 64


def query(settings: Settings, database: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg2.connect(settings.dsn(database)) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        rows = cursor.fetchall()
    connection.close()
    return rows


def count(settings: Settings, database: str, text: str) -> int:
    return int(query(settings, database, f"select count(*) from {text}")[0][0])


@pytest.fixture(scope="module")
def plant(module_settings: Settings) -> tuple[Settings, PlantReport]:
    return module_settings, simulate_plant(module_settings, images=IMAGES, workers=1, as_of=AS_OF)


def test_the_report_counts_what_is_there(plant: tuple[Settings, PlantReport]) -> None:
    settings, report = plant
    database = {"inspection": "quality_vision", "qms": "qms", "erp": "erp"}
    for table, rows in report.rows.items():
        assert count(settings, database[table.split(".")[0]], table) == rows > 0
    assert report.images_rendered == IMAGES == len(list(settings.images.rglob("*.jpg")))
    assert all(report.defects.values())


def test_each_kind_of_bad_row_is_there(plant: tuple[Settings, PlantReport]) -> None:
    settings, report = plant
    assert set(report.bad_rows.values()) == {AT_LEAST}
    images = query(
        settings,
        "quality_vision",
        "select image_id, image_path, production_order_id from inspection.image_metadata",
    )
    orders = {
        row[0] for row in query(settings, "erp", "select production_order_id from erp.production_orders")
    }
    assert sum(not (settings.images / path).exists() for _, path, _ in images) == AT_LEAST
    assert len(images) - len({path for _, path, _ in images}) == AT_LEAST
    assert sum(order not in orders for *_, order in images) >= AT_LEAST
    known = {image for image, *_ in images}
    annotations = query(
        settings, "quality_vision", "select image_id, defect_type from inspection.defect_annotations"
    )
    results = query(settings, "qms", "select image_id from qms.inspection_results where image_id is not null")
    ontology = load_ontology(DEFAULT_ONTOLOGY)
    assert sum(image not in known for image, _ in annotations) == AT_LEAST
    assert sum(image not in known for (image,) in results) == AT_LEAST
    assert sum(ontology.resolve(label) is None for _, label in annotations) == AT_LEAST
    broken = """inspection.defect_annotations where bounding_box is not null and (
        jsonb_typeof(bounding_box) <> 'object' or jsonb_typeof(bounding_box -> 'x') <> 'number'
        or (bounding_box ->> 'width')::float <= 0 or (bounding_box ->> 'x')::float > 1024)"""
    assert count(settings, "quality_vision", broken) == AT_LEAST * len(BROKEN_BOXES)
    twice = """(select image_id, defect_type, bounding_box, annotator_id from inspection.defect_annotations
        group by 1, 2, 3, 4 having count(*) > 1) as t"""
    assert count(settings, "quality_vision", twice) >= AT_LEAST - 1
    for database, table, column in (
        ("quality_vision", "inspection.image_metadata", "capture_timestamp"),
        ("qms", "qms.inspection_results", "decided_at"),
        ("erp", "erp.production_orders", "started_at"),
    ):
        assert count(settings, database, f"{table} where {column} > '2030-01-01'") >= AT_LEAST
        assert count(settings, database, f"{table} where {column} between '{AS_OF}' and '2030-01-01'") == 0


def test_the_truth_fits_the_pictures(plant: tuple[Settings, PlantReport]) -> None:
    settings, report = plant
    truth = pq.read_table(settings.root / TRUTH_FILE).to_pylist()
    assert len(truth) == IMAGES
    assert sum(bool(row["defect_classes"]) for row in truth) == report.defective
    assert all(len(row["defect_classes"]) == len(row["boxes"]) for row in truth)
    assert all((settings.images / row["image_path"]).is_file() for row in truth)
    ids = {
        row[0]
        for row in query(settings, "quality_vision", "select image_id::text from inspection.image_metadata")
    }
    assert {row["image_id"] for row in truth} <= ids


def test_the_taxonomy_and_the_calibration_are_there(plant: tuple[Settings, PlantReport]) -> None:
    settings, _ = plant
    rows = query(
        settings, "qms", "select class_id, aliases, severity_levels from qms.defect_taxonomy order by 1"
    )
    expected = sorted(load_ontology(DEFAULT_ONTOLOGY).classes, key=lambda c: c.id)
    assert rows == [(c.id, list(c.aliases), list(c.severity_levels)) for c in expected]
    config = pacsv.read_csv(settings.calibration / "camera_config.csv")
    lens = pacsv.read_csv(settings.calibration / "lens_distortion_params.csv")
    assert config.num_rows == 8
    assert config["px_per_mm"].to_pylist() == [c.px_per_mm for c in CAMERAS]
    assert lens.num_rows % 8 == 0
    assert set(lens["camera_id"].to_pylist()) == set(config["camera_id"].to_pylist())


def test_filling_again_replaces_and_repeats(settings: Settings) -> None:
    first = simulate_plant(settings, images=60, workers=1, width=512, height=384)
    keys = "select annotation_id, defect_type from inspection.defect_annotations order by 1"
    before, files = query(settings, "quality_vision", keys), contents(settings.images)
    assert simulate_plant(settings, images=60, workers=1, width=512, height=384) == first
    assert query(settings, "quality_vision", keys) == before
    assert contents(settings.images) == files


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.jpg")}


def test_volume_without_pictures(settings: Settings) -> None:
    report = simulate_volume(settings, 0.01)
    repeated = repeated_decisions(settings)
    assert 200 <= len(repeated) <= 300  # every tenth of 2,500 images
    same = sum(first == second for first, second in repeated.values())
    assert 0 < same < len(repeated) / 2  # one in four inspectors of a plant looks again
    annotated = query(
        settings, "quality_vision", "select distinct image_id::text from inspection.defect_annotations"
    )
    assert sum(image in repeated for (image,) in annotated) > 5
    bad = report.bad_rows
    assert report.rows["inspection.image_metadata"] == 2500 + 2 * AT_LEAST
    assert report.rows["erp.production_orders"] == 5000 + AT_LEAST
    assert report.rows["qms.inspection_results"] - 10_000 == sum(
        n for kind, n in bad.items() if kind.startswith("inspection_results")
    )
    assert report.rows["inspection.defect_annotations"] - 380 == sum(
        n for kind, n in bad.items() if kind.startswith("defect_annotations")
    )
    assert report.images_rendered == 0


def repeated_decisions(settings: Settings) -> dict[str, tuple[str, str]]:
    """The two inspectors of each image that was decided on twice, at two times."""
    rows = query(
        settings,
        "qms",
        "select image_id::text, array_agg(inspector_id) from qms.inspection_results"
        f" where image_id is not null and decided_at < '{AS_OF}'"
        " group by image_id having count(distinct decided_at) = 2 and count(*) = 2",
    )
    return {image: tuple(people) for image, people in rows}


def test_too_small_a_plant(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="60"):
        simulate_plant(Settings(home=tmp_path), images=59)


def test_too_little_volume(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="scale"):
        simulate_volume(settings, 0.0001)


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    settings = Settings(home=tmp_path, quality_vision_dsn=nowhere, qms_dsn=nowhere, erp_dsn=nowhere)
    with pytest.raises(ServiceError, match="VQI_QUALITY_VISION_DSN"):
        simulate_volume(settings, 0.01)
