"""A labelled data set as rows of the source tables; the rules stand in `inspection.importers.importing`."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from inspection.errors import ImportDataError
from inspection.importers.labelled import Annotation, Box, BrokenBox, LabelledImage, LabelledSet
from inspection.ontology import Ontology
from inspection.simulation.tables import instants

LINE, MACHINE, CAMERA, ANNOTATOR = "line-import", "machine-import", "cam-import", "annotator-import"
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

ANNOTATION_SCHEMA = pa.schema(
    [
        ("annotation_id", pa.string()),
        ("image_id", pa.string()),
        ("defect_type", pa.string()),
        ("bounding_box", pa.string()),
        ("annotator_id", pa.string()),
        ("confidence", pa.int16()),
    ]
)


class AnnotationRows:
    """Annotation rows of a data set, and what was found while making them.

    Attributes:
        rows: of ``inspection.defect_annotations``.
        labels: rows by the name that the annotator typed.
        annotated: images with a defect or with an unknown label; likewise `annotated_clean`, images whose
            annotations all say clean.
        declared_clean: images without annotation that were declared clean.
        unlabelled: images without a readable annotation that were not.
    """

    def __init__(
        self, data: LabelledSet, taxonomy: Ontology, unannotated_is_clean: bool, bad: Counter[str]
    ) -> None:
        self._data, self._taxonomy, self._bad = data, taxonomy, bad
        self._unannotated_is_clean = unannotated_is_clean
        self._clean_word = (taxonomy.clean_class.aliases or (taxonomy.clean_class.id,))[0]
        self.rows: list[dict[str, Any]] = []
        self.labels: Counter[str] = Counter()
        self.annotated = self.annotated_clean = self.declared_clean = self.unlabelled = 0

    def add(self, image: LabelledImage) -> None:
        """Adds what is known of one image."""
        if not image.annotations:
            may_be_clean = not image.annotation_unread
            clean = may_be_clean and (self._unannotated_is_clean or image.declared_clean)
            self.declared_clean += clean
            self.unlabelled += not clean
            if clean:
                self._append(image, "clean", self._clean_word, None)
            return
        keys: Counter[str] = Counter()
        classes = set()
        for annotation in image.annotations:
            repetition, keys[annotation.key] = keys[annotation.key], keys[annotation.key] + 1
            self._bad["annotation id twice"] += bool(repetition)
            key = f"{annotation.key}/{repetition}" if repetition else annotation.key
            classes.add(self._add_annotation(image, key, annotation))
        clean = classes == {self._taxonomy.clean_class.id}
        self.annotated += not clean
        self.annotated_clean += clean

    def _add_annotation(self, image: LabelledImage, key: str, annotation: Annotation) -> str | None:
        """Adds one annotation; returns its class, None for an unknown category."""
        class_id = self._taxonomy.resolve(annotation.category)
        self._bad["unknown category"] += class_id is None
        is_clean = class_id == self._taxonomy.clean_class.id
        box = None if is_clean or annotation.box is None else self._box(image, annotation.box)
        self._append(image, key, annotation.category, box)
        return class_id

    def _box(self, image: LabelledImage, box: Box | BrokenBox) -> str:
        """The box as the source keeps it, also when it is broken."""
        if isinstance(box, BrokenBox):
            self._bad["broken box"] += 1
            return json.dumps(box.text)
        if box.width <= 0 or box.height <= 0 or box.x < 0 or box.y < 0:
            self._bad["broken box"] += 1
        elif box.x + box.width > image.width or box.y + box.height > image.height:
            self._bad["box outside its image"] += 1
        return json.dumps(box._asdict())

    def _append(self, image: LabelledImage, key: str, label: str, box: str | None) -> None:
        self.labels[label] += 1
        self.rows.append(
            {
                "annotation_id": _id(self._data.name, "annotation", image.file_name, image.twin, key),
                "image_id": _id(self._data.name, "image", image.file_name, image.twin),
                "defect_type": _storable(label),
                "bounding_box": box,
                "annotator_id": ANNOTATOR,
                "confidence": 5,
            }
        )


def image_table(data: LabelledSet, prefix: str, times: list[int]) -> pa.Table:
    """Returns the rows of ``inspection.image_metadata``."""
    images = data.images
    return pa.table(
        {
            "image_id": [_id(data.name, "image", image.file_name, image.twin) for image in images],
            "production_order_id": [_storable(image.group) for image in images],
            "machine_id": [image.machine or MACHINE for image in images],
            "camera_id": [image.camera or CAMERA for image in images],
            "part_serial": [Path(image.file_name).stem for image in images],
            "part_type": [data.name] * len(images),
            "capture_timestamp": instants(times),
            "image_path": [prefix + image.file_name for image in images],
        }
    )


def order_table(data: LabelledSet, times: list[int]) -> pa.Table:
    """Returns the rows of ``erp.production_orders``."""
    spans: dict[str, list[int]] = {}
    for image, time in zip(data.images, times, strict=True):
        spans.setdefault(image.group, []).append(time)
    return pa.table(
        {
            "production_order_id": list(spans),
            "part_type": [data.name] * len(spans),
            "plant_id": [data.name] * len(spans),
            "line_id": [LINE] * len(spans),
            "quantity": pa.array([len(span) for span in spans.values()], pa.int32()),
            "started_at": instants([min(span) for span in spans.values()]),
            "completed_at": instants([max(span) for span in spans.values()]),
        }
    )


def equipment_table(data: LabelledSet) -> pa.Table:
    """Returns the rows of ``erp.equipment_registry``."""
    machines = sorted({image.machine or MACHINE for image in data.images})
    cameras = sorted({image.camera or CAMERA for image in data.images})
    names = machines + cameras
    return pa.table(
        {
            "machine_id": names,
            "plant_id": [data.name] * len(names),
            "line_id": [LINE] * len(names),
            "kind": ["machine"] * len(machines) + ["camera"] * len(cameras),
        }
    )


def image_times(images: Sequence[LabelledImage]) -> list[int]:
    """Returns milliseconds since 1970 of each image; those without a time follow the newest known one."""
    known = [image.captured for image in images if image.captured is not None]
    newest = max(known, default=EPOCH)
    times, unknown = [], 0
    for image in images:
        moment = image.captured
        unknown += moment is None
        start = newest if moment is None else moment
        times.append(round(start.timestamp() * 1000) + (unknown * 1000 if moment is None else 0))
    return times


def _id(*names: str) -> str:
    """A UUID that the names decide."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\0".join(_storable(name) for name in names)))


def _storable(name: str) -> str:
    """Returns the name; what PostgreSQL holds as no text is an error."""
    if "\0" in name or name.encode(errors="ignore").decode() != name:
        raise ImportDataError(f"a name holds a zero byte or half a character: {name!a}; write it anew")
    return name
