"""Small data sets on disk for the readers' tests, and what the database holds after an import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psycopg2

from inspection.settings import Settings

IMAGES = """select image_path, production_order_id, part_type, part_serial, machine_id, camera_id
    from inspection.image_metadata order by image_path, image_id"""
ANNOTATIONS = """select m.image_path, a.defect_type, a.bounding_box, a.confidence
    from inspection.defect_annotations a join inspection.image_metadata m using (image_id)
    order by 1, 2, 3"""


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (200, 100)) -> Path:
    """Writes an image of (width, height); each seed has another content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1] // 10, size[0] // 10), dtype=np.uint8)
    assert cv2.imwrite(str(path), cv2.resize(pixels, size, interpolation=cv2.INTER_NEAREST))
    return path


def text(path: Path, content: str) -> Path:
    """Writes a text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def voc_xml(name: str, *objects: tuple[str, object, object, object, object], size: str = "200 100") -> str:
    """Returns an annotation with (class, xmin, ymin, xmax, ymax) of each object."""
    width, height = size.split()
    marks = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax>"
        f"<ymax>{y2}</ymax></bndbox></object>"
        for label, x1, y1, x2, y2 in objects
    )
    return (
        f"<annotation><filename>{name}</filename><size><width>{width}</width><height>{height}</height>"
        f"<depth>3</depth></size>{marks}</annotation>"
    )


def query(settings: Settings, database: str, statement: str) -> list[tuple[Any, ...]]:
    """Returns the rows of a query."""
    with psycopg2.connect(settings.dsn(database)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        rows = cursor.fetchall()
    connection.close()
    return rows
