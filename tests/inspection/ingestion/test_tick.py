"""What moves, on real PostgreSQL: once all of it, then only what changed, and never a row too few."""

from __future__ import annotations

import json
import re
import uuid

import psycopg2
import pytest

from inspection.errors import ServiceError
from inspection.gauge.tables import read_cameras
from inspection.ingestion.tick import ingest
from inspection.settings import Settings
from tests.inspection.ingestion.plant import add_images, add_orders, database, images, tick


def test_the_second_run_moves_only_what_changed(plant: Settings) -> None:
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "first", 50)
    assert tick(plant, "quality_vision") == {"image_metadata": 50, "defect_annotations": 0}
    assert tick(plant, "quality_vision")["image_metadata"] == 0
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
    assert images(plant) == {"first": 50, "second": 3}


def test_a_transaction_that_commits_late_is_not_lost(plant: Settings) -> None:
    slow = psycopg2.connect(plant.dsn("quality_vision"))
    add_images(slow.cursor(), "late", 2)
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "punctual", 5)
    assert tick(plant, "quality_vision")["image_metadata"] == 5
    slow.commit()
    slow.close()
    assert tick(plant, "quality_vision")["image_metadata"] == 2
    assert images(plant) == {"punctual": 5, "late": 2}


def test_a_clock_in_the_future_hides_nothing(plant: Settings) -> None:
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "ahead", 1, "now() + interval '1 day'")
    tick(plant, "quality_vision")
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "after", 4)
    tick(plant, "quality_vision")
    assert images(plant) == {"ahead": 1, "after": 4}


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


def test_a_cursor_is_kept_and_told(plant: Settings) -> None:
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "first", 2, "timestamptz '2026-03-01 10:00Z'")
        add_images(cursor, "first", 1, "timestamptz '2026-03-02 10:00Z'")
    tick(plant, "quality_vision")
    with database(plant, "warehouse") as cursor:
        cursor.execute("select table_name, read_until::text, moved from ingestion.progress order by 1")
        assert cursor.fetchall() == [
            ("defect_annotations", None, 0),
            ("image_metadata", "2026-03-02 10:00:00+00", 3),
        ]


def test_each_reading_is_later_than_the_one_before(plant: Settings) -> None:
    """What dbt has built from is known by it."""
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "first", 2)
    tick(plant, "quality_vision")
    with database(plant, "warehouse") as cursor:  # the loader's clock was ahead, and has been put right
        cursor.execute(
            """
            update ingestion.progress set read_at = read_at + interval '1 day'
            where table_name = 'image_metadata' returning read_at
            """
        )
        ((ahead,),) = cursor.fetchall()
    with database(plant, "quality_vision") as cursor:
        add_images(cursor, "second", 1)
    tick(plant, "quality_vision")
    with database(plant, "warehouse") as cursor:
        cursor.execute("select max(read_at) from raw_quality_vision.image_metadata")
        assert cursor.fetchone()[0] > ahead


CONFIG = "camera_id,line_id,plant_id,model,width,height,fps,effective_from\n"
CAMERA = "cam-1,line-a,plant-1,X,4096,3072,2,2026-01-01\n"
LENS = "camera_id,k1,k2,p1,p2,k3,fx,fy,cx,cy,calibrated_at\ncam-1,0,0,0,0,0,1,1,0,0,2026-01-01\n"


def calibrate(settings: Settings, config: str | bytes) -> None:
    """Reads the calibration files, of which one holds what is given."""
    settings.calibration.mkdir(exist_ok=True)
    data = config if isinstance(config, bytes) else config.encode()
    (settings.calibration / "camera_config.csv").write_bytes(data)
    (settings.calibration / "lens_distortion_params.csv").write_text(LENS)
    ingest("calibration", settings)


def test_calibration_files_are_read_whole(plant: Settings) -> None:
    for _ in range(2):
        calibrate(plant, CONFIG + CAMERA)
    with database(plant, "warehouse") as cursor:
        cursor.execute("select camera_id, line_id from raw_calibration.camera_config")
        assert cursor.fetchall() == [("cam-1", "line-a")]


def test_a_scale_is_taken_where_it_is_told_and_may_go_again(plant: Settings) -> None:
    """Whole in one file, broken in the next, blank for one camera, and no longer a column."""
    scaled = CONFIG.replace("\n", ",px_per_mm\n")
    for text, told in (
        (CONFIG + CAMERA, None),
        (scaled + CAMERA.replace("\n", ",13\n"), 13.0),
        (scaled + CAMERA.replace("\n", ",13.6\n"), 13.6),
        (scaled + CAMERA.replace("\n", ",\n"), None),
        (CONFIG + CAMERA, None),
    ):
        calibrate(plant, text)
        assert [scale for _, _, _, scale in read_cameras(plant.dsn("warehouse")).configs["cam-1"]] == [told]
    with pytest.raises(ServiceError, match="is no CSV table"):
        calibrate(plant, scaled + CAMERA.replace("\n", ",wide\n"))


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
    with pytest.raises(ServiceError, match=re.escape(told)) as caught:
        calibrate(plant, config)
    assert str(plant.calibration / "camera_config.csv") in str(caught.value)
    assert "\n" not in str(caught.value)
    with database(plant, "warehouse") as cursor:  # what was read before stays
        cursor.execute("select camera_id from raw_calibration.camera_config")
        assert cursor.fetchall() == [("cam-1",)]


def test_a_missing_calibration_file_is_named(plant: Settings) -> None:
    with pytest.raises(ServiceError, match=r"no calibration file .*camera_config\.csv.*VQI_CALIBRATION_DIR"):
        ingest("calibration", plant)


def test_a_table_that_was_loaded_without_the_time_of_reading_gets_it(plant: Settings) -> None:
    """As older programs have left it: with rows, without the column, and with no progress noted."""
    with database(plant, "erp") as cursor:
        add_orders(cursor, "PO-1", "PO-2")
    tick(plant, "erp")
    with database(plant, "warehouse") as cursor:
        for table in ("production_orders", "product_specs", "equipment_registry"):
            cursor.execute(f"alter table raw_erp.{table} drop column read_at")
        cursor.execute("truncate raw_erp._dlt_version, ingestion.progress")
    for _ in range(2):
        tick(plant, "erp")
    with database(plant, "warehouse") as cursor:
        cursor.execute(
            "select production_order_id, read_at is not null from raw_erp.production_orders order by 1"
        )
        assert cursor.fetchall() == [("PO-1", True), ("PO-2", True)]
