"""A COCO data set as rows of the source tables; the rules stand in `inspection.importers.coco`."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from inspection.errors import ImportDataError
from inspection.importers.coco_file import CocoFile, CocoImage
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
    """Annotation rows of a data set, and what was found while making them."""

    def __init__(
        self, data: CocoFile, taxonomy: Ontology, unannotated_is_clean: bool, bad: Counter[str]
    ) -> None:
        self._data, self._taxonomy, self._bad = data, taxonomy, bad
        self._unannotated_is_clean = unannotated_is_clean
        self._clean_word = (taxonomy.clean_class.aliases or (taxonomy.clean_class.id,))[0]
        self.rows: list[dict[str, Any]] = []
        self.annotated = self.declared_clean = self.unlabelled = 0

    def add(self, image: CocoImage) -> None:
        """Adds what is known of one image."""
        found = self._data.annotations.get(image.number, ())
        if not found:
            clean = self._unannotated_is_clean or image.declared_clean
            self.declared_clean += clean
            self.unlabelled += not clean
            if clean:
                self._append(image, "clean", self._clean_word, None)
            return
        classes = [
            self._add_annotation(image, str(entry.get("id", n)), entry) for n, entry in enumerate(found)
        ]
        self.annotated += any(found_class != self._taxonomy.clean_class.id for found_class in classes)

    def _add_annotation(self, image: CocoImage, key: str, entry: dict[str, Any]) -> str | None:
        """Adds one annotation; returns its class, None for an unknown category."""
        name = self._data.categories.get(entry.get("category_id"), f"category {entry.get('category_id')}")
        class_id = self._taxonomy.resolve(name)
        self._bad["unknown category"] += class_id is None
        is_clean = class_id == self._taxonomy.clean_class.id
        self._append(image, key, name, None if is_clean else self._box(image, entry.get("bbox")))
        return class_id

    def _box(self, image: CocoImage, box: object) -> str | None:
        """The box as the source keeps it, also when it is broken."""
        if not (isinstance(box, list) and len(box) == 4 and all(isinstance(v, int | float) for v in box)):
            self._bad["broken box"] += 1
            return json.dumps(box)
        x, y, width, height = box
        if width <= 0 or height <= 0 or x < 0 or y < 0:
            self._bad["broken box"] += 1
        elif x + width > image.width or y + height > image.height:
            self._bad["box outside its image"] += 1
        return json.dumps({"x": x, "y": y, "width": width, "height": height})

    def _append(self, image: CocoImage, key: str, label: str, box: str | None) -> None:
        self.rows.append(
            {
                "annotation_id": _id(self._data.name, "annotation", str(image.number), key),
                "image_id": _id(self._data.name, "image", image.file_name, image.twin),
                "defect_type": label,
                "bounding_box": box,
                "annotator_id": ANNOTATOR,
                "confidence": 5,
            }
        )


def image_table(data: CocoFile, prefix: str, times: list[int]) -> pa.Table:
    """Returns the rows of ``inspection.image_metadata``."""
    images = data.images
    return pa.table(
        {
            "image_id": [_id(data.name, "image", image.file_name, image.twin) for image in images],
            "production_order_id": [image.group for image in images],
            "machine_id": [image.machine or MACHINE for image in images],
            "camera_id": [image.camera or CAMERA for image in images],
            "part_serial": [Path(image.file_name).stem for image in images],
            "part_type": [data.name] * len(images),
            "capture_timestamp": instants(times),
            "image_path": [prefix + image.file_name for image in images],
        }
    )


def order_table(data: CocoFile, times: list[int]) -> pa.Table:
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


def equipment_table(data: CocoFile) -> pa.Table:
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


def image_times(images: tuple[CocoImage, ...]) -> list[int]:
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
    if any("\0" in name for name in names):
        raise ImportDataError(f"a name holds a zero byte: {names!r}")
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\0".join(names)))
