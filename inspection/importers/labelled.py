"""A labelled data set as every reader gives it, whatever its format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

FORMATS = ("coco", "voc", "yolo", "folder")
"""Names of the formats that `inspection.importers.readers` reads."""


class Box(NamedTuple):
    """A rectangle in pixels from the image's top left corner; finite, which is all that is certain of it."""

    x: float
    y: float
    width: float
    height: float


class BrokenBox(NamedTuple):
    """What stands where a box should; it is loaded as it stands, for the quarantine."""

    text: str


@dataclass(frozen=True)
class Annotation:
    """One mark on an image.

    Attributes:
        key: tells it from the others of its image.
        category: name as the annotator typed it.
        box: None for a label of the whole image.
    """

    key: str
    category: str
    box: Box | BrokenBox | None = None


@dataclass(frozen=True)
class LabelledImage:
    """One image and what is known of it.

    Attributes:
        file_name: relative to the set's folder, with ``/``.
        width: in pixels; likewise `height`. Both are 0 where neither file nor annotation tells.
        group: what the images of one part or place have in common; an image's own name without that.
        twin: "" for the first entry of a file, else which repetition it is.
        captured: time zone aware, None when nothing tells.
        declared_clean: the set itself says that no annotation means no defect.
        annotation_unread: there is an annotation, and it cannot be read: nobody may declare this image clean.
    """

    file_name: str
    width: int
    height: int
    group: str
    annotations: tuple[Annotation, ...] = ()
    twin: str = ""
    captured: datetime | None = None
    declared_clean: bool = False
    annotation_unread: bool = False
    machine: str | None = None
    camera: str | None = None


@dataclass(frozen=True)
class LabelledSet:
    """A whole data set.

    Attributes:
        folder: resolved.
        categories: the names that the set declares, or those in use where it declares none.
        bad: what the reader could not take as it stands, by reason.
    """

    folder: Path
    categories: tuple[str, ...]
    images: tuple[LabelledImage, ...]
    bad: Mapping[str, int]

    @property
    def name(self) -> str:
        """The folder's, in lower case and without blanks."""
        return "-".join(self.folder.name.lower().split())


def with_twins(images: Iterable[LabelledImage]) -> tuple[LabelledImage, ...]:
    """Numbers the entries that name one file again."""
    seen: Counter[str] = Counter()
    told = []
    for image in images:
        repetition, seen[image.file_name] = seen[image.file_name], seen[image.file_name] + 1
        told.append(replace(image, twin=str(repetition) if repetition else ""))
    return tuple(told)
