"""Probabilities that mean what they say, and thresholds: both chosen on validation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from inspection.errors import InsufficientDataError, SettingsError
from inspection.profiles import CalibrationProfile, MistakeCost

Floats = NDArray[np.floating[Any]]

SLOPE_BOUNDS = (0.01, 100.0)


class Calibration(NamedTuple):
    """By class, in order: probability = sigmoid(slope * logit + offset); each [C]."""

    slopes: tuple[float, ...]
    offsets: tuple[float, ...]


def check_counts(targets: Floats, classes: Sequence[str], minimum: CalibrationProfile) -> None:
    """Refuses a validation set on which a threshold would be chosen by chance.

    Args:
        targets: 0 or 1, [N, C].
        classes: names, in order.
        minimum: what there must be of each class.

    Raises:
        InsufficientDataError: a class has too few images with or without it.
    """
    for name, column in zip(classes, targets.T, strict=True):
        positives = int((column > 0).sum())
        negatives = len(column) - positives
        if positives < minimum.minimum_positives or negatives < minimum.minimum_negatives:
            raise InsufficientDataError(
                f"validation has {positives} images with {name} and {negatives} without; at least "
                f"{minimum.minimum_positives} and {minimum.minimum_negatives} are needed: label more"
            )


def calibrate(logits: Floats, targets: Floats, weights: Floats) -> Calibration:
    """Fits slope and offset of each class by weighted maximum likelihood.

    Platt (1999) with his smoothed targets, which keep the slope finite when a class is separable.

    Args:
        logits: [N, C].
        targets: 0 or 1, [N, C]; each class has both.
        weights: of the images, such as 1 / the probability that they were kept, [N].
    """
    fits = [_fit(logits[:, c], targets[:, c], weights) for c in range(targets.shape[1])]
    return Calibration(tuple(slope for slope, _ in fits), tuple(offset for _, offset in fits))


def calibrated(logits: Floats, calibration: Calibration) -> Floats:
    """Returns probabilities, [N, C]."""
    scaled = logits * np.asarray(calibration.slopes) + np.asarray(calibration.offsets)
    return np.asarray(np.exp(-np.logaddexp(0, -scaled)))


def choose_thresholds(
    probabilities: Floats,
    targets: Floats,
    classes: Sequence[str],
    safety_critical: Sequence[str],
    safety_recall: float,
    false_reject_rate: float,
    costs: Mapping[str, MistakeCost] = MappingProxyType({}),
    weights: Floats | None = None,
) -> dict[str, float]:
    """Chooses the probability from which each class is reported.

    A safety-critical class gets the highest threshold whose recall reaches `safety_recall`; one with costs
    the threshold with the lowest expected cost (Elkan 2001); any other the one with the best F1, of equally
    good ones the highest, among those that keep the class's even part of the false rejects: a class that
    the model cannot tell then falls silent, and the gate says so, where the best F1 alone would have it
    report every part.

    Args:
        probabilities: calibrated, [N, C].
        targets: 0 or 1, [N, C]; each class has positives.
        classes: names, in order.
        safety_critical: which of them must not slip through.
        safety_recall: 0 to 1.
        false_reject_rate: share of parts that all classes together may report wrongly, 0 to 1.
        costs: of mistakes, by class.
        weights: of the images, such as 1 / the probability that they were kept, [N]; for the costs alone.

    Raises:
        SettingsError: costs of a class that there is not, or that is safety-critical.
    """
    check_costs(costs, classes, safety_critical)
    weights = np.ones(len(probabilities)) if weights is None else weights
    chosen: dict[str, float] = {}
    for name, p, truth in zip(classes, probabilities.T, targets.T, strict=True):
        if name in safety_critical:
            chosen[name] = recall_threshold(p[truth > 0], safety_recall)
        elif name in costs:
            chosen[name] = cheapest_threshold(p, truth, weights, costs[name])
        else:
            chosen[name] = best_f1_threshold(p, truth, false_reject_rate / len(classes))
    return chosen


def recall_threshold(positives: Floats, recall: float) -> float:
    """Returns the highest threshold that the given share of the positives' probabilities reaches."""
    needed = max(1, math.ceil(recall * len(positives) - 1e-9))
    return _allowed(float(np.sort(positives)[::-1][needed - 1]))


def best_f1_threshold(probabilities: Floats, truth: Floats, false_alarms: float = 1.0) -> float:
    """Returns the threshold with the best F1, midway to the next lower probability.

    Args:
        probabilities: of one class, [N].
        truth: 0 or 1, [N].
        false_alarms: largest share of the images without the class that may be told. Where no threshold
            keeps it, the one that tells none of these images.
    """
    order = np.argsort(-probabilities, kind="stable")
    p, hits = probabilities[order].astype(np.float64), np.cumsum(truth[order] > 0)
    told = np.arange(1, len(p) + 1)
    f1 = 2 * hits / (told + hits[-1])
    possible = _separate(p)
    possible &= told - hits <= false_alarms * (len(p) - hits[-1])
    if not possible.any():
        return _above(p)
    return _midway(p, int(np.argmax(np.where(possible, f1, -1))))


def cheapest_threshold(probabilities: Floats, truth: Floats, weights: Floats, cost: MistakeCost) -> float:
    """Returns the threshold whose mistakes cost least, midway to the next lower probability.

    Of equally cheap ones the highest; telling no image at all is one of them.

    Args:
        probabilities: of one class, [N].
        truth: 0 or 1, [N].
        weights: of the images, [N].
        cost: of a miss and of a false alarm.
    """
    order = np.argsort(-probabilities, kind="stable")
    p, positive, w = probabilities[order].astype(np.float64), truth[order] > 0, weights[order]
    # What telling the first k images saves and costs against telling none.
    balance = np.cumsum(np.where(positive, -cost.miss, cost.false_alarm) * w)
    balance = np.where(_separate(p), balance, np.inf)
    best = int(np.argmin(balance))
    silent = balance[best] >= 0 and p[0] < 1  # a probability of 1 reaches every threshold
    return _above(p) if silent else _midway(p, best)


def check_costs(costs: Mapping[str, object], classes: Sequence[str], safety_critical: Sequence[str]) -> None:
    """Refuses costs of mistakes that nobody would look at.

    Raises:
        SettingsError: costs of a class that there is not, or that is safety-critical.
    """
    if unknown := sorted(set(costs) - set(classes)):
        raise SettingsError(
            f"thresholds.costs of the profile names {', '.join(unknown)}: the classes are "
            f"{', '.join(classes)}"
        )
    if forbidden := sorted(set(costs) & set(safety_critical)):
        raise SettingsError(
            f"thresholds.costs of the profile names {', '.join(forbidden)}, safety-critical: the gate's "
            "recall chooses that threshold; take the costs out"
        )


def _separate(p: Floats) -> NDArray[np.bool_]:
    """Tells after which of the falling probabilities a threshold can lie, [N]."""
    return np.asarray(np.append(p[1:] < p[:-1], True) & (p > 0))  # equal ones are told together, zeros never


def _above(p: Floats) -> float:
    """Returns a threshold that none of the falling probabilities reaches."""
    return _allowed(float(np.nextafter(np.float32(p[0]), np.float32(2))))


def _midway(p: Floats, last: int) -> float:
    """Returns the threshold that the falling probabilities up to `last` reach, and no other."""
    below = p[last + 1] if last + 1 < len(p) else p[last]
    # As exact as the model's numbers, so that it compares the same in single and in double precision;
    # between two neighbours there is no middle.
    middle = float(np.float32((p[last] + below) / 2))
    return _allowed(middle if below < middle <= p[last] else float(p[last]))


def _allowed(threshold: float) -> float:
    # A threshold of 0 would report the class on every part; the smallest positive one does as well,
    # but only where the model gives that probability.
    return min(max(threshold, float(np.finfo(np.float32).tiny)), 1.0)


def _fit(logits: Floats, truth: Floats, weights: Floats) -> tuple[float, float]:
    positive = truth > 0
    count = float(positive.sum())
    goal = np.where(positive, (count + 1) / (count + 2), 1 / (len(truth) - count + 2))
    weights = weights / weights.sum()
    scale = float(logits.std()) or 1.0
    centred = (logits - logits.mean()) / scale

    def loss(parameters: Floats) -> tuple[float, Floats]:
        z = parameters[0] * centred + parameters[1]
        error = weights * (1 / (1 + np.exp(-np.clip(z, -500, 500))) - goal)
        value = float((weights * (np.logaddexp(0, z) - goal * z)).sum())
        return value, np.array([(error * centred).sum(), error.sum()])

    bounds = [(SLOPE_BOUNDS[0] * scale, SLOPE_BOUNDS[1] * scale), (None, None)]
    found = minimize(loss, np.array([scale, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-12)
    slope = float(found.x[0]) / scale
    return slope, float(found.x[1]) - slope * float(logits.mean())
