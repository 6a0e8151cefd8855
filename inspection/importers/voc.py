"""Reader of Pascal VOC annotations: an XML file per image.

Source: Everingham et al., The PASCAL Visual Object Classes Challenge 2012 Development Kit (2011).

- Every XML file and every image below the folder counts, whatever the sub-folders are called, except the
  kit's own masks. An image without an XML file has no annotation.
- An XML file belongs to the image with its own stem, else to the one that its ``filename`` gives; of
  several, to the one whose path has most leading folders in common with the XML file's.
- Coordinates are pixels counted from 1, and ``xmax`` and ``ymax`` are inside the box: its width is
  ``xmax - xmin + 1``. A 0, from a tool that counts from 0, is taken as 1.
- The size is the image file's; ``size`` is what is left where there is no such file.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from os.path import commonpath
from pathlib import Path, PurePosixPath

from inspection.errors import ImportDataError
from inspection.importers.images import SUFFIXES, find_files, read_sizes
from inspection.importers.labelled import (
    Annotation,
    Box,
    BrokenBox,
    LabelledImage,
    LabelledSet,
    with_twins,
)
from inspection.ontology import normalise_label

MASKS = {"SegmentationClass", "SegmentationObject"}
UNNAMED = "object without a name"


def read_voc(folder: Path) -> LabelledSet:
    """Reads a data set.

    Raises:
        ImportDataError: the folder cannot be listed, or holds no annotation or no image that can be read.
    """
    folder, bad = folder.resolve(), Counter[str]()
    files = find_files(folder, (".xml",), bad)
    if not files:
        raise ImportDataError(f"no XML file below {folder}: Pascal VOC has one for each image")
    names = [name for name in find_files(folder, SUFFIXES, bad) if not MASKS.intersection(name.split("/"))]
    if not names:
        raise ImportDataError(f"no image below {folder}: the annotations want theirs")
    sizes = read_sizes(folder, names, bad)
    search = _Search(names)
    images, unread = [], set[str]()
    for file in files:
        root = parse_xml(folder / file)
        if root is None or root.tag != "annotation":
            bad["unreadable annotation file" if root is None else "XML file that is no annotation"] += 1
            unread.update(search(file))
        elif len(found := search(file, _file_name(root))) > 1:
            bad["annotation file that fits several images"] += 1
            unread.update(found)
        else:
            images.append(_image(file, root, found[0] if found else None, sizes, bad))
    if not images:
        raise ImportDataError(f"none of {len(files)} XML files below {folder} is a Pascal VOC annotation")
    told = {image.file_name for image in images}
    images += [
        LabelledImage(name, *sizes[name], group=name, annotation_unread=name in unread)
        for name in names
        if name not in told
    ]
    images.sort(key=lambda image: image.file_name)
    return LabelledSet(folder, _categories(images), with_twins(images), bad)


class _Search:
    """Finds the images that an XML file may mean, by the rule above."""

    def __init__(self, names: Sequence[str]) -> None:
        self._by_stem: defaultdict[str, list[str]] = defaultdict(list)
        self._by_name: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            self._by_stem[PurePosixPath(name).stem].append(name)
            self._by_name[PurePosixPath(name).name].append(name)

    def __call__(self, file: str, named: str = "") -> list[str]:
        """Returns one image, none where there is none, or those that are as near as each other."""
        candidates = self._by_stem.get(PurePosixPath(file).stem) or self._by_name.get(named, [])
        shared = [len(PurePosixPath(commonpath((file, name))).parts) for name in candidates]
        return [name for name, folders in zip(candidates, shared, strict=True) if folders == max(shared)]


def _file_name(root: ET.Element) -> str:
    return PurePosixPath((_text(root, "filename") or "").replace("\\", "/")).name


def _image(
    file: str, root: ET.Element, name: str | None, sizes: Mapping[str, tuple[int, int]], bad: Counter[str]
) -> LabelledImage:
    """Returns what an XML file tells of its image; one without a file gets a name, for the quarantine."""
    told = (_whole(_text(root, "size/width")), _whole(_text(root, "size/height")))
    if name is None:
        path = PurePosixPath(file)
        name, size = (path.parent / (_file_name(root) or path.stem)).as_posix(), told
    else:
        size = sizes[name]
        bad["size unlike the image file's"] += 0 not in (*size, *told) and size != told
    annotations = tuple(
        Annotation(str(n), _text(found, "name") or UNNAMED, _box(found))
        for n, found in enumerate(root.findall("object"))
    )
    return LabelledImage(name, *size, group=name, annotations=annotations)


def parse_xml(path: Path) -> ET.Element | None:
    """Reads an XML file; None when it is none, or brings a document type.

    A document type may define entities that expand without end, and an annotation needs none.

    Raises:
        ImportDataError: the system refuses to open the file.
    """
    try:
        parser = ET.XMLParser(target=_Builder())  # noqa: S314 - without a document type nothing expands
        return ET.parse(path, parser).getroot()  # noqa: S314
    except OSError as error:
        raise ImportDataError(f"cannot read {path}: {error.strerror}") from error
    except (ET.ParseError, ValueError, LookupError):  # the latter two: an encoding that nobody knows
        return None


class _Builder(ET.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError(f"document type {name}")


def _box(found: ET.Element) -> Box | BrokenBox | None:
    if found.find("bndbox") is None:
        return None
    texts = [_text(found, f"bndbox/{edge}") for edge in ("xmin", "ymin", "xmax", "ymax")]
    try:
        left, top, right, bottom = (float(text or "") for text in texts)
    except ValueError:
        return BrokenBox(ascii(texts))
    if not all(map(math.isfinite, (left, top, right, bottom))):
        return BrokenBox(ascii(texts))
    left, top = (1.0 if edge == 0 else edge for edge in (left, top))
    return Box(left - 1, top - 1, right - left + 1, bottom - top + 1)


def _text(element: ET.Element | None, path: str) -> str | None:
    text = None if element is None else element.findtext(path)
    return text.strip() if text else None


def _whole(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


def _categories(images: Sequence[LabelledImage]) -> tuple[str, ...]:
    """Returns the names in use, sorted; of those that differ in case or hyphens alone, one."""
    names = {annotation.category for image in images for annotation in image.annotations} - {UNNAMED}
    return tuple({normalise_label(name): name for name in sorted(names, reverse=True)}.values())[::-1]
