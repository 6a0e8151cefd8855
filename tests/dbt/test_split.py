"""The released split, recomputed: what it promises holds for any plant, and a release stays as it was."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from math import ceil

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from psycopg2.extras import execute_values

from inspection.errors import InsufficientDataError
from inspection.leakage import find_leaks
from inspection.settings import Settings
from inspection.splits import Policy, newest_labelled, release_id, release_split
from inspection.warehouse import transaction
from resources.dbt import PROJECT
from tests.dbt.plant import START, dbt, query

Image = tuple[str, str, str, int]  # order, part type, label, hour of capture


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
        if clock.search(line.partition("--")[0]) and "> current_timestamp" not in line
    }
    assert asked == set()


@pytest.fixture(scope="module")
def deal(module_settings: Settings) -> Settings:
    """The deal's SQL on tables that a test may fill as it likes."""
    from tests.dbt.plant import RawPlant

    RawPlant().load(module_settings)
    dbt(module_settings, "compile", "--select", "int_split_deal")
    return module_settings


def dealt(
    settings: Settings, images: list[Image], policy: Policy
) -> list[tuple[str, int, str, str, int | None]]:
    """Deals images out; returns (order, hour, label, side, fold) of each."""
    compiled = settings.root / "dbt/target/compiled/inspection/models/intermediate/int_split_deal.sql"
    text = compiled.read_text(encoding="utf-8").replace('"', "")
    database = settings.dsn("warehouse").rsplit("/", 1)[1]
    for table in ("marts.fct_image_labels", "intermediate.int_images", "releases.split_releases"):
        text = text.replace(f"{database}.{table}", table.split(".")[1])
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(
            """
            create temporary table fct_image_labels (image_id text, label text) on commit drop;
            create temporary table int_images (
                image_id text, production_order_id text, part_type text, capture_timestamp timestamptz
            ) on commit drop;
            create temporary table split_releases on commit drop as
            select 'r' as release_id, %s as as_of, %s as policy, 180 as window_days, now() as created_at
            """,
            (START + timedelta(days=100), policy),
        )
        labels = [(f"i{n}", label) for n, (_, _, label, _) in enumerate(images)]
        places = [
            (f"i{n}", order, part, START + timedelta(hours=hour))
            for n, (order, part, _, hour) in enumerate(images)
        ]
        execute_values(warehouse, "insert into fct_image_labels values %s", labels)
        execute_values(warehouse, "insert into int_images values %s", places)
        warehouse.execute(f"select image_id, split, fold_id from ({text}) as deal")
        sides = {int(image[1:]): (side, fold) for image, side, fold in warehouse.fetchall()}
    return [(order, hour, label, *sides[n]) for n, (order, _, label, hour) in enumerate(images)]


plants = st.lists(
    st.tuples(
        st.sampled_from([f"order-{n}" for n in range(12)]),
        st.sampled_from(["shaft", "plate"]),
        st.sampled_from(["fine", "fine", "fine", "mark", "danger"]),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=60,
)
generous = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@generous
@given(images=plants)
def test_any_chronological_deal(deal: Settings, images: list[Image]) -> None:
    found = dealt(deal, images, "chronological")
    boundary = sorted((hour for *_, hour in images), reverse=True)[ceil(0.15 * len(images)) - 1]
    assert all((side == "test") == (hour >= boundary) for _, hour, _, side, _ in found)
    _orders_stay_whole(found)
    straddling = {order for order, _, _, side, _ in found if side == "test"}
    assert all((order in straddling) == (side in ("test", "dropped")) for order, _, _, side, _ in found)


@generous
@given(images=plants)
def test_any_grouped_deal(deal: Settings, images: list[Image]) -> None:
    found = dealt(deal, images, "grouped")
    assert not [side for *_, side, _ in found if side == "dropped"]
    _orders_stay_whole(found)


@generous
@given(sizes=st.lists(st.integers(1, 9), min_size=5, max_size=25), rare=st.integers(5, 25))
def test_a_label_of_five_orders_is_in_every_fold(deal: Settings, sizes: list[int], rare: int) -> None:
    images = [
        (f"order-{n}", "shaft", "danger" if n < rare and part == 0 else "fine", n)
        for n, size in enumerate(sizes)
        for part in range(size)
    ]
    images += [(f"newest-{n}", "shaft", "fine", 1000) for n in range(ceil(len(images) * 0.15 / 0.85) + 1)]
    folds = defaultdict(set)
    for _, _, label, _, fold in dealt(deal, images, "chronological"):
        folds[label].add(fold)
    assert folds["danger"] >= {1, 2, 3, 4, 5}


def test_folds_are_even_and_the_same_each_time(deal: Settings) -> None:
    images = [
        (f"order-{n}", "shaft" if n % 3 else "plate", "danger" if n % 7 == 0 else "fine", n)
        for n in range(100)
        for _ in range(3 + n % 5)
    ]
    first = dealt(deal, images, "grouped")
    assert first == dealt(deal, images, "grouped")
    sizes = defaultdict(int)
    for *_, side, _ in first:
        sizes[side] += 1
    shares = {side: size / len(images) for side, size in sizes.items()}
    assert shares == pytest.approx({"train": 4 / 6, "validation": 1 / 6, "test": 1 / 6}, abs=0.02)


def _orders_stay_whole(found: list[tuple[str, int, str, str, int | None]]) -> None:
    sides, folds = defaultdict(set), defaultdict(set)
    for order, _, _, side, fold in found:
        assert (fold is None) == (side in ("test", "dropped"))
        assert fold is None or (side == "validation") == (fold == 5)
        sides[order].add(side)
        folds[order].add(fold)
    assert all(len(each - {"dropped"}) <= 1 for each in sides.values())
    assert all(len(each) == 1 for each in folds.values())
