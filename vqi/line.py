"""The parts that `vqi simulate line` puts in front of its cameras."""

from __future__ import annotations

from pathlib import Path

import psycopg2

from inspection.errors import InsufficientDataError
from inspection.settings import Settings
from inspection.simulation.line import LinePart

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
NEWEST = """
    select image_id::text, image_path, camera_id, part_type, coalesce(part_serial, '')
    from inspection.image_metadata
    where capture_timestamp <= now()
    order by capture_timestamp desc, image_id
"""


def newest_parts(settings: Settings, count: int) -> list[LinePart]:
    """Returns the `count` newest parts whose image is there, oldest first.

    Raises:
        InsufficientDataError: the plant has no images.
    """
    found: list[LinePart] = []
    connection = psycopg2.connect(settings.dsn("quality_vision"))
    with connection, connection.cursor() as cursor:
        cursor.execute("select to_regclass('inspection.image_metadata') is not null")
        if cursor.fetchall() == [(True,)]:
            cursor.execute(NEWEST)
            for image_id, path, camera_id, part_type, serial in cursor:
                file = settings.images / path
                if file.is_file():
                    found.append(LinePart(image_id, file, camera_id, part_type, serial))
                if len(found) == count:
                    break
    connection.close()
    if not found:
        raise InsufficientDataError("the plant has no images: run `vqi simulate plant` or import some first")
    return found[::-1]


def parts_of(folder: Path, cameras: int) -> list[LinePart]:
    """Returns a part for each image of a folder, before so many cameras in turn.

    Raises:
        InsufficientDataError: there is no image.
    """
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise InsufficientDataError(f"no image in {folder}: it takes {', '.join(IMAGE_SUFFIXES)}")
    return [
        LinePart(file.name, file, f"cam-{number % cameras + 1}", None, file.stem)
        for number, file in enumerate(files)
    ]
