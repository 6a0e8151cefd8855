"""Boxes by hand and against torchvision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from inspection.boxes import Rectangle, best_iou, box_quality, iou
from inspection.metrics import Rate

UNIT = Rectangle(0, 0, 10, 10)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (UNIT, 1.0),
        (Rectangle(5, 0, 10, 10), 50 / 150),
        (Rectangle(5, 5, 10, 10), 25 / 175),
        (Rectangle(2, 2, 5, 5), 25 / 100),
        (Rectangle(10, 0, 10, 10), 0.0),  # they touch
        (Rectangle(30, 30, 5, 5), 0.0),
        (Rectangle(3, 3, 0, 0), 0.0),
    ],
)
def test_iou_by_hand(other: Rectangle, expected: float) -> None:
    assert iou(UNIT, other) == pytest.approx(expected)
    assert iou(other, UNIT) == pytest.approx(expected)


def test_two_boxes_without_area_share_nothing() -> None:
    assert iou(Rectangle(1, 1, 0, 0), Rectangle(1, 1, 0, 0)) == 0


def test_iou_is_that_of_torchvision() -> None:
    rng = np.random.default_rng(0)
    boxes = [Rectangle(*row) for row in rng.uniform(1, 50, (30, 4))]
    corners = torch.tensor([[b.x, b.y, b.x + b.width, b.y + b.height] for b in boxes], dtype=torch.float64)
    expected = box_iou(corners, corners).numpy()
    found = np.array([[iou(a, b) for b in boxes] for a in boxes])
    assert found == pytest.approx(expected)
    assert best_iou(boxes[0], boxes[1:]) == pytest.approx(expected[0, 1:].max())


def test_the_shares_count_what_reaches_a_half_and_a_tenth() -> None:
    found = box_quality([0.0, 0.1, 0.3, 0.5, 0.9])
    assert (found.half, found.tenth) == (Rate.of(2, 5), Rate.of(4, 5))
    assert found.mean.value == pytest.approx(1.8 / 5)
    assert (found.mean.low or 0) < 0.36 < (found.mean.high or 0)
    nothing = box_quality([])
    assert (nothing.half, nothing.tenth, nothing.mean.value) == (Rate.of(0, 0), Rate.of(0, 0), None)
