"""What the report tells beside the metrics, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score

from inspection.dataset import Box, Sample
from inspection.learning.evaluation import Predictions
from inspection.learning.report.details import (
    EvaluationDetails,
    Judged,
    RivalResult,
    boxed_defects,
    make_details,
)
from inspection.metrics import Rate
from tests.inspection.learning.toy import CLASSES, sample

THRESHOLDS = {"DENT": 0.5, "RUST": 0.2}
NOBODY = RivalResult(bundle=None, verdicts=None, reason="no model is in production")


def judged(samples: list[Sample], p: object, boxes: object = None, scale: float = 0.5) -> Judged:
    count = len(samples)
    found = Predictions(
        tuple(samples),
        np.array(p, np.float32).reshape(count, 2),
        np.zeros((count, 2, 2)),
        np.ones((count, 2)),
        (),
        np.zeros((count, 2, 4)) if boxes is None else np.array(boxes, float),
        np.full(count, scale),
    )
    return Judged.of(found, THRESHOLDS)


def details(of: Judged) -> EvaluationDetails:
    return make_details(of, Rate.of(0, 0), 0.8, None, "nobody knows", NOBODY, (), ())


SAMPLES = [
    sample("a", sample_weight=4.0, line_id="l1"),
    sample("b", sample_weight=4.0, line_id="l2"),
    sample("c", ("DENT",), line_id="l1"),
    sample("d", ("DENT",), line_id="l2"),
    sample("e", ("RUST", "DENT"), line_id="l2", plant_id="p", label_source="code"),
    sample("f", ("RUST",), line_id="l2"),
]
P = [(0.1, 0.05), (0.6, 0.1), (0.9, 0.1), (0.4, 0.1), (0.7, 0.3), (0.95, 0.1)]


def test_the_decisions_by_hand() -> None:
    found = judged(SAMPLES, P)
    assert found.classes == CLASSES
    assert found.failed.tolist() == [False, True, True, False, True, True]
    assert found.defective.tolist() == [False, False, True, True, True, True]
    assert found.wrong.tolist() == [False, True, False, True, False, False]
    assert found.confidence == pytest.approx([0.9, 0.6, 0.9, 0.6, 0.7, 0.95])
    assert found.weights.tolist() == [4, 4, 1, 1, 1, 1]


def test_the_figures_by_hand() -> None:
    found = details(judged(SAMPLES, P))
    assert found.f1.value == pytest.approx(0.6)  # 3 hits, 5 told, 5 there
    assert found.f1_per_class["DENT"].value == pytest.approx(2 * 2 / 7)
    assert found.f1_per_class["RUST"].value == pytest.approx(2 / 3)
    # Told: of b (weighs 4), c, e twice, f; right are c and both of e.
    assert found.precision_at_line.value == pytest.approx(3 / 8)
    assert found.line_images == 12
    # Surest first: f right; a and c right; e right; b and d wrong.
    assert found.risk.coverage == pytest.approx((1 / 6, 3 / 6, 4 / 6, 1))
    assert found.risk.risk == pytest.approx((0, 0, 0, 2 / 6))
    lines = {one.value: one for one in found.slices if one.by == "line"}
    assert lines["l2"].missed.rate == Rate.of(1, 3)
    assert lines["l2"].false_alarms.rate == Rate.of(1, 1)
    assert {one.value for one in found.slices if one.by == "plant"} == {"p", "not told"}
    assert {one.by for one in found.slices} == {"line", "camera", "part type", "plant", "labels by"}
    assert (found.sizes, found.boxes.half) == ((), Rate.of(0, 0))
    assert found.cap_reason == "nobody knows"


def test_f1_and_precision_at_the_line_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    samples = [
        sample(
            f"i{n}", tuple(c for c in CLASSES if rng.random() < 0.3), sample_weight=float(rng.integers(1, 5))
        )
        for n in range(120)
    ]
    of = judged(samples, rng.random((120, 2)) * 0.9)
    found = details(of)
    assert found.f1.value == pytest.approx(f1_score(of.actual, of.told, average="micro"))
    for c, name in enumerate(CLASSES):
        assert found.f1_per_class[name].value == pytest.approx(f1_score(of.actual[:, c], of.told[:, c]))
    weighted = precision_score(of.actual, of.told, average="micro", sample_weight=of.weights)
    assert found.precision_at_line.value == pytest.approx(weighted)
    assert (found.f1.low or 1) < (found.f1.value or 0) < (found.f1.high or 0)


def test_defects_have_the_size_of_their_largest_box_and_the_overlap_of_the_best() -> None:
    boxes = (Box("DENT", 0, 0, 10, 10), Box("DENT", 50, 50, 20, 5), Box("RUST", 0, 0, 30, 30))
    samples = [sample("a", ("DENT", "RUST"), boxes=boxes), sample("b", ("DENT",)), sample("c")]
    drawn = np.zeros((3, 2, 4))
    drawn[0] = [(50, 50, 20, 10), (0, 0, 10, 10)]
    found = boxed_defects(judged(samples, [(0.9, 0.1)] * 3, drawn))
    assert found.class_index.tolist() == [0, 1]
    assert found.side.tolist() == [10, 30]
    assert found.told.tolist() == [True, False]
    assert found.iou == pytest.approx([0.5, 1 / 9])
    assert found.scale.tolist() == [0.5, 0.5]
    whole = details(judged(samples, [(0.9, 0.1)] * 3, drawn))
    assert whole.boxes.half == Rate.of(1, 1)  # of the told one alone
    assert whole.boxes_per_class["RUST"].half == Rate.of(0, 0)
    assert [one.found.rate for one in whole.sizes] == [Rate.of(1, 1), Rate.of(0, 1)]
    assert [one.model_pixels for one in whole.sizes] == [5, 15]
    assert whole.sizes_per_class["RUST"][0].smallest == 30


def test_recall_falls_with_the_size_where_small_defects_are_lost() -> None:
    sides = np.linspace(4, 80, 200)  # a quarter of them is below 23
    samples = [sample(f"i{n}", ("DENT",), boxes=(Box("DENT", 0, 0, s, s),)) for n, s in enumerate(sides)]
    p = np.stack([np.where(sides > 25, 0.9, 0.1), np.zeros(200)], axis=1)
    found = details(judged(samples, p))
    first, _, *large = [one.found.rate.value for one in found.sizes]
    assert (first, large) == (0, [1, 1])
    assert found.sizes[0].found.marked
    assert found.sizes[0].found.rate.high is not None
    assert found.sizes[0].found.rate.high < 0.1


@pytest.mark.parametrize("labels", [(), ("DENT",)])
def test_one_image(labels: tuple[str, ...]) -> None:
    found = details(judged([sample("a", labels)], [(0.1, 0.1)]))
    assert found.risk.risk == (float(bool(labels)),)
    assert found.precision_at_line.value is None
    assert found.tests == 0
    assert EvaluationDetails.model_validate_json(found.model_dump_json()) == found
