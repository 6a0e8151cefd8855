"""Which calibration holds when, what of the files is usable, and pixels to millimetres."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np
import pytest

from inspection.gauge.calibration import Camera, Lens, camera_history

FRAME = {"width": 100, "height": 50}
LENS = {"fx": 300, "fy": 310, "cx": 50, "cy": 25, "k1": 0.1, "k2": 0, "p1": 0, "p2": 0, "k3": 0}


def config(camera: str, since: str, scale: object = None, **changes: object) -> dict[str, Any]:
    return {"camera_id": camera, "effective_from": since, **FRAME, "px_per_mm": scale, **changes}


HISTORY = camera_history(
    [
        config("a", "2026-03-01", 4),
        config("a", "2026-01-01T00:00:00+00:00", 2),
        config("untold", "2026-01-01"),
        {"camera_id": "older", "effective_from": "2026-01-01", **FRAME},
        config("broken", "2026-01-01", 0),
        config("broken", "2026-01-01", "wide"),
        config("broken", "soon", 3),
        config("broken", "2026-01-01", 3, width=None),
        config("broken", "2026-01-01", float("nan")),
    ],
    [
        {"camera_id": "a", "calibrated_at": "2026-02-01", **LENS},
        {"camera_id": "a", "calibrated_at": "2026-03-15T12:00:00+02:00", **LENS, "k1": 0.2},
        {"camera_id": "a", "calibrated_at": "2026-01-15", **LENS, "fx": 0},
    ],
)


@pytest.mark.parametrize(
    ("camera", "moment", "scale", "k1"),
    [
        ("a", datetime(2026, 1, 1, tzinfo=UTC), 2, None),
        ("a", datetime(2026, 1, 31, 23, tzinfo=UTC), 2, None),
        ("a", datetime(2026, 2, 1, tzinfo=UTC), 2, 0.1),
        ("a", datetime(2026, 3, 15, 9, 59, tzinfo=UTC), 4, 0.1),
        ("a", datetime(2026, 3, 15, 10, tzinfo=UTC), 4, 0.2),
        ("a", datetime(2025, 12, 31, tzinfo=UTC), "captured before the camera's first configuration", None),
        ("untold", datetime(2026, 5, 1, tzinfo=UTC), "no scale (px_per_mm) of the camera", None),
        ("older", datetime(2026, 5, 1, tzinfo=UTC), "no scale (px_per_mm) of the camera", None),
        ("broken", datetime(2026, 5, 1, tzinfo=UTC), "camera unknown to camera_config", None),
        ("b", datetime(2026, 5, 1, tzinfo=UTC), "camera unknown to camera_config", None),
    ],
)
def test_the_newest_rows_not_after_the_capture_count(
    camera: str, moment: datetime, scale: float | str, k1: float | None
) -> None:
    found = HISTORY.at(camera, moment)
    if isinstance(scale, str):
        assert found == scale
    else:
        assert isinstance(found, Camera)
        assert found.px_per_mm == scale
        assert (found.lens and found.lens.k1) == k1


def test_rows_that_say_nothing_are_counted() -> None:
    assert HISTORY.broken == 5 + 1
    assert camera_history([], []).broken == 0


def test_distorted_points_come_back_as_millimetres() -> None:
    """A grid of known millimetres, projected by OpenCV through a lens that distorts."""
    lens = Lens(fx=900, fy=900, cx=512, cy=384, k1=-0.2, k2=0.03, p1=0.001, p2=-0.0005, k3=0.01)
    camera = Camera(width=1024, height=768, px_per_mm=4, lens=lens)
    grid = np.stack(np.meshgrid(np.linspace(-90, 90, 7), np.linspace(-60, 60, 5)), -1).reshape(-1, 2)
    # At the distance where 900 px of focal length make 4 px a millimetre.
    objects = np.column_stack([grid, np.full(len(grid), 900 / 4)])
    matrix = np.array([[900.0, 0, 512], [0, 900, 384], [0, 0, 1]])
    coefficients = np.array([-0.2, 0.03, 0.001, -0.0005, 0.01])
    seen, _ = cv2.projectPoints(objects, np.zeros(3), np.zeros(3), matrix, coefficients)
    found = camera.millimetres(seen[:, 0], 1024)
    assert np.abs(found - np.array([512, 384]) / 4 - grid).max() < 0.02
    plain = camera.model_copy(update={"lens": None}).millimetres(seen[:, 0], 1024)
    assert np.abs(plain - np.array([512, 384]) / 4 - grid).max() > 1


def test_an_image_at_half_the_size_has_the_same_millimetres() -> None:
    camera = Camera(width=1024, height=768, px_per_mm=4)
    # The middles of the first and the last pixel of both, by hand.
    assert camera.millimetres(np.array([[0.0, 0], [1023, 767]]), 1024) == pytest.approx(
        np.array([[0, 0], [255.75, 191.75]])
    )
    assert camera.millimetres(np.array([[0.0, 0], [511, 383]]), 512) == pytest.approx(
        np.array([[0.125, 0.125], [255.625, 191.625]])
    )


@pytest.mark.parametrize(
    ("size", "fits"), [((1024, 768), True), ((512, 384), True), ((515, 384), True), ((768, 768), False)]
)
def test_a_frame_is_known_by_its_shape(size: tuple[int, int], fits: bool) -> None:
    assert Camera(width=1024, height=768, px_per_mm=4).fits(*size) is fits
