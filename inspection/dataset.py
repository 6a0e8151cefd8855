"""The training dataset as the warehouse tells it: which image, which labels, which side."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Literal, cast

from psycopg2.errors import UndefinedTable
from psycopg2.extensions import cursor

from inspection.errors import InsufficientDataError, OntologyError
from inspection.warehouse import transaction

Split = Literal["train", "validation", "test"]
TOLD_ONLY = frozenset({"plant_id", "label_source"})
"""Fields of a sample from which nothing is learnt."""


@dataclass(frozen=True)
class Box:
    """An annotated defect, in pixels of the original image."""

    defect_class: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Sample:
    """One labelled image.

    Attributes:
        image_path: relative to the image root.
        label: the primary label; the clean class's id for a part without defects.
        labels: all defect classes; empty for a part without defects.
        fold_id: 1 to 5; None in test.
        sample_weight: 1 / the probability that balancing kept the row, at least 1.
        repeats: how often the image stands in an epoch of training; 1 outside of it.
        boxes: of the classes in `labels`; a label need not have one.
        plant_id: that made the part; None where nobody told.
        label_source: who gave the labels: ``consensus``, ``inspector``, ``code`` or ``pseudo``; None where
            the labels have gone since.
    """

    image_id: str
    image_path: str
    part_type: str
    camera_id: str
    line_id: str
    production_order_id: str
    captured_at: datetime
    label: str
    labels: tuple[str, ...]
    split: Split
    fold_id: int | None
    sample_weight: float
    repeats: int = 1
    boxes: tuple[Box, ...] = ()
    plant_id: str | None = None
    label_source: str | None = None

    @property
    def day(self) -> date:
        """The day of capture, UTC."""
        return self.captured_at.astimezone(UTC).date()


@dataclass(frozen=True)
class TrainingData:
    """The samples of one split release, in the order of `Sample.image_id`."""

    split_release: str
    samples: tuple[Sample, ...]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the release and of each row: equal data have an equal fingerprint.

        What only the report tells, `TOLD_ONLY`, may change while a model is being made.
        """
        rows = [_essence(sample) for sample in sorted(self.samples, key=lambda s: s.image_id)]
        text = json.dumps([self.split_release, rows], sort_keys=True, default=_utc)
        return hashlib.sha256(text.encode()).hexdigest()

    def side(self, split: Split) -> tuple[Sample, ...]:
        """Returns the samples of one side."""
        return tuple(sample for sample in self.samples if sample.split == split)

    def only(self, image_ids: Iterable[str]) -> TrainingData:
        """Returns the data without the images that are not named, such as unreadable ones."""
        kept = set(image_ids)
        return TrainingData(self.split_release, tuple(s for s in self.samples if s.image_id in kept))


def by_day(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    """Deals samples by their day of capture, ``YYYY-MM-DD``, in order of the days."""
    days: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        days[sample.day.isoformat()].append(sample)
    return dict(sorted(days.items()))


def read_training_data(dsn: str) -> TrainingData:
    """Reads ``marts.training_dataset`` and the consensus boxes.

    Args:
        dsn: libpq URI of the warehouse.

    Raises:
        InsufficientDataError: there is no such dataset, nothing is in it, or it mixes split releases.
    """
    try:
        with transaction(dsn) as warehouse:
            releases, samples = _releases(warehouse), _samples(warehouse, _boxes(warehouse))
    except UndefinedTable as error:
        raise InsufficientDataError(
            "there is no training dataset yet: materialize the marts first"
        ) from error
    if not samples:
        raise InsufficientDataError("the training dataset is empty: label images and release a split first")
    if len(releases) > 1:
        raise InsufficientDataError(
            f"the training dataset mixes the split releases {', '.join(releases)}: materialize it again"
        )
    return TrainingData(releases[0], samples)


def check_classes(samples: Iterable[Sample], classes: Collection[str], clean: str | None = None) -> None:
    """Refuses labels that mean nothing to a model.

    Args:
        samples: images with their labels and boxes.
        classes: ids of the defect classes.
        clean: id of the clean class; without it, what a part without defects is called is not looked at.

    Raises:
        OntologyError: a label or box is of another class; the message names it.
    """
    unknown: Counter[str] = Counter()
    for sample in samples:
        named = {*sample.labels, *(box.defect_class for box in sample.boxes)} - set(classes)
        if clean is not None:
            named |= {sample.label} - {clean, *classes}
        unknown.update(named)
    if unknown:
        told = ", ".join(f"{name} ({count} images)" for name, count in sorted(unknown.items()))
        raise OntologyError(
            f"the training dataset has labels that the ontology does not have: {told}: publish an ontology "
            "with these classes, or materialize the labels and a new split release under the one in force"
        )


def _releases(warehouse: cursor) -> list[str]:
    # The dataset tells it itself: a release may be newer than the dataset.
    warehouse.execute("select distinct release_id from marts.training_dataset order by release_id")
    return [str(release) for (release,) in warehouse.fetchall()]


def _boxes(warehouse: cursor) -> dict[str, list[Box]]:
    warehouse.execute(
        """
        select image_id, defect_class, bbox_x, bbox_y, bbox_width, bbox_height
        from marts.fct_image_boxes
        order by image_id, defect_class, bbox_x, bbox_y, bbox_width, bbox_height
        """
    )
    boxes: dict[str, list[Box]] = {}
    for image_id, *box in warehouse.fetchall():
        boxes.setdefault(image_id, []).append(Box(*box))
    return boxes


def _samples(warehouse: cursor, boxes: dict[str, list[Box]]) -> tuple[Sample, ...]:
    warehouse.execute(
        """
        select data.image_id, data.image_path, data.part_type, data.camera_id, data.line_id,
               data.production_order_id, data.capture_timestamp, data.label, data.labels, data.split,
               data.fold_id, data.sample_weight, data.repeats, images.plant_id, labels.label_source
        from marts.training_dataset as data
        left join intermediate.int_images as images on data.image_id = images.image_id
        left join marts.fct_image_labels as labels on data.image_id = labels.image_id
        order by data.image_id
        """
    )
    return tuple(_sample(row, boxes) for row in warehouse.fetchall())


def _essence(sample: Sample) -> dict[str, object]:
    return {name: value for name, value in asdict(sample).items() if name not in TOLD_ONLY}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _sample(row: tuple[object, ...], boxes: dict[str, list[Box]]) -> Sample:
    image_id, path, part, camera, line, order, captured, label, labels, split, fold, weight, *rest = row
    repeats, plant, source = rest
    return Sample(
        image_id=str(image_id),
        image_path=str(path),
        part_type=str(part),
        camera_id=str(camera),
        line_id=str(line),
        production_order_id=str(order),
        captured_at=cast("datetime", captured),
        label=str(label),
        labels=tuple(cast("list[str]", labels)),
        split=cast("Split", split),
        fold_id=cast("int | None", fold),
        sample_weight=float(cast("float", weight)),
        repeats=cast("int", repeats),
        boxes=tuple(boxes.get(str(image_id), ())),
        plant_id=cast("str | None", plant),
        label_source=cast("str | None", source),
    )
