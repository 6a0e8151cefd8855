"""The files of a data set's folder, and how large its images are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from inspection.errors import ImageError, ImportDataError
from inspection.imaging import inspect_header
from inspection.progress import report

READABLE = (".jpg", ".jpeg", ".png")
"""What the pipeline decodes; other images are loaded and end in quarantine."""

SUFFIXES = (*READABLE, ".bmp", ".tif", ".tiff", ".webp")


def find_files(folder: Path, suffixes: Sequence[str], bad: Counter[str]) -> list[str]:
    """Lists files below a folder, except hidden ones and the copies that macOS puts into archives.

    Args:
        folder: that is searched, without following links to other folders.
        suffixes: in lower case; those of the files may have any.
        bad: counts the names that no table can hold.

    Returns:
        Sorted paths relative to the folder, with ``/``.

    Raises:
        ImportDataError: the folder, or one in it, cannot be listed.
    """

    def stop(error: OSError) -> None:
        raise ImportDataError(f"cannot list {error.filename}: {error.strerror}") from error

    found = []
    for place, folders, names in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        for name in names:
            if name.startswith(".") or Path(name).suffix.lower() not in suffixes:
                continue
            path = (Path(place) / name).relative_to(folder).as_posix()
            if path.encode(errors="ignore").decode() == path:
                found.append(path)
            else:
                bad["file name that is no UTF-8"] += 1
    return sorted(found)


def read_sizes(folder: Path, names: Sequence[str], bad: Counter[str]) -> Mapping[str, tuple[int, int]]:
    """Reads (width, height) in pixels from the files; (0, 0) for one that the pipeline will not read either.

    Args:
        folder: that the names are relative to.
        names: of image files that exist.
        bad: counts the files that cannot be read.

    Raises:
        ImportDataError: none can be read, or the system refuses to open one.
    """
    sizes = {}
    for done, name in enumerate(names, start=1):
        try:
            header = inspect_header((folder / name).read_bytes())
            sizes[name] = (header.width, header.height)
        except ImageError:
            bad["unreadable image file"] += 1
            sizes[name] = (0, 0)
        except FileNotFoundError:  # a link to nothing; whoever links the files counts it
            sizes[name] = (0, 0)
        except OSError as error:
            raise ImportDataError(f"cannot read {folder / name}: {error.strerror}") from error
        report("read sizes", done, len(names))
    if not any(width for width, _ in sizes.values()):
        raise ImportDataError(
            f"none of {len(names)} images below {folder} can be read: JPEG and PNG are accepted"
        )
    return sizes
