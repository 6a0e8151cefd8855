"""How sharp and how well exposed an image is: what tells a camera that drifts from parts that differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.imaging import Pixels

# A saturated sensor gives 0 or 255; demosaicing, averaging and JPEG move that by a grey level or two.
BLACK = 2
WHITE = 253


class Quantiles(NamedTuple):
    """The 5 %, 50 % and 95 % quantile of a measure."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class ImageQuality:
    """Measures of one frame; comparable among frames of one size only.

    Attributes:
        sharpness: variance of the Laplacian, in squared grey levels; low is blurred.
        brightness: mean grey level, 0 to 255.
        black_share: of the pixels without detail in the shadows, grey <= `BLACK`; 0 to 1.
        white_share: of those without detail in the lights, grey >= `WHITE`; 0 to 1.
    """

    sharpness: float
    brightness: float
    black_share: float
    white_share: float


def measure_quality(pixels: Pixels) -> ImageQuality:
    """Measures a frame.

    Args:
        pixels: uint8 RGB, [H, W, 3], not empty.
    """
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    histogram = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    return ImageQuality(
        sharpness=sharpness(grey),
        brightness=float(histogram @ np.arange(256) / grey.size),
        black_share=float(histogram[: BLACK + 1].sum() / grey.size),
        white_share=float(histogram[WHITE:].sum() / grey.size),
    )


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Returns the variance of the Laplacian: LAP_VAR of Pech-Pacheco et al., ICPR 2000, unscaled.

    Args:
        grey: uint8, [H, W], not empty.
    """
    # Sums of five grey levels are whole numbers and fit into 16 bits: exact, and quicker than floats.
    _, deviation = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))
    return float(deviation[0, 0] ** 2)


def quantiles(values: NDArray[np.float64]) -> Quantiles:
    """Returns the quantiles of a measure of many frames, by linear interpolation.

    Args:
        values: float64, [N], not empty.
    """
    return Quantiles(*(float(value) for value in np.quantile(values, (0.05, 0.5, 0.95))))
