"""Parts of the simulated plant: the gauge tells wrong dimensions from right ones, whatever else is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from inspection.gauge.calibration import Camera
from inspection.gauge.plan_file import DEFAULT_PLAN, load_plan
from inspection.gauge.read import measure
from inspection.gauge.reading import Reading
from inspection.gauge.specification import newest_specifications
from inspection.simulation.cameras import CAMERA_BY_ID, CAMERAS, REFERENCE_WIDTH
from inspection.simulation.defects import DIMENSION, KINDS
from inspection.simulation.parts import PART_TYPES
from inspection.simulation.production import spec_table
from inspection.simulation.rendering import ImageSpec, Photo, photograph_all

PARTS = 150
LARGE_MM = 0.3
"""Noise, texture and the drawing of edges together stay below this for all but a few parts."""


@dataclass(frozen=True)
class Case:
    photo: Photo
    reading: Reading

    @property
    def wrong(self) -> bool:
        return DIMENSION in self.photo.spec.defects


PLAN = load_plan(DEFAULT_PLAN)
COLUMNS = (spec_table()[name].to_pylist() for name in ("part_type", "revision", "dimensions"))
SPECIFICATIONS, BROKEN = newest_specifications(zip(*COLUMNS, strict=True))


def gauge(photo: Photo) -> Reading:
    spec = photo.spec
    scale = CAMERA_BY_ID[spec.camera_id].px_per_mm * spec.width / REFERENCE_WIDTH
    camera = Camera(width=spec.width, height=spec.height, px_per_mm=scale)
    return measure(photo.jpeg, spec.part_type, spec.camera_id, camera, SPECIFICATIONS, PLAN)


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    rng = np.random.default_rng(3)
    others = [kind for kind in KINDS if kind != DIMENSION]
    specs = []
    for number in range(PARTS):
        kinds = [DIMENSION] if number % 3 == 0 else []
        kinds += [str(rng.choice(others))] if rng.random() < 0.4 else []
        part, camera = PART_TYPES[number % len(PART_TYPES)], CAMERAS[number % len(CAMERAS)]
        specs.append(ImageSpec(17, number, part.name, camera.camera_id, tuple(kinds)))
    return [Case(photo, gauge(photo)) for photo in photograph_all(specs)]


def test_all_can_be_measured(cases: list[Case]) -> None:
    assert {case.reading.not_applicable for case in cases} == {None}
    for case in cases:
        planned = PLAN.parts[case.photo.spec.part_type].dimensions
        assert [found.dimension for found in case.reading.dimensions] == list(planned)


def test_the_deviation_tells_wrong_from_right(cases: list[Case]) -> None:
    truth, scores = [case.wrong for case in cases], [case.reading.score for case in cases]
    assert sum(truth) == PARTS // 3
    assert roc_auc_score(truth, scores) >= 0.98


def test_hardly_a_good_part_is_measured_out_of_tolerance(cases: list[Case]) -> None:
    """At most two of a hundred: a burr over most of an edge is measured as part of it."""
    good = [case for case in cases if not case.wrong]
    beyond = [case for case in good if case.reading.score * 0.8 > 0.8 + LARGE_MM]
    assert len(beyond) <= 0.02 * len(good)
    assert all("burr" in case.photo.spec.defects for case in beyond)


def test_the_box_is_where_the_wrong_dimension_is(cases: list[Case]) -> None:
    """Overlap (intersection over union) with the box that the simulator drew, for most of the parts."""
    overlaps = []
    for case in cases:
        for defect in case.photo.defects:
            if defect.kind == DIMENSION and case.reading.worst is not None:
                overlaps.append(overlap(case.reading.worst.box, defect.box))
    assert len(overlaps) == PARTS // 3
    assert np.median(overlaps) > 0.5


def test_the_specifications_of_the_plant_are_read() -> None:
    assert not BROKEN
    assert set(SPECIFICATIONS) == {part.name for part in PART_TYPES}
    for part in PART_TYPES:
        assert SPECIFICATIONS[part.name].nominal == dict(part.dimensions)
        assert set(SPECIFICATIONS[part.name].tolerance.values()) == {part.tolerance}


def overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)
