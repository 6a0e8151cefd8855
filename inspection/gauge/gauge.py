"""The gauge as a judge: what was learnt about it, and its word against the network's.

One function, `combined`, decides whose probability counts. Choosing thresholds, the test metrics of record
and the service all call it: what is judged is what is served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from inspection.gauge.calibration import Camera
from inspection.gauge.plan import Plan
from inspection.gauge.read import measure
from inspection.gauge.reading import Measurement, Measurements, Reading
from inspection.gauge.specification import Specification

UNKNOWN_CAMERA = "no calibration of the camera"
TOO_FEW_PARTS = "too few good parts of the part type to know the gauge's repeatability"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassFit(_Model):
    """Probability of a measured class = sigmoid(slope * score + offset); fitted on so many images."""

    slope: float
    offset: float
    positives: int
    negatives: int


class Fit(_Model):
    """What was learnt about a gauge.

    Attributes:
        classes: by measured class.
        repeatability_mm: standard deviation of measured less nominal on good training parts, by part
            type and dimension; with it comes what production varies.
        bias_mm: what a camera measures more than the others, taken off; those without a significant one
            are left out.
    """

    classes: Mapping[str, ClassFit]
    repeatability_mm: Mapping[str, Mapping[str, float]]
    bias_mm: Mapping[str, float]

    def applied(self, reading: Reading) -> Reading:
        """Takes the camera's bias off a raw reading; not applicable where the repeatability is unknown."""
        if reading.not_applicable is not None:
            return reading
        known = self.repeatability_mm.get(reading.part_type or "", {})
        if any(found.dimension not in known for found in reading.dimensions):
            return reading.without(TOO_FEW_PARTS)
        return reading.shifted(-self.bias_mm.get(reading.camera_id, 0.0))

    def probabilities(self, reading: Reading) -> dict[str, float]:
        """Returns the probability of each measured class; none where the gauge is not applicable.

        Args:
            reading: an applied one.
        """
        if reading.not_applicable is not None:
            return {}
        logits = {name: fit.slope * reading.score + fit.offset for name, fit in self.classes.items()}
        return {name: float(np.exp(-np.logaddexp(0, -logit))) for name, logit in logits.items()}

    def measurements(self, reading: Reading) -> Measurements:
        """Returns what to tell beside each measured class; nothing where the gauge is not applicable."""
        worst = reading.worst
        if worst is None:
            return {}
        told = Measurement(
            dimension=worst.dimension,
            measured_mm=worst.measured_mm,
            nominal_mm=worst.nominal_mm,
            tolerance_mm=worst.tolerance_mm,
            repeatability_mm=self.repeatability_mm[reading.part_type or ""][worst.dimension],
            box=worst.box,
        )
        return dict.fromkeys(self.classes, told)


class Gauge(_Model):
    """All that measuring and judging a part needs; ``gauge.json`` in a bundle.

    Attributes:
        cameras: the calibrations that were valid when it was made, by camera.
    """

    plan: Plan
    specifications: Mapping[str, Specification]
    cameras: Mapping[str, Camera]
    fit: Fit

    def read(self, image: bytes, part_type: str | None, camera_id: str) -> Reading:
        """Measures a part as the line sends it; raises ImageError as `measure` does."""
        camera = self.cameras.get(camera_id, UNKNOWN_CAMERA)
        return self.fit.applied(measure(image, part_type, camera_id, camera, self.specifications, self.plan))


def combined(
    probabilities: NDArray[np.floating[Any]], classes: Sequence[str], readings: Sequence[Reading], fit: Fit
) -> NDArray[np.float32]:
    """Puts the gauge's probability in place of the network's where the gauge can tell.

    Args:
        probabilities: of the network, [N, C].
        classes: their names in order.
        readings: applied ones, N.
        fit: of the gauge.

    Returns:
        float32 [N, C]; unchanged for classes that are not measured and parts that were not.
    """
    result = np.array(probabilities, np.float32)
    for row, reading in zip(result, readings, strict=True):
        for name, probability in fit.probabilities(reading).items():
            row[classes.index(name)] = probability
    return result
