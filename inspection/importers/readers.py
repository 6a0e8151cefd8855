"""The readers of labelled data sets by the name of their format."""

from __future__ import annotations

from pathlib import Path

from inspection.errors import ImportDataError
from inspection.importers.coco import read_coco
from inspection.importers.folder import read_folder
from inspection.importers.grouping import GROUP, group_by_path
from inspection.importers.labelled import FORMATS, LabelledSet
from inspection.importers.voc import read_voc
from inspection.importers.yolo import read_yolo

_READERS = {"voc": read_voc, "yolo": read_yolo, "folder": read_folder}


def read_labelled(format_name: str, folder: Path, group: str | None = None) -> LabelledSet:
    """Reads a data set and groups its images.

    Args:
        format_name: one of `FORMATS`.
        folder: of the data set.
        group: for COCO a field of the images, for the others a pattern of the path (`group_by_path`);
            None leaves each image its own order, but for a COCO image with a field ``group``.

    Raises:
        ImportDataError: the format is unknown, or the folder holds no such data set.
    """
    if format_name == "coco":
        return read_coco(folder, group or GROUP)
    if format_name not in _READERS:
        raise ImportDataError(f"no format called {format_name!r}; there are {', '.join(FORMATS)}")
    data = _READERS[format_name](folder)
    return group_by_path(data, group) if group else data
