"""What a model's numbers say about one part. Pure functions: no clock, no files, no state.

probabilities, activation maps, measurements --judge--> Judgement --verdict.decide--> Verdict
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.bundle import BundleManifest
from inspection.errors import BundleError
from inspection.gauge.reading import Measurement, Measurements
from inspection.imaging import Frame

Array = NDArray[np.float32]


class Prediction(StrEnum):
    """What the model thinks of a part."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"


class Action(StrEnum):
    """What happens to a part."""

    ACCEPT = "ACCEPT"
    REWORK = "REWORK"
    SCRAP = "SCRAP"
    HUMAN_INSPECTION = "HUMAN_INSPECTION"


class BoundingBox(NamedTuple):
    """A rectangle inside the image as sent; whole pixels, at least one each way."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Defect:
    """A class that reached its threshold.

    Attributes:
        confidence: calibrated probability, 0 to 1.
        area_percentage: share of the image as sent that the box covers, 0 to 100.
        measurement: what the gauge found; None where the network speaks. The box is then the measured
            feature's.
    """

    defect_class: str
    confidence: float
    severity: str
    bounding_box: BoundingBox
    area_percentage: float
    measurement: Measurement | None = None


@dataclass(frozen=True)
class Judgement:
    """What the model says of one part.

    Attributes:
        defects: the classes that reached their threshold, most probable first.
        overall_confidence: on FAIL the highest probability among `defects`, on PASS 1 - the highest
            probability of any class.
        probabilities: calibrated, by class.
        recommended_action: what follows from the defects alone: ACCEPT, REWORK or SCRAP.
    """

    prediction: Prediction
    defects: tuple[Defect, ...]
    overall_confidence: float
    probabilities: dict[str, float]
    recommended_action: Action


def judge(
    probabilities: Array,
    maps: Array,
    manifest: BundleManifest,
    frame: Frame,
    measurements: Measurements = MappingProxyType({}),
) -> Judgement:
    """Reads the model's outputs for one part.

    Args:
        probabilities: calibrated, the gauge's where it speaks (`inspection.gauge.gauge.combined`),
            float32 [C], in [0, 1].
        maps: activation maps over the frame's window, float32 [C, h, w], in [0, 1].
        manifest: gives classes, thresholds, box threshold and ontology.
        frame: what the model saw and where that lies in the image as sent.
        measurements: of the classes that the gauge speaks for.

    Raises:
        BundleError: the numbers are none that this bundle can give (shape, range, not finite). A
            comparison with NaN is false, so such a part would pass.
    """
    _check_outputs(probabilities, maps, len(manifest.classes))
    by_class = {name: float(p) for name, p in zip(manifest.classes, probabilities, strict=True)}
    defects = [
        _defect(name, by_class[name], class_map, manifest, frame, measurements.get(name))
        for name, class_map in zip(manifest.classes, maps, strict=True)
        if by_class[name] >= manifest.thresholds[name]
    ]
    defects.sort(key=lambda defect: -defect.confidence)
    highest = max(by_class.values())
    actions = {manifest.ontology[d.defect_class].action(d.severity) for d in defects}
    worst = Action.SCRAP if Action.SCRAP in actions else Action.REWORK
    return Judgement(
        prediction=Prediction.FAIL if defects else Prediction.PASS,
        defects=tuple(defects),
        overall_confidence=defects[0].confidence if defects else 1 - highest,
        probabilities=by_class,
        recommended_action=worst if defects else Action.ACCEPT,
    )


def bounding_box(activation: Array, box_threshold: float, frame: Frame) -> BoundingBox:
    """Draws the box of a defect around the region of its activation map's peak.

    The region is the peak's connected component (8 neighbours) of the cells that reach
    `box_threshold` times the peak; it holds the peak cell at least.

    Args:
        activation: one class's map over the frame's window, float32 [h, w].
        box_threshold: share of the peak, above 0, at most 1.
        frame: tells where the window lies in the image as sent.
    """
    peak = np.unravel_index(int(np.argmax(activation)), activation.shape)
    mask = (activation >= box_threshold * activation[peak]).astype(np.uint8)
    _, regions = cv2.connectedComponents(mask, connectivity=8)
    rows, columns = np.nonzero(regions == regions[peak])
    by_x, by_y = frame.window.width / activation.shape[1], frame.window.height / activation.shape[0]
    left, right = _span(frame.window.x, by_x, columns, frame.original_width)
    top, bottom = _span(frame.window.y, by_y, rows, frame.original_height)
    return BoundingBox(left, top, right - left, bottom - top)


def _span(origin: float, cell: float, cells: NDArray[np.intp], limit: int) -> tuple[int, int]:
    """Returns first and one-past-last pixel of a run of cells, inside 0..limit and never empty."""
    # Rounding keeps a hair's breadth of float error from adding a pixel.
    start = math.floor(round(origin + cell * int(cells.min()), 6))
    end = math.ceil(round(origin + cell * (int(cells.max()) + 1), 6))
    start = min(max(start, 0), limit - 1)
    return start, max(min(end, limit), start + 1)


def _defect(
    name: str,
    probability: float,
    class_map: Array,
    manifest: BundleManifest,
    frame: Frame,
    measurement: Measurement | None,
) -> Defect:
    if measurement is not None:
        box = BoundingBox(*measurement.box)
    else:
        box = bounding_box(class_map, manifest.box_threshold, frame)
    share = box.width * box.height / (frame.original_width * frame.original_height)
    severity = manifest.ontology[name].severity(share)
    return Defect(name, probability, severity, box, 100 * share, measurement)


def _check_outputs(probabilities: Array, maps: Array, classes: int) -> None:
    if probabilities.shape != (classes,) or maps.ndim != 3 or maps.shape[0] != classes or not maps.size:
        raise BundleError(
            f"the model gave {probabilities.shape} probabilities and {maps.shape} maps for {classes} classes"
        )
    # Also false for NaN.
    if not all(bool(((values >= 0) & (values <= 1)).all()) for values in (probabilities, maps)):
        raise BundleError("the model gave numbers outside 0 to 1: roll back to a sound one")
