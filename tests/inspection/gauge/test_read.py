"""Drawn parts of known size, measured; and what cannot be measured, with the reason."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.errors import NotAnImageError
from inspection.gauge import read
from inspection.gauge.calibration import Camera, Lens
from inspection.gauge.plan import Plan
from inspection.gauge.read import measure
from inspection.gauge.reading import PixelBox, Reading
from inspection.gauge.specification import Specification
from tests.inspection.gauge.drawn import (
    CAMERA,
    HEIGHT,
    PLAN,
    SCALE,
    SIZES,
    SPECIFICATIONS,
    WIDTH,
    Pose,
    picture,
    placed,
    png,
    rectangle,
    stepped,
)

CLOSE_MM = 0.1 / SCALE  # a tenth of a pixel


def reading(image: bytes, camera: Camera | str = CAMERA, part_type: str | None = "stepped") -> Reading:
    return measure(image, part_type, "c1", camera, SPECIFICATIONS, PLAN)


def sizes(found: Reading) -> dict[str, float]:
    assert found.not_applicable is None
    return {dimension.dimension: dimension.measured_mm for dimension in found.dimensions}


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    "changes", [{}, {"left": 41.5}, {"right": 28.37}, {"bore": 13.21}, {"slot": 5.5}, {"length": 81.3}]
)
def test_sizes_are_right_to_a_tenth_of_a_pixel(changes: dict[str, float], dark: bool) -> None:
    true = SIZES | changes
    assert sizes(reading(png(stepped(true, dark=dark)))) == pytest.approx(true, abs=CLOSE_MM)


@settings(max_examples=40, deadline=None)
@given(
    pose=st.builds(
        Pose,
        x=st.floats(WIDTH / 2 - 30, WIDTH / 2 + 30),
        y=st.floats(HEIGHT / 2 - 30, HEIGHT / 2 + 30),
        turn=st.one_of(st.floats(-20, 20), st.floats(160, 200)),
        mirrored=st.booleans(),
    ),
    right=st.floats(28, 32),
)
def test_it_does_not_matter_how_the_part_lies(pose: Pose, right: float) -> None:
    true = SIZES | {"right": right}
    assert sizes(reading(png(stepped(true, pose)))) == pytest.approx(true, abs=2 * CLOSE_MM)


@pytest.mark.parametrize("turn", [0, 180])
def test_a_plan_for_parts_that_lie_on_one_side_does_not_know_the_other(turn: float) -> None:
    part = PLAN.parts["stepped"].model_copy(update={"mirrored": False})
    plan = PLAN.model_copy(update={"parts": {"stepped": part}})
    reasons = [
        measure(png(stepped(SIZES, pose)), "stepped", "c1", CAMERA, SPECIFICATIONS, plan).not_applicable
        for pose in (Pose(turn=turn), Pose(turn=turn, mirrored=True))
    ]
    assert reasons == [None, "bore was not found"]


def test_a_round_part_and_an_extent() -> None:
    plan = Plan.model_validate(
        {
            "parts": {
                "disc": {
                    "dimensions": {
                        "outer": {"kind": "circle"},
                        "across": {"kind": "extent", "along": "x"},
                    }
                }
            }
        }
    )
    x, y = placed(Pose(turn=33))
    specification = Specification(
        revision=1, nominal={"outer": 60, "across": 60}, tolerance={"outer": 0.1, "across": 1}
    )
    image = png(picture(np.hypot(x, y) - 30.4))
    found = sizes(measure(image, "disc", "c1", CAMERA, {"disc": specification}, plan))
    assert found["outer"] == pytest.approx(60.8, abs=CLOSE_MM)
    assert found["across"] == pytest.approx(60.8, abs=5 * CLOSE_MM)  # of two points, not of all


def test_what_sticks_out_of_an_edge_does_not_move_it() -> None:
    pixels = stepped()
    top = round(HEIGHT / 2 - SCALE * SIZES["left"] / 2)
    left = round(WIDTH / 2 - SCALE * 30)
    pixels[top - 5 : top, left : left + 40] = 170  # a burr over a third of the edge
    assert sizes(reading(png(pixels)))["left"] == pytest.approx(SIZES["left"], abs=2 * CLOSE_MM)


def test_the_box_is_around_the_feature_in_pixels_as_sent() -> None:
    """By hand: four pixels a millimetre around the middle (240, 160)."""
    pixels = stepped()
    twice = cv2.resize(pixels, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_LINEAR)
    for image, factor in ((pixels, 1), (twice, 2)):
        found = {d.dimension: d for d in reading(png(image)).dimensions}
        assert found["bore"].measured_mm == pytest.approx(12, abs=2 * CLOSE_MM)
        box, slot = found["bore"].box, found["slot"].box
        assert np.allclose(box, factor * np.array([240 - 104, 160 - 4, 48, 48]), atol=2 * factor)
        assert np.allclose(slot, factor * np.array([240 + 64, 160 - 12, 48, 24]), atol=2 * factor)


def test_a_jpeg_is_decoded_no_larger_than_its_tolerance_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = cv2.resize(stepped(), (8 * WIDTH, 8 * HEIGHT), interpolation=cv2.INTER_CUBIC)
    image = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    seen: list[tuple[int, ...]] = []
    decode = read.decode

    def watched(*args: object, **options: object) -> np.ndarray:
        result = decode(*args, **options)  # type: ignore[arg-type]
        seen.append(result.shape)
        return result

    monkeypatch.setattr(read, "decode", watched)
    found = reading(image)
    # 32 px/mm and 0.5 mm make 16 px a tolerance; 2.5 are enough: between a sixth and a quarter.
    ((rows, columns, _),) = seen
    assert 16 * columns / (8 * WIDTH) >= 2.5
    assert rows <= 8 * HEIGHT / 4
    assert sizes(found) == pytest.approx(SIZES, abs=2 * CLOSE_MM)
    assert {d.dimension: d for d in found.dimensions}["bore"].box.width == pytest.approx(8 * 48, abs=10)


def distorted(points: np.ndarray, lens: Lens) -> np.ndarray:
    """Where the lens shows what a pinhole would show at `points`, [h, w, 2]."""
    rays = np.dstack([(points - [lens.cx, lens.cy]) / [lens.fx, lens.fy], np.ones(points.shape[:2])])
    matrix = np.array([[lens.fx, 0, lens.cx], [0, lens.fy, lens.cy], [0, 0, 1]])
    coefficients = np.array([lens.k1, lens.k2, lens.p1, lens.p2, lens.k3])
    found, _ = cv2.projectPoints(rays.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), matrix, coefficients)
    return found.reshape(points.shape)


def test_a_lens_that_distorts_is_taken_out() -> None:
    """Each pixel of the picture shows what cv2.projectPoints says that it sees."""
    lens = Lens(fx=600, fy=600, cx=WIDTH / 2, cy=HEIGHT / 2, k1=-0.25, k2=0.05, p1=0.001, p2=-0.002)
    camera = CAMERA.model_copy(update={"lens": lens})
    seen = np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), axis=-1).astype(np.float64)
    straight = seen.copy()
    for _ in range(12):  # until the ray that would have met the sensor at `straight` is seen at `seen`
        straight -= distorted(straight, lens) - seen
    assert np.abs(distorted(straight, lens) - seen).max() < 1e-6
    bent = cv2.remap(stepped(), straight.astype(np.float32), None, cv2.INTER_CUBIC)
    assert sizes(reading(png(bent), camera)) == pytest.approx(SIZES, abs=3 * CLOSE_MM)
    assert abs(sizes(reading(png(bent)))["length"] - SIZES["length"]) > 10 * CLOSE_MM  # without it


def test_an_image_smaller_than_the_frame_has_the_smaller_scale() -> None:
    camera = Camera(width=4 * WIDTH, height=4 * HEIGHT, px_per_mm=4 * SCALE)
    assert sizes(reading(png(stepped()), camera)) == pytest.approx(SIZES, abs=CLOSE_MM)


EMPTY = png(np.full((HEIGHT, WIDTH, 3), 40, np.uint8))
NO_HOLE = png(picture(rectangle(*placed(Pose()), (-40, -20, 40, 20))))


@pytest.mark.parametrize(
    ("image", "camera", "part_type", "reason"),
    [
        (png(stepped()), CAMERA, None, "the part type was not told"),
        (png(stepped()), CAMERA, "gear", "no measurement plan of the part type"),
        (b"no image", "no scale (px_per_mm) of the camera", "stepped", "no scale (px_per_mm) of the camera"),
        (png(stepped()[:, :300]), CAMERA, "stepped", "the image has another shape than the camera's frame"),
        (EMPTY, CAMERA, "stepped", "no outline of a part"),
        (NO_HOLE, CAMERA, "stepped", "right was not found"),
        (png(stepped(SIZES | {"bore": 20.5})), CAMERA, "stepped", "bore was not found"),
    ],
)
def test_what_cannot_be_measured_says_why(
    image: bytes, camera: Camera | str, part_type: str | None, reason: str
) -> None:
    found = reading(image, camera, part_type)
    assert (found.not_applicable, found.dimensions, found.worst, found.score) == (reason, (), None, 0)


def test_without_a_specification_or_a_tolerance_nothing_is_measured() -> None:
    untold = Specification(revision=1, nominal=SIZES, tolerance={})
    for specifications in ({}, {"stepped": untold}):
        found = measure(png(stepped()), "stepped", "c1", CAMERA, specifications, PLAN)
        assert found.not_applicable == "no specification of the planned dimensions"


def test_only_dimensions_with_a_tolerance_are_measured() -> None:
    one = Specification(revision=1, nominal=SIZES, tolerance={"bore": 0.5, "depth": 0.5})
    found = measure(png(stepped()), "stepped", "c1", CAMERA, {"stepped": one}, PLAN)
    assert [d.dimension for d in found.dimensions] == ["bore"]
    assert found.dimensions[0].box != PixelBox(0, 0, WIDTH, HEIGHT)


def test_damaged_bytes_are_an_error() -> None:
    with pytest.raises(NotAnImageError):
        reading(png(stepped())[:-200])
