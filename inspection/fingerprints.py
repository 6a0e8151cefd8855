"""Fingerprints of photographs: whether two frames are copies of one photograph.

A copy may be encoded again, resized, made brighter, or cropped. What it keeps is the fine texture of the
photograph: grain of the mat, tool marks, dust. Two photographs of like parts share outlines and no grain.
So two frames are laid over each other by matched ORB points (Rublee et al. 2011) and a similarity fitted
with RANSAC; then the normalised brightness (mean subtracted, contrast divided: Mittal et al. 2012) is
correlated tile by tile. A copy agrees in nearly all tiles, another photograph in those with an edge at
most.

How much a tile must agree depends on its contrast: what a JPEG or another size adds is noise of a grey
level or two, which hides faint grain and does little to a groove. `needed` is that line. It was drawn
between two sets: simulated photographs, where copies reach a correlation of 0.4 in the grain and like parts
0.2, and real ones of a ball screw that turns before a fixed camera, where copies reach 0.84 and other
places of the screw 0.75.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.imaging import Pixels, resized

AGREEMENT = 1.0
"""Two frames are copies when `agreement` is as high: the tiles reach what they need."""
CONTRASTS, CORRELATIONS = (1.0, 3.0), (0.28, 0.77)
"""A tile whose detail deviates by 1 grey level or less needs a correlation of 0.28, by 3 or more one of
0.77. Of 24 simulated and 24 real photographs, copies (JPEG quality 75 and above, sizes 0.5 to 1.5,
brightness -20 to +20 %, gamma 0.8, crops to 80 to 98 % of each side) came to an agreement of 0.98 or more,
half of the JPEGs of quality 40 to 1, and a copy with four changes at once to 0.94 or more, mostly over 1;
other photographs to 0.36 (simulated) and 0.97 (real)."""

SIDE = 320
"""Longer side that frames are compared at, in pixels: grain is still there, noise of the JPEG is not."""
POINTS = 400
TILE = 32
SHIFT = 3
"""Pixels by which a tile may lie off after the frames have been laid over each other."""
AGREEING = 0.9
"""The share of the tiles that must agree. Before one mat with fixed marks another part fails it, unless the
part covers less than a tenth of the frame."""
COVERED = 0.4
"""The share of the tiles that both frames must show. A crop to 80 % of each side shows 0.42 or more."""
SHOWN = 0.8
"""The share of a tile that a frame must show for the tile to count."""
LARGEST_SCALE = 1.6
LARGEST_TURN = 2.0
"""Degrees. Copies stand upright as their originals do; a flange turned by one bolt hole lies on any other."""
MATCH_BITS = 48
"""Largest distance of two ORB descriptors that are taken for one point, of 256 bits."""
FEWEST_POINTS = 30
"""Points that must fit one similarity; copies had 32 and more."""

TABLES, WORD_BITS, BUCKETS = 8, 14, 2048

Fields = NDArray[np.float32]
Words = NDArray[np.uint8]

_PICKED = np.stack([np.random.default_rng(table).choice(256, WORD_BITS, False) for table in range(TABLES)])
_PLACES = 1 << np.arange(WORD_BITS, dtype=np.uint32)


@dataclass(frozen=True)
class Fingerprint:
    """What a frame is compared by.

    Attributes:
        grey: uint8 [h, w], the longer side `SIDE`.
        points: of ORB, in pixels (x, y), float32 [n, 2], n at most `POINTS`.
        descriptors: uint8 [n, 32].
    """

    grey: NDArray[np.uint8]
    points: Fields
    descriptors: NDArray[np.uint8]


def fingerprint(frame: Pixels) -> Fingerprint:
    """Takes the fingerprint of a frame, uint8 RGB [H, W, 3]."""
    longer = max(frame.shape[:2])
    rows, columns = (max(1, round(length * SIDE / longer)) for length in frame.shape[:2])
    grey = np.asarray(cv2.cvtColor(resized(frame, rows, columns), cv2.COLOR_RGB2GRAY), np.uint8)
    # Points are looked for where the contrast is normalised: the grain of a dark mat counts as an edge does.
    evened = np.clip(_normalised(grey) * 40 + 128, 0, 255).astype(np.uint8)
    orb = cv2.ORB.create(POINTS, scaleFactor=1.2, nlevels=6, fastThreshold=5, edgeThreshold=15, patchSize=21)
    points, descriptors = orb.detectAndCompute(cv2.GaussianBlur(evened, (0, 0), 1), None)
    places = np.array([point.pt for point in points], np.float32).reshape(-1, 2)
    if descriptors is None:
        descriptors = np.zeros((0, 32), np.uint8)
    return Fingerprint(grey, places, np.asarray(descriptors, np.uint8))


def words(print_: Fingerprint) -> Words:
    """Counts the visual words of a fingerprint: `TABLES` random choices of bits of each descriptor.

    Copies share many (locality-sensitive hashing; Indyk and Motwani 1998), whatever their brightness.

    Returns:
        uint8 [TABLES * BUCKETS].
    """
    counts = np.zeros((TABLES, BUCKETS), np.uint8)
    bits = np.unpackbits(print_.descriptors, axis=1)
    for table, picked in enumerate(_PICKED):
        word = (bits[:, picked] @ _PLACES).astype(np.uint32)
        bucket = (word * np.uint32(2654435761) >> np.uint32(16)) % BUCKETS  # Knuth's multiplicative hash
        counts[table] = np.minimum(np.bincount(bucket, minlength=BUCKETS), 255)
    return counts.ravel()


def agreement(one: Fingerprint, other: Fingerprint) -> float:
    """Returns how well two frames agree where both show the same: 1 for a copy, 0 if nothing fits.

    It is what `AGREEING` of the tiles reach, each as a multiple of the correlation that it needs.
    """
    placed = _similarity(other, one)
    if placed is None:
        return 0.0
    rows, columns = one.grey.shape
    size = columns, rows
    laid = np.asarray(cv2.warpAffine(other.grey, placed, size, borderMode=cv2.BORDER_REFLECT), np.uint8)
    shown = np.asarray(cv2.warpAffine(np.ones_like(other.grey), placed, size, flags=cv2.INTER_NEAREST), bool)
    found = _agreements(one.grey, laid, shown)
    tiles = max(1, (rows // TILE) * (columns // TILE))
    if len(found) < COVERED * tiles:
        return 0.0
    return float(np.quantile(found, 1 - AGREEING))


def _similarity(moved: Fingerprint, fixed: Fingerprint) -> Any:  # noqa: ANN401  # OpenCV's matrix
    """Returns the 2x3 matrix that lays one frame over another, or None if too few points agree on one."""
    if min(len(moved.points), len(fixed.points)) < FEWEST_POINTS:
        return None
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
    matches = [m for m in matcher.match(moved.descriptors, fixed.descriptors) if m.distance <= MATCH_BITS]
    if len(matches) < FEWEST_POINTS:
        return None
    source = moved.points[[match.queryIdx for match in matches]]
    target = fixed.points[[match.trainIdx for match in matches]]
    matrix, fits = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=2, maxIters=500)
    if matrix is None or fits.sum() < FEWEST_POINTS:
        return None
    scale = np.hypot(matrix[0, 0], matrix[1, 0])
    turn = np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))
    return matrix if 1 / LARGEST_SCALE < scale < LARGEST_SCALE and abs(turn) < LARGEST_TURN else None


def _agreements(
    one: NDArray[np.uint8], other: NDArray[np.uint8], shown: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Returns the best correlation within `SHIFT` pixels of each tile that both show, over what it needs."""
    details = _detail(one), _detail(other)
    evened = _normalised(one), _normalised(other)
    correlations, contrasts = [], []
    for y in range(0, one.shape[0] - TILE + 1, TILE):
        for x in range(0, one.shape[1] - TILE + 1, TILE):
            tile = np.s_[y : y + TILE, x : x + TILE]
            if shown[tile].mean() >= SHOWN:
                core = evened[0][tile][SHIFT:-SHIFT, SHIFT:-SHIFT]
                correlations.append(cv2.matchTemplate(evened[1][tile], core, cv2.TM_CCOEFF_NORMED).max())
                contrasts.append(min(detail[tile].std() for detail in details))
    return np.array(correlations, np.float64) / needed(np.array(contrasts, np.float64))


def needed(contrasts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the correlation that tiles need, by the standard deviation of their detail in grey levels."""
    return np.interp(contrasts, CONTRASTS, CORRELATIONS)


def _detail(grey: NDArray[np.uint8]) -> Fields:
    values = grey.astype(np.float32)
    return np.asarray(values - cv2.GaussianBlur(values, (0, 0), 1.5), np.float32)


def _normalised(grey: NDArray[np.uint8]) -> Fields:
    detail = _detail(grey)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 2.25))
    # Two grey levels of contrast are noise; an edge shall not outweigh the grain.
    return np.asarray(np.clip(detail / (contrast + 2), -2.5, 2.5), np.float32)
