"""How good probabilities are: pure functions on arrays, and the record that they fill.

Shapes: N images, C defect classes. `targets` is 0 or 1, float32 [N, C]; `probabilities` float32
[N, C] in [0, 1]; `thresholds` float64 [C].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from inspection.statistics import clopper_pearson_lower, wilson

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]

ECE_BINS = 15


class Rate(BaseModel):
    """A share with two-sided 95 % Wilson bounds; the three are None when nothing was counted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None
    low: float | None
    high: float | None
    successes: int
    total: int

    @classmethod
    def of(cls, successes: int, total: int) -> Rate:
        """Returns the rate of a count."""
        return cls(**wilson(int(successes), int(total))._asdict())

    @classmethod
    def where(cls, hits: NDArray[np.bool_], among: NDArray[np.bool_] | None = None) -> Rate:
        """Returns how often `hits` holds, among all or among some."""
        hits = hits if among is None else hits[among]
        return cls.of(int(hits.sum()), hits.size)


class ClassMetrics(BaseModel):
    """One class on the test set.

    Attributes:
        recall_bound: one-sided 95 % Clopper-Pearson lower bound of the recall; None without positives.
        auroc: None when the test set lacks positives or negatives.
        pointing: how often the peak of the activation map lies in an annotated box (within half a cell),
            among images of the class that have one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float
    precision: Rate
    recall: Rate
    recall_bound: float | None
    f1: float | None
    auroc: float | None
    pointing: Rate


class TestMetrics(BaseModel):
    """A model on the test set.

    Attributes:
        accuracy: share of images whose primary label is right.
        precision: over all decisions of all defect classes (micro); likewise `recall`.
        false_reject_rate: share of the truly good parts that are called FAIL.
        escape_rate: share of the truly defective parts that are called PASS.
        to_people: share of images whose confidence is below the routing threshold.
        automatic_error: share of wrong verdicts (PASS or FAIL) among the others.
        ece: expected calibration error, mean over classes; `ece_uncalibrated` before calibration.
        cache_flips: images with another verdict when judged from the training cache.
        macro_auroc: mean over the classes that have one.
        confusion: images by true and predicted primary label, in the order of `labels`.
    """

    __test__ = False
    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    accuracy: Rate
    precision: Rate
    recall: Rate
    f1: float | None
    false_reject_rate: Rate
    escape_rate: Rate
    to_people: Rate
    automatic_error: Rate
    ece: float
    ece_uncalibrated: float
    cache_flips: Rate
    macro_auroc: float | None
    per_class: dict[str, ClassMetrics]
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]

    @property
    def rates(self) -> dict[str, Rate]:
        """The shares with their bounds, by name."""
        return {name: value for name, value in self if isinstance(value, Rate)}


def auroc(scores: Floats, truth: Floats) -> float | None:
    """Returns the area under the ROC curve; None when `truth` holds only one value.

    The share of (positive, negative) pairs in which the positive scores higher, a tie counting half
    (Mann and Whitney 1947).
    """
    positive, negative = scores[truth > 0], scores[truth <= 0]
    if not len(positive) or not len(negative):
        return None
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.sum() / (2 * len(positive) * len(negative)))


def mean_auroc(scores: Floats, targets: Floats) -> float | None:
    """Returns the mean AUROC over the classes that have positives and negatives; None without any."""
    found = [auroc(column, truth) for column, truth in zip(scores.T, targets.T, strict=True)]
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None


def expected_calibration_error(
    probabilities: Floats, targets: Floats, weights: Floats, bins: int = ECE_BINS
) -> float:
    """Returns the weighted mean distance between stated and true share, averaged over classes.

    Bins of equal width (Naeini et al. 2015; per class as in Nixon et al. 2019).

    Args:
        probabilities: [N, C].
        targets: [N, C].
        weights: of the images, [N].
        bins: number of bins.
    """
    errors: list[float] = []
    for p, truth in zip(probabilities.T, targets.T, strict=True):
        place = np.minimum((p * bins).astype(int), bins - 1)
        gap = np.bincount(place, weights * (truth - p), bins)
        errors.append(float(np.abs(gap).sum() / weights.sum()))
    return float(np.mean(errors))


class ReliabilityCurve(NamedTuple):
    """Bins of a class that hold an image, in order; each [B].

    Attributes:
        stated: weighted mean probability; `share` weighted share of images that show the class.
        images: how many are in the bin.
    """

    stated: Floats
    share: Floats
    images: Integers


def reliability_curve(
    probabilities: Floats, truth: Floats, weights: Floats, bins: int = ECE_BINS
) -> ReliabilityCurve:
    """Returns what a class's probabilities say and what is true, in the bins of the calibration error.

    Args:
        probabilities: of one class, [N].
        truth: 0 or 1, [N].
        weights: of the images, [N].
        bins: number of bins of equal width.
    """
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    images, weight = np.bincount(place, minlength=bins), np.bincount(place, weights, bins)
    used = images > 0
    stated = np.bincount(place, weights * probabilities, bins)[used] / weight[used]
    share = np.bincount(place, weights * truth, bins)[used] / weight[used]
    return ReliabilityCurve(stated, share, images[used])


def primary_labels(scores: Floats, present: NDArray[np.bool_], safety_critical: Sequence[int]) -> Integers:
    """Returns the primary label of each image: a safety-critical class first, then the highest score.

    Args:
        scores: [N, C].
        present: which classes are to be told, [N, C].
        safety_critical: indices of such classes.

    Returns:
        Index of the class, int64 [N]; C where none is present.
    """
    urgent = np.zeros_like(present)
    urgent[:, list(safety_critical)] = present[:, list(safety_critical)]
    ranked = np.where(np.where(urgent.any(1, keepdims=True), urgent, present), scores, -np.inf)
    return np.asarray(np.where(present.any(1), ranked.argmax(1), scores.shape[1]), np.int64)


def overall_confidence(probabilities: Floats, thresholds: Floats) -> Floats:
    """Returns how sure each verdict is, as the service tells it.

    On FAIL the highest probability among the classes that reach their threshold, on PASS 1 - the
    highest of all; [N].
    """
    reached = probabilities >= thresholds
    told = np.where(reached, probabilities, -np.inf).max(1)
    return np.asarray(np.where(reached.any(1), told, 1 - probabilities.max(1)))


def f1_score(true_positives: int, predicted: int, actual: int) -> float | None:
    """Returns the harmonic mean of precision and recall; None when there is nothing to find or tell."""
    return 2 * true_positives / (predicted + actual) if predicted + actual else None


def class_metrics(probabilities: Floats, truth: Floats, threshold: float, pointing: Rate) -> ClassMetrics:
    """Returns the metrics of one class; `probabilities` and `truth` are [N]."""
    told, actual = probabilities >= threshold, truth > 0
    hits = int((told & actual).sum())
    positives = int(actual.sum())
    return ClassMetrics(
        threshold=float(threshold),
        precision=Rate.of(hits, int(told.sum())),
        recall=Rate.of(hits, positives),
        recall_bound=clopper_pearson_lower(hits, positives) if positives else None,
        f1=f1_score(hits, int(told.sum()), positives),
        auroc=auroc(probabilities, truth),
        pointing=pointing,
    )


def confusion_matrix(truth: Integers, told: Integers, size: int) -> tuple[tuple[int, ...], ...]:
    """Counts images by true (row) and told (column) label."""
    counts = np.bincount(truth * size + told, minlength=size * size).reshape(size, size)
    return tuple(tuple(int(n) for n in row) for row in counts)
