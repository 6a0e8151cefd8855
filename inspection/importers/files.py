"""Putting a data set's image files where the pipeline reads them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inspection.errors import ImportDataError
from inspection.progress import report
from inspection.settings import Settings


@dataclass(frozen=True)
class Placement:
    """Where the files are.

    Attributes:
        prefix: of each image path below the image root.
        in_place: True when nothing was linked or copied.
        missing: names without a file.
    """

    prefix: str
    in_place: bool
    missing: int


def place_images(settings: Settings, folder: Path, names: Sequence[str]) -> Placement:
    """Makes a data set's files readable below the image root.

    A folder inside the image root is used as it is. Otherwise the files are hard-linked below the local
    image folder, or copied where the file system cannot link: unlike a symbolic link, either stays whole
    when the data set's folder is moved, and looks like a plain file to a container or an object store.

    Args:
        settings: gives the image root.
        folder: of the data set, resolved.
        names: of the files, relative to the folder.

    Raises:
        ImportDataError: an image root is configured and the folder lies outside it.
    """
    root = settings.images
    missing = sum(not (folder / name).is_file() for name in names)
    if folder.is_relative_to(root):
        relative = folder.relative_to(root).as_posix()
        return Placement("" if relative == "." else f"{relative}/", in_place=True, missing=missing)
    if settings.image_root is not None:
        raise ImportDataError(f"{folder} lies outside the image root {root}: set VQI_IMAGE_ROOT={folder}")
    for done, name in enumerate(names, start=1):
        if (folder / name).is_file():
            _link(folder / name, root / folder.name / name)
        report("import", done, len(names))
    return Placement(f"{folder.name}/", in_place=False, missing=missing)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or links to other people's files are forbidden
        shutil.copyfile(source, target)
