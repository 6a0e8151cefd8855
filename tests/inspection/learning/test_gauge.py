"""What is learnt about the gauge, and that its word counts in thresholds and test metrics alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import median_abs_deviation
from sklearn.linear_model import LogisticRegression

from inspection.artifacts import get_file, get_record
from inspection.dataset import Sample, TrainingData
from inspection.errors import InsufficientDataError
from inspection.gauge.calibration import CameraHistory, camera_history
from inspection.gauge.gauge import ClassFit, Fit, Gauge
from inspection.gauge.plan import Plan
from inspection.gauge.reading import Measured, PixelBox, Reading
from inspection.gauge.readings import Instrument
from inspection.learning.calibration import Calibration
from inspection.learning.evaluation import Predictions
from inspection.learning.gauge import (
    GaugeResult,
    SecondJudge,
    camera_bias,
    class_fits,
    fit_gauge,
    repeatability,
    second_judge,
)
from inspection.ontology import Ontology
from inspection.profiles import CalibrationProfile
from inspection.store import LocalStore
from tests.inspection.bundles import ONTOLOGY
from tests.inspection.gauge.drawn import (
    HEIGHT,
    PLAN,
    SCALE,
    SIZES,
    SPECIFICATIONS,
    WIDTH,
    Pose,
    stepped,
)
from tests.inspection.learning.toy import sample, save_picture

BOX = PixelBox(10, 20, 30, 40)
MEASURED = Ontology.model_validate(
    {
        "ontology": "test",
        "version": "1",
        "classes": [
            {"id": "FINE", "label": "Fine", "clean": True},
            {"id": "DENT", "label": "Dent", "severity_levels": ["minor"]},
            {"id": "SIZE", "label": "Size", "severity_levels": ["minor"], "measured": True},
        ],
    }
)
MINIMUM = CalibrationProfile(minimum_positives=3, minimum_negatives=3)


def parts(
    deviations: Sequence[float], labels: Sequence[tuple[str, ...]] | None = None, camera: str = "c1"
) -> tuple[list[Sample], dict[str, Reading]]:
    """Samples whose bore (10 mm, tolerance 1 mm) deviates as told."""
    samples, readings = [], {}
    for number, deviation in enumerate(deviations):
        name = f"{camera}-{number:03}"
        told = () if labels is None else labels[number]
        samples.append(sample(name, told, camera_id=camera))
        found = Measured(dimension="bore", measured_mm=10 + deviation, nominal_mm=10, tolerance_mm=1, box=BOX)
        readings[name] = Reading(part_type="shaft", camera_id=camera, dimensions=(found,))
    return samples, readings


def test_repeatability_is_the_robust_spread_of_good_parts() -> None:
    off = np.random.default_rng(0).normal(0.3, 0.05, 200)
    bad = [3.0, 3.1, -2.9]
    labels = [()] * 200 + [("SIZE",)] * 3
    samples, readings = parts([*off, *bad], labels)
    found = repeatability(samples, readings, ["SIZE"])
    assert found == {"shaft": {"bore": pytest.approx(median_abs_deviation(off, scale="normal"), rel=1e-3)}}


def test_too_few_good_parts_tell_no_repeatability() -> None:
    samples, readings = parts([0.01 * n for n in range(9)])
    assert repeatability(samples, readings, ["SIZE"]) == {}
    same, drawn = parts([0.0] * 10)
    assert repeatability(same, drawn, ["SIZE"]) == {"shaft": {"bore": 1e-4}}  # told no finer
    lost = {name: reading.without("no outline of a part") for name, reading in drawn.items()}
    assert repeatability(same, lost, ["SIZE"]) == {}


def test_a_camera_that_measures_more_than_the_others_is_told() -> None:
    rng = np.random.default_rng(1)
    samples, readings = [], {}
    for camera, bias in (("c1", 0.0), ("c2", 0.0), ("c3", 0.2), ("few", 0.5)):
        count = 19 if camera == "few" else 80
        more, found = parts(rng.normal(0.4 + bias, 0.05, count), camera=camera)
        samples += more
        readings |= found
    spread = Fit(classes={}, repeatability_mm=repeatability(samples, readings, []), bias_mm={})
    bias = camera_bias(samples, readings, spread, ["SIZE"])
    assert "few" not in bias
    # Against the median of all, which the odd camera has moved a little; what all share is left alone.
    assert bias["c3"] - bias.get("c1", 0) == pytest.approx(0.2, abs=0.03)
    assert abs(bias.get("c1", 0)) < 0.1


def test_a_probability_is_fitted_to_the_deviation_in_tolerances() -> None:
    rng = np.random.default_rng(2)
    off = rng.uniform(0, 3, 400)
    wrong = rng.random(400) < 1 / (1 + np.exp(-(3 * off - 4)))
    samples, readings = parts(off, [("SIZE",) if w else () for w in wrong])
    (fit,) = class_fits(samples, readings, ["SIZE"], MINIMUM).values()
    reference = LogisticRegression(C=np.inf).fit(off[:, None], wrong)
    assert fit.slope == pytest.approx(reference.coef_[0, 0], rel=0.05)
    assert fit.offset == pytest.approx(reference.intercept_[0], rel=0.05)
    assert (fit.positives, fit.negatives) == (wrong.sum(), 400 - wrong.sum())


@pytest.mark.parametrize("wrong", [0, 2])
def test_a_class_with_too_few_measured_parts_is_refused(wrong: int) -> None:
    samples, readings = parts([0.1] * 10 + [2.0] * 3, [()] * 10 + [("SIZE",)] * 3)
    for name in [s.image_id for s in samples if s.labels][wrong:]:
        readings[name] = readings[name].without("no outline of a part")
    with pytest.raises(InsufficientDataError, match=f"{wrong} images with SIZE"):
        class_fits(samples, readings, ["SIZE"], MINIMUM)


FRAME = {"effective_from": "2026-01-01", "width": WIDTH, "height": HEIGHT}
CAMERAS = camera_history(
    [
        {
            "camera_id": "c1",
            "effective_from": "2026-01-01",
            "width": WIDTH,
            "height": HEIGHT,
            "px_per_mm": SCALE,
        },
        {"camera_id": "blind", "effective_from": "2026-01-01", "width": WIDTH, "height": HEIGHT},
    ],
    [],
)
INSTRUMENT = Instrument(PLAN, SPECIFICATIONS, CAMERAS)


def stepped_plates(root: Path, other: str | None = None) -> TrainingData:
    """Writes 42 parts, every third with a bore too wide or too narrow; and one by a camera without a scale.

    Every fourth is labelled with another class as well, if one is given.
    """
    rng = np.random.default_rng(5)
    samples = []
    for number in range(42):
        wrong = number % 3 == 0
        bore = SIZES["bore"] + rng.normal(0, 0.05) + wrong * rng.choice([-1, 1]) * rng.uniform(1, 2)
        name = f"part-{number:02}"
        save_picture(root / f"{name}.png", stepped(SIZES | {"bore": bore}, Pose(turn=rng.uniform(-3, 3))))
        side = "validation" if number < 12 else "test" if number < 21 else "train"
        fold = {"validation": 5, "test": None, "train": 1}[side]
        labels = [*(["SIZE"] if wrong else []), *([other] if other and number % 4 == 0 else [])]
        samples.append(sample(name, labels, split=side, fold_id=fold, part_type="stepped"))
    samples.append(replace(samples[-1], image_id="unseen", camera_id="blind"))
    return TrainingData("r1", tuple(samples))


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStore, Path, TrainingData]:
    folder = tmp_path_factory.mktemp("gauge")
    return LocalStore(folder / "store"), folder, stepped_plates(folder)


@pytest.fixture(scope="module")
def fitted(plant: tuple[LocalStore, Path, TrainingData]) -> str:
    store, root, data = plant
    return fit_gauge(store, data, MEASURED, INSTRUMENT, MINIMUM, root, {"gear": "revision 1: no JSON object"})


def test_a_gauge_is_fitted_and_tells_what_it_could_not_do(
    plant: tuple[LocalStore, Path, TrainingData], fitted: str
) -> None:
    store, _, data = plant
    result = get_record(store, GaugeResult, fitted)
    assert result.reason is None
    assert (result.images, result.applicable) == (43, 42)
    assert result.not_applicable == {"no scale (px_per_mm) of the camera": 1}
    assert result.broken_specifications == {"gear": "revision 1: no JSON object"}
    assert result.data_fingerprint == data.fingerprint
    assert result.gauge is not None
    gauge = Gauge.model_validate_json(get_file(store, result.gauge))
    assert gauge.fit == result.fit
    assert list(gauge.cameras) == ["c1"]
    # Of the bore, which was drawn with a spread of 0.05 mm; ten parts tell it roughly.
    assert 0.01 < gauge.fit.repeatability_mm["stepped"]["bore"] < 0.15
    assert result.plot is not None
    assert get_file(store, result.plot).startswith(b"\x89PNG")


def test_it_tells_wrong_from_right_and_speaks_for_its_class_alone(
    plant: tuple[LocalStore, Path, TrainingData], fitted: str
) -> None:
    store, _, data = plant
    judge = second_judge(store, fitted, data)
    assert judge is not None
    network = np.full((len(data.samples), 2), 0.25, np.float32)
    judged = judge.judge(data.samples, network, MEASURED.defect_ids)
    wrong = np.array([bool(s.labels) for s in data.samples])
    measured = np.array([s.camera_id == "c1" for s in data.samples])
    assert (judged[:, 0] == 0.25).all()
    assert judged[wrong & measured, 1].min() > judged[~wrong & measured, 1].max()
    assert judged[~measured, 1].tolist() == [0.25]


def test_another_dataset_is_refused(plant: tuple[LocalStore, Path, TrainingData], fitted: str) -> None:
    store, _, data = plant
    other = TrainingData("r2", data.samples)
    with pytest.raises(InsufficientDataError, match="materialize dimension_gauge again"):
        second_judge(store, fitted, other)
    assert second_judge(store, None, data) is None


NOTHING_PLANNED = replace(INSTRUMENT, plan=Plan(parts={}))
NOTHING_SPECIFIED = replace(INSTRUMENT, specifications={})
NO_CAMERA = replace(INSTRUMENT, cameras=CameraHistory(configs={}, lenses={}))


@pytest.mark.parametrize(
    ("ontology", "instrument", "reason"),
    [
        (ONTOLOGY, INSTRUMENT, "the ontology marks no class as measured"),
        (MEASURED, NOTHING_PLANNED, "the measurement plan has no part types"),
        (MEASURED, NOTHING_SPECIFIED, "erp.product_specs specifies no part type of the measurement plan"),
        (MEASURED, NO_CAMERA, "of the parts that could be measured, validation has 0 images with SIZE"),
    ],
)
def test_without_what_it_takes_there_is_no_gauge_and_the_reason(
    plant: tuple[LocalStore, Path, TrainingData], ontology: Ontology, instrument: Instrument, reason: str
) -> None:
    store, root, data = plant
    made = fit_gauge(store, data, ontology, instrument, MINIMUM, root)
    result = get_record(store, GaugeResult, made)
    assert result.reason is not None
    assert result.reason.startswith(reason)
    assert (result.gauge, result.fit, result.plot) == (None, None, None)
    assert second_judge(store, made, data) is None


def test_predictions_get_the_gauges_word_and_its_place() -> None:
    samples, readings = parts([0.0, 2.0])
    readings["c1-000"] = readings["c1-000"].without("no outline of a part")
    fit = Fit(
        classes={"SIZE": ClassFit(slope=4, offset=-6, positives=9, negatives=9)},
        repeatability_mm={"shaft": {"bore": 0.1}},
        bias_mm={},
    )
    found = Predictions(
        tuple(samples),
        np.full((2, 2), 0.25, np.float32),
        np.full((2, 2, 2), 7.0),
        np.full((2, 2), 3.0),
        (),
        np.full((2, 2, 4), 5.0),
        np.ones(2),
    )
    judge = SecondJudge(fit, readings)
    after = judge.beside(found, ("DENT", "SIZE"))
    assert after.probabilities == pytest.approx(np.array([[0.25, 0.25], [0.25, 1 / (1 + np.exp(-2))]]))
    assert after.peaks.tolist() == [[[7, 7], [7, 7]], [[7, 7], [25, 40]]]  # the middle of the box
    assert after.boxes[0].tolist() == [[5] * 4] * 2
    assert after.boxes[1, 1, 0] + after.boxes[1, 1, 2] / 2 == 25
    assert (found.peaks.max(), found.boxes.max()) == (7, 5)
    kept = judge.without_measured(Calibration((2.0, 3.0), (0.5, 0.6)), ("DENT", "SIZE"))
    assert kept == Calibration((2.0, 1.0), (0.5, 0.0))
