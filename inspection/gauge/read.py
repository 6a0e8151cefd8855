"""From image bytes to a reading: decode, find the edges, undistort them, measure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.gauge.calibration import Camera
from inspection.gauge.measure import Edges, Found, measure_edges
from inspection.gauge.plan import PartPlan, Plan
from inspection.gauge.reading import Measured, PixelBox, Reading
from inspection.gauge.silhouette import Silhouette, find_silhouette
from inspection.gauge.specification import Specification
from inspection.imaging import Header, decode, inspect_header

Points = NDArray[np.float64]

NO_PART_TYPE = "the part type was not told"
NO_PLAN = "no measurement plan of the part type"
NO_SPECIFICATION = "no specification of the planned dimensions"
OTHER_FRAME = "the image has another shape than the camera's frame"
NO_OUTLINE = "no outline of a part"

PIXELS_PER_TOLERANCE = 2.5
"""A JPEG is decoded at the smallest fraction that leaves a tolerance this many pixels. With 0.8 mm that is
at most 0.32 mm per pixel; an edge is then found to about a tenth of that. Twelve megapixels of a 300 mm
wide frame are decoded at a quarter, 0.29 mm per pixel."""


def measure(
    image: bytes,
    part_type: str | None,
    camera_id: str,
    camera: Camera | str,
    specifications: Mapping[str, Specification],
    plan: Plan,
) -> Reading:
    """Measures the part in an image.

    Args:
        image: the file, JPEG or PNG.
        part_type: as told; None if it was not.
        camera_id: told in the reading.
        camera: its calibration, or why there is none.
        specifications: by part type.
        plan: where what is measured.

    Returns:
        All planned dimensions that have a specification; or none, with the reason.

    Raises:
        ImageError: the bytes are no usable image. Where the image does not matter it is not looked at.
    """
    nothing = Reading(part_type=part_type, camera_id=camera_id)
    wanted = planned(part_type, camera, specifications, plan)
    if isinstance(wanted, str):
        return nothing.without(wanted)
    part, specification, calibration = wanted
    header = inspect_header(image)
    if not calibration.fits(header.width, header.height):
        return nothing.without(OTHER_FRAME)
    nominal = {n: specification.nominal[n] for n in part.dimensions if n in specification.tolerance}
    grey = _decode(image, header, calibration, min(specification.tolerance[n] for n in nominal))
    silhouette = find_silhouette(grey)
    if silhouette is None:
        return nothing.without(NO_OUTLINE)
    pixels = _as_sent(silhouette, header, grey)
    millimetres = [calibration.millimetres(edge, header.width) for edge in pixels]
    edges = Edges(millimetres[0], tuple(millimetres[1:]))
    found = measure_edges(edges, part, nominal, plan.search_mm)
    dimensions = []
    for name, dimension in found.items():
        if dimension is None:
            return nothing.without(f"{name} was not found")
        dimensions.append(_measured(name, dimension, specification, pixels, header))
    return nothing.model_copy(update={"dimensions": tuple(dimensions)})


def planned(
    part_type: str | None, camera: Camera | str, specifications: Mapping[str, Specification], plan: Plan
) -> tuple[PartPlan, Specification, Camera] | str:
    """Returns what a part is held against and seen by, or why it cannot be measured whatever the image."""
    if part_type is None:
        return NO_PART_TYPE
    part, specification = plan.parts.get(part_type), specifications.get(part_type)
    if part is None:
        return NO_PLAN
    if specification is None or not set(part.dimensions) & set(specification.tolerance):
        return NO_SPECIFICATION
    return camera if isinstance(camera, str) else (part, specification, camera)


def _decode(image: bytes, header: Header, camera: Camera, tolerance: float) -> NDArray[np.uint8]:
    scale = camera.px_per_mm * header.width / camera.width
    fraction = min(1.0, PIXELS_PER_TOLERANCE / (scale * tolerance))
    wanted = math.ceil(fraction * header.width), math.ceil(fraction * header.height)
    pixels = decode(image, header, min_width=wanted[0], min_height=wanted[1])
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def _as_sent(silhouette: Silhouette, header: Header, grey: NDArray[np.uint8]) -> list[Points]:
    """The edges in pixels of the image as sent, the outline first."""
    scale = np.array([header.width / grey.shape[1], header.height / grey.shape[0]])
    return [(edge + 0.5) * scale - 0.5 for edge in (silhouette.outer, *silhouette.holes)]


def _measured(
    name: str, found: Found, specification: Specification, pixels: list[Points], header: Header
) -> Measured:
    points = pixels[found.edge][found.points]
    limit = np.array([header.width, header.height])
    low = np.clip(np.floor(points.min(axis=0) + 0.5), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(points.max(axis=0) + 0.5), low + 1, limit).astype(int)
    return Measured(
        dimension=name,
        measured_mm=found.size,
        nominal_mm=specification.nominal[name],
        tolerance_mm=specification.tolerance[name],
        box=PixelBox(int(low[0]), int(low[1]), *(int(n) for n in high - low)),
    )
