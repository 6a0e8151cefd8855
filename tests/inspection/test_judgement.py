"""From a model's outputs to defects, boxes, severities and the recommended action."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from inspection.errors import BundleError
from inspection.gauge.reading import Measurement, PixelBox
from inspection.imaging import Frame, Window
from inspection.judgement import Action, BoundingBox, Prediction, bounding_box, judge
from tests.serving.examples import manifest

SCRATCH, BURR, PIT, CRACK, OUT_OF_TOLERANCE = manifest().classes


def frame(
    window: tuple[float, float, float, float] = (0, 0, 800, 400), size: tuple[int, int] = (800, 400)
) -> Frame:
    return Frame(np.zeros((1, 1, 3), np.uint8), Window(*window), *size, part_found=True)


def grid(*cells: tuple[int, int, float], rows: int = 4, columns: int = 8) -> np.ndarray:
    found = np.zeros((rows, columns), np.float32)
    for row, column, value in cells:
        found[row, column] = value
    return found


BOXES = [
    # Cells of 100 x 100 pixels.
    ("one cell", grid((1, 2, 0.9)), (0, 0, 800, 400), BoundingBox(200, 100, 100, 100)),
    ("flat map: everything", np.full((4, 8), 0.5, np.float32), (0, 0, 800, 400), BoundingBox(0, 0, 800, 400)),
    ("zero map: everything", grid(), (0, 0, 800, 400), BoundingBox(0, 0, 800, 400)),
    ("two neighbours", grid((1, 2, 0.9), (1, 3, 0.5)), (0, 0, 800, 400), BoundingBox(200, 100, 200, 100)),
    ("a diagonal is one", grid((1, 2, 0.9), (2, 3, 0.6)), (0, 0, 800, 400), BoundingBox(200, 100, 200, 200)),
    ("too weak", grid((1, 2, 0.9), (1, 3, 0.4)), (0, 0, 800, 400), BoundingBox(200, 100, 100, 100)),
    ("apart", grid((0, 0, 0.9), (3, 7, 0.8)), (0, 0, 800, 400), BoundingBox(0, 0, 100, 100)),
    # A window of 80 x 40 at (10.5, 20): cells of 10 x 10, whole pixels around them.
    ("in a window", grid((3, 7, 0.9)), (10.5, 20, 80, 40), BoundingBox(80, 50, 11, 10)),
    ("window at the rim", grid((3, 7, 0.9)), (740, 380, 80, 40), BoundingBox(799, 399, 1, 1)),
]


@pytest.mark.parametrize(
    ("activation", "window", "expected"), [c[1:] for c in BOXES], ids=[c[0] for c in BOXES]
)
def test_box(
    activation: np.ndarray, window: tuple[float, float, float, float], expected: BoundingBox
) -> None:
    assert bounding_box(activation, 0.5, frame(window)) == expected


@given(
    activation=arrays.arrays(
        np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(0, 1, width=32)
    ),
    threshold=st.floats(0.01, 1),
    size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    shares=st.tuples(*[st.floats(0.001, 1)] * 4),
)
def test_a_box_lies_in_the_image_and_covers_the_peak(
    activation: np.ndarray, threshold: float, size: tuple[int, int], shares: tuple[float, float, float, float]
) -> None:
    width, height = size[0] * shares[2], size[1] * shares[3]
    x, y = (size[0] - width) * shares[0], (size[1] - height) * shares[1]
    box = bounding_box(activation, threshold, frame((x, y, width, height), size))

    assert box.x >= 0
    assert box.y >= 0
    assert 1 <= box.width <= size[0] - box.x
    assert 1 <= box.height <= size[1] - box.y
    row, column = np.unravel_index(np.argmax(activation), activation.shape)
    centre = x + width * (column + 0.5) / activation.shape[1], y + height * (row + 0.5) / activation.shape[0]
    assert box.x <= centre[0] <= box.x + box.width
    assert box.y <= centre[1] <= box.y + box.height


def maps(peak: float = 0.9) -> np.ndarray:
    return np.stack([grid((1, 2, peak))] * 5)


JUDGEMENTS = [
    # probabilities, defects in order, confidence, action
    ("clean", [0.1, 0.05, 0, 0, 0], [], 0.9, Action.ACCEPT),
    ("just below", [0.49, 0, 0, 0, 0], [], 0.51, Action.ACCEPT),
    ("at the threshold", [0.5, 0, 0, 0, 0], [SCRATCH], 0.5, Action.REWORK),
    ("several, most probable first", [0.6, 0.9, 0.1, 0, 0], [BURR, SCRATCH], 0.9, Action.REWORK),
    ("one with a low threshold of its own", [0.4, 0, 0, 0.2, 0], [CRACK], 0.2, Action.REWORK),
    ("one with a high threshold of its own", [0, 0, 0.85, 0, 0], [], 0.15, Action.ACCEPT),
]


@pytest.mark.parametrize(
    ("probabilities", "classes", "confidence", "action"),
    [c[1:] for c in JUDGEMENTS],
    ids=[c[0] for c in JUDGEMENTS],
)
def test_judgement(probabilities: list[float], classes: list[str], confidence: float, action: Action) -> None:
    bundle = manifest(thresholds=dict.fromkeys(manifest().classes, 0.5) | {CRACK: 0.2, PIT: 0.9})
    found = judge(np.array(probabilities, np.float32), maps(), bundle, frame())

    assert [defect.defect_class for defect in found.defects] == classes
    assert found.prediction == (Prediction.FAIL if classes else Prediction.PASS)
    assert found.overall_confidence == pytest.approx(confidence)
    assert found.recommended_action == action
    assert found.probabilities == pytest.approx(dict(zip(bundle.classes, probabilities, strict=True)))


@pytest.mark.parametrize(
    ("cells", "severity", "action"),
    [(1, "minor", Action.REWORK), (11, "major", Action.REWORK), (22, "critical", Action.SCRAP)],
)
def test_severity_and_action_follow_the_area(cells: int, severity: str, action: Action) -> None:
    # A scratch has three levels in equal steps: of 32 cells, up to 10.67 are minor, up to 21.33 major.
    row = np.zeros((1, 32), np.float32)
    row[0, :cells] = 0.9
    found = judge(np.array([0.9, 0, 0, 0, 0], np.float32), np.stack([row] * 5), manifest(), frame())

    assert found.defects[0].severity == severity
    assert found.defects[0].area_percentage == pytest.approx(100 * cells / 32)
    assert found.recommended_action == action


def test_the_worst_defect_decides() -> None:
    row = np.zeros((1, 32), np.float32)
    row[0, :22] = 0.9
    both = np.stack([row, grid((0, 0, 0.9), rows=1, columns=32), row, row, row])
    found = judge(np.array([0.6, 0.9, 0, 0, 0], np.float32), both, manifest(), frame())
    assert [defect.severity for defect in found.defects] == ["minor", "critical"]
    assert found.recommended_action == Action.SCRAP


@pytest.mark.parametrize(
    ("probabilities", "activation"),
    [
        ([np.nan, 0, 0, 0, 0], maps()),
        ([0.1, 0, 0, 0, 1.01], maps()),
        ([-0.1, 0, 0, 0, 0], maps()),
        ([0.1, 0, 0, 0], maps()),
        ([0.1, 0, 0, 0, 0], maps()[:4]),
        ([0.1, 0, 0, 0, 0], maps(np.nan)),
        ([0.1, 0, 0, 0, 0], np.zeros((5, 0, 0), np.float32)),
    ],
)
def test_numbers_that_make_no_sense_never_pass_a_part(
    probabilities: list[float], activation: np.ndarray
) -> None:
    with pytest.raises(BundleError):
        judge(np.array(probabilities, np.float32), activation, manifest(), frame())


def test_a_measured_defect_has_the_box_of_its_feature() -> None:
    told = Measurement("bore", 12.7, 12.0, 0.5, 0.01, PixelBox(100, 50, 80, 40))
    network = judge(outputs(), np.zeros((5, 4, 8), np.float32), manifest(), frame())
    measured = judge(
        outputs(), np.zeros((5, 4, 8), np.float32), manifest(), frame(), {OUT_OF_TOLERANCE: told}
    )
    (seen,), (defect,) = network.defects, measured.defects
    assert (seen.measurement, seen.bounding_box) == (None, BoundingBox(0, 0, 800, 400))
    assert (defect.measurement, defect.bounding_box) == (told, BoundingBox(100, 50, 80, 40))
    assert defect.area_percentage == 1.0  # 80 x 40 of 800 x 400
    assert (defect.confidence, seen.confidence) == (pytest.approx(0.9), pytest.approx(0.9))


def outputs() -> np.ndarray:
    """The last class alone, which is the measured one."""
    return np.array([0, 0, 0, 0, 0.9], np.float32)
