"""The released split, recomputed: what it promises holds for any plant, and a release stays as it was."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import ceil

import pytest

from inspection.errors import InsufficientDataError
from inspection.leakage import find_leaks
from inspection.settings import Settings
from inspection.splits import newest_labelled, release_id, release_split
from resources.dbt import PROJECT
from tests.dbt.plant import START, query


def test_the_training_set_is_the_release(built: Settings) -> None:
    rows = query(built, "select image_id, production_order_id, split, fold_id from marts.training_dataset")
    frozen = query(
        built,
        "select image_id, production_order_id, split, fold_id from releases.split_assignments"
        " where split <> 'dropped'",
    )
    assert sorted(rows) == sorted(frozen)
    assert query(built, "select distinct sample_weight from marts.training_dataset") == [(1.0,)]
    released = query(built, "select release_id from releases.split_releases")
    assert query(built, "select distinct release_id from marts.training_dataset") == released


def test_test_is_the_newest_share(built: Settings) -> None:
    captured = query(
        built,
        "select capture_timestamp, split from intermediate.int_split_deal"
        " inner join staging.stg_images using (image_id) order by 1 desc",
    )
    boundary = captured[ceil(0.15 * len(captured)) - 1][0]
    assert all((side == "test") == (at >= boundary) for at, side in captured)
    assert any(side == "dropped" for _, side in captured)


def test_no_leak_is_found(built: Settings) -> None:
    found = {leak.name: leak.status for leak in find_leaks(built.dsn("warehouse"))}
    assert len(found) == 4
    assert set(found.values()) == {"passed"}


def test_a_release_is_frozen(built: Settings) -> None:
    dsn = built.dsn("warehouse")
    before = query(built, "select * from releases.split_assignments order by image_id")
    again = release_split(dsn, newest_labelled(dsn), "chronological", 180)
    assert not again.new
    assert sum(again.sizes.values()) == len(before)
    assert query(built, "select * from releases.split_assignments order by image_id") == before
    with pytest.raises(InsufficientDataError, match="no labelled image in the 180 days"):
        release_split(dsn, START - timedelta(days=1000), "chronological", 180)
    assert query(built, "select count(*) from releases.split_releases") == [(1,)]


def test_a_release_is_named_by_its_rule() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    names = {
        release_id(at, "chronological", 180),
        release_id(at, "grouped", 180),
        release_id(at, "chronological", 90),
        release_id(at + timedelta(microseconds=1), "chronological", 180),
    }
    assert len(names) == 4
    with pytest.raises(ValueError, match="no time zone"):
        release_id(datetime(2026, 1, 1), "grouped", 1)


def test_no_model_depends_on_the_day_on_which_it_is_built() -> None:
    # Only a row's own clock is held against the time of reading: what lies in the future is set aside.
    clock = re.compile(r"current_date|current_time|localtime|now\(\)|_timestamp\(\)", re.IGNORECASE)
    asked = {
        f"{path.stem}: {line.strip()}"
        for path in (PROJECT / "models").rglob("*.sql")
        for line in path.read_text(encoding="utf-8").splitlines()
        if clock.search(line.partition("--")[0]) and "read_at, current_timestamp)" not in line
    }
    assert asked == set()
