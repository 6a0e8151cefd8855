"""Split releases: which image is for training, validation or test, frozen for one date.

dbt deals (``intermediate.int_split_deal``); a release copies the deal into an append-only table, so that
what was test yesterday stays test.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from psycopg2.extensions import cursor

from inspection.errors import InsufficientDataError, SettingsError
from inspection.warehouse import transaction

Policy = Literal["chronological", "grouped"]


@dataclass(frozen=True)
class SplitRelease:
    """A frozen split.

    Attributes:
        release_id: hash of the rule: the three fields after it.
        as_of: nothing captured later takes part; time zone aware.
        policy: ``chronological`` (test is the newest) or ``grouped`` (whole groups, no time order).
        window_days: length of the time before `as_of` that takes part; ``grouped`` takes all of it.
        sizes: images of each side; ``dropped`` are those of orders cut by the boundary.
        new: False when this very release was there already, and was left as it is.
    """

    release_id: str
    as_of: datetime
    policy: Policy
    window_days: int
    sizes: dict[str, int]
    new: bool


def parse_policy(text: str) -> Policy:
    """Returns a policy by its name.

    Raises:
        SettingsError: there is none of that name.
    """
    for policy in get_args(Policy):
        if policy == text:
            return policy  # type: ignore[no-any-return]
    raise SettingsError(f"no split policy {text!r}: there are {', '.join(get_args(Policy))}")


def release_id(as_of: datetime, policy: Policy, window_days: int) -> str:
    """Returns the content hash that names the release of a rule.

    Raises:
        ValueError: `as_of` has no time zone.
    """
    if as_of.tzinfo is None:
        raise ValueError(f"as_of {as_of} has no time zone")
    rule = {"as_of": as_of.astimezone(UTC).isoformat(), "policy": policy, "window_days": window_days}
    return hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()


def newest_labelled(dsn: str) -> datetime:
    """Returns when the newest labelled image was taken: the date of a release of all there is.

    Raises:
        InsufficientDataError: no image has a label.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            select max(images.capture_timestamp)
            from marts.fct_image_labels as labels
            inner join intermediate.int_images as images on images.image_id = labels.image_id
            """
        )
        ((newest,),) = warehouse.fetchall()
    if not isinstance(newest, datetime):
        raise InsufficientDataError("no image has a label: annotate some, ingest, and build the label marts")
    return newest


def release_split(dsn: str, as_of: datetime, policy: Policy, window_days: int) -> SplitRelease:
    """Releases the split of a rule, or finds the one that was released under it before.

    Args:
        dsn: libpq URI of the warehouse, where dbt has built the labels and the deal.
        as_of: nothing captured later takes part; time zone aware.
        policy: how to deal.
        window_days: how far back the images may lie, in days.

    Raises:
        InsufficientDataError: no labelled image lies in the window.
    """
    name = release_id(as_of, policy, window_days)
    with transaction(dsn) as warehouse:
        warehouse.execute(
            """
            insert into releases.split_releases (release_id, as_of, policy, window_days)
            values (%s, %s, %s, %s)
            on conflict do nothing
            """,
            (name, as_of, policy, window_days),
        )
        new = warehouse.rowcount == 1
        if new:
            _freeze(warehouse, name)
        sizes = _sizes(warehouse, name)
        if not sizes:
            raise InsufficientDataError(
                f"no labelled image in the {window_days} days before {as_of:%Y-%m-%d}: "
                "choose another date, a longer window, or the grouped policy"
            )
    return SplitRelease(name, as_of, policy, window_days, sizes, new)


def _freeze(warehouse: cursor, name: str) -> None:
    # The view deals for the newest release, which is the row above: both are one transaction.
    warehouse.execute(
        """
        insert into releases.split_assignments (release_id, image_id, production_order_id, split, fold_id)
        select release_id, image_id, production_order_id, split, fold_id
        from intermediate.int_split_deal
        where release_id = %s
        """,
        (name,),
    )


def _sizes(warehouse: cursor, name: str) -> dict[str, int]:
    warehouse.execute(
        "select split, count(*) from releases.split_assignments where release_id = %s group by 1 order by 1",
        (name,),
    )
    return dict(warehouse.fetchall())


def learnt_orders(dsn: str, release: str) -> frozenset[str] | None:
    """Returns the production orders that a model of a release was trained or chosen on.

    Args:
        dsn: libpq URI of the warehouse.
        release: id of the split release.

    Returns:
        Those in training or validation; None when this warehouse has no such release.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute("select 1 from releases.split_releases where release_id = %s", (release,))
        if warehouse.fetchone() is None:
            return None
        warehouse.execute(
            """
            select distinct production_order_id from releases.split_assignments
            where release_id = %s and split in ('train', 'validation')
            """,
            (release,),
        )
        return frozenset(order for (order,) in warehouse.fetchall())
