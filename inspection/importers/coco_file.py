"""Reading ``annotations.json`` of a COCO folder; the format is described at cocodataset.org."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from inspection.errors import ImportDataError

FILE = "annotations.json"


@dataclass(frozen=True)
class CocoImage:
    """One entry of ``images``.

    Attributes:
        number: the entry's id.
        file_name: relative to the folder.
        twin: "" for the first entry of a file, else which repetition it is.
        group: what the images of one part or place have in common.
        captured: time zone aware, None when the file tells none.
        declared_clean: the entry says that no annotation means no defect.
    """

    number: int
    file_name: str
    twin: str
    width: int
    height: int
    group: str
    captured: datetime | None
    declared_clean: bool
    machine: str | None
    camera: str | None


@dataclass(frozen=True)
class CocoFile:
    """A whole data set.

    Attributes:
        folder: resolved.
        name: of the folder, in lower case.
        categories: name by id.
        annotations: entries by image id.
        rejected: entries that no source table can hold, by reason.
    """

    folder: Path
    name: str
    images: tuple[CocoImage, ...]
    categories: Mapping[object, str]
    annotations: Mapping[int, tuple[dict[str, Any], ...]]
    rejected: Mapping[str, int]


def read_coco(folder: Path, group_field: str) -> CocoFile:
    """Reads a data set.

    Raises:
        ImportDataError: there is no such file, it is no JSON, or a part of it is not what COCO says.
    """
    document = _document(folder)
    images = _images(document["images"], group_field)
    known = {image.number for image in images}
    annotations: dict[int, list[dict[str, Any]]] = {}
    rejected: Counter[str] = Counter()
    for number, entry in enumerate(document["annotations"]):
        if not isinstance(entry, dict):
            raise ImportDataError(f"{FILE}: annotations[{number}] is no object")
        if entry.get("image_id") in known:
            annotations.setdefault(entry["image_id"], []).append(entry)
        else:
            rejected["annotation of an unknown image"] += 1
    return CocoFile(
        folder=folder.resolve(),
        name="-".join(folder.resolve().name.lower().split()),
        images=images,
        categories=_categories(document["categories"]),
        annotations={number: tuple(entries) for number, entries in annotations.items()},
        rejected={**rejected, "image twice": sum(bool(image.twin) for image in images)},
    )


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


def _images(entries: list[Any], group_field: str) -> tuple[CocoImage, ...]:
    seen: Counter[str] = Counter()
    numbers: set[int] = set()
    images = []
    for position, entry in enumerate(entries):
        try:
            image = _image(entry, group_field, seen)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ImportDataError(f"{FILE}: images[{position}] {reason}") from error
        if image.number in numbers:
            raise ImportDataError(f"{FILE}: images[{position}] repeats the id {image.number}")
        numbers.add(image.number)
        images.append(image)
    return tuple(images)


def _image(entry: dict[str, Any], group_field: str, seen: Counter[str]) -> CocoImage:
    name = str(PurePosixPath(entry["file_name"]))
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        raise ValueError(f"names a file outside the folder: {name}")
    repetition, seen[name] = seen[name], seen[name] + 1
    group = entry.get(group_field)
    return CocoImage(
        number=int(entry["id"]),
        file_name=name,
        twin=str(repetition) if repetition else "",
        width=int(entry["width"]),
        height=int(entry["height"]),
        group=str(group) if group not in (None, "") else name,
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
