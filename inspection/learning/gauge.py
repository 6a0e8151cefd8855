"""Fitting the dimension gauge: how well it repeats, what each camera adds, what a deviation means.

Repeatability and bias come from the training side, the probability from the validation side, as the
network's do. The test side is measured too, and nothing is learnt from it.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from inspection.artifacts import get_file, get_record, put_file, put_record
from inspection.dataset import Sample, TrainingData
from inspection.errors import InsufficientDataError
from inspection.gauge.calibration import Camera, CameraHistory
from inspection.gauge.gauge import ClassFit, Fit, Gauge, combined
from inspection.gauge.reading import Reading
from inspection.gauge.readings import Instrument, from_parquet, read_all, to_parquet
from inspection.learning.calibration import Calibration, calibrate, check_counts
from inspection.learning.evaluation import Predictions, target_matrix
from inspection.learning.plots import deviations
from inspection.ontology import Ontology
from inspection.profiles import CalibrationProfile
from inspection.store import ObjectStore

Floats = NDArray[np.floating[Any]]

MIN_GOOD_PARTS = 10
"""Good training parts of a type from which the spread of their dimensions is told."""
MIN_CAMERA_PARTS = 20
SIGNIFICANT = 3.0
"""Standard errors from which a camera's bias is taken off."""
FINEST_MM = 1e-4
"""No repeatability is told finer: drawn parts may all measure the same."""


class GaugeResult(BaseModel):
    """A gauge fitted to a training dataset, or the reason why there is none.

    Attributes:
        reason: why the pipeline goes on without a gauge; None with one.
        gauge: key of the `Gauge` as JSON, named by its hash; likewise `readings`, a Parquet file of raw
            readings, and `plot`.
        fit: as in the gauge.
        images: of the dataset; `applicable` could be measured, the others are `not_applicable` by reason.
        broken: unusable rows of the specifications, by part type, and number of those of calibrations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str | None
    gauge: str | None = None
    readings: str | None = None
    plot: str | None = None
    fit: Fit | None = None
    images: int
    applicable: int = 0
    not_applicable: dict[str, int] = {}
    broken_specifications: dict[str, str] = {}
    broken_calibrations: int = 0
    seconds: float = 0.0
    data_fingerprint: str


@dataclass(frozen=True)
class SecondJudge:
    """A fitted gauge with the readings of a dataset, applied; stands beside a network's predictions."""

    fit: Fit
    readings: Mapping[str, Reading]

    def judge(self, samples: Sequence[Sample], probabilities: Floats, classes: Sequence[str]) -> Floats:
        """Returns the probabilities that count, float32 [N, C]; see `inspection.gauge.gauge.combined`."""
        return combined(probabilities, classes, [self.readings[s.image_id] for s in samples], self.fit)

    def beside(self, found: Predictions, classes: Sequence[str]) -> Predictions:
        """Returns predictions with the gauge's probabilities and places for what it can tell."""
        peaks, boxes = found.peaks.copy(), found.boxes.copy()
        for number, sample in enumerate(found.samples):
            for name, told in self.fit.measurements(self.readings[sample.image_id]).items():
                place = number, classes.index(name)
                boxes[place] = told.box
                peaks[place] = told.box.x + told.box.width / 2, told.box.y + told.box.height / 2
        p = self.judge(found.samples, found.probabilities, classes)
        return replace(found, probabilities=p, peaks=peaks, boxes=boxes)

    def without_measured(self, calibration: Calibration, classes: Sequence[str]) -> Calibration:
        """Returns the network's calibration with none for the classes that it does not speak for."""
        own = [name not in self.fit.classes for name in classes]
        return Calibration(
            tuple(slope if kept else 1.0 for slope, kept in zip(calibration.slopes, own, strict=True)),
            tuple(offset if kept else 0.0 for offset, kept in zip(calibration.offsets, own, strict=True)),
        )


def fit_gauge(
    store: ObjectStore,
    data: TrainingData,
    ontology: Ontology,
    instrument: Instrument,
    minimum: CalibrationProfile,
    image_root: Path,
    broken: Mapping[str, str] | None = None,
) -> str:
    """Measures a training dataset and fits the gauge; returns the id of a `GaugeResult`.

    Args:
        store: keeps readings, gauge and record.
        data: the dataset.
        ontology: says which classes are measured.
        instrument: plan, specifications and calibrations.
        minimum: what validation must have of a class.
        image_root: folder of the originals.
        broken: why specifications cannot be read, by part type; for the record.
    """
    begin = time.monotonic()
    told: dict[str, Any] = {
        "images": len(data.samples),
        "broken_specifications": dict(broken or {}),
        "broken_calibrations": instrument.cameras.broken,
        "data_fingerprint": data.fingerprint,
    }
    measured = [c.id for c in ontology.defect_classes if c.measured]
    if (reason := _nothing_to_do(measured, instrument)) is not None:
        return put_record(store, GaugeResult(reason=reason, **told))
    raw = read_all(store, data.samples, instrument, image_root)
    spread = Fit(classes={}, repeatability_mm=repeatability(data.side("train"), raw, measured), bias_mm={})
    spread = spread.model_copy(update={"bias_mm": camera_bias(data.side("train"), raw, spread, measured)})
    readings = {name: spread.applied(reading) for name, reading in raw.items()}
    told |= _counts(readings.values())
    told["seconds"] = time.monotonic() - begin
    told["readings"] = put_file(
        store, "gauge", ".parquet", to_parquet({name: ("", reading) for name, reading in raw.items()})
    )
    try:
        classes = class_fits(data.side("validation"), readings, measured, minimum)
    except InsufficientDataError as error:
        return put_record(store, GaugeResult(reason=f"of the parts that could be measured, {error}", **told))
    fit = spread.model_copy(update={"classes": classes})
    cameras = current_cameras(instrument.cameras)
    gauge = Gauge(
        plan=instrument.plan, specifications=instrument.specifications, cameras=cameras, fit=fit
    ).model_dump_json(indent=2)
    told["plot"] = put_file(store, "plots", ".png", _plot(data, readings, measured))
    key = put_file(store, "gauge", ".json", gauge.encode())
    return put_record(store, GaugeResult(reason=None, gauge=key, fit=fit, **told))


def second_judge(store: ObjectStore, gauge_id: str | None, data: TrainingData) -> SecondJudge | None:
    """Returns the gauge of a record with the readings of its dataset; None where there is no gauge.

    Raises:
        InsufficientDataError: the gauge was fitted to another dataset.
    """
    if gauge_id is None:
        return None
    result = get_record(store, GaugeResult, gauge_id)
    if result.data_fingerprint != data.fingerprint:
        raise InsufficientDataError(
            "the training dataset has changed since the gauge was fitted: materialize dimension_gauge again"
        )
    if result.fit is None or result.readings is None:
        return None
    raw = from_parquet(get_file(store, result.readings))
    return SecondJudge(result.fit, {name: result.fit.applied(reading) for name, (_, reading) in raw.items()})


def repeatability(
    samples: Iterable[Sample], raw: Mapping[str, Reading], measured: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Returns the spread of measured less nominal on good parts, by part type and dimension, millimetres.

    The median absolute deviation, scaled to a normal distribution's standard deviation: a few bad parts
    that nobody labelled do not count. What production varies is in it: it bounds the gauge's own from above.
    """
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _, reading in _good(samples, raw, measured):
        for dimension in reading.dimensions:
            found[reading.part_type or ""][dimension.dimension].append(dimension.deviation_mm)
    return {
        part: {name: max(_spread(values), FINEST_MM) for name, values in dimensions.items()}
        for part, dimensions in found.items()
        if all(len(values) >= MIN_GOOD_PARTS for values in dimensions.values())
    }


def camera_bias(
    samples: Iterable[Sample], raw: Mapping[str, Reading], spread: Fit, measured: Sequence[str]
) -> dict[str, float]:
    """Returns what each camera measures more than all together, in millimetres, where that is significant.

    What all cameras have in common stays: it may be the process. Only a reference part could tell.
    """
    applied = {name: spread.applied(reading) for name, reading in raw.items()}
    good = _good(samples, applied, measured)
    by_dimension: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _, reading in good:
        for dimension in reading.dimensions:
            by_dimension[reading.part_type or "", dimension.dimension].append(dimension.deviation_mm)
    middle = {key: float(np.median(values)) for key, values in by_dimension.items()}
    by_camera: dict[str, list[float]] = defaultdict(list)
    for _, reading in good:
        # The dimensions of one part share its pose and light: together they count once.
        off = [d.deviation_mm - middle[reading.part_type or "", d.dimension] for d in reading.dimensions]
        by_camera[reading.camera_id].append(float(np.median(off)))
    return {
        camera: float(np.median(values))
        for camera, values in sorted(by_camera.items())
        if len(values) >= MIN_CAMERA_PARTS
        and abs(np.median(values)) > SIGNIFICANT * 1.2533 * _spread(values) / np.sqrt(len(values))
    }


def class_fits(
    samples: Sequence[Sample],
    readings: Mapping[str, Reading],
    measured: Sequence[str],
    minimum: CalibrationProfile,
) -> dict[str, ClassFit]:
    """Fits slope and offset of each measured class on the parts that could be measured.

    Raises:
        InsufficientDataError: too few of them have a class, or have it not.
    """
    told = [sample for sample in samples if readings[sample.image_id].not_applicable is None]
    targets = target_matrix(told, measured) if told else np.zeros((0, len(measured)), np.float32)
    check_counts(targets, measured, minimum)
    scores = np.array([readings[sample.image_id].score for sample in told])
    weights = np.array([sample.sample_weight for sample in told])
    found = calibrate(np.repeat(scores[:, None], len(measured), axis=1), targets, weights)
    return {
        name: ClassFit(
            slope=slope, offset=offset, positives=int(column.sum()), negatives=int((1 - column).sum())
        )
        for name, slope, offset, column in zip(measured, *found, targets.T, strict=True)
    }


def current_cameras(history: CameraHistory) -> dict[str, Camera]:
    """Returns the calibrations that are valid now, of the cameras that have one."""
    found = {name: history.at(name, datetime.now(UTC)) for name in history.configs}
    return {name: camera for name, camera in sorted(found.items()) if isinstance(camera, Camera)}


def _nothing_to_do(measured: Sequence[str], instrument: Instrument) -> str | None:
    if not measured:
        return "the ontology marks no class as measured"
    planned = set(instrument.plan.parts)
    if not planned:
        return "the measurement plan has no part types"
    if not planned & set(instrument.specifications):
        return "erp.product_specs specifies no part type of the measurement plan"
    return None


def _good(
    samples: Iterable[Sample], readings: Mapping[str, Reading], measured: Sequence[str]
) -> list[tuple[Sample, Reading]]:
    """The parts that nobody labelled with a measured class and that could be measured."""
    return [
        (sample, readings[sample.image_id])
        for sample in samples
        if not set(sample.labels) & set(measured) and readings[sample.image_id].not_applicable is None
    ]


def _spread(values: Sequence[float]) -> float:
    return float(1.4826 * np.median(np.abs(np.asarray(values) - np.median(values))))


def _counts(readings: Iterable[Reading]) -> dict[str, Any]:
    reasons = Counter(reading.not_applicable for reading in readings)
    return {
        "applicable": reasons.pop(None, 0),
        "not_applicable": {str(reason): count for reason, count in reasons.most_common()},
    }


def _plot(data: TrainingData, readings: Mapping[str, Reading], measured: Sequence[str]) -> bytes:
    """Draws training and validation: what is seen of the test side must not guide a choice."""
    seen = [(s, readings[s.image_id]) for s in (*data.side("train"), *data.side("validation"))]
    told = [(bool(set(s.labels) & set(measured)), r.score) for s, r in seen if r.not_applicable is None]
    return deviations([score for bad, score in told if not bad], [score for bad, score in told if bad])
