"""A heatmap shows the place that the model saw, in the image as sent."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from inspection.heatmap import MAX_SIDE, OPACITY, Activations, draw_heatmap
from inspection.imaging import Window
from tests.serving.examples import encode, picture


def activations(hot: tuple[int, int], window: Window, value: float = 0.4) -> Activations:
    """One hot cell of 8 x 8 in the second class of two."""
    maps = np.zeros((2, 8, 8), np.float32)
    maps[1][hot] = value
    return Activations(("A", "B"), maps, window)


def changed(drawn: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.nonzero((drawn != pixels).any(axis=2))


def test_only_the_place_is_coloured() -> None:
    pixels = picture(width=160, height=80)
    found = activations((2, 5), Window(0, 0, 160, 80))
    drawn = draw_heatmap(encode(pixels), found, "B")
    assert drawn.shape == pixels.shape
    rows, columns = changed(drawn, pixels)
    # Cell (2, 5) is 10 rows from 20 and 20 columns from 100; interpolation fades over a cell around it.
    assert 10 <= rows.min() <= 20 <= 29 <= rows.max() < 40
    assert 80 <= columns.min() <= 100 <= 119 <= columns.max() < 140
    # The other class saw nothing.
    assert np.array_equal(draw_heatmap(encode(pixels), found, "A"), pixels)


def test_a_map_lies_over_its_window_and_nowhere_else() -> None:
    pixels = picture(width=160, height=160)
    everywhere = Activations(("A",), np.full((1, 4, 4), 0.2, np.float32), Window(40, 60, 80, 40))
    drawn = draw_heatmap(encode(pixels), everywhere, "A")
    rows, columns = changed(drawn, pixels)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (60, 99, 40, 119)


def test_a_window_may_reach_beyond_the_image() -> None:
    pixels = picture(width=100, height=100)
    everywhere = Activations(("A",), np.full((1, 4, 4), 1, np.float32), Window(-20, 50.5, 60, 80))
    rows, columns = changed(draw_heatmap(encode(pixels), everywhere, "A"), pixels)
    assert (rows.max(), columns.min(), columns.max()) == (99, 0, 39)


def test_the_peak_has_the_full_colour_however_weak() -> None:
    pixels = np.zeros((80, 80, 3), np.uint8)
    for value in (0.01, 1.0):
        flat = Activations(("A",), np.full((1, 8, 8), value, np.float32), Window(0, 0, 80, 80))
        drawn = draw_heatmap(encode(pixels), flat, "A")
        # OpenCV's INFERNO ends in (252, 255, 164).
        assert np.allclose(drawn[40, 40], OPACITY * np.array([252, 255, 164]), atol=1)


def test_boxes_are_framed() -> None:
    pixels = picture(width=160, height=80)
    found = activations((0, 0), Window(0, 0, 160, 80), value=0)
    rows, columns = changed(draw_heatmap(encode(pixels), found, "B", [Window(30, 20, 50, 40)]), pixels)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 59, 30, 79)
    assert not ((rows == 40) & (columns == 50)).any()


@pytest.mark.parametrize(("width", "height", "size"), [(3200, 1600, (1600, 800)), (500, 2000, (400, 1600))])
@pytest.mark.parametrize("kind", [".png", ".jpg"])
def test_a_large_image_is_drawn_smaller(width: int, height: int, size: tuple[int, int], kind: str) -> None:
    image = encode(picture(width=width, height=height), kind)
    found = activations((7, 7), Window(0, 0, width, height))
    drawn = draw_heatmap(image, found, "B", [Window(0, 0, width // 2, height // 2)])
    assert (drawn.shape[1], drawn.shape[0]) == size
    assert max(drawn.shape) == MAX_SIDE


def test_what_is_kept_is_read_again() -> None:
    found = activations((3, 4), Window(1.5, 2, 30, 40.25))
    again = Activations.from_bytes(found.to_bytes())
    assert (again.classes, again.window) == (found.classes, found.window)
    assert np.allclose(again.maps, found.maps, atol=1e-3)


def test_nothing_that_is_kept_can_run() -> None:
    file = BytesIO()
    np.savez(file, classes=np.array([object()]), maps=np.zeros(1), window=np.zeros(4))
    with pytest.raises(ValueError, match="allow_pickle"):
        Activations.from_bytes(file.getvalue())
