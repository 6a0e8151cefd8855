"""The monthly calibration files of the simulated cameras."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from inspection.simulation.cameras import CAMERAS, REFERENCE_WIDTH

CONFIG_HEADER = ("camera_id", "line_id", "plant_id", "model", "width", "height", "fps", "effective_from")
LENS_HEADER = ("camera_id", "k1", "k2", "p1", "p2", "k3", "fx", "fy", "cx", "cy", "calibrated_at")
SCALE = "px_per_mm"
"""Our addition to the plant's columns; files without it are as valid."""
MONTHS = 7


def write_calibration(folder: Path, as_of: datetime, size: tuple[int, int]) -> None:
    """Writes ``camera_config.csv`` and ``lens_distortion_params.csv``, with a row per camera and month.

    Args:
        folder: made if it is missing.
        as_of: the newest calibration is of this month's first day.
        size: (width, height) of the images in pixels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    width, height = size
    first = next(iter(_months(as_of, MONTHS)))
    model, unit = f"linecam-{width}x{height}", width / REFERENCE_WIDTH
    config = [
        (c.camera_id, c.line_id, c.plant_id, model, width, height, 4, first.isoformat(),
         round(c.px_per_mm * unit, 6))
        for c in CAMERAS
    ]  # fmt: skip
    focal = {c: round(3.1 * width * c.px_per_mm / CAMERAS[0].px_per_mm, 2) for c in CAMERAS}
    lens = [
        # The pictures are drawn without distortion, and so the files say none.
        (c.camera_id, 0.0, 0.0, 0.0, 0.0, 0.0, focal[c], focal[c], width / 2, height / 2, day.isoformat())
        for day in _months(as_of, MONTHS)
        for c in CAMERAS
    ]  # fmt: skip
    write_csv(folder / "camera_config.csv", (*CONFIG_HEADER, SCALE), config)
    write_csv(folder / "lens_distortion_params.csv", LENS_HEADER, lens)


def _months(as_of: datetime, count: int) -> Iterator[datetime]:
    day = as_of.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    days = [day]
    for _ in range(count - 1):
        days.append((days[-1] - timedelta(days=1)).replace(day=1))
    return reversed(days)


def write_csv(path: Path, header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    """Writes a CSV file with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
