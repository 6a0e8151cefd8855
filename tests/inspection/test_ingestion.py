"""What moves, on real PostgreSQL: once all of it, then only what changed, and never a row too few."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from inspection.errors import ServiceError
from inspection.ingestion import TABLES, calibration_source, database_source, pipeline
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


@pytest.fixture
def plant(settings: Settings) -> Settings:
    for name in TABLES:
        with database(settings, name) as cursor:
            cursor.execute(SCHEMA)
    return settings


def add_images(cursor: Any, order: str, count: int, updated_at: str = "clock_timestamp()") -> None:
    cursor.execute(
        f"""
        insert into inspection.image_metadata
        select gen_random_uuid(), %s, 'm', 'c', 's', 't', now(), 'p', '{{"iso": 200}}', {updated_at}
        from generate_series(1, %s)
        """,
        (order, count),
    )


def tick(settings: Settings, name: str) -> dict[str, int]:
    loader = pipeline(name, settings)
    loader.run(database_source(name, settings)).raise_on_failed_jobs()
    counts = loader.last_trace.last_normalize_info.row_counts
    return {table: n for table, n in counts.items() if not table.startswith("_dlt")}


def loaded(settings: Settings) -> dict[str, int]:
    with database(settings, "warehouse") as cursor:
        cursor.execute(
            "select production_order_id, count(*) from raw_quality_vision.image_metadata group by 1"
        )
        return dict(cursor.fetchall())


def test_the_second_run_moves_only_what_changed(plant: Settings) -> None:
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "first", 50)
    assert tick(plant, "quality_vision") == {"image_metadata": 50, "defect_annotations": 0}
    assert tick(plant, "quality_vision").get("image_metadata", 0) == 0
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "second", 3)
        cursor.execute(
            """
            update inspection.image_metadata set machine_id = 'moved', updated_at = clock_timestamp()
            where image_id = (select image_id from inspection.image_metadata
                              where production_order_id = 'first' limit 1)
            """
        )
    assert tick(plant, "quality_vision")["image_metadata"] == 4
    assert loaded(plant) == {"first": 50, "second": 3}


def test_a_transaction_that_commits_late_is_not_lost(plant: Settings) -> None:
    slow = psycopg2.connect(plant.dsn("quality_vision"))
    add_images(slow.cursor(), "late", 2)
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "punctual", 5)
    assert tick(plant, "quality_vision")["image_metadata"] == 5
    slow.commit()
    slow.close()
    assert tick(plant, "quality_vision")["image_metadata"] == 2
    assert loaded(plant) == {"punctual": 5, "late": 2}


def test_a_clock_in_the_future_hides_nothing(plant: Settings) -> None:
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "ahead", 1, "now() + interval '1 day'")
    tick(plant, "quality_vision")
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "after", 4)
    tick(plant, "quality_vision")
    assert loaded(plant) == {"ahead": 1, "after": 4}


def test_arrays_and_json_survive(plant: Settings) -> None:
    codes = ["scratch", 'a "quoted", one', "Grüße"]
    with database(plant, "qms") as cursor:
        cursor.execute(
            "insert into qms.inspection_results values (%s, null, 'i', 'FAIL', %s, now())",
            (str(uuid.uuid4()), codes),
        )
    tick(plant, "qms")
    with database(plant, "warehouse") as cursor:
        cursor.execute("select defect_codes from raw_qms.inspection_results")
        assert json.loads(cursor.fetchone()[0]) == codes


def test_what_is_missing_is_named(plant: Settings, tmp_path: Path) -> None:
    with database(plant, "erp") as cursor:
        cursor.execute("drop table erp.product_specs")
    with pytest.raises(Exception, match=r"no table erp\.product_specs in the source") as caught:
        tick(plant, "erp")
    assert any(isinstance(error, ServiceError) for error in causes(caught.value))
    with pytest.raises(Exception, match=r"camera_config\.csv"):
        pipeline("calibration", plant).run(calibration_source(plant))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


CONFIG = "camera_id,line_id,plant_id,model,width,height,fps,effective_from\n"
CAMERA = "cam-1,line-a,plant-1,X,4096,3072,2,2026-01-01\n"
LENS = "camera_id,k1,k2,p1,p2,k3,fx,fy,cx,cy,calibrated_at\ncam-1,0,0,0,0,0,1,1,0,0,2026-01-01\n"


def calibrate(settings: Settings, config: str | bytes) -> None:
    """Reads the calibration files, of which one holds what is given."""
    settings.calibration.mkdir(exist_ok=True)
    data = config if isinstance(config, bytes) else config.encode()
    (settings.calibration / "camera_config.csv").write_bytes(data)
    (settings.calibration / "lens_distortion_params.csv").write_text(LENS)
    pipeline("calibration", settings).run(calibration_source(settings)).raise_on_failed_jobs()


def test_calibration_files_are_read_whole(plant: Settings) -> None:
    for _ in range(2):
        calibrate(plant, CONFIG + CAMERA)
    with database(plant, "warehouse") as cursor:
        cursor.execute("select camera_id, line_id from raw_calibration.camera_config")
        assert cursor.fetchall() == [("cam-1", "line-a")]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (CONFIG + CAMERA + CAMERA.replace("2026-01-01", ""), "needs a value of effective_from in each row"),
        (CONFIG + CAMERA + CAMERA.replace("cam-1", ""), "needs a value of camera_id in each row"),
        (CONFIG + CAMERA.replace("cam-1", "  "), "needs a value of camera_id in each row"),
        ("camera_id,width\ncam-1,4096\n", "needs a value of effective_from in each row"),
        ("width\n4096\n", "needs a value of camera_id, effective_from in each row"),
        (CONFIG + CAMERA + "cam-2,line-a\n", "is no CSV table"),
        ("", "is no CSV table"),
        (b"PK\x03\x04 a spreadsheet under a wrong name", "is no CSV table"),
    ],
)
def test_a_calibration_file_that_cannot_be_used_is_named(
    plant: Settings, config: str | bytes, told: str
) -> None:
    calibrate(plant, CONFIG + CAMERA)
    with pytest.raises(Exception, match=r"camera_config\.csv") as caught:
        calibrate(plant, config)
    (error,) = {error for error in causes(caught.value) if isinstance(error, ServiceError)}
    assert str(plant.calibration / "camera_config.csv") in str(error)
    assert told in str(error)
    assert "\n" not in str(error)
    with database(plant, "warehouse") as cursor:  # what was read before stays
        cursor.execute("select camera_id from raw_calibration.camera_config")
        assert cursor.fetchall() == [("cam-1",)]
