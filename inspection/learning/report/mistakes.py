"""The worst mistakes as pictures: the part, where the defect is annotated, and where the model looked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.artifacts import put_file
from inspection.cache import Unreadable
from inspection.dataset import Sample
from inspection.errors import StoreError
from inspection.imaging import Frame, Pixels, Preprocessing, to_tensor
from inspection.learning.evaluation import load_originals
from inspection.learning.report.details import Judged, Mistake
from inspection.runtime import OnnxModel
from inspection.store import ObjectStore

Floats = NDArray[np.floating[Any]]

SHOWN = 12
SIDE = 520
"""Longest side of one picture, in pixels."""
QUALITY = 82
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def worst(judged: Judged, count: int = SHOWN) -> list[int]:
    """Returns the most confident wrong verdicts: half of them misses, which come first, as far as there are.

    A miss is a defective part that is called PASS.
    """
    misses, alarms = (
        sorted(np.flatnonzero(kind).tolist(), key=lambda n: -judged.confidence[n])
        for kind in (judged.wrong & judged.defective, judged.wrong & ~judged.defective)
    )
    room = max(count - len(alarms), count // 2)
    kept = misses[:room]
    return kept + alarms[: count - len(kept)]


def shown_class(judged: Judged, number: int) -> int:
    """Returns the class whose map explains a verdict: the likeliest that is there, else that is told."""
    among = judged.actual[number] if judged.actual[number].any() else judged.told[number]
    return int(np.where(among, judged.predictions.probabilities[number], -1).argmax())


def draw_mistakes(
    store: ObjectStore, model: OnnxModel, judged: Judged, root: Path, preprocessing: Preprocessing
) -> tuple[Mistake, ...]:
    """Draws the worst mistakes and stores the pictures.

    Args:
        store: takes the pictures.
        model: whose mistakes they are.
        judged: its verdicts.
        root: folder of the originals.
        preprocessing: of the model.

    Raises:
        StoreError: an image that could be read a moment ago cannot be read any more.
    """
    numbers = worst(judged)
    samples = [judged.samples[n] for n in numbers]
    mistakes: list[Mistake] = []
    for n, (sample, frame) in zip(numbers, load_originals(samples, root, preprocessing), strict=True):
        if isinstance(frame, Unreadable):
            raise StoreError(f"{sample.image_path} cannot be read any more: {frame.reason}")
        shown = shown_class(judged, n)
        maps = model.run(to_tensor(frame.pixels[None], preprocessing))[1]
        told = [judged.predictions.boxes[n, c] for c in np.flatnonzero(judged.told[n])]
        picture = draw(frame, sample, maps[0, shown], told)
        mistakes.append(
            Mistake(
                image_id=sample.image_id,
                camera_id=sample.camera_id,
                labels=sample.labels,
                told=tuple(np.array(judged.classes)[judged.told[n]].tolist()),
                shown=judged.classes[shown],
                confidence=float(judged.confidence[n]),
                picture=put_file(store, "plots", ".jpg", picture),
            )
        )
    return tuple(mistakes)


def draw(frame: Frame, sample: Sample, activation: Floats, told: Sequence[Floats]) -> bytes:
    """Draws the part beside the same with its activation map; returns a JPEG.

    Annotated boxes are solid lines, boxes of the model dashed ones; where the model saw most is brightest.

    Args:
        frame: what the model saw.
        sample: gives the annotated boxes.
        activation: map of one class, [h, w], in [0, 1].
        told: boxes that the model drew, (x, y, width, height) in pixels of the original.
    """
    rows, columns = frame.pixels.shape[:2]
    factor = SIDE / max(rows, columns)
    size = round(columns * factor), round(rows * factor)
    plain = cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    panels = [np.asarray(plain, np.uint8), _heated(np.asarray(plain, np.uint8), activation)]
    for panel in panels:
        for box in sample.boxes:
            _outline(panel, frame, np.array([box.x, box.y, box.width, box.height]), dashed=False)
        for drawn in told:
            _outline(panel, frame, drawn, dashed=True)
    # Wide frames stand one above the other, so that both fit a column.
    both = np.concatenate(panels, axis=0 if columns > 1.3 * rows else 1)
    done, data = cv2.imencode(".jpg", both[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise StoreError(f"the picture of {sample.image_id} does not encode")
    return bytes(data.tobytes())


def _heated(pixels: Pixels, activation: Floats) -> Pixels:
    """Lays a map over a darkened grey picture; its highest cell is white whatever its value."""
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB) * 0.5
    share = np.asarray(activation / max(float(activation.max()), 1e-6) * 255, np.uint8)
    large = cv2.resize(share, pixels.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    heat = cv2.cvtColor(cv2.applyColorMap(large, cv2.COLORMAP_HOT), cv2.COLOR_BGR2RGB)
    weight = large[..., None] / 255 * 0.75
    return np.asarray(grey * (1 - weight) + heat * weight, np.uint8)


def _outline(panel: Pixels, frame: Frame, box: Floats, dashed: bool) -> None:
    """Draws a box of the original into a panel, white on black so that it shows on anything."""
    by = np.array([panel.shape[1] / frame.window.width, panel.shape[0] / frame.window.height])
    first = (box[:2] - np.array([frame.window.x, frame.window.y])) * by
    last = first + box[2:] * by
    for colour, thickness in ((BLACK, 3), (WHITE, 1)):
        for start, end in _sides(first, last, dashed):
            cv2.line(panel, start, end, colour, thickness)


def _sides(first: Floats, last: Floats, dashed: bool) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    (left, top), (right, bottom) = np.round(first).astype(int).tolist(), np.round(last).astype(int).tolist()
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    for (x0, y0), (x1, y1) in pairwise(corners):
        pieces = max(1, round((abs(x1 - x0) + abs(y1 - y0)) / 5)) if dashed else 1
        for piece in range(0, pieces, 2):
            a, b = piece / pieces, (piece + 1) / pieces
            yield (
                (round(x0 + (x1 - x0) * a), round(y0 + (y1 - y0) * a)),
                (round(x0 + (x1 - x0) * b), round(y0 + (y1 - y0) * b)),
            )
