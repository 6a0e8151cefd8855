"""The part types of the simulated plant: dimensions in millimetres and the shapes they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]
Rectangle = tuple[float, float, float, float]
Texture = Literal["turned", "rings", "arcs", "passes"]


@dataclass(frozen=True)
class Shape:
    """A part seen by the camera; millimetres, origin in the middle, x right, y down.

    Attributes:
        solids: outlines whose union is the part, each [n, 2].
        holes: outlines cut out of it, each [n, 2].
        journals: (left, right, radius) of each cylinder seen from the side.
        features: (left, top, right, bottom) of what each gauged dimension measures.
    """

    solids: tuple[Polygon, ...]
    holes: tuple[Polygon, ...] = ()
    journals: tuple[tuple[float, float, float], ...] = ()
    features: Mapping[str, Rectangle] = field(default_factory=dict)


@dataclass(frozen=True)
class PartType:
    """A kind of part.

    Attributes:
        machine: ``lathe`` or ``mill``.
        material: as in the specification.
        albedo: brightness of the bare metal, 0 to 1.
        tint: factor per channel, BGR.
        dimensions: nominal sizes in millimetres by name.
        gauged: the dimensions that may be out of tolerance.
        tolerance: of each dimension, millimetres.
    """

    name: str
    machine: Literal["lathe", "mill"]
    texture: Texture
    material: str
    albedo: float
    tint: tuple[float, float, float]
    dimensions: Mapping[str, float]
    gauged: tuple[str, ...]
    build: Callable[[Mapping[str, float]], Shape]
    tolerance: float = 0.8


def _rectangle(left: float, top: float, right: float, bottom: float, cut: float = 0) -> Polygon:
    """Returns a rectangle whose corners are cut by `cut`."""
    c = cut
    points = [(left + c, top), (right - c, top), (right, top + c), (right, bottom - c)]
    points += [(right - c, bottom), (left + c, bottom), (left, bottom - c), (left, top + c)]
    return np.array(points)


def _circle(x: float, y: float, diameter: float) -> Polygon:
    angle = np.linspace(0, 2 * np.pi, 97)[:-1]
    return np.stack([x + diameter / 2 * np.cos(angle), y + diameter / 2 * np.sin(angle)], axis=1)


def _box(x: float, y: float, width: float, height: float) -> Rectangle:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _turned(segments: list[tuple[str, float, float]]) -> Shape:
    """A turned part from the side: (name, length, diameter) from left to right."""
    left = -sum(length for _, length, _ in segments) / 2
    solids, journals, features = [], [], {}
    for name, length, diameter in segments:
        right, radius = left + length, diameter / 2
        solids.append(_rectangle(left, -radius, right, radius, 1.2))
        solids.append(_rectangle(left, -radius + 1.2, right, radius - 1.2))
        journals.append((left, right, radius))
        features[name] = (left, -radius, right, radius)
        left = right
    return Shape(tuple(solids), journals=tuple(journals), features=features)


def _shaft(d: Mapping[str, float]) -> Shape:
    return _turned(
        [
            ("spigot_diameter", 32, d["spigot_diameter"]),
            ("bearing_diameter", 52, d["bearing_diameter"]),
            ("collar_diameter", 24, d["collar_diameter"]),
            ("seat_diameter", d["length"] - 146, d["seat_diameter"]),
            ("thread_diameter", 38, d["thread_diameter"]),
        ]
    )


def _bushing(d: Mapping[str, float]) -> Shape:
    body = d["length"] - 42
    return _turned(
        [
            ("head_diameter", 26, d["head_diameter"]),
            ("groove_diameter", 16, d["groove_diameter"]),
            ("body_diameter", body, d["body_diameter"]),
        ]
    )


def _flange(d: Mapping[str, float]) -> Shape:
    bolts = [np.deg2rad(60 * k + 30) for k in range(6)]
    ring = d["bolt_circle_diameter"] / 2
    holes = [_circle(0, 0, d["bore_diameter"])]
    holes += [_circle(ring * np.cos(a), ring * np.sin(a), d["bolt_diameter"]) for a in bolts]
    features = {
        "bore_diameter": _box(0, 0, d["bore_diameter"], d["bore_diameter"]),
        "outer_diameter": _box(0, 0, d["outer_diameter"], d["outer_diameter"]),
    }
    return Shape((_circle(0, 0, d["outer_diameter"]),), tuple(holes), features=features)


def _plate(d: Mapping[str, float]) -> Shape:
    half_x, half_y = d["length"] / 2, d["width"] / 2
    bore = d["bore_diameter"]
    holes = [_circle(-30, 0, bore)]
    holes += [_circle(x * (half_x - 14), y * (half_y - 14), 12) for x in (-1, 1) for y in (-1, 1)]
    slot = _rectangle(28, -d["slot_width"] / 2, 70, d["slot_width"] / 2, d["slot_width"] / 3.4)
    features = {
        "bore_diameter": _box(-30, 0, bore, bore),
        "slot_width": (28.0, -d["slot_width"] / 2, 70.0, d["slot_width"] / 2),
    }
    return Shape((_rectangle(-half_x, -half_y, half_x, half_y, 7),), (*holes, slot), features=features)


def _bracket(d: Mapping[str, float]) -> Shape:
    half_x, half_y = d["length"] / 2, d["height"] / 2
    arm, leg = d["arm_width"], d["leg_width"]
    corner = [(-half_x, half_y), (-half_x, -half_y + 5), (-half_x + 5, -half_y)]
    corner += [(-half_x + leg - 5, -half_y), (-half_x + leg, -half_y + 5)]
    corner += [(-half_x + leg, half_y - arm - 6), (-half_x + leg + 6, half_y - arm)]
    corner += [(half_x - 5, half_y - arm), (half_x, half_y - arm + 5), (half_x, half_y)]
    middle = half_y - arm / 2
    holes = (
        _circle(-half_x + leg / 2, -half_y + 20, 16),
        _circle(half_x - 24, middle, 16),
        _rectangle(-10, middle - 6, 34, middle + 6, 4),
    )
    features = {
        "arm_width": (-half_x + leg + 6, half_y - arm, half_x, half_y),
        "leg_width": (-half_x, -half_y, -half_x + leg, half_y - arm - 6),
    }
    return Shape((np.array(corner),), holes, features=features)


_STEEL, _ALUMINIUM, _BRASS = (1.03, 1.0, 0.98), (1.0, 1.0, 1.0), (0.66, 0.95, 1.08)

PART_TYPES = (
    PartType(
        "shaft", "lathe", "turned", "42CrMo4 steel", 0.66, _STEEL,
        {"length": 216.0, "spigot_diameter": 46.0, "bearing_diameter": 62.0, "collar_diameter": 84.0,
         "seat_diameter": 66.0, "thread_diameter": 50.0},
        ("spigot_diameter", "bearing_diameter", "seat_diameter", "thread_diameter"), _shaft,
    ),
    PartType(
        "bushing", "lathe", "turned", "CuZn39Pb3 brass", 0.64, _BRASS,
        {"length": 132.0, "head_diameter": 96.0, "groove_diameter": 70.0, "body_diameter": 82.0},
        ("head_diameter", "groove_diameter", "body_diameter"), _bushing,
    ),
    PartType(
        "flange", "lathe", "rings", "C45 steel", 0.60, _STEEL,
        {"outer_diameter": 110.0, "bore_diameter": 38.0, "bolt_circle_diameter": 80.0, "bolt_diameter": 11.0},
        ("bore_diameter",), _flange,
    ),
    PartType(
        "plate", "mill", "arcs", "EN AW-6082 aluminium", 0.70, _ALUMINIUM,
        {"length": 204.0, "width": 94.0, "bore_diameter": 42.0, "slot_width": 18.0},
        ("bore_diameter", "slot_width"), _plate,
    ),
    PartType(
        "bracket", "mill", "passes", "S355 steel", 0.60, _STEEL,
        {"length": 184.0, "height": 104.0, "arm_width": 44.0, "leg_width": 48.0},
        ("arm_width", "leg_width"), _bracket,
    ),
)  # fmt: skip

PART_BY_NAME = {part.name: part for part in PART_TYPES}
