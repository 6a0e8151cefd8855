"""Reader of a YOLO data set: ``data.yaml`` and a text file with normalised boxes per image.

The format is described at docs.ultralytics.com/datasets.

- The images are those below ``train``, ``val`` and ``test`` of ``data.yaml``, folders or lists; without
  any of the three, all below the folder.
- An image's labels stand in a file with its stem and ``.txt``: beside it, or where the last folder called
  ``images`` of its path is called ``labels``. Without such a file, or with an empty one, it has none.
- A line is a class index and ``cx cy width height``, or the corners ``x1 y1 x2 y2 x3 y3 ...`` of a polygon,
  whose bounding box is taken. All are shares of the image's width and height.
- Boxes are rounded to a hundredth of a pixel; one that leaves the image by half a pixel at most, which the
  usual six decimals allow, is cut there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from inspection.errors import ImportDataError
from inspection.importers.images import SUFFIXES, find_files, read_sizes
from inspection.importers.labelled import Annotation, Box, BrokenBox, LabelledImage, LabelledSet

FILE = "data.yaml"
PARTS = ("train", "val", "test")
TOLERANCE = 0.5


def read_yolo(folder: Path) -> LabelledSet:
    """Reads a data set.

    Raises:
        ImportDataError: there is no usable ``data.yaml``, or no image that can be read.
    """
    folder, bad = folder.resolve(), Counter[str]()
    document = _document(folder)
    classes = _classes(document.get("names"))
    there = find_files(folder, SUFFIXES, bad)
    names = _chosen(folder, document, there, bad)
    if not names:
        raise ImportDataError(f"no image in the folders that {folder / FILE} names")
    sizes = read_sizes(folder, names, bad)
    texts = set(find_files(folder, (".txt",), bad))
    orphans = texts - {label_file(name) for name in there}
    bad["label file without an image"] += sum("labels" in PurePosixPath(text).parts[:-1] for text in orphans)
    bad[f"image outside the paths of {FILE}"] += len(there) - len(names)
    images = tuple(_image(folder, name, sizes[name], classes, texts, bad) for name in names)
    return LabelledSet(folder, tuple(classes.values()), images, bad)


def label_file(name: str) -> str:
    """Returns where the labels of an image stand, relative to the folder as `name` is."""
    parts = list(PurePosixPath(name).with_suffix(".txt").parts)
    folders = [number for number, part in enumerate(parts[:-1]) if part == "images"]
    if folders:
        parts[folders[-1]] = "labels"
    return "/".join(parts)


def _document(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ImportDataError(f"no readable {FILE} in {folder}: a YOLO data set has one") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ImportDataError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ImportDataError(f"{path} holds no mapping: it has names, and train, val and test")
    return document


def _classes(names: object) -> dict[int, str]:
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise ImportDataError(f"{FILE}: names is no list and no mapping of class names")
    for number, name in names.items():
        if not isinstance(number, int) or not isinstance(name, str):
            raise ImportDataError(f"{FILE}: names[{number!r}] is {name!r}: an index and a text in quotes")
    return dict(sorted(names.items()))


def _chosen(folder: Path, document: Mapping[str, Any], there: Sequence[str], bad: Counter[str]) -> list[str]:
    """Returns the images that ``data.yaml`` names, of those that are there."""
    entries = [document[part] for part in PARTS if document.get(part)]
    paths = [path for entry in entries for path in (entry if isinstance(entry, list) else [entry])]
    if not paths:
        return list(there)
    base = _inside(folder, folder, str(document.get("path") or ".")) or folder
    chosen: set[str] = set()
    for path in map(str, paths):
        found = _inside(folder, base, path)
        if found is None:
            bad[f"path of {FILE} that is not there"] += 1
        elif found.is_dir():
            prefix = found.relative_to(folder)
            chosen.update(name for name in there if PurePosixPath(name).is_relative_to(prefix))
        else:
            chosen.update(_listed(folder, found, set(there), bad))
    return sorted(chosen)


def _inside(folder: Path, base: Path, path: str) -> Path | None:
    """Finds a path of ``data.yaml`` below the folder.

    It may be relative to the base or to the folder, and begin with ``..``, as exports whose ``data.yaml``
    was meant to lie a level deeper have it.
    """
    inner = PurePosixPath(*(part for part in PurePosixPath(path).parts if part != ".."))
    for candidate in (base / path, folder / path, folder / inner):
        resolved = candidate.resolve()
        if resolved.is_relative_to(folder) and resolved.exists():
            return resolved
    return None


def _listed(folder: Path, file: Path, there: set[str], bad: Counter[str]) -> set[str]:
    """Returns the images that a list names, a path a line, relative to the list."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ImportDataError(f"{FILE} names {file}, which is no list of images: {error}") from error
    found = set()
    for line in filter(None, map(str.strip, lines)):
        image = _inside(folder, file.parent, line)
        name = image.relative_to(folder).as_posix() if image else ""
        bad["image of a list that is not there"] += name not in there
        found.add(name)
    return found & there


def _image(
    folder: Path,
    name: str,
    size: tuple[int, int],
    classes: Mapping[int, str],
    texts: set[str],
    bad: Counter[str],
) -> LabelledImage:
    annotations: tuple[Annotation, ...] = ()
    unread = False
    if (file := label_file(name)) in texts:
        try:
            lines = (folder / file).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ImportDataError(f"cannot read {folder / file}: {error.strerror}") from error
        except UnicodeDecodeError:
            bad["unreadable annotation file"] += 1
            lines, unread = [], True
        filled = [line for line in lines if line.strip()]
        annotations = tuple(_annotation(str(n), line, size, classes) for n, line in enumerate(filled))
    return LabelledImage(name, *size, group=name, annotations=annotations, annotation_unread=unread)


def _annotation(key: str, line: str, size: tuple[int, int], classes: Mapping[int, str]) -> Annotation:
    index, *words = line.split()
    category = classes.get(int(index)) if index.isdecimal() else None
    return Annotation(key, category or f"class {index}", _box(words, size))


def _box(words: Sequence[str], size: tuple[int, int]) -> Box | BrokenBox:
    """Returns the box in pixels; it cannot be told in an image without a size."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return BrokenBox(ascii(words))
    is_polygon = len(numbers) >= 6 and len(numbers) % 2 == 0
    if not (len(numbers) == 4 or is_polygon) or not all(map(math.isfinite, numbers)) or 0 in size:
        return BrokenBox(ascii(words))
    if is_polygon:
        left, right = min(numbers[::2]), max(numbers[::2])
        top, bottom = min(numbers[1::2]), max(numbers[1::2])
    else:
        x, y, width, height = numbers
        left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    left, right = _cut(left * size[0], size[0]), _cut(right * size[0], size[0])
    top, bottom = _cut(top * size[1], size[1]), _cut(bottom * size[1], size[1])
    return Box(left, top, round(right - left, 2), round(bottom - top, 2))


def _cut(edge: float, length: int) -> float:
    inside = min(max(edge, 0.0), float(length))
    return round(inside if abs(edge - inside) <= TOLERANCE else edge, 2)
