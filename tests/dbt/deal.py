"""The deal's own SQL on images that a test makes up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from inspection.settings import Settings
from inspection.splits import Policy
from tests.dbt.compiled import rows_of
from tests.dbt.plant import START

MODEL = "int_split_deal"


class Image(NamedTuple):
    """A labelled image; `hour` is when it was taken."""

    order: str
    part: str
    label: str
    hour: int


class Dealt(NamedTuple):
    """An image and what it got."""

    image: Image
    side: str
    fold: int | None


def deal_out(
    settings: Settings, images: Sequence[Image], policy: Policy, names: Sequence[str] | None = None
) -> list[Dealt]:
    """Deals images out, with the SQL of the model that `settings` has compiled.

    Args:
        settings: give the warehouse, and the compiled model.
        images: all labelled ones.
        policy: of the release.
        names: ids of the images, their places if not given.

    Returns:
        What each got, in order; each image is dealt exactly once, or this raises.
    """
    ids = names or [f"i{n}" for n in range(len(images))]
    released = ("r", START + timedelta(days=100), policy, 180, START)
    places = [
        (name, image.order, image.part, START + timedelta(hours=image.hour))
        for name, image in zip(ids, images, strict=True)
    ]
    found = rows_of(
        settings,
        MODEL,
        {
            "fct_image_labels": (
                "image_id text, label text",
                [(name, image.label) for name, image in zip(ids, images, strict=True)],
            ),
            "int_images": (
                "image_id text, production_order_id text, part_type text, capture_timestamp timestamptz",
                places,
            ),
            "split_releases": (
                "release_id text, as_of timestamptz, policy text, window_days integer,"
                " created_at timestamptz",
                [released],
            ),
        },
    )
    assert sorted(row["image_id"] for row in found) == sorted(ids)
    got = {row["image_id"]: row for row in found}
    return [
        Dealt(image, got[name]["split"], got[name]["fold_id"])
        for name, image in zip(ids, images, strict=True)
    ]
