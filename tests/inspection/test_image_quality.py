"""Sharpness and exposure of hand-made images, and against OpenCV and SciPy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from inspection.image_quality import ImageQuality, measure_quality, quantiles, sharpness


def grey(levels: object) -> NDArray[np.uint8]:
    """RGB pixels with these grey levels."""
    return np.repeat(np.array(levels, np.uint8)[..., None], 3, -1)


def noise(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)


@pytest.mark.parametrize("level", [0, 40, 128, 255])
def test_an_even_image_has_no_sharpness(level: int) -> None:
    found = measure_quality(grey(np.full((4, 6), level)))
    assert found == ImageQuality(0, level, float(level == 0), float(level == 255))


def test_a_dot_by_hand() -> None:
    levels = np.zeros((5, 5))
    levels[2, 2] = 100
    # The Laplacian is -400 at the dot, 100 at its four neighbours, 0 at the other 20: its mean is 0.
    found = measure_quality(grey(levels))
    assert found.sharpness == pytest.approx((400**2 + 4 * 100**2) / 25)
    assert found.brightness == pytest.approx(100 / 25)
    assert (found.black_share, found.white_share) == (24 / 25, 0)


def test_clipping_counts_the_last_grey_levels() -> None:
    found = measure_quality(grey([[0, 1, 2, 3, 128, 252, 253, 254, 255, 100]]))
    assert (found.black_share, found.white_share) == (0.3, 0.3)
    assert found.brightness == pytest.approx((0 + 1 + 2 + 3 + 128 + 252 + 253 + 254 + 255 + 100) / 10)


def test_one_pixel_is_an_image() -> None:
    assert measure_quality(grey([[7]])) == ImageQuality(0, 7, 0, 0)


def test_sharpness_is_that_of_other_libraries() -> None:
    levels = cv2.cvtColor(noise(), cv2.COLOR_RGB2GRAY)
    assert sharpness(levels) == pytest.approx(cv2.Laplacian(levels, cv2.CV_64F).var())
    mirrored = ndimage.laplace(levels.astype(float), mode="mirror")
    assert sharpness(levels) == pytest.approx(mirrored.var())
    assert measure_quality(noise()).sharpness == sharpness(levels)


def test_blur_lowers_sharpness_and_keeps_brightness() -> None:
    found = [measure_quality(cv2.GaussianBlur(noise(), (0, 0), sigma)) for sigma in (0.5, 1, 2, 4)]
    sharp = [quality.sharpness for quality in found]
    assert sharp == sorted(sharp, reverse=True)
    assert sharp[0] > 100 * sharp[-1]
    assert {round(quality.brightness / 10) for quality in found} == {13}


def test_red_is_darker_than_green() -> None:
    red, green = np.zeros((2, 8, 8, 3), np.uint8)
    red[..., 0], green[..., 1] = 200, 200
    # ITU-R BT.601: 0.299 and 0.587 of the channel.
    assert measure_quality(red).brightness == pytest.approx(0.299 * 200, abs=0.5)
    assert measure_quality(green).brightness == pytest.approx(0.587 * 200, abs=0.5)


def test_quantiles_by_hand() -> None:
    assert quantiles(np.arange(101.0)) == (5, 50, 95)
    assert quantiles(np.array([3.0])) == (3, 3, 3)
    assert quantiles(np.array([0.0, 10.0])) == pytest.approx((0.5, 5, 9.5))
