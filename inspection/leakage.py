"""Whether the test set is a test: four ways in which training could have seen it, each looked for.

A fifth, by the content of the files, is in `inspection.image_files`.

A check that has no meaning under a policy is "not applicable", never "passed".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from psycopg2.extensions import cursor

from inspection.warehouse import transaction

CAMERA_TOLERANCE = 0.03
"""Largest difference of a camera's share between training and test (0 to 1), where chance allows it."""

Status = Literal["passed", "failed", "not applicable"]


@dataclass(frozen=True)
class Leak:
    """What one check found.

    Attributes:
        name: of the check.
        status: what came out.
        evidence: one line for a person.
        rows: the cases that it rests on, at most `SHOWN`; empty when there are none.
    """

    name: str
    status: Status
    evidence: str
    rows: tuple[Mapping[str, Any], ...] = ()


SHOWN = 20

_SAME_IMAGE = """
    select image_path, count(*) as images, string_agg(distinct split, ', ' order by split) as sides
    from marts.training_dataset
    group by image_path
    having count(*) > 1
    order by image_path
"""

_SAME_ORDER = """
    select
        production_order_id,
        string_agg(distinct split, ', ' order by split) as sides,
        string_agg(distinct fold_id::text, ', ') as folds
    from marts.training_dataset
    group by production_order_id
    having count(distinct split) > 1 or count(distinct fold_id) > 1
    order by production_order_id
"""

_TIME_ORDER = """
    select image_id, split, capture_timestamp::text as captured
    from marts.training_dataset
    where
        split <> 'test'
        and capture_timestamp >= (
            select min(capture_timestamp) from marts.training_dataset where split = 'test'
        )
    order by capture_timestamp desc
"""

_CAMERAS = """
    select
        camera_id,
        coalesce(count(*) filter (where split = 'train')::float / nullif(max(train), 0), 0) as train_share,
        coalesce(count(*) filter (where split = 'test')::float / nullif(max(test), 0), 0) as test_share
    from marts.training_dataset
    cross join (
        select
            count(*) filter (where split = 'train') as train,
            count(*) filter (where split = 'test') as test
        from marts.training_dataset
    ) as totals
    group by camera_id
    order by camera_id
"""


def find_leaks(dsn: str) -> tuple[Leak, ...]:
    """Looks at ``marts.training_dataset`` under the policy of the release that it was built from.

    Args:
        dsn: libpq URI of the warehouse.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            select policy from releases.split_releases
            where release_id in (select release_id from marts.training_dataset)
            """
        )
        policy = next(iter(warehouse.fetchall()), ("chronological",))[0]
        return (
            _none_of(warehouse, "no_image_twice", _SAME_IMAGE, "image files that stand there twice"),
            _none_of(warehouse, "no_order_on_two_sides", _SAME_ORDER, "orders on two sides or in two folds"),
            Leak("test_is_newest", "not applicable", f"the {policy} policy keeps no order in time")
            if policy == "grouped"
            else _none_of(warehouse, "test_is_newest", _TIME_ORDER, "images as new as the test set"),
            _camera_balance(warehouse),
        )


def _none_of(warehouse: cursor, name: str, query: str, what: str) -> Leak:
    found = read_rows(warehouse, query)
    return Leak(name, "failed" if found else "passed", f"{len(found)} {what}", tuple(found[:SHOWN]))


def _camera_balance(warehouse: cursor) -> Leak:
    cameras = read_rows(warehouse, _CAMERAS)
    warehouse.execute(
        "select min(n) from (select count(*) as n from marts.training_dataset group by split) t"
    )
    ((smallest,),) = warehouse.fetchall()
    if smallest is None:
        return Leak("cameras_balanced", "not applicable", "the training set is empty")
    # In so small a set chance alone moves shares by about this much.
    allowed = max(CAMERA_TOLERANCE, smallest**-0.5)
    gap = max(abs(camera["train_share"] - camera["test_share"]) for camera in cameras)
    evidence = f"largest difference between training and test {gap:.3f}, allowed {allowed:.3f}"
    return Leak(
        "cameras_balanced", "passed" if gap <= allowed else "failed", evidence, tuple(cameras[:SHOWN])
    )


def read_rows(warehouse: cursor, query: str) -> list[dict[str, Any]]:
    """Returns the rows of a query, each by its columns' names."""
    warehouse.execute(query)
    names = [column.name for column in warehouse.description or ()]
    return [dict(zip(names, values, strict=True)) for values in warehouse.fetchall()]
