"""Reader of a COCO folder: ``annotations.json`` and the images that it names.

The format is described at cocodataset.org. Beyond it, an image may have a field that names its group, and
``date_captured``, ``no_defect_is_inferred``, ``machine_id``, ``camera_id``.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from inspection.errors import ImportDataError
from inspection.importers.grouping import GROUP
from inspection.importers.labelled import (
    Annotation,
    Box,
    BrokenBox,
    LabelledImage,
    LabelledSet,
    with_twins,
)

FILE = "annotations.json"


def read_coco(folder: Path, group_field: str = GROUP) -> LabelledSet:
    """Reads a data set.

    Args:
        folder: holds the file.
        group_field: of an image, what it has in common with others; without it, it is its own group.

    Raises:
        ImportDataError: there is no such file, it is no JSON, or a part of it is not what COCO says.
    """
    document = _document(folder)
    bad: Counter[str] = Counter()
    categories = _categories(document["categories"])
    annotations = _annotations(document, categories, bad)
    images = _images(document["images"], annotations, group_field)
    bad["annotation of an unknown image"] += sum(map(len, annotations.values()))
    return LabelledSet(folder.resolve(), tuple(categories.values()), images, bad)


def _document(folder: Path) -> dict[str, list[Any]]:
    path = folder / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ImportDataError(f"no readable {FILE} in {folder}: a COCO folder holds one") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ImportDataError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise ImportDataError(f"{path} holds no object: COCO has images, annotations and categories")
    for key in ("images", "annotations", "categories"):
        if not isinstance(document.get(key), list):
            raise ImportDataError(f"{path} has no list {key!r}: COCO has images, annotations and categories")
    if not document["images"]:
        raise ImportDataError(f"{path} names no image")
    return document


def _annotations(
    document: Mapping[str, list[Any]], categories: Mapping[object, str], bad: Counter[str]
) -> dict[object, list[Annotation]]:
    """Returns the annotations by image id."""
    found: dict[object, list[Annotation]] = {}
    for number, entry in enumerate(document["annotations"]):
        if not isinstance(entry, dict):
            raise ImportDataError(f"{FILE}: annotations[{number}] is no object")
        of_image = found.setdefault(_hashable(entry.get("image_id")), [])
        category = _hashable(entry.get("category_id"))
        name = categories.get(category, f"category {category}")
        box = _box(entry.get("bbox"))
        of_image.append(Annotation(str(entry.get("id", len(of_image))), name, box))
    return found


def _hashable(value: object) -> object:
    return value if isinstance(value, int | float | str) else ascii(value)


def _box(value: object) -> Box | BrokenBox | None:
    if value is None:
        return None
    if (
        isinstance(value, list)
        and len(value) == 4
        and all(isinstance(number, int | float) and math.isfinite(number) for number in value)
    ):
        return Box(*value)
    return BrokenBox(ascii(value))


def _images(
    entries: list[Any], annotations: dict[object, list[Annotation]], group_field: str
) -> tuple[LabelledImage, ...]:
    """Returns the images; takes their annotations out of what is handed over."""
    numbers: set[int] = set()
    images = []
    for position, entry in enumerate(entries):
        try:
            number = int(entry["id"])
            if number in numbers:
                raise ValueError(f"repeats the id {number}")
            numbers.add(number)
            images.append(_image(entry, tuple(annotations.pop(number, ())), group_field))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ImportDataError(f"{FILE}: images[{position}] {reason}") from error
    return with_twins(images)


def _image(entry: dict[str, Any], annotations: tuple[Annotation, ...], group_field: str) -> LabelledImage:
    name = str(PurePosixPath(entry["file_name"]))
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        raise ValueError(f"names a file outside the folder: {name}")
    group = entry.get(group_field)
    return LabelledImage(
        file_name=name,
        width=int(entry["width"]),
        height=int(entry["height"]),
        group=str(group) if group not in (None, "") else name,
        annotations=annotations,
        captured=_time(entry.get("date_captured")),
        declared_clean=entry.get("no_defect_is_inferred") is True,
        machine=entry.get("machine_id"),
        camera=entry.get("camera_id"),
    )


def _time(text: object) -> datetime | None:
    if text in (None, "", 0):
        return None
    moment = datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _categories(entries: list[Any]) -> dict[object, str]:
    try:
        return {entry["id"]: str(entry["name"]) for entry in entries}
    except (KeyError, TypeError) as error:
        raise ImportDataError(f"{FILE}: each category needs an id and a name") from error
