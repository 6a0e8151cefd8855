"""Copies of a file under other names, put into a training dataset that has none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from psycopg2.extras import execute_values

from inspection.cache import FileFacts
from inspection.image_files import camera_quality, find_file_leak, record_files
from inspection.image_quality import ImageQuality
from inspection.leakage import Leak
from inspection.settings import Settings
from inspection.warehouse import ensure_warehouse, transaction
from tests.inspection.learning.toy import sample
from tests.inspection.test_dataset import MARTS

SAMPLES = (
    sample("a", fold_id=1),
    sample("b", fold_id=1),
    sample("c", fold_id=2),
    sample("d", split="validation", fold_id=5),
    sample("e", split="test", fold_id=None),
    sample("f", split="test", fold_id=None),
)
QUALITY = ImageQuality(sharpness=120.5, brightness=90, black_share=0.25, white_share=0)
OWN = {each.image_id: each.image_id * 64 for each in SAMPLES}


@pytest.fixture
def warehouse(settings: Settings) -> str:
    dsn = settings.dsn("warehouse")
    with transaction(dsn) as cursor:
        cursor.execute(MARTS)
        execute_values(
            cursor,
            "insert into marts.training_dataset (image_id, image_path, split, fold_id) values %s",
            [(s.image_id, s.image_path, s.split, s.fold_id) for s in SAMPLES],
        )
    return dsn


def leak(dsn: str, hashes: dict[str, str]) -> Leak:
    record_files(dsn, SAMPLES, {name: FileFacts(sha, 1000, QUALITY) for name, sha in hashes.items()})
    return find_file_leak(dsn)


def test_nothing_has_been_read_yet(warehouse: str) -> None:
    found = leak(warehouse, {})
    assert (found.status, found.evidence) == ("not applicable", "none of 6 files has been read")


def test_each_content_once(warehouse: str) -> None:
    found = leak(warehouse, {image: sha for image, sha in OWN.items() if image != "b"})
    assert (found.status, found.rows) == ("passed", ())
    assert found.evidence == "0 contents on two sides or in two folds, 0 twice in one fold; 5 of 6 files read"


@pytest.mark.parametrize(
    ("first", "second", "status", "sides"),
    [
        ("a", "e", "failed", "test, train"),
        ("a", "d", "failed", "train, validation"),
        ("d", "f", "failed", "test, validation"),
        ("a", "c", "failed", "train"),  # in two folds
        ("a", "b", "passed", "train"),
        ("e", "f", "passed", "test"),
    ],
)
def test_one_content_twice(warehouse: str, first: str, second: str, status: str, sides: str) -> None:
    found = leak(warehouse, {**OWN, second: OWN[first]})
    assert found.status == status
    ((row),) = found.rows
    assert (row["sha256"], row["images"], row["sides"]) == (OWN[first], 2, sides)
    assert row["files"] == f"{first}.png, {second}.png"
    counted = "1 contents on two sides or in two folds, 0 twice" if status == "failed" else "0 contents"
    assert found.evidence.startswith(counted)


def test_a_newer_reading_replaces_an_older_one(warehouse: str) -> None:
    assert leak(warehouse, {**OWN, "e": OWN["a"]}).status == "failed"
    assert leak(warehouse, OWN).status == "passed"


def test_what_was_read_under_another_path_is_not_known(warehouse: str) -> None:
    leak(warehouse, {**OWN, "e": OWN["a"]})
    with transaction(warehouse) as cursor:
        cursor.execute("update marts.training_dataset set image_path = 'new.png' where image_id = 'e'")
    found = find_file_leak(warehouse)
    assert found.status == "passed"
    assert found.evidence.endswith("5 of 6 files read")


def known(dsn: str) -> dict[str, tuple[object, ...]]:
    with transaction(dsn) as cursor:
        cursor.execute(
            """
            select image_id, file_bytes, sharpness, brightness, black_share, white_share, read_at
            from features.image_files order by image_id
            """
        )
        return {name: values for name, *values in cursor.fetchall()}


def test_size_and_quality_are_written_and_written_again_only_when_they_change(warehouse: str) -> None:
    facts = FileFacts("a" * 64, 1000, QUALITY)
    record_files(warehouse, SAMPLES, {"a": facts, "b": facts})
    first = known(warehouse)
    assert first["a"][:-1] == [1000, 120.5, 90, 0.25, 0]

    brighter = replace(facts, quality=replace(QUALITY, brightness=91))
    record_files(warehouse, SAMPLES, {"a": facts, "b": brighter})
    second = known(warehouse)
    assert second["a"] == first["a"]
    assert second["b"][:-1] == [1000, 120.5, 91, 0.25, 0]
    assert second["b"][-1] != first["b"][-1]


def test_a_warehouse_from_before_gets_the_columns(warehouse: str) -> None:
    columns = "file_bytes", "sharpness", "brightness", "black_share", "white_share"
    with transaction(warehouse) as cursor:
        for column in columns:
            cursor.execute(f"alter table features.image_files drop column {column}")
        cursor.execute(
            "insert into features.image_files (image_id, image_path, sha256) values ('a', 'a.png', '0')"
        )
    ensure_warehouse(warehouse)
    ensure_warehouse(warehouse)
    assert known(warehouse)["a"][:-1] == [None] * 5
    record_files(warehouse, SAMPLES, {"a": FileFacts("0", 1000, QUALITY)})  # the same path and hash
    assert known(warehouse)["a"][:-1] == [1000, 120.5, 90, 0.25, 0]


def test_quality_by_camera_by_hand() -> None:
    cameras = {"a": "north", "b": "north", "c": "south", "d": "north"}
    samples = [sample(name, camera_id=camera) for name, camera in cameras.items()]
    measured = {
        name: FileFacts("0", 1, ImageQuality(sharpness, brightness, 0.5, 0))
        for name, sharpness, brightness in (("a", 10.0, 100.0), ("b", 30.0, 120.0), ("c", 7.0, 80.0))
    }
    north, south = camera_quality(samples, measured)  # of d nothing is known
    assert (north["camera"], north["images"], south["camera"], south["images"]) == ("north", 2, "south", 1)
    assert [north[f"sharpness {share}"] for share in ("5 %", "50 %", "95 %")] == [11, 20, 29]
    assert [north[f"brightness {share}"] for share in ("5 %", "50 %", "95 %")] == [101, 110, 119]
    assert (south["sharpness 5 %"], south["brightness 95 %"]) == (7, 80)
    assert (south["black_share 50 %"], south["white_share 50 %"]) == (0.5, 0)
    assert camera_quality(samples, {}) == []
