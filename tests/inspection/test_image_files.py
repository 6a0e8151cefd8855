"""Copies of a file under other names, put into a training dataset that has none."""

from __future__ import annotations

import pytest
from psycopg2.extras import execute_values

from inspection.image_files import find_file_leak, record_files
from inspection.leakage import Leak
from inspection.settings import Settings
from inspection.warehouse import transaction
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
    record_files(dsn, SAMPLES, hashes)
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
