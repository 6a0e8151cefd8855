"""Evaluation on real files with a model whose opinion is known, and every count by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from inspection.cache import CachedImage, Unreadable, encode_frame
from inspection.dataset import Box, Sample
from inspection.errors import InsufficientDataError, OntologyError
from inspection.gate import judge_model
from inspection.imaging import Preprocessing, load_frame
from inspection.learning.calibration import Calibration, choose_thresholds
from inspection.learning.controls import shuffled
from inspection.learning.evaluation import (
    Predictions,
    load_originals,
    measure,
    pointing,
    predict_cached,
    predict_originals,
    target_matrix,
)
from inspection.metrics import Rate, expected_calibration_error
from inspection.profiles import GateLimits
from inspection.runtime import OnnxModel
from tests.inspection.bundles import ONTOLOGY
from tests.inspection.learning.toy import CLASSES, FRAME, picture, sample, save_picture
from tests.serving.examples import CELLS, GREY, SIZE, tiny_model

# The tiny model: its first class is red, its second green; a cell of pure colour has the logit 10.
TINY = Preprocessing(height=SIZE, width=SIZE, mean=(0, 0, 0), std=(1, 1, 1))
SURE = float(expit(10))


@pytest.fixture(scope="module")
def model() -> OnnxModel:
    return OnnxModel(tiny_model(classes=2), threads=1)


def grey_file(root: Path, name: str, cells: Sequence[tuple[int, int, int]] = ()) -> Sample:
    """Writes a grey picture, 256 x 128, with cells (column, row, channel) of pure colour."""
    pixels = np.full((128, 256, 3), GREY, np.uint8)
    for column, row, channel in cells:
        pixels[row * 16 : row * 16 + 16, column * 32 : column * 32 + 32] = (
            np.eye(3, dtype=np.uint8)[channel] * 255
        )
    found = sample(name)
    save_picture(root / found.image_path, pixels)
    return found


@pytest.mark.parametrize("count", [0, 1, 70])
def test_originals_come_in_order_with_what_cannot_be_read(tmp_path: Path, count: int) -> None:
    samples = [sample(f"i{n:02}") for n in range(count)]
    for number, wanted in enumerate(samples):
        save_picture(tmp_path / wanted.image_path, picture((), seed=number)[0])
    if count > 65:
        (tmp_path / "i03.png").unlink()
        truncated = tmp_path / "i65.png"
        truncated.write_bytes(truncated.read_bytes()[:-200])

    found = list(load_originals(samples, tmp_path, FRAME))

    assert [wanted for wanted, _ in found] == samples
    bad = {wanted.image_id: frame for wanted, frame in found if isinstance(frame, Unreadable)}
    if count > 65:
        assert set(bad) == {"i03", "i65"}
        assert bad["i03"] == Unreadable("i03", "i03.png", "there is no such file")
        assert "truncated" in bad["i65"].reason
    else:
        assert not bad
    for wanted, frame in found:
        if not isinstance(frame, Unreadable):
            expected = load_frame((tmp_path / wanted.image_path).read_bytes(), FRAME)
            assert np.array_equal(frame.pixels, expected.pixels)


def test_an_original_is_judged_and_its_peak_told_in_its_own_pixels(tmp_path: Path, model: OnnxModel) -> None:
    samples = [
        grey_file(tmp_path, "a", [(2, 5, 0), (7, 0, 1)]),
        sample("missing"),
        grey_file(tmp_path, "b"),
    ]

    found = predict_originals(model, samples, tmp_path, TINY)

    assert [read.image_id for read in found.samples] == ["a", "b"]
    assert [bad.image_id for bad in found.unreadable] == ["missing"]
    assert found.probabilities == pytest.approx(np.array([[SURE, SURE], [1 - SURE, 1 - SURE]]), abs=1e-6)
    # By hand: 256 x 128 pixels in 8 x 8 cells of 32 x 16; the middles of (column 2, row 5) and of (7, 0).
    assert found.cells.tolist() == [[32, 16], [32, 16]]
    assert found.peaks[0].tolist() == [[80, 88], [240, 8]]
    assert found.boxes[0].tolist() == [[64, 80, 32, 16], [224, 0, 32, 16]]
    assert found.scales.tolist() == pytest.approx([np.sqrt(64 / 256 * 64 / 128)] * 2)


def test_a_peak_in_a_cropped_window_is_told_in_the_original(tmp_path: Path, model: OnnxModel) -> None:
    pixels = np.full((128, 128, 3), 20, np.uint8)
    pixels[64:96, 80:112] = GREY  # the part; its middle is (96, 80), so the window starts at (64, 48)
    pixels[64:72, 88:96] = (255, 0, 0)
    wanted = sample("a")
    save_picture(tmp_path / wanted.image_path, pixels)
    cropped = TINY.model_copy(update={"crop": "part", "crop_height": 0.5, "crop_width": 0.5})

    found = predict_originals(model, [wanted], tmp_path, cropped)

    assert found.cells.tolist() == [[8, 8]]
    x, y = found.peaks[0, 0]
    assert 88 - 2 <= x <= 96 + 2
    assert 64 - 2 <= y <= 72 + 2


def test_no_readable_image_is_refused(tmp_path: Path, model: OnnxModel) -> None:
    for samples in ([], [sample("a"), sample("b")]):
        with pytest.raises(InsufficientDataError, match=f"none of {len(samples)} images"):
            predict_originals(model, samples, tmp_path, TINY)


@pytest.mark.parametrize("larger", [1, 2])
def test_frames_of_the_cache_are_judged_where_there_are_any(model: OnnxModel, larger: int) -> None:
    red = np.full((SIZE, SIZE, 3), GREY, np.uint8)
    red[: SIZE // CELLS, : SIZE // CELLS] = (255, 0, 0)
    window = (0.0, 0.0, 64.0, 64.0)
    frame = encode_frame(red.repeat(larger, 0).repeat(larger, 1))
    cached = {"b": CachedImage("b", "0", frame, window, 64, 64, part_found=True)}
    samples = [sample("a"), sample("b")]

    found = predict_cached(model, samples, cached, TINY, classes=2)

    assert np.isnan(found[0]).all()
    assert found[1] == pytest.approx([SURE, 1 - SURE], abs=0.01)
    assert np.isnan(predict_cached(model, samples, {}, TINY, classes=2)).all()
    assert predict_cached(model, [], cached, TINY, classes=2).shape == (0, 2)


def test_targets_are_the_labels_in_order() -> None:
    samples = [sample("a"), sample("b", ("RUST",)), sample("c", ("RUST", "DENT"))]
    assert target_matrix(samples, CLASSES).tolist() == [[0, 0], [0, 1], [1, 1]]


def predictions(
    samples: Sequence[Sample], p: object, peaks: object = None, cells: object = None
) -> Predictions:
    count = len(samples)
    return Predictions(
        tuple(samples),
        np.array(p, np.float32),
        np.zeros((count, 2, 2)) if peaks is None else np.array(peaks, float),
        np.ones((count, 2)) if cells is None else np.array(cells, float),
        (),
        np.zeros((count, 2, 4)),
        np.ones(count),
    )


SAMPLES = (
    sample("a", sample_weight=4.0),
    sample("b", sample_weight=4.0),
    sample("c", ("DENT",)),
    sample("d", ("DENT",)),
    sample("e", ("RUST", "DENT")),
    sample("f", ("RUST",)),
)
P = [
    (0.10, 0.05),  # a: passes, rightly; 0.9 sure
    (0.60, 0.10),  # b: a good part, rejected; 0.6 sure
    (0.90, 0.10),  # c: found; 0.9 sure
    (0.40, 0.10),  # d: slips through; 0.6 sure
    (0.70, 0.30),  # e: both found; 0.7 sure
    (0.95, 0.10),  # f: rejected, but for the other defect; 0.95 sure
]
THRESHOLDS = {"DENT": 0.5, "RUST": 0.2}
PLAIN = Calibration((1.0, 1.0), (0.0, 0.0))
# The same from the cache, except that "a" is not in it and "d" gets another verdict.
CACHED = np.array([(np.nan, np.nan), *P[1:3], (0.55, 0.1), *P[4:]])


def test_every_count_by_hand() -> None:
    found = measure(predictions(SAMPLES, P), CACHED, THRESHOLDS, PLAIN, ONTOLOGY, 0.8)

    assert found.images == 6
    assert found.accuracy == Rate.of(3, 6)  # a, c, e
    assert found.precision == Rate.of(3, 5)  # told: DENT of b, c, e, f and RUST of e
    assert found.recall == Rate.of(3, 5)  # there: DENT of c, d, e and RUST of e, f
    assert found.f1 == pytest.approx(0.6)
    assert found.false_reject_rate == Rate.of(1, 2)  # b
    assert found.escape_rate == Rate.of(1, 4)  # d
    assert found.to_people == Rate.of(3, 6)  # b, d, e
    assert found.automatic_error == Rate.of(0, 3)  # a, c, f: the verdict of f is right
    assert found.cache_flips == Rate.of(1, 5)  # d
    assert found.labels == ("DENT", "RUST", "FINE")
    assert found.confusion == ((1, 0, 1), (1, 1, 0), (1, 0, 1))
    dent, rust = found.per_class["DENT"], found.per_class["RUST"]
    assert (dent.precision, dent.recall, dent.threshold) == (Rate.of(2, 4), Rate.of(2, 3), 0.5)
    assert (rust.precision, rust.recall, rust.threshold) == (Rate.of(1, 1), Rate.of(1, 2), 0.2)
    # DENT: of 9 pairs c wins against a and b, d against a, e against a and b. RUST: of 8 pairs e wins 4, f
    # wins against a and ties with the other three.
    assert dent.auroc == pytest.approx(5 / 9)
    assert rust.auroc == pytest.approx((4 + 1 + 3 * 0.5) / 8)
    assert found.macro_auroc == pytest.approx((5 / 9 + 6.5 / 8) / 2)
    assert set(found.rates) == {
        "accuracy",
        "precision",
        "recall",
        "false_reject_rate",
        "escape_rate",
        "to_people",
        "automatic_error",
        "cache_flips",
    }


def test_the_calibration_error_weighs_images_and_tells_what_calibration_changed() -> None:
    logits = np.array([(-2.0, 1.0), (0.5, -1.5), (3.0, 0.2), (1.0, -0.3), (-0.7, 2.0), (0.1, 0.9)])
    calibration = Calibration((2.0, 0.5), (-1.0, 0.3))
    p = expit(logits * calibration.slopes + calibration.offsets)
    targets, weights = target_matrix(SAMPLES, CLASSES), np.array([4, 4, 1, 1, 1, 1])

    found = measure(predictions(SAMPLES, p), p, THRESHOLDS, calibration, ONTOLOGY, 0.8)

    assert found.ece == pytest.approx(expected_calibration_error(p, targets, weights), abs=1e-5)
    before = expected_calibration_error(expit(logits), targets, weights)
    assert found.ece_uncalibrated == pytest.approx(before, abs=1e-5)
    assert found.cache_flips == Rate.of(0, 6)


@pytest.mark.parametrize(("first", "last"), [(0, 2), (2, 6)])
def test_a_test_set_of_one_kind_has_rates_that_count_nothing(first: int, last: int) -> None:
    found = measure(
        predictions(SAMPLES[first:last], P[first:last]),
        CACHED[first:last] * np.nan,
        THRESHOLDS,
        PLAIN,
        ONTOLOGY,
        0.8,
    )
    missing = found.escape_rate if first == 0 else found.false_reject_rate
    assert missing == Rate.of(0, 0)
    assert found.cache_flips == Rate.of(0, 0)
    assert (found.macro_auroc is None) == (first == 0)


@pytest.mark.parametrize(
    ("peak", "hit"),
    [
        ((20, 20), True),
        ((10, 10), True),
        ((6, 7), True),  # half a cell of 8 x 6 outside
        ((5.9, 10), False),
        ((10, 6.9), False),
        ((34, 33), True),
        ((34.1, 20), False),
        ((64, 64), True),  # the second box
        ((45, 45), False),  # between them
    ],
)
def test_a_peak_points_at_a_box_give_or_take_half_a_cell(peak: tuple[float, float], hit: bool) -> None:
    boxes = (Box("DENT", 10, 10, 20, 20), Box("DENT", 60, 60, 10, 10), Box("RUST", 40, 40, 10, 10))
    found = predictions([sample(boxes=boxes)], [P[0]], [[peak, (0, 0)]], [(8, 6)])
    assert pointing(found, 0, "DENT") == Rate.of(int(hit), 1)


def test_pointing_counts_images_with_a_box_of_the_class() -> None:
    dent = Box("DENT", 0, 0, 10, 10)
    samples = [
        sample("a", ("DENT",), boxes=(dent,)),
        sample("b", ("DENT",)),
        sample("c", ("RUST",), boxes=(Box("RUST", 0, 0, 10, 10),)),
        sample("d", ("DENT",), boxes=(dent, dent)),
    ]
    peaks: NDArray[np.float64] = np.full((4, 2, 2), 5.0)
    peaks[3, 0] = 50
    found = predictions(samples, np.zeros((4, 2)), peaks)
    assert pointing(found, 0, "DENT") == Rate.of(1, 2)
    assert pointing(found, 1, "RUST") == Rate.of(1, 1)
    assert pointing(predictions([], np.zeros((0, 2))), 0, "DENT") == Rate.of(0, 0)


@pytest.mark.parametrize("change", [{"label": "TEAR", "labels": ("TEAR",)}, {"label": "GOOD"}])
def test_a_label_that_the_ontology_does_not_have_is_named(change: dict[str, object]) -> None:
    samples = (*SAMPLES[:-1], replace(SAMPLES[-1], **change))  # type: ignore[arg-type]
    with pytest.raises(OntologyError, match=rf"{change['label']} \(1 images\)"):
        measure(predictions(samples, P), CACHED, THRESHOLDS, PLAIN, ONTOLOGY, 0.8)


@pytest.mark.parametrize("limits", [GateLimits(), GateLimits(safety_critical_positives=20, hold_bound=False)])
def test_the_gate_refuses_a_model_that_was_taught_shuffled_labels(limits: GateLimits) -> None:
    """Such a model can at best know how common each class is; the thresholds are chosen as always."""
    labels = [("DENT",), ("RUST",), ()]
    samples = [sample(f"i{n}", labels[n % 3]) for n in range(1500)]
    validation, test = shuffled(samples[:600]), samples[600:]
    rng = np.random.default_rng(0)
    # What the model sees it tells rightly, but by the labels that it was taught.
    p = np.clip(target_matrix(samples, CLASSES) * 0.9 + rng.uniform(0, 0.1, (1500, 2)), 0, 1)
    taught, seen = target_matrix(validation, CLASSES), p[:600]
    thresholds = choose_thresholds(seen, taught, CLASSES, ["RUST"], 0.99, 0.05)
    likely = np.clip(taught.mean(0) + rng.normal(0, 0.05, (900, 2)), 0, 1)

    for said in (likely, rng.permutation(p[600:])):
        found = measure(predictions(test, said), said, thresholds, PLAIN, ONTOLOGY, 0.8)
        gate = judge_model(found, limits, ONTOLOGY.safety_critical_ids)
        assert gate.verdict == "failed"
        assert any("/900" in reason or "/600" in reason or "/300" in reason for reason in gate.reasons)

    told = measure(predictions(test, p[600:]), p[600:], {"DENT": 0.5, "RUST": 0.5}, PLAIN, ONTOLOGY, 0.8)
    assert judge_model(told, limits, ONTOLOGY.safety_critical_ids).verdict == "passed"  # taught the true ones
