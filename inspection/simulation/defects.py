"""Drawing what is wrong with a part: scratches, burrs, pits, cracks.

Each function draws on the canvas and returns the pixels that the defect covers, [n, 2] as (x, y); the
fifth kind, a wrong dimension, is in the shape itself (see `inspection.simulation.rendering`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from inspection.simulation.strokes import Patch, Points, area, footprint, lay, line, overlap, shifted
from inspection.simulation.surface import Canvas

Draw = Callable[[np.random.Generator, Canvas, float], Points]
TRIES = 60


def scratch(rng: np.random.Generator, canvas: Canvas, strength: float) -> Points:
    """A nearly straight groove: dark on one side, bright on the side that faces the lamp."""
    unit = canvas.unit

    def path(start: Points) -> Points:
        length, bend = unit * rng.uniform(45, 140), rng.normal(0, 0.10)
        angle = rng.uniform(0, 2 * np.pi) + bend * np.linspace(-1, 1, 16)
        steps = length / 15 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return np.asarray(start + np.cumsum(steps, axis=0))

    points = _path_on_face(rng, canvas, path)
    drawn = []
    for number in range(1 + (rng.random() < 0.3)):
        moved = points + number * unit * rng.uniform(3, 6) * _normal(points)
        press = np.sin(np.linspace(0.25, np.pi - 0.15, len(points) - 1)) ** 0.6
        patch = line(moved, unit * rng.uniform(1.8, 3.0) * press, unit)
        drawn.append(lay(canvas, patch, -0.17 * strength))
        away = 1.1 * unit
        lay(canvas, shifted(patch, -canvas.light[0] * away, -canvas.light[1] * away), 0.19 * strength)
    return footprint(drawn)


def crack(rng: np.random.Generator, canvas: Canvas, strength: float) -> Points:
    """A jagged dark line that tapers and sometimes branches."""
    unit = canvas.unit

    def path(start: Points) -> Points:
        count = int(rng.integers(12, 24))
        drift = np.cumsum(rng.normal(0, 0.16, count))
        angle = rng.uniform(0, 2 * np.pi) + drift + rng.normal(0, 0.50, count)
        reach = unit * rng.uniform(2.5, 7.0, count)
        return np.asarray(
            start + np.cumsum(reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1), axis=0)
        )

    trunk = _path_on_face(rng, canvas, path)
    width = unit * rng.uniform(2.2, 3.2)
    pieces = [(trunk, np.linspace(width, 0.8 * unit, len(trunk) - 1))]
    for _ in range(int(rng.integers(0, 3))):
        fork = trunk[int(rng.integers(2, len(trunk) - 3))]
        branch = path(fork)[: int(rng.integers(4, 8))]
        pieces.append((np.vstack([fork, branch]), np.linspace(1.6 * unit, 0.8 * unit, len(branch))))
    return footprint([lay(canvas, line(p, w, unit), -0.25 * strength) for p, w in pieces])


def pit(rng: np.random.Generator, canvas: Canvas, strength: float) -> Points:
    """One small cavity or a cluster: dark, with a bright lip on the side that faces the lamp."""
    unit, drawn = canvas.unit, []
    middle = _spot_on_face(rng, canvas, 8 * unit)
    for number in range(int(rng.integers(1, 6))):
        place = middle + (number > 0) * rng.normal(0, 9 * unit, 2)
        radius = unit * rng.uniform(3.0, 5.6)
        angle = np.linspace(0, 2 * np.pi, 15)[:-1]
        reach = radius * (1 + 0.18 * rng.standard_normal(14))[:, None]
        squash = np.array([1.0, rng.uniform(0.65, 1.0)])
        patch = area(place + reach * squash * np.stack([np.cos(angle), np.sin(angle)], axis=1), unit)
        lip = 0.35 * radius
        lay(canvas, shifted(patch, -canvas.light[0] * lip, -canvas.light[1] * lip), 0.16 * strength)
        drawn.append(lay(canvas, patch, -0.36 * strength))
    return footprint(drawn)


def burr(rng: np.random.Generator, canvas: Canvas, strength: float) -> Points:
    """A ragged fringe that stands out over an edge, in front of the backdrop."""
    unit = canvas.unit
    edge = _edge_piece(rng, canvas, unit * rng.uniform(35, 110))
    soft = cv2.GaussianBlur(canvas.mask, (0, 0), 2 * unit)
    slope = np.stack([cv2.Sobel(soft, cv2.CV_32F, 1, 0), cv2.Sobel(soft, cv2.CV_32F, 0, 1)], axis=-1)
    columns, rows = edge.round().astype(int).T
    outwards = -slope[rows, columns].astype(np.float64)
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True) + 1e-6
    teeth = np.abs(_rough(rng, len(edge), 2.0 * unit)) + 0.5 * np.abs(_rough(rng, len(edge), 7 * unit))
    ends = np.sin(np.linspace(0, np.pi, len(edge))) ** 0.4
    height = unit * (2.0 + rng.uniform(3.2, 5.5) * teeth * (0.6 + 0.4 * strength)) * ends
    fringe = area(np.vstack([edge + outwards * height[:, None], (edge - outwards * 1.5 * unit)[::-1]]), unit)
    there, own = overlap(canvas.mask.shape, fringe)
    alpha = fringe.alpha[own]
    glint = np.clip(0.60 + 0.20 * rng.standard_normal(alpha.shape, dtype=np.float32), 0.25, 1.0)
    if unit > 1:
        glint = cv2.GaussianBlur(glint, (0, 0), unit / 2)
    canvas.luminance[there] += alpha * (glint - canvas.luminance[there]) * min(1.0, 0.75 * strength)
    canvas.mask[there] = np.maximum(canvas.mask[there], alpha)
    return footprint([Patch(alpha, there[1].start, there[0].start)])


DRAW: Mapping[str, Draw] = {"scratch": scratch, "burr": burr, "pit": pit, "crack": crack}
DIMENSION = "dimension"
KINDS = (*DRAW, DIMENSION)


def _spot_on_face(rng: np.random.Generator, canvas: Canvas, clearance: float) -> Points:
    """A point of the part whose four neighbours at `clearance` lie on it too; the last one tried if none."""
    rows, columns = canvas.mask.shape
    around = clearance * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    spots = rng.uniform((0, 0), (columns - 1, rows - 1), (TRIES, 2))
    x, y = np.moveaxis((spots[:, None, :] + around).round().astype(int), -1, 0)
    covered = canvas.mask[y.clip(0, rows - 1), x.clip(0, columns - 1)].min(axis=1)
    return np.asarray(spots[int(covered.argmax())])


def _path_on_face(rng: np.random.Generator, canvas: Canvas, path: Callable[[Points], Points]) -> Points:
    """The first of several random paths that lies on the part with nearly all its points, or the best."""
    rows, columns = canvas.mask.shape
    best, share = np.empty((0, 2)), -1.0
    for _ in range(TRIES):
        points = path(_spot_on_face(rng, canvas, 6 * canvas.unit))
        x, y = points.round().astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < columns) & (y < rows)
        covered = float((canvas.mask[y.clip(0, rows - 1), x.clip(0, columns - 1)] * inside).mean())
        if covered > share:
            best, share = points, covered
        if share > 0.97:
            break
    return best


def _edge_piece(rng: np.random.Generator, canvas: Canvas, length: float) -> Points:
    """A run of neighbouring pixels along an outline or a hole, chosen evenly over all edges, [n, 2]."""
    solid = (canvas.mask > 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(solid, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    sizes = np.array([len(contour) for contour in contours])
    edge = contours[int(rng.choice(len(contours), p=sizes / sizes.sum()))][:, 0, :]
    count = min(round(length), len(edge) - 1)
    start = int(rng.integers(len(edge)))
    return np.asarray(np.roll(edge, -start, axis=0)[:count], dtype=np.float64)


def _normal(points: Points) -> Points:
    along = points[-1] - points[0]
    return np.asarray(np.array([-along[1], along[0]]) / (np.linalg.norm(along) + 1e-6))


def _rough(rng: np.random.Generator, count: int, cell: float) -> Points:
    nodes = max(2, round(count / cell) + 1)
    return np.interp(np.linspace(0, nodes - 1, count), np.arange(nodes), rng.standard_normal(nodes))
