"""Calibration files for a data set that brings none: its cameras, taken as free of distortion."""

from __future__ import annotations

from datetime import UTC, datetime

from inspection.importers.labelled import LabelledSet
from inspection.importers.rows import CAMERA, LINE
from inspection.settings import Settings
from inspection.simulation.calibration import CONFIG_HEADER, LENS_HEADER, write_csv


def write_import_calibration(settings: Settings, data: LabelledSet, first_time: int) -> bool:
    """Writes the two calibration files unless a folder of the plant's own is configured.

    The size is the largest of a camera's images, which may differ; the focal length is its width, and all
    distortion is 0.

    Args:
        settings: gives the calibration folder.
        data: the data set.
        first_time: of its images, milliseconds since 1970.

    Returns:
        True when the files were written.
    """
    if settings.calibration_dir is not None:
        return False
    sizes: dict[str, tuple[int, int]] = {}
    for image in data.images:
        width, height = sizes.get(image.camera or CAMERA, (0, 0))
        sizes[image.camera or CAMERA] = (max(width, image.width), max(height, image.height))
    since = datetime.fromtimestamp(first_time / 1000, UTC).isoformat()
    config = [(name, LINE, data.name, "unknown", w, h, 0, since) for name, (w, h) in sizes.items()]
    lens = [
        (name, 0.0, 0.0, 0.0, 0.0, 0.0, float(w), float(w), w / 2, h / 2, since)
        for name, (w, h) in sizes.items()
    ]
    settings.calibration.mkdir(parents=True, exist_ok=True)
    write_csv(settings.calibration / "camera_config.csv", CONFIG_HEADER, config)
    write_csv(settings.calibration / "lens_distortion_params.csv", LENS_HEADER, lens)
    return True
