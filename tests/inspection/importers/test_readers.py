"""The same data in each format gives the same rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.errors import ImportDataError
from inspection.importers.labelled import FORMATS, LabelledSet
from inspection.importers.readers import read_labelled
from inspection.importers.rows import AnnotationRows, image_table, image_times, order_table
from inspection.importers.taxonomy import derive_ontology
from tests.inspection.importers.sets import picture, text, voc_xml

CLASSES = ("dent", "deep hole")
WIDTH, HEIGHT = 200, 100

Mark = tuple[str, int, int, int, int]
"""Class, x, y, width, height."""


@st.composite
def marks(draw: st.DrawFn) -> Mark:
    x, y = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
    width, height = draw(st.integers(1, WIDTH - x)), draw(st.integers(1, HEIGHT - y))
    return draw(st.sampled_from(CLASSES)), x, y, width, height


def rows(data: LabelledSet) -> tuple[list[dict[str, Any]], ...]:
    """Returns annotations without their own ids, images and orders, of one taxonomy."""
    annotations = AnnotationRows(data, derive_ontology("set", CLASSES), True, Counter())
    for image in data.images:
        annotations.add(image)
    for row in annotations.rows:
        del row["annotation_id"]
        row["bounding_box"] = json.loads(row["bounding_box"] or "null")
    times = image_times(data.images)
    return (
        annotations.rows,
        image_table(data, "set/", times).to_pylist(),
        order_table(data, times).to_pylist(),
    )


def write_all(root: Path, images: list[list[Mark]]) -> None:
    """Writes the images, with their marks as COCO, VOC and YOLO tell them."""
    coco: dict[str, list[dict[str, Any]]] = {
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES)],
        "images": [],
        "annotations": [],
    }
    for number, found in enumerate(images):
        picture(root / f"images/{number}.png", number, (WIDTH, HEIGHT))
        entry = {"id": number, "file_name": f"images/{number}.png", "width": WIDTH, "height": HEIGHT}
        coco["images"].append(entry)
        coco["annotations"] += [
            {"id": n, "image_id": number, "category_id": CLASSES.index(label), "bbox": box}
            for n, (label, *box) in enumerate(found)
        ]
        corners = [(label, x + 1, y + 1, x + width, y + height) for label, x, y, width, height in found]
        text(root / f"Annotations/{number}.xml", voc_xml(f"{number}.png", *corners))
        lines = (
            f"{CLASSES.index(label)} {(x + w / 2) / WIDTH:.6f} {(y + h / 2) / HEIGHT:.6f} "
            f"{w / WIDTH:.6f} {h / HEIGHT:.6f}\n"
            for label, x, y, w, h in found
        )
        text(root / f"labels/{number}.txt", "".join(lines))
    text(root / "annotations.json", json.dumps(coco))
    text(root / "data.yaml", f"names: {json.dumps(CLASSES)}\ntrain: images\n")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(marks(), max_size=3), min_size=1, max_size=3))
def test_one_set_in_three_formats(images: list[list[Mark]]) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        write_all(root, images)
        coco, voc, yolo = (rows(read_labelled(name, root)) for name in ("coco", "voc", "yolo"))
    assert voc == coco
    assert yolo == coco
    told = [(r["defect_type"], *(r["bounding_box"] or {}).values()) for r in coco[0]]
    assert told == [mark for found in images for mark in found or [("no defect",)]]


def test_class_folders_tell_what_labels_of_whole_images_tell(tmp_path: Path) -> None:
    labels = {"deep hole/1.png": "deep hole", "dent/0.png": "dent", "dent/2.png": "dent"}
    document: dict[str, list[dict[str, Any]]] = {
        "categories": [{"id": name, "name": name} for name in CLASSES],
        "images": [],
        "annotations": [],
    }
    for number, (name, label) in enumerate(labels.items()):
        picture(tmp_path / name, number)
        document["images"].append({"id": number, "file_name": name, "width": 200, "height": 100})
        document["annotations"].append({"id": number, "image_id": number, "category_id": label})
    text(tmp_path / "annotations.json", json.dumps(document))
    assert rows(read_labelled("folder", tmp_path)) == rows(read_labelled("coco", tmp_path))


def test_an_unknown_format_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ImportDataError, match=", ".join(FORMATS)):
        read_labelled("tiff", tmp_path)
