"""Measuring the dimensions of a plan on the edges of a part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.gauge.plan import Circle, Extent, Feature, PartPlan, Place, Width

Points = NDArray[np.float64]
Numbers = NDArray[np.intp]

MIN_POINTS = 8
SCALES_MM = (2.0, 1.0, 0.5, 0.25, 0.25)
"""Scale of the robust fits, round by round: what lies further off an edge counts little (dust, a burr)."""
ROUNDS = len(SCALES_MM)
TINY = 1e-12
MISSING = 1.0
"""What a dimension that is not found adds to the cost of a pose, in search ranges."""
_SIDES = {False: ((1, 1), (-1, -1)), True: ((1, 1), (-1, -1), (-1, 1), (1, -1))}


class Edges(NamedTuple):
    """The edges of a part in millimetres: its outline, [n, 2], and that of each hole."""

    outer: Points
    holes: tuple[Points, ...]


class Found(NamedTuple):
    """A dimension that was found.

    Attributes:
        size: in millimetres.
        edge: which edge it was measured on, 0 for the outline, else 1 + number of the hole.
        points: numbers of the points of that edge that it rests on, int [m].
    """

    size: float
    edge: int
    points: Numbers


def measure_edges(
    edges: Edges, plan: PartPlan, nominal: Mapping[str, float], search: float
) -> dict[str, Found | None]:
    """Measures a part in whichever of its poses fits its plan best.

    A part may lie turned by 180 degrees and, if the plan says so, on its other side: up to four poses.
    The best is the one whose dimensions deviate least together, each counting up to the search range.

    Args:
        edges: in millimetres.
        plan: of the part type.
        nominal: sizes by name, of each dimension to measure.
        search: how far off a dimension or hole may be and still be found, millimetres.

    Returns:
        By name; None for a dimension that was not found.
    """
    middle, size, turn = cv2.minAreaRect(edges.outer.astype(np.float32))
    angle = np.deg2rad(turn if size[0] >= size[1] else turn + 90)
    axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright = [(edge - np.array(middle)) @ axes for edge in (edges.outer, *edges.holes)]
    poses = [[edge * signs for edge in upright] for signs in _SIDES[plan.mirrored]]
    features = {name: plan.dimensions[name] for name in nominal}

    def found(pose: list[Points], rounds: int) -> dict[str, Found | None]:
        return {n: _measured(pose, f, nominal[n], search, rounds) for n, f in features.items()}

    def cost(pose: list[Points]) -> float:
        rough = found(pose, 1)
        return sum(MISSING if f is None else abs(f.size - nominal[n]) / search for n, f in rough.items())

    return found(min(poses, key=cost), ROUNDS)


def _measured(
    edges: list[Points], feature: Feature, nominal: float, search: float, rounds: int
) -> Found | None:
    hole = None if isinstance(feature, Extent) else feature.hole
    number = 0 if hole is None else _hole_at(edges, hole, search)
    if number is None:
        return None
    match feature:
        case Width():
            measured = _width(edges[number], feature, rounds)
        case Circle():
            measured = _circle(edges[number], rounds)
        case Extent():
            measured = _extent(edges[number], feature)
    if measured is None or abs(measured[0] - nominal) > search:
        return None
    return Found(measured[0], number, measured[1])


def _hole_at(edges: list[Points], place: Place, search: float) -> int | None:
    """The hole whose middle lies nearest to a place, within the search range."""
    middles = {n: (edge.min(axis=0) + edge.max(axis=0)) / 2 for n, edge in enumerate(edges) if n}
    distances = {n: float(np.hypot(*(middle - np.array(place)))) for n, middle in middles.items()}
    near = [n for n, distance in distances.items() if distance <= search]
    return min(near, key=distances.__getitem__) if near else None


def _width(edge: Points, feature: Width, rounds: int) -> tuple[float, Numbers] | None:
    across = 0 if feature.along == "x" else 1
    station = edge[:, 1 - across]
    inside = np.flatnonzero((station >= feature.between[0]) & (station <= feature.between[1]))
    if len(inside) < 2 * MIN_POINTS:
        return None
    position, station = edge[inside, across], station[inside] - sum(feature.between) / 2
    low = position < (position.min() + position.max()) / 2
    if min(low.sum(), (~low).sum()) < MIN_POINTS:
        return None
    slopes, offsets = zip(*(_line(station[s], position[s], rounds) for s in (low, ~low)), strict=True)
    return float((offsets[1] - offsets[0]) / np.hypot(1, sum(slopes) / 2)), inside


def _line(x: Points, y: Points, rounds: int) -> tuple[float, float]:
    """Slope and offset of a robust line: from the median on, least squares, reweighted (Welsch)."""
    slope, offset = 0.0, float(np.median(y))
    for scale in SCALES_MM[:rounds]:
        weight = np.exp(-(((y - slope * x - offset) / scale) ** 2)) + TINY
        weight /= weight.sum()
        mean_x, mean_y = weight @ x, weight @ y
        apart = weight * (x - mean_x)
        slope = float(apart @ (y - mean_y) / max(float(apart @ (x - mean_x)), TINY))
        offset = float(mean_y - slope * mean_x)
    return slope, offset


def _circle(edge: Points, rounds: int) -> tuple[float, Numbers]:
    """Diameter of a robust circle: Kåsa's (1976) least squares, reweighted (Welsch)."""
    centred = edge - (edge.min(axis=0) + edge.max(axis=0)) / 2
    rows = np.column_stack([2 * centred, np.ones(len(edge))])
    goal = (centred**2).sum(axis=1)
    weight, radius = np.ones(len(edge)), 0.0
    for scale in SCALES_MM[:rounds]:
        weighted = rows * weight[:, None]
        x, y, rest = np.linalg.solve(weighted.T @ rows, weighted.T @ goal)
        radius = float(np.sqrt(max(rest + x * x + y * y, 0.0)))
        off = np.hypot(centred[:, 0] - x, centred[:, 1] - y) - radius
        weight = np.exp(-((off / scale) ** 2)) + TINY
    return 2 * radius, np.arange(len(edge))


def _extent(edge: Points, feature: Extent) -> tuple[float, Numbers]:
    position = edge[:, 0 if feature.along == "x" else 1]
    return float(position.max() - position.min()), np.array([position.argmin(), position.argmax()])
