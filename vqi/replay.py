"""Scores a past shift with a candidate: the same images, the same path, and nothing is written down."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg2.errors import UndefinedTable
from pydantic import BaseModel, ConfigDict

from inspection.bundle import load_bundle
from inspection.errors import InsufficientDataError
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.shadow_report import LAST_REVIEW, opinion, truth
from inspection.shadowing import Opinion, Pair, Trial, Truth, compare_models
from inspection.splits import learnt_orders
from inspection.tuning import choose_lanes
from inspection.warehouse import transaction
from serving.inspector import Part, Stopwatch
from serving.models import LiveModel, start_model
from serving.shadow import judge_again

_SHIFT = f"""
with last_review as ({LAST_REVIEW})
select
    p.inspection_id::text, p.image_sha256, p.image_id, p.camera_id, p.part_serial, p.part_type, p.captured_at,
    images.image_path, images.production_order_id,
    p.prediction, p.defects, p.overall_confidence, p.inference_time_ms,
    last_review.decision, last_review.defect_class, 1 / nullif(p.review_probability, 0)
from inference.predictions as p
left join intermediate.int_images as images on images.image_id = p.image_id
left join last_review on last_review.inspection_id = p.inspection_id
where p.role = 'production' and p.prediction is not null
    and coalesce(p.captured_at, p.predicted_at) >= %s and coalesce(p.captured_at, p.predicted_at) < %s
order by p.predicted_at, p.inspection_id
"""


@dataclass(frozen=True)
class Judged:
    """A part of the shift, still without its image, which must have this SHA-256.

    Attributes:
        image_path: None for an image that the plant does not know.
    """

    part: Part
    image_sha256: str
    image_path: str | None
    production: Opinion
    truth: Truth | None


class ReplayReport(BaseModel):
    """A candidate on a past shift.

    Attributes:
        knows_what_it_learnt: whether this warehouse has the split release that the candidate was trained on.
        left_out: parts that the candidate has not judged, by reason.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    candidate: str
    since: datetime
    until: datetime
    knows_what_it_learnt: bool
    left_out: dict[str, int]
    trial: Trial


def replay(
    settings: Settings,
    registry: ModelRegistry,
    model: str,
    since: datetime,
    until: datetime,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ReplayReport:
    """Has a candidate judge what production judged in a time, from the stored images.

    Parts of production orders that the candidate has learnt from are left out: on those it would look better
    than it is.

    Args:
        settings: give warehouse, images and provider.
        registry: knows the candidate.
        model: its id, or the beginning of it.
        since: by the time of capture, or of the verdict where that is not known.
        until: not included.
        progress: called with (parts done, parts).

    Raises:
        RegistryError: there is no such model.
        BundleError: it must not be served.
        InsufficientDataError: production judged no part in that time.
    """
    bundle = load_bundle(registry.store, registry.find(model))
    shift = read_shift(settings.dsn("warehouse"), since, until)
    if not shift:
        raise InsufficientDataError(f"production judged no part from {since} to {until}: choose another time")
    learnt = learnt_orders(settings.dsn("warehouse"), bundle.manifest.split_release)
    live = start_model(bundle, settings, choose_lanes(settings))
    pairs: list[Pair] = []
    left_out: Counter[str] = Counter()
    for number, judged in enumerate(shift, start=1):
        found = _look(judged, live, settings.images, learnt or frozenset())
        if isinstance(found, Opinion):
            pairs.append(Pair(str(judged.part.inspection_id), judged.production, found, judged.truth))
        else:
            left_out[found] += 1
        progress(number, len(shift))
    return ReplayReport(
        candidate=bundle.id,
        since=since,
        until=until,
        knows_what_it_learnt=learnt is not None,
        left_out=dict(left_out),
        trial=compare_models(pairs, bundle.manifest.ontology.safety_critical_ids),
    )


def read_shift(dsn: str, since: datetime, until: datetime) -> list[Judged]:
    """Reads what production judged in a time, oldest first; the parts have no image yet.

    Raises:
        InsufficientDataError: the warehouse has no images.
    """
    try:
        with transaction(dsn) as warehouse:
            warehouse.execute(_SHIFT, (since, until))
            return [_judged(*row) for row in warehouse.fetchall()]
    except UndefinedTable as error:
        raise InsufficientDataError(
            "the warehouse knows no images yet: run `vqi materialize group:labels` first"
        ) from error


def _judged(
    inspection_id: str,
    image_sha256: str,
    image_id: str,
    camera_id: str,
    part_serial: str | None,
    part_type: str | None,
    captured_at: datetime | None,
    image_path: str | None,
    order: str | None,
    *said: Any,  # noqa: ANN401 (columns of production's verdict, then of the review)
) -> Judged:
    part = Part(
        inspection_id=UUID(inspection_id),
        image=b"",
        image_id=image_id,
        camera_id=camera_id,
        part_serial=part_serial,
        part_type=part_type,
        production_order_id=order,
        captured_at=captured_at,
        received=0,
    )
    return Judged(part, image_sha256, image_path, opinion(*said[:4]), truth(*said[4:]))


def _look(judged: Judged, model: LiveModel, images: Path, learnt: Collection[str]) -> Opinion | str:
    """Returns what a model says of a part, or why it was not asked."""
    if judged.part.production_order_id in learnt:
        return "the candidate has learnt from its production order"
    if judged.image_path is None:
        return "the plant knows no such image"
    file = images / judged.image_path
    if not file.is_file():
        return "the image file is missing"
    part = replace(judged.part, image=file.read_bytes())
    if part.image_sha256 != judged.image_sha256:
        return "the image file is not the image that was judged"
    watch = Stopwatch(time.perf_counter())
    said = judge_again(part, model, watch)
    watch.lap("decide")
    classes = frozenset(defect.defect_class for defect in said.defects)
    return Opinion(said.prediction.value, classes, said.overall_confidence, watch.total)
