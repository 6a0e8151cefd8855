"""Leaks, each put into a training dataset that has none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from psycopg2.extras import execute_values

from inspection.leakage import Leak, find_leaks
from inspection.settings import Settings
from inspection.warehouse import transaction
from tests.inspection.test_dataset import MARTS

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("no_image_twice", "no_order_on_two_sides", "test_is_newest", "cameras_balanced")
ALL_WELL = dict.fromkeys(NAMES, "passed")


class Row(NamedTuple):
    """What the checks look at."""

    path: str
    order: str
    day: int
    split: str
    fold: int | None
    camera: str = "c1"


def clean() -> list[Row]:
    """An order a day: eight in folds, two in test; two cameras take turns."""
    rows = []
    for order in range(10):
        split, fold = ("test", None) if order >= 8 else ("validation", 5) if order == 7 else ("train", 1)
        rows += [Row(f"{order}-{n}.jpg", f"o{order}", order, split, fold, f"c{n % 2}") for n in range(4)]
    return rows


def leaks(settings: Settings, rows: list[Row], policy: str = "chronological") -> dict[str, Leak]:
    """Looks for leaks in a dataset of an older release than the newest, which follows the other policy."""
    dsn = settings.dsn("warehouse")
    other = {"chronological": "grouped", "grouped": "chronological"}[policy]
    with transaction(dsn) as warehouse:
        warehouse.execute(MARTS)
        warehouse.execute(
            "insert into releases.split_releases (release_id, as_of, policy, window_days, created_at) values"
            " ('old', now(), %s, 180, '2026-03-01'), ('new', now(), %s, 180, '2026-03-02')",
            (policy, other),
        )
        if rows:
            execute_values(
                warehouse,
                "insert into marts.training_dataset values %s",
                [
                    (
                        f"i{n}", "old", row.path, "shaft", row.camera, "l1", row.order,
                        BEGIN + timedelta(days=row.day), "FINE", [], row.split, row.fold, 1,
                    )
                    for n, row in enumerate(rows)
                ],
                template="(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::text[], %s, %s, %s)",
            )  # fmt: skip
    found = {leak.name: leak for leak in find_leaks(dsn)}
    assert tuple(found) == NAMES
    return found


def status(found: dict[str, Leak]) -> dict[str, str]:
    return {name: leak.status for name, leak in found.items()}


def test_a_dataset_without_leaks(settings: Settings) -> None:
    assert status(leaks(settings, clean())) == ALL_WELL


@pytest.mark.parametrize(
    ("row", "failed"),
    [
        (Row("0-0.jpg", "o0", 0, "train", 1), {"no_image_twice"}),
        (Row("0-0.jpg", "o8", 8, "test", None), {"no_image_twice"}),
        (Row("x.jpg", "o0", 8, "test", None), {"no_order_on_two_sides"}),
        (Row("x.jpg", "o0", 0, "train", 2), {"no_order_on_two_sides"}),
        (Row("x.jpg", "o0", 0, "validation", 5), {"no_order_on_two_sides"}),
        (Row("x.jpg", "o7", 8, "validation", 5), {"test_is_newest"}),  # at the boundary's very moment
        (Row("x.jpg", "o7", 9, "validation", 5), {"test_is_newest"}),
    ],
)
def test_one_row_is_enough(settings: Settings, row: Row, failed: set[str]) -> None:
    found = leaks(settings, [*clean(), row])
    assert {name for name, each in status(found).items() if each == "failed"} == failed
    (name,) = failed
    assert len(found[name].rows) == 1
    assert found[name].evidence.startswith("1 ")


def test_a_camera_that_only_the_test_set_has_seen(settings: Settings) -> None:
    rows = [row._replace(camera="c9") if row.split == "test" else row for row in clean()]
    found = leaks(settings, rows)
    assert status(found) == {**ALL_WELL, "cameras_balanced": "failed"}
    assert found["cameras_balanced"].evidence.startswith("largest difference between training and test 1.000")


def test_more_cameras_than_images(settings: Settings) -> None:
    rows = [Row("a.jpg", "o1", 1, "train", 1, "c1"), Row("b.jpg", "o2", 2, "test", None, "c2")]
    found = leaks(settings, rows)["cameras_balanced"]
    # Of one image on each side nothing can be said: chance alone gives a difference of 1.
    assert found.status == "passed"
    assert found.evidence == "largest difference between training and test 1.000, allowed 1.000"


def test_the_policy_is_that_of_the_release_that_the_dataset_was_built_from(settings: Settings) -> None:
    late = Row("x.jpg", "o7", 9, "validation", 5)
    found = leaks(settings, [*clean(), late], policy="grouped")
    assert status(found) == {**ALL_WELL, "test_is_newest": "not applicable"}


def test_an_empty_dataset_leaks_nothing(settings: Settings) -> None:
    assert status(leaks(settings, [])) == {**ALL_WELL, "cameras_balanced": "not applicable"}
