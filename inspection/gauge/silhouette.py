"""The outline of a part against the backdrop, to a fraction of a pixel.

A threshold finds the part to a pixel or two. Then each point of its outline is moved along its normal to
where the brightness changes: the centroid of the gradient's positive part around its peak, which does not
depend on how bright part and backdrop are there (Devernay 1995 compares such estimators).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.outline import MAX_SHARE, MIN_CONTRAST, MIN_SHARE, WORKING_WIDTH

Points = NDArray[np.float64]
Grey = NDArray[np.uint8]

PART_SHARE = 0.35
"""The threshold lies this share of the way from the backdrop to the part: edges are darker than faces."""
REACH, STEP, WINDOW = 5.0, 0.5, 2.0
"""Pixels: how far an edge is looked for on both sides, in which steps, and the centroid's half width."""
CENTRINGS = 3
NEIGHBOURS = 7
"""Points of the outline whose profiles are averaged: noise goes, a straight edge stays."""
TANGENT = 4
"""Points ahead and behind from which the direction of the outline is taken."""
MIN_POINTS, MAX_POINTS = 24, 8000


class Silhouette(NamedTuple):
    """A part's edges.

    Attributes:
        outer: the outline, pixels of the image, the middle of the first pixel at 0, float64 [n, 2].
        holes: the edge of each hole, likewise.
    """

    outer: Points
    holes: tuple[Points, ...]


def find_silhouette(grey: Grey) -> Silhouette | None:
    """Returns the edges of the largest thing in the frame that differs from the backdrop.

    Args:
        grey: uint8 [h, w]; the backdrop is what most of the border shows.

    Returns:
        None when nothing like a part stands out: by the rules of `inspection.outline.part_outline`.
    """
    mask, sign = _mask(grey)
    if mask is None:
        return None
    contours, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    areas = [cv2.contourArea(contour) if tree[0][n][3] < 0 else 0.0 for n, contour in enumerate(contours)]
    largest = int(np.argmax(areas))
    if not MIN_SHARE <= areas[largest] / mask.size <= MAX_SHARE:
        return None
    holes = [
        contour
        for n, contour in enumerate(contours)
        if tree[0][n][3] == largest and len(contour) >= MIN_POINTS
    ]
    smooth = np.asarray(cv2.GaussianBlur(grey, (3, 3), 0), np.float32)
    # OpenCV walks an outline counterclockwise and a hole's edge clockwise: the part is on the same side.
    outer, *inner = (_refined(smooth, _thinned(contour), sign) for contour in (contours[largest], *holes))
    return Silhouette(outer, tuple(inner))


def _mask(grey: Grey) -> tuple[Grey | None, int]:
    """The part as 1, uint8 [h, w], and 1 for a part brighter than the backdrop, -1 for a darker one."""
    rows, columns = grey.shape
    factor = min(1.0, WORKING_WIDTH / columns)
    size = max(1, round(columns * factor)), max(1, round(rows * factor))
    small = cv2.GaussianBlur(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), (5, 5), 0)
    _, parted = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    dark, bright = small[parted == 0], small[parted == 1]
    if not dark.size or not bright.size or bright.mean() - dark.mean() < MIN_CONTRAST:
        return None, 1
    border = np.concatenate([parted[0], parted[-1], parted[:, 0], parted[:, -1]])
    darker = border.mean() > 0.5
    backdrop, part = (np.median(bright), np.median(dark)) if darker else (np.median(dark), np.median(bright))
    limit = backdrop + PART_SHARE * (part - backdrop)
    kind = cv2.THRESH_BINARY_INV if darker else cv2.THRESH_BINARY
    soft = cv2.GaussianBlur(grey, (5, 5), 0)
    return np.asarray(cv2.threshold(soft, limit, 1, kind)[1], np.uint8), -1 if darker else 1


def _thinned(contour: NDArray[Any]) -> Points:
    return np.asarray(contour[:: -(-len(contour) // MAX_POINTS), 0], np.float64)


def _refined(grey: NDArray[np.float32], points: Points, sign: int) -> Points:
    """Moves the points of a closed outline onto the edge; a point without one stays out."""
    tangent = np.roll(points, -TANGENT, 0) - np.roll(points, TANGENT, 0)
    length = np.linalg.norm(tangent, axis=1, keepdims=True)
    inwards = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1) / np.maximum(length, 1e-9)
    offsets = np.arange(-REACH, REACH + STEP / 2, STEP)
    samples = (points[:, None] + offsets[:, None] * inwards[:, None]).astype(np.float32)
    x, y = samples[..., 0], samples[..., 1]
    profile = np.asarray(cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
    profile = _around(profile)
    rise = np.maximum(sign * np.diff(profile, axis=1), 0)
    middles = (offsets[1:] + offsets[:-1]) / 2
    place = middles[rise.argmax(axis=1)]
    weight = rise
    for _ in range(CENTRINGS):
        # A window with soft ends that follows its own centroid: one around a sample leans to that sample.
        weight = rise * np.clip((WINDOW - np.abs(middles - place[:, None])) / STEP + 0.5, 0, 1)
        place = (weight * middles).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9)
    found = (weight.sum(axis=1) >= MIN_CONTRAST) & (length[:, 0] > 0)
    return np.asarray(points[found] + place[found, None] * inwards[found])


def _around(profile: NDArray[np.float32]) -> NDArray[np.float32]:
    """Averages each profile with its neighbours along the closed outline."""
    half = NEIGHBOURS // 2
    if len(profile) <= 2 * half:
        return profile
    closed = np.concatenate([profile[-half:], profile, profile[:half]])
    return np.asarray(cv2.blur(closed, (1, NEIGHBOURS))[half:-half], np.float32)
