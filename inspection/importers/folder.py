"""Reader of class folders: an image's label is the name of the folder that it lies in.

- The class is the first folder of the path, or the first one after a folder that is called as a part of
  the set is (train, test, ...). An image that lies in no class has no annotation.
- The label has no box, unless masks come with it as in MVTec AD (Bergmann et al., CVPR 2019): for
  ``test/NAME/000.png`` the image ``ground_truth/NAME/000_mask.png`` of the same size. Each connected
  component of its pixels above 0 (8 neighbours) is an annotation with the component's box.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from inspection.errors import ImageError, ImportDataError
from inspection.imaging import inspect_header
from inspection.importers.images import SUFFIXES, find_files, read_sizes
from inspection.importers.labelled import Annotation, Box, LabelledImage, LabelledSet

PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}
MASKS = "ground_truth"


def read_folder(folder: Path) -> LabelledSet:
    """Reads a data set.

    Raises:
        ImportDataError: the folder cannot be listed, no image lies in a folder of a class, or none can be
            read.
    """
    folder, bad = folder.resolve(), Counter[str]()
    found = find_files(folder, SUFFIXES, bad)
    names = [name for name in found if MASKS not in name.split("/")[:-1]]
    classes = {name: class_folder(name) for name in names}
    categories = tuple(sorted({label for label in classes.values() if label is not None}))
    if not categories:
        raise ImportDataError(f"no image below {folder} lies in a folder of its class")
    sizes = read_sizes(folder, names, bad)
    masks = _masks(names, sorted(set(found) - set(names)), bad)
    images = []
    for name in names:
        label, size = classes[name], sizes[name]
        boxes = _boxes(folder / masks[name], size, bad) if name in masks and label is not None else []
        marks = [Annotation(str(n), label, box) for n, box in enumerate(boxes or [None]) if label is not None]
        images.append(LabelledImage(name, *size, group=name, annotations=tuple(marks)))
    return LabelledSet(folder, categories, tuple(images), bad)


def class_folder(name: str) -> str | None:
    """Returns the folder that is the class of an image, given its path; None without one."""
    folders = PurePosixPath(name).parts[:-1]
    parts = [place for place, folder in enumerate(folders) if folder.lower() in PARTS]
    start = parts[-1] + 1 if parts else 0
    return folders[start] if start < len(folders) else None


def _masks(names: list[str], masks: list[str], bad: Counter[str]) -> dict[str, str]:
    """Returns the mask of each image that has one; a mask that fits several images is nobody's."""
    by_key: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        by_key[_key(name, PARTS)].append(name)
    found = {}
    for mask in masks:
        key = _key(mask, {*PARTS, MASKS})
        owners = by_key.get(key.removesuffix("_mask")) or by_key.get(key, [])
        if len(owners) == 1:
            found[owners[0]] = mask
        else:
            bad["mask that fits several images" if owners else "mask without an image"] += 1
    return found


def _key(name: str, without: set[str]) -> str:
    path = PurePosixPath(name)
    return "/".join([*(part for part in path.parts[:-1] if part.lower() not in without), path.stem])


def _boxes(mask: Path, size: tuple[int, int], bad: Counter[str]) -> list[Box]:
    """Returns a box for each component of a mask; none, and a count, where it tells none."""
    try:
        data = mask.read_bytes()
        header = inspect_header(data)
    except OSError as error:
        raise ImportDataError(f"cannot read {mask}: {error.strerror}") from error
    except ImageError:
        bad["unreadable mask"] += 1
        return []
    if (header.width, header.height) != size:
        bad["mask of another size than its image"] += 1
        return []
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        bad["unreadable mask"] += 1
        return []
    _, _, found, _ = cv2.connectedComponentsWithStats((pixels > 0).astype(np.uint8), connectivity=8)
    boxes = [Box(*map(float, component[:4])) for component in found[1:]]  # the first is the background
    bad["mask without a marked pixel"] += not boxes
    return boxes
