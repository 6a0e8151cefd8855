"""The metrics of record: the exported model, on the bytes of the original files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspection.bundle import BOX_THRESHOLD
from inspection.cache import CachedImage, Unreadable, read_original
from inspection.dataset import Sample, check_classes
from inspection.errors import ImageError, InsufficientDataError
from inspection.imaging import Frame, Preprocessing, Window, load_frame, resized, to_tensor
from inspection.judgement import bounding_box
from inspection.learning.calibration import Calibration
from inspection.metrics import (
    ClassMetrics,
    Rate,
    TestMetrics,
    class_metrics,
    confusion_matrix,
    expected_calibration_error,
    f1_score,
    mean_auroc,
    overall_confidence,
    primary_labels,
)
from inspection.ontology import Ontology
from inspection.progress import report
from inspection.runtime import OnnxModel

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Predictions:
    """What a model says of images.

    Attributes:
        samples: the images that could be read, in order; N.
        probabilities: calibrated, float32 [N, C].
        peaks: where each activation map is highest, (x, y) in pixels of the original, float64 [N, C, 2].
        cells: size of a cell of the maps in pixels of the original, (x, y), float64 [N, 2].
        unreadable: images that are missing or damaged.
        boxes: that the service would draw, (x, y, width, height) in pixels of the original, float64
            [N, C, 4]; drawn of each class, though the service shows those that are told.
        scales: pixels that the network sees per pixel of the original, mean of both axes, float64 [N].
    """

    samples: tuple[Sample, ...]
    probabilities: Floats
    peaks: Floats
    cells: Floats
    unreadable: tuple[Unreadable, ...]
    boxes: Floats
    scales: Floats


def load_originals(
    samples: Sequence[Sample], root: Path, preprocessing: Preprocessing
) -> Iterator[tuple[Sample, Frame | Unreadable]]:
    """Reads the originals through the one path, a few ahead of who takes them, in order."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        step = 64
        for start in range(0, len(samples), step):
            part = samples[start : start + step]
            yield from zip(
                part, pool.map(partial(_load, root=root, preprocessing=preprocessing), part), strict=True
            )


def predict_originals(
    model: OnnxModel,
    samples: Sequence[Sample],
    root: Path,
    preprocessing: Preprocessing,
    task: str = "evaluation",
) -> Predictions:
    """Judges original files, one at a time, as the line sends them.

    Args:
        model: exported, in ONNX Runtime.
        samples: which images.
        root: folder of the originals.
        preprocessing: of the model.
        task: name under which progress is told.

    Raises:
        InsufficientDataError: none of the images can be read.
    """
    read: list[Sample] = []
    unreadable: list[Unreadable] = []
    found: list[tuple[Floats, ...]] = []
    for number, (sample, frame) in enumerate(load_originals(samples, root, preprocessing), start=1):
        if isinstance(frame, Unreadable):
            unreadable.append(frame)
        else:
            probabilities, maps = model.run(to_tensor(frame.pixels[None], preprocessing))
            places = *_peaks(maps[0], frame.window), _boxes(maps[0], frame), _scale(frame)
            found.append((probabilities[0], *places))
            read.append(sample)
        report(task, number, len(samples))
    if not found:
        raise InsufficientDataError(
            f"none of {len(samples)} images can be read: is the image root {root} right?"
        )
    p, peaks, cells, boxes, scales = (np.stack(part) for part in zip(*found, strict=True))
    return Predictions(tuple(read), p, peaks, cells, tuple(unreadable), boxes, scales)


def predict_cached(
    model: OnnxModel,
    samples: Sequence[Sample],
    cached: Mapping[str, CachedImage],
    preprocessing: Preprocessing,
    classes: int,
) -> Floats:
    """Judges frames of the cache; returns probabilities, float32 [N, C], NaN for an image not in it."""
    found = np.full((len(samples), classes), np.nan, np.float32)
    for row, sample in zip(found, samples, strict=True):
        if sample.image_id in cached:
            frame = cached[sample.image_id].pixels()
            pixels = resized(frame, preprocessing.height, preprocessing.width)
            row[:] = model.run(to_tensor(pixels[None], preprocessing))[0][0]
    return found


def target_matrix(samples: Sequence[Sample], classes: Sequence[str]) -> NDArray[np.float32]:
    """Returns 1 for each class that an image shows, float32 [N, C]."""
    return np.array([[name in sample.labels for name in classes] for sample in samples], np.float32)


def measure(
    predictions: Predictions,
    cached: Floats,
    thresholds: Mapping[str, float],
    calibration: Calibration,
    ontology: Ontology,
    confidence_threshold: float,
) -> TestMetrics:
    """Counts everything that is told about a model.

    Args:
        predictions: on the test set, from original bytes.
        cached: probabilities of the same images from the cache, [N, C]; NaN where there is none.
        thresholds: by class.
        calibration: of the model; to tell what it changed.
        ontology: gives classes and which are safety-critical.
        confidence_threshold: below it a person looks.

    Raises:
        OntologyError: a label or box is of a class that the ontology does not have.
    """
    classes = ontology.defect_ids
    check_classes(predictions.samples, classes, ontology.clean_class.id)
    p, limit = predictions.probabilities, np.array([thresholds[name] for name in classes])
    targets = target_matrix(predictions.samples, classes)
    told, actual = p >= limit, targets > 0
    hits = int((told & actual).sum())
    failed, defective = _any(told), _any(actual)
    automatic = overall_confidence(p, limit) >= confidence_threshold
    ece, ece_uncalibrated = _calibration_errors(predictions, targets, calibration)
    labels = (*classes, ontology.clean_class.id)
    truth = np.array([labels.index(sample.label) for sample in predictions.samples])
    guess = primary_labels(p, told, [classes.index(name) for name in ontology.safety_critical_ids])
    return TestMetrics(
        images=len(p),
        accuracy=Rate.where(truth == guess),
        precision=Rate.of(hits, int(told.sum())),
        recall=Rate.of(hits, int(actual.sum())),
        f1=f1_score(hits, int(told.sum()), int(actual.sum())),
        false_reject_rate=Rate.where(failed, ~defective),
        escape_rate=Rate.where(~failed, defective),
        to_people=Rate.where(~automatic),
        automatic_error=Rate.where(failed != defective, automatic),
        ece=ece,
        ece_uncalibrated=ece_uncalibrated,
        cache_flips=Rate.where(_any(cached >= limit) != failed, ~_any(np.isnan(cached))),
        macro_auroc=mean_auroc(p, targets),
        per_class=_per_class(predictions, targets, thresholds, classes),
        labels=labels,
        confusion=confusion_matrix(truth, guess, len(labels)),
    )


def pointing(predictions: Predictions, class_index: int, name: str) -> Rate:
    """Counts how often a class's peak lies in one of its boxes, give or take half a cell.

    Pointing game (Zhang et al. 2016), among the images whose annotation has a box of the class.
    """
    hits: list[bool] = []
    for sample, peaks, cell in zip(predictions.samples, predictions.peaks, predictions.cells, strict=True):
        boxes = [box for box in sample.boxes if box.defect_class == name]
        (x, y), (right, down) = peaks[class_index], cell / 2
        if boxes:
            hits.append(
                any(
                    b.x - right <= x <= b.x + b.width + right and b.y - down <= y <= b.y + b.height + down
                    for b in boxes
                )
            )
    return Rate.of(sum(hits), len(hits))


def _per_class(
    predictions: Predictions, targets: Floats, thresholds: Mapping[str, float], classes: Iterable[str]
) -> dict[str, ClassMetrics]:
    return {
        name: class_metrics(
            predictions.probabilities[:, c], targets[:, c], thresholds[name], pointing(predictions, c, name)
        )
        for c, name in enumerate(classes)
    }


def _any(of_classes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(of_classes.any(1))


def _calibration_errors(
    predictions: Predictions, targets: Floats, calibration: Calibration
) -> tuple[float, float]:
    """Returns the error with the model's calibration, and what it would be without."""
    weights = np.array([sample.sample_weight for sample in predictions.samples])
    p = predictions.probabilities
    before = _uncalibrated(p, calibration)
    return (
        expected_calibration_error(p, targets, weights),
        expected_calibration_error(before, targets, weights),
    )


def _uncalibrated(probabilities: Floats, calibration: Calibration) -> Floats:
    p = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    logits = (np.log(p / (1 - p)) - np.asarray(calibration.offsets)) / np.asarray(calibration.slopes)
    return np.asarray(np.exp(-np.logaddexp(0, -logits)))


def _peaks(maps: Floats, window: Window) -> tuple[Floats, Floats]:
    """Returns the middle of each map's highest cell and the size of a cell, in pixels of the original.

    Returns:
        (x, y) by class, float64 [C, 2], and (width, height), float64 [2].
    """
    classes, rows, columns = maps.shape
    cell = np.array([window.width / columns, window.height / rows])
    row, column = np.divmod(maps.reshape(classes, -1).argmax(1), columns)
    middles = (np.stack([column, row], axis=1) + 0.5) * cell
    return middles + np.array([window.x, window.y]), cell


def _boxes(maps: Floats, frame: Frame) -> Floats:
    """Returns the box of each class's map as the service draws it, float64 [C, 4]."""
    return np.array([bounding_box(np.asarray(one, np.float32), BOX_THRESHOLD, frame) for one in maps], float)


def _scale(frame: Frame) -> Floats:
    rows, columns = frame.pixels.shape[:2]
    return np.asarray(np.sqrt(columns / frame.window.width * rows / frame.window.height))


def _load(sample: Sample, root: Path, preprocessing: Preprocessing) -> Frame | Unreadable:
    try:
        return load_frame(read_original(root, sample.image_path), preprocessing)
    except ImageError as error:
        return Unreadable(sample.image_id, sample.image_path, str(error))
