"""Pictures of machined parts. Seed and number of an image decide every byte of it.

A part is drawn upright on a canvas of its own (`surface`), gets what is wrong with it (`defects`) and
what only looks wrong (`confusers`), is turned and laid on the mat, lit, and seen through the camera.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.memory import keep_freed_memory
from inspection.simulation import confusers, view
from inspection.simulation.cameras import CAMERA_BY_ID, REFERENCE_WIDTH
from inspection.simulation.defects import DIMENSION, DRAW
from inspection.simulation.parts import PART_BY_NAME, PartType, Shape
from inspection.simulation.strokes import Points
from inspection.simulation.surface import Canvas, canvas_size, draw_surface
from inspection.simulation.view import Box

JPEG_QUALITY = 90
DIFFICULTIES: Mapping[str, float] = {"easy": 0.15, "normal": 0.5, "hard": 0.85}
"""Names of difficulties; 0 shows defects plainly on clean parts, 1 hides them among dust and marks."""


@dataclass(frozen=True)
class ImageSpec:
    """What an image shall show.

    Attributes:
        seed: of the plant.
        index: number of the image.
        part_type: name of a `PART_TYPES` entry.
        camera_id: of a `CAMERAS` entry.
        defects: kinds of defect, a subset of `KINDS`.
        difficulty: 0 to 1.
        width: of the image in pixels; likewise `height`.
    """

    seed: int
    index: int
    part_type: str
    camera_id: str
    defects: tuple[str, ...] = ()
    difficulty: float = DIFFICULTIES["normal"]
    width: int = REFERENCE_WIDTH
    height: int = 768


@dataclass(frozen=True)
class Defect:
    """A defect as drawn: its kind and the smallest box around it."""

    kind: str
    box: Box


@dataclass(frozen=True)
class Rendering:
    """An image and the truth about it.

    Attributes:
        pixels: uint8 BGR, [height, width, 3].
        defects: what is wrong with the part, in the order asked for.
    """

    pixels: NDArray[np.uint8]
    defects: tuple[Defect, ...]


@dataclass(frozen=True)
class Photo:
    """An image as the camera stores it."""

    spec: ImageSpec
    jpeg: bytes
    defects: tuple[Defect, ...]


def render(spec: ImageSpec) -> Rendering:
    """Draws one image.

    Each stage has its own stream of random numbers, so that the same specification without defects
    gives the same picture but for them.
    """
    sequence = np.random.SeedSequence((spec.seed, spec.index))
    scene, surface, clutter, damage, sensor = (np.random.default_rng(s) for s in sequence.spawn(5))
    camera, part = CAMERA_BY_ID[spec.camera_id], PART_BY_NAME[spec.part_type]
    size, unit = (spec.width, spec.height), spec.width / REFERENCE_WIDTH
    amount = 0.4 + 1.2 * spec.difficulty
    shape, gauged = _geometry(scene, damage, part, wrong=DIMENSION in spec.defects)
    scale = camera.px_per_mm * unit
    canvas_shape = canvas_size(part.build(part.dimensions), scale)
    canvas = draw_surface(surface, part, shape, canvas_shape, scale, unit, camera.light)
    confusers.tool_marks(clutter, canvas, amount)
    confusers.stains(clutter, canvas, amount)
    found = _damage(damage, canvas, shape, gauged, spec)
    matrix = view.pose(scene, size, canvas_shape, unit)
    region = view.around(canvas, matrix, size)
    frame = view.mat(scene, size, camera, unit)
    cover = view.lay_on_mat(frame, camera, canvas, matrix, region)
    confusers.dust(clutter, frame, unit, amount)
    light = camera.exposure * (1 + scene.normal(0, 0.04))
    seen = view.expose(sensor, camera, frame, light, unit)
    pixels = view.coloured(seen, camera, part, cover, region)
    boxes = (Defect(kind, view.box_around(points, matrix, size)) for kind, points in found.items())
    return Rendering(pixels, tuple(boxes))


def photograph(spec: ImageSpec) -> Photo:
    """Draws one image and encodes it as JPEG with quality `JPEG_QUALITY`."""
    rendering = render(spec)
    _, encoded = cv2.imencode(".jpg", rendering.pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return Photo(spec, encoded.tobytes(), rendering.defects)


def photograph_all(
    specs: Sequence[ImageSpec],
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Photo]:
    """Draws many images, in order; one worker stays in this process.

    Args:
        specs: what to draw.
        workers: processes to draw in; the bytes do not depend on it.
        progress: called with (done, total) after each image.
    """
    if workers <= 1 or len(specs) < 2:
        photos: Iterator[Photo] = map(photograph, specs)
        yield from _counted(photos, len(specs), progress)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        # A few batches at a time, so that finished images do not pile up in memory.
        step = 64 * workers
        batches = (specs[start : start + step] for start in range(0, len(specs), step))
        photos = (photo for batch in batches for photo in pool.map(photograph, batch, chunksize=8))
        yield from _counted(photos, len(specs), progress)


def _start_worker() -> None:
    """One thread a process, and memory that is kept."""
    cv2.setNumThreads(1)
    keep_freed_memory()


def _counted(
    photos: Iterator[Photo], total: int, progress: Callable[[int, int], None] | None
) -> Iterator[Photo]:
    for done, photo in enumerate(photos, start=1):
        if progress is not None:
            progress(done, total)
        yield photo


def _geometry(
    scene: np.random.Generator, damage: np.random.Generator, part: PartType, *, wrong: bool
) -> tuple[Shape, str]:
    """The part's true shape, and the gauged dimension that is, or would be, 2.2 to 4.2 mm off."""
    mirror = bool(scene.random() < 0.5)
    sizes = {name: mm * (1 + scene.normal(0, 0.001)) for name, mm in part.dimensions.items()}
    gauged = str(damage.choice(part.gauged))
    off = damage.uniform(2.2, 4.2) * damage.choice([-1, 1])
    if wrong:
        sizes[gauged] = part.dimensions[gauged] + off
    shape = part.build(sizes)
    return (_mirrored(shape) if mirror else shape), gauged


def _damage(
    rng: np.random.Generator, canvas: Canvas, shape: Shape, gauged: str, spec: ImageSpec
) -> dict[str, Points]:
    """Draws the defects asked for; returns the canvas points that each covers."""
    strength = 1.9 - 0.9 * spec.difficulty
    return {
        kind: _corners(canvas, shape, gauged) if kind == DIMENSION else DRAW[kind](rng, canvas, strength)
        for kind in spec.defects
    }


def _mirrored(shape: Shape) -> Shape:
    flip = np.array([-1.0, 1.0])
    return replace(
        shape,
        solids=tuple(polygon * flip for polygon in shape.solids),
        holes=tuple(polygon * flip for polygon in shape.holes),
        journals=tuple((-right, -left, radius) for left, right, radius in shape.journals),
        features={
            n: (-right, top, -left, bottom) for n, (left, top, right, bottom) in shape.features.items()
        },
    )


def _corners(canvas: Canvas, shape: Shape, name: str) -> Points:
    left, top, right, bottom = shape.features[name]
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    return canvas.to_pixels(corners)
