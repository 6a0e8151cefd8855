"""Finding a part against its backdrop."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from inspection.outline import part_outline, part_window


def frame(
    part: tuple[int, int, int, int] | None,
    backdrop: int = 220,
    brightness: int = 40,
    size: tuple[int, int] = (480, 640),
) -> NDArray[np.uint8]:
    """A frame [h, w, 3] with a rectangle (x, y, width, height) and a little noise."""
    pixels = np.full((*size, 3), backdrop, np.float64)
    if part is not None:
        x, y, width, height = part
        pixels[y : y + height, x : x + width] = brightness
    noise = np.random.default_rng(7).normal(0, 3, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("backdrop", "brightness"), [(220, 40), (30, 200), (120, 180)])
@pytest.mark.parametrize("part", [(200, 150, 180, 120), (40, 60, 400, 60), (300, 50, 90, 380)])
def test_outline_of_a_rectangle(backdrop: int, brightness: int, part: tuple[int, int, int, int]) -> None:
    found = part_outline(frame(part, backdrop, brightness))
    assert found is not None
    # The frame is looked at with 256 columns, so a border is known to a few original pixels.
    assert np.abs(np.subtract(found, part)).max() <= 8


def test_part_that_leaves_the_frame() -> None:
    found = part_outline(frame((400, 100, 240, 200)))
    assert found is not None
    assert np.abs(np.subtract(found, (400, 100, 240, 200))).max() <= 8


@pytest.mark.parametrize("value", [0, 128, 255])
def test_uniform_frame_has_no_part(value: int) -> None:
    assert part_outline(np.full((480, 640, 3), value, np.uint8)) is None


@pytest.mark.parametrize("part", [(300, 200, 10, 10), (2, 2, 636, 476)])
def test_specks_and_full_frames_are_no_part(part: tuple[int, int, int, int]) -> None:
    assert part_outline(frame(part)) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_tiny_frames_have_no_part(size: tuple[int, int]) -> None:
    assert part_outline(np.zeros((*size, 3), np.uint8)) is None


def test_window_is_centred_on_the_part() -> None:
    (x, y), found = part_window(frame((200, 150, 180, 120)), 300, 200)
    assert found
    assert abs(x + 150 - 290) <= 4
    assert abs(y + 100 - 210) <= 4


@pytest.mark.parametrize(
    ("part", "corner"), [((0, 0, 150, 100), (0, 0)), ((500, 400, 140, 80), (640 - 320, 480 - 240))]
)
def test_window_stays_inside_the_frame(part: tuple[int, int, int, int], corner: tuple[int, int]) -> None:
    assert part_window(frame(part), 320, 240) == (corner, True)


def test_window_without_a_part_is_the_middle() -> None:
    assert part_window(frame(None), 320, 240) == ((160, 120), False)
