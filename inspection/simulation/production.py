"""What the simulated plants make: orders on lines, and the part in front of a camera at a time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inspection.simulation import wear
from inspection.simulation.cameras import CAMERAS
from inspection.simulation.parts import PART_TYPES
from inspection.simulation.tables import instants, uuids
from inspection.simulation.vocabulary import KINDS

LINES = tuple(sorted({camera.line_id for camera in CAMERAS}))
PLANT_OF_LINE = {camera.line_id: camera.plant_id for camera in CAMERAS}
ORDER_SIZES = (6, 12)
DAY_MS = 86_400_000
HOUR_MS = 3_600_000

CLEAN_SHARE = 0.60
SHARES = {"scratch": 0.08, "burr": 0.07, "pit": 0.08, "crack": 0.10, "dimension": 0.07}
"""Share of all parts whose first defect is of a kind; the rest is clean."""
SECOND_DEFECT_SHARE = 0.15

Longs = NDArray[np.int64]


@dataclass(frozen=True)
class Production:
    """Orders and imaged parts, by time. Arrays of an order hold [orders], those of an image [images].

    Attributes:
        order_ids: names of the orders.
        order_line: index into `LINES`; likewise `order_part` into `PART_TYPES`.
        order_start: milliseconds since 1970; likewise `order_end`.
        quantity: parts made, imaged or not.
        image_ids: UUIDs.
        image_order: index of the image's order.
        camera: index into `CAMERAS`.
        captured: milliseconds since 1970.
        serials: of the parts.
        paths: of the files, relative to the image root.
        kinds: true defects, bool [images, kinds].
    """

    order_ids: list[str]
    order_line: Longs
    order_part: Longs
    order_start: Longs
    order_end: Longs
    quantity: Longs
    image_ids: list[str]
    image_order: Longs
    camera: Longs
    captured: Longs
    serials: list[str]
    paths: list[str]
    kinds: NDArray[np.bool_]

    def part_type(self, image: int) -> str:
        """Name of an image's part type."""
        return PART_TYPES[int(self.order_part[self.image_order[image]])].name

    def plant(self, image: int) -> str:
        """Plant that took an image."""
        return CAMERAS[int(self.camera[image])].plant_id

    def defects(self, image: int) -> tuple[str, ...]:
        """True kinds of defect of an image."""
        return tuple(kind for kind, there in zip(KINDS, self.kinds[image], strict=True) if there)


def plan_production(
    rng: np.random.Generator, images: int, as_of: datetime, days: int, older_orders: int = 0
) -> Production:
    """Plans orders and imaged parts over the `days` before `as_of`.

    Lines, part types, cameras and defects are dealt in shuffled rounds, so that each is spread evenly
    over time; but for the last weeks a worn tool makes one line worse (`inspection.simulation.wear`).

    Args:
        rng: source of randomness.
        images: imaged parts, at least 1.
        as_of: time zone aware; all lies before its day.
        days: over which the images are spread.
        older_orders: orders without images in the two years before those.
    """
    sizes = _order_sizes(rng, images)
    count = len(sizes)
    end = int(as_of.timestamp()) * 1000 // DAY_MS * DAY_MS
    day = end - days * DAY_MS + np.arange(count) * days // count * DAY_MS
    start = day + rng.integers(5 * HOUR_MS, 20 * HOUR_MS, count)
    lines, parts = _rounds(rng, len(LINES), count), _rounds(rng, len(PART_TYPES), count)
    image_order = np.repeat(np.arange(count), sizes)
    number = np.arange(images) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    cycle = rng.integers(45_000, 240_000, count)
    captured = start[image_order] + (number + 1) * cycle[image_order] + rng.integers(0, 20_000, images)
    finish = start + (sizes + 2) * cycle
    old = _older(rng, older_orders, end - days * DAY_MS)
    camera = lines[image_order] * 2 + (number + image_order) % 2
    on_worn_line = lines[image_order] == LINES.index(wear.LINE)
    order_ids = [f"PO-{number:07d}" for number in range(older_orders + count)]
    image_order = image_order + older_orders
    return Production(
        order_ids=order_ids,
        order_line=np.concatenate([rng.integers(0, len(LINES), older_orders), lines]),
        order_part=np.concatenate([rng.integers(0, len(PART_TYPES), older_orders), parts]),
        order_start=np.concatenate([old, start]),
        order_end=np.concatenate([old + rng.integers(HOUR_MS, 8 * HOUR_MS, older_orders), finish]),
        quantity=np.concatenate([rng.integers(20, 400, older_orders), sizes * rng.integers(8, 40, count)]),
        image_ids=uuids(rng, images),
        image_order=image_order,
        camera=camera,
        captured=captured,
        serials=[f"SN-{order:07d}-{n + 1:03d}" for order, n in zip(image_order, number, strict=True)],
        paths=_paths(camera, captured, images),
        kinds=wear.wear_tool(_deal_defects(rng, images), on_worn_line, captured, end),
    )


def order_table(production: Production) -> pa.Table:
    """Returns the rows of ``erp.production_orders``."""
    lines = [LINES[line] for line in production.order_line]
    return pa.table(
        {
            "production_order_id": production.order_ids,
            "part_type": [PART_TYPES[part].name for part in production.order_part],
            "plant_id": [PLANT_OF_LINE[line] for line in lines],
            "line_id": lines,
            "quantity": production.quantity,
            "started_at": instants(production.order_start),
            "completed_at": instants(production.order_end),
        }
    )


def image_table(production: Production) -> pa.Table:
    """Returns the rows of ``inspection.image_metadata``."""
    parts = production.order_part[production.image_order]
    machine = [
        machine_id(CAMERAS[c].line_id, PART_TYPES[p].machine, order)
        for c, p, order in zip(production.camera, parts, production.image_order, strict=True)
    ]
    exposure = [json.dumps(exposure_settings(number)) for number in range(len(CAMERAS))]
    return pa.table(
        {
            "image_id": production.image_ids,
            "production_order_id": [production.order_ids[order] for order in production.image_order],
            "machine_id": machine,
            "camera_id": [CAMERAS[camera].camera_id for camera in production.camera],
            "part_serial": production.serials,
            "part_type": [PART_TYPES[part].name for part in parts],
            "capture_timestamp": instants(production.captured),
            "image_path": production.paths,
            "exposure_settings": [exposure[camera] for camera in production.camera],
        }
    )


def spec_table() -> pa.Table:
    """Returns the rows of ``erp.product_specs``."""
    dimensions = [
        {f"{name}_mm": mm for name, mm in part.dimensions.items()} | {"tolerance_mm": part.tolerance}
        for part in PART_TYPES
    ]
    return pa.table(
        {
            "part_type": [part.name for part in PART_TYPES],
            "revision": pa.array([1] * len(PART_TYPES), pa.int32()),
            "dimensions": [json.dumps(sizes) for sizes in dimensions],
            "material": [part.material for part in PART_TYPES],
        }
    )


def equipment_table() -> pa.Table:
    """Returns the rows of ``erp.equipment_registry``: two lathes and two mills a line, and its cameras."""
    rows = [
        (f"{kind}-{line}-{number:02d}", PLANT_OF_LINE[line], line, kind)
        for line in LINES
        for kind in ("lathe", "mill")
        for number in (1, 2)
    ]
    rows += [(camera.camera_id, camera.plant_id, camera.line_id, "camera") for camera in CAMERAS]
    names = ("machine_id", "plant_id", "line_id", "kind")
    columns = dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True))
    return pa.table(columns)


def machine_id(line: str, kind: str, order: int) -> str:
    """Returns the machine that makes an order on a line."""
    return f"{kind}-{line}-{int(order) % 2 + 1:02d}"


def exposure_settings(camera: int) -> dict[str, float]:
    """Returns what a camera writes beside its pictures."""
    return {
        "iso": 100 + 100 * (camera % 3),
        "aperture": 5.6,
        "shutter": round(0.004 * CAMERAS[camera].exposure, 5),
    }


def _order_sizes(rng: np.random.Generator, images: int) -> Longs:
    sizes = rng.integers(ORDER_SIZES[0], ORDER_SIZES[1] + 1, images // ORDER_SIZES[0] + 1)
    sizes = sizes[: int(np.searchsorted(np.cumsum(sizes), images)) + 1]
    sizes[-1] -= sizes.sum() - images
    return sizes


def _rounds(rng: np.random.Generator, kinds: int, count: int) -> Longs:
    """Deals 0..kinds-1 in shuffled rounds, [count]."""
    rounds = np.tile(np.arange(kinds), (count // kinds + 1, 1))
    return rng.permuted(rounds, axis=1).ravel()[:count]


def _deal_defects(rng: np.random.Generator, images: int) -> NDArray[np.bool_]:
    """Deals first defects in shuffled rounds of 100 parts, then some second ones; bool [images, kinds]."""
    clean = len(KINDS)
    deck = np.repeat(
        np.arange(clean + 1), [*(round(100 * SHARES[k]) for k in KINDS), round(100 * CLEAN_SHARE)]
    )
    rounds = np.tile(deck, (images // 100 + 1, 1))
    first = rng.permuted(rounds, axis=1).ravel()[:images]
    there = np.asarray(np.eye(clean + 1, dtype=bool)[first][:, :clean])
    second = (first < clean) & (rng.random(images) < SECOND_DEFECT_SHARE)
    other = (first + rng.integers(1, clean, images)) % clean
    there[second, other[second]] = True
    return there


def _older(rng: np.random.Generator, count: int, before: int) -> Longs:
    return np.sort(rng.integers(before - 730 * DAY_MS, before - DAY_MS, count))


def _paths(camera: Longs, captured: Longs, images: int) -> list[str]:
    dates = np.datetime_as_string(captured.astype("datetime64[ms]"), unit="D")
    return [
        f"{CAMERAS[c].line_id}/{date}/{CAMERAS[c].camera_id}-{n:07d}.jpg"
        for c, date, n in zip(camera, dates, range(images), strict=True)
    ]
