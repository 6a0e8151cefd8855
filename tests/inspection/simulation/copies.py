"""Copies of photographs, as somebody makes them who sends a picture on."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from inspection.imaging import Pixels

INTERPOLATION = cv2.INTER_AREA


def encoded(pixels: Pixels, quality: int = 90) -> bytes:
    """Encodes BGR pixels as JPEG."""
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def resized(pixels: Pixels, factor: float) -> Pixels:
    """Changes the size by a factor."""
    return np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=INTERPOLATION), np.uint8)


def brighter(pixels: Pixels, factor: float) -> Pixels:
    """Multiplies each value."""
    return np.clip(pixels * factor, 0, 255).astype(np.uint8)


def cropped(pixels: Pixels, share: float) -> Pixels:
    """Keeps the middle: a share of each side."""
    rows, columns = (round(length * share) for length in pixels.shape[:2])
    top, left = (pixels.shape[0] - rows) // 2, (pixels.shape[1] - columns) // 2
    return pixels[top : top + rows, left : left + columns]


COPIES: dict[str, Callable[[Pixels], bytes]] = {
    "encoded again": lambda p: encoded(p, 75),
    "half the size": lambda p: encoded(resized(p, 0.5), 85),
    "larger": lambda p: encoded(resized(p, 1.5)),
    "brighter": lambda p: encoded(brighter(p, 1.2)),
    "darker": lambda p: encoded(brighter(p, 0.8), 85),
    "cropped a little": lambda p: encoded(cropped(p, 0.97)),
    "all at once": lambda p: encoded(resized(brighter(cropped(p, 0.97), 1.1), 0.8), 80),
}


def copy_of(jpeg: bytes, kind: str) -> bytes:
    """Returns a copy of a photograph, of one of the kinds of `COPIES`."""
    return COPIES[kind](np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8))
