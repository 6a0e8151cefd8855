"""Lines and spots with soft edges, and how they are laid on a canvas."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.simulation.noise import Field
from inspection.simulation.surface import Canvas

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Patch:
    """A small picture of coverage, float32 [h, w] in 0..1, whose corner lies at pixel (x, y)."""

    alpha: Field
    x: int
    y: int


def line(points: Points, widths: NDArray[np.float64], unit: float) -> Patch:
    """Draws an open line.

    Args:
        points: corners in pixels, [n, 2].
        widths: of the n - 1 pieces in pixels.
        unit: pixels that one pixel of the reference width has become; below 4 the line is drawn
            larger and averaged, so that fractions of a pixel count.
    """
    fine = max(1, round(4 / unit))
    corner, large = _sheet(points, float(widths.max()), fine)
    places = np.round((points - corner) * fine * 16).astype(np.int32)
    for start, end, width in zip(places[:-1], places[1:], widths, strict=True):
        thickness = max(1, round(width * fine))
        cv2.line(large, start.tolist(), end.tolist(), (255,), thickness, cv2.LINE_AA, 4)
    return _shrunk(corner, large, fine)


def area(points: Points, unit: float) -> Patch:
    """Draws a filled outline, [n, 2] in pixels."""
    fine = max(1, round(4 / unit))
    corner, large = _sheet(points, 0, fine)
    places = np.round((points - corner) * fine * 16).astype(np.int32)
    cv2.fillPoly(large, [places], (255,), cv2.LINE_AA, 4)
    return _shrunk(corner, large, fine)


def softened(patch: Patch, sigma: float) -> Patch:
    """Returns the patch blurred by `sigma` pixels, grown so that nothing is cut."""
    grow = int(np.ceil(3 * sigma))
    wide = cv2.copyMakeBorder(patch.alpha, grow, grow, grow, grow, cv2.BORDER_CONSTANT, value=0)
    return Patch(np.asarray(cv2.GaussianBlur(wide, (0, 0), sigma)), patch.x - grow, patch.y - grow)


def shifted(patch: Patch, dx: float, dy: float) -> Patch:
    """Returns the patch moved by whole and broken pixels."""
    matrix = np.array([[1, 0, dx - np.floor(dx)], [0, 1, dy - np.floor(dy)]])
    alpha = cv2.warpAffine(patch.alpha, matrix, patch.alpha.shape[::-1])
    return Patch(np.asarray(alpha), patch.x + int(np.floor(dx)), patch.y + int(np.floor(dy)))


def overlap(shape: tuple[int, ...], patch: Patch) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Returns where a patch and a picture of `shape` meet: slices of the picture, slices of the patch."""
    height, width = patch.alpha.shape
    top, left = np.clip(patch.y, 0, shape[0]), np.clip(patch.x, 0, shape[1])
    bottom, right = np.clip(patch.y + height, 0, shape[0]), np.clip(patch.x + width, 0, shape[1])
    there = slice(int(top), int(bottom)), slice(int(left), int(right))
    own = slice(int(top) - patch.y, int(bottom) - patch.y), slice(int(left) - patch.x, int(right) - patch.x)
    return there, own


def lay(canvas: Canvas, patch: Patch, amount: float) -> Patch:
    """Brightens (or darkens) the part by ``amount * alpha``; returns what of the patch lies on it."""
    there, own = overlap(canvas.mask.shape, patch)
    visible = patch.alpha[own] * canvas.mask[there]
    canvas.luminance[there] += amount * visible
    return Patch(visible, there[1].start, there[0].start)


def footprint(patches: list[Patch], threshold: float = 0.3) -> Points:
    """Returns the pixel centres that the patches cover by more than `threshold`, [n, 2] as (x, y)."""
    found = [np.argwhere(p.alpha > threshold)[:, ::-1] + np.array([p.x, p.y]) for p in patches]
    return np.concatenate(found).astype(np.float64) if found else np.empty((0, 2))


def _sheet(points: Points, width: float, fine: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    corner = np.floor(points.min(axis=0) - width / 2 - 2).astype(np.int64)
    columns, rows = np.ceil(points.max(axis=0) + width / 2 + 2).astype(np.int64) - corner
    return corner, np.zeros((rows * fine, columns * fine), np.uint8)


def _shrunk(corner: NDArray[np.int64], large: NDArray[np.uint8], fine: int) -> Patch:
    size = large.shape[1] // fine, large.shape[0] // fine
    small = cv2.resize(large, size, interpolation=cv2.INTER_AREA) if fine > 1 else large
    return Patch(np.asarray(small, dtype=np.float32) / np.float32(255), int(corner[0]), int(corner[1]))
