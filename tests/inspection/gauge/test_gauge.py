"""Whose probability counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inspection.gauge.gauge import TOO_FEW_PARTS, ClassFit, Fit, Gauge, combined
from inspection.gauge.reading import Measured, PixelBox, Reading
from tests.inspection.gauge.drawn import CAMERA, PLAN, SIZES, SPECIFICATIONS, png, stepped

FIT = Fit(
    classes={"SIZE": ClassFit(slope=4, offset=-6, positives=20, negatives=80)},
    repeatability_mm={"shaft": {"bore": 0.02, "length": 0.05}},
    bias_mm={"c2": 0.5},
)
CLASSES = ("DENT", "SIZE", "RUST")
NETWORK = np.array([[0.1, 0.2, 0.3]], np.float32)
BOX = PixelBox(1, 2, 3, 4)


def reading(camera: str = "c1", part: str | None = "shaft", **sizes: float) -> Reading:
    """Nominal sizes are 10 mm, tolerances 1 mm."""
    dimensions = tuple(
        Measured(dimension=name, measured_mm=mm, nominal_mm=10, tolerance_mm=1, box=BOX)
        for name, mm in sizes.items()
    )
    return Reading(part_type=part, camera_id=camera, dimensions=dimensions)


NOTHING = Reading(part_type="shaft", camera_id="c1", not_applicable="no outline of a part")


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize(
    ("found", "probability"),
    [
        (reading(bore=10), sigmoid(-6)),
        (reading(bore=11.5), sigmoid(4 * 1.5 - 6)),
        (reading(bore=8.5), sigmoid(4 * 1.5 - 6)),
        (reading(bore=10.5, length=8), sigmoid(4 * 2 - 6)),  # the worst one speaks
        (reading(bore=99), sigmoid(4 * 3 - 6)),  # no further than three tolerances
        (reading("c2", bore=12), sigmoid(4 * 1.5 - 6)),  # this camera measures half a millimetre too much
        (NOTHING, 0.2),
        (reading(part="gear", bore=12), 0.2),
        (reading(width=12), 0.2),  # a dimension whose repeatability is not known
    ],
)
def test_the_gauge_speaks_where_it_can(found: Reading, probability: float) -> None:
    judged = combined(NETWORK, CLASSES, [FIT.applied(found)], FIT)
    assert judged.dtype == np.float32
    assert judged[0] == pytest.approx([0.1, probability, 0.3], abs=1e-6)
    assert np.array_equal(NETWORK, np.array([[0.1, 0.2, 0.3]], np.float32))  # not changed in place


def test_rows_are_judged_one_by_one() -> None:
    network = np.repeat(NETWORK, 3, axis=0)
    judged = combined(network, CLASSES, [NOTHING, reading(bore=12), NOTHING], FIT)
    assert judged[:, 1] == pytest.approx([0.2, sigmoid(2), 0.2], abs=1e-6)
    assert combined(np.zeros((0, 3)), CLASSES, [], FIT).shape == (0, 3)


def test_what_is_told_beside_the_class() -> None:
    (told,) = FIT.measurements(FIT.applied(reading("c2", bore=10.6, length=8))).values()
    assert (told.dimension, told.measured_mm, told.nominal_mm) == ("length", 7.5, 10)
    assert (told.tolerance_mm, told.repeatability_mm, told.box) == (1, 0.05, BOX)
    assert FIT.measurements(NOTHING) == {}
    assert FIT.applied(reading(part=None, bore=1)).not_applicable == TOO_FEW_PARTS


def test_a_gauge_survives_its_file_and_measures_as_before() -> None:
    fit = Fit(
        classes=FIT.classes, repeatability_mm={"stepped": dict.fromkeys(SIZES, 0.01)}, bias_mm={"c1": 0.1}
    )
    gauge = Gauge(plan=PLAN, specifications=SPECIFICATIONS, cameras={"c1": CAMERA}, fit=fit)
    again = Gauge.model_validate_json(gauge.model_dump_json())
    assert again == gauge
    found = again.read(png(stepped(SIZES | {"bore": 13})), "stepped", "c1")
    assert found == gauge.read(png(stepped(SIZES | {"bore": 13})), "stepped", "c1")
    assert found.worst is not None
    assert found.worst.dimension == "bore"
    assert found.worst.measured_mm == pytest.approx(13 - 0.1, abs=0.025)
    assert again.read(b"", "stepped", "c9").not_applicable == "no calibration of the camera"
