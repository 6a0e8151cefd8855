"""Where a class lights up in an image: what is kept for it, and how it is drawn. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray

from inspection.imaging import Pixels, Window, decode, inspect_header, resized

MAX_SIDE = 1600
OPACITY = 0.6  # at the peak
LINE_COLOUR = (255, 255, 255)


@dataclass(frozen=True)
class Activations:
    """The activation maps of one image.

    Attributes:
        classes: C of them, in order.
        maps: [C, h, w], in [0, 1].
        window: what of the image as sent they lie over.
    """

    classes: tuple[str, ...]
    maps: NDArray[np.floating]
    window: Window

    def to_bytes(self) -> bytes:
        """Returns an ``.npz`` file with half-precision maps, which is enough to draw."""
        file = BytesIO()
        np.savez(
            file,
            classes=np.array(self.classes),
            maps=self.maps.astype(np.float16),
            window=np.array(self.window),
        )
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Activations:
        """Reads what `to_bytes` made; nothing in it can run."""
        with np.load(BytesIO(data), allow_pickle=False) as file:
            window = Window(*file["window"].tolist())
            return cls(tuple(file["classes"].tolist()), file["maps"].astype(np.float32), window)


def draw_heatmap(
    image: bytes, activations: Activations, defect_class: str, boxes: Sequence[Window] = ()
) -> Pixels:
    """Lays the map of one class over its image, as strong as its share of the map's own peak.

    Args:
        image: the file as sent.
        activations: of this image.
        defect_class: one of `activations.classes`.
        boxes: in pixels of the image as sent, drawn as frames.

    Returns:
        uint8 RGB, [h, w, 3], the longer side at most `MAX_SIDE`.

    Raises:
        ImageError: the bytes are no usable image.
    """
    header = inspect_header(image)
    scale = min(1.0, MAX_SIDE / max(header.width, header.height))
    width, height = (max(1, round(side * scale)) for side in (header.width, header.height))
    pixels = resized(decode(image, header, min_width=width, min_height=height), height, width)
    by_x, by_y = width / header.width, height / header.height
    share = _spread(
        activations.maps[activations.classes.index(defect_class)],
        _scaled(activations.window, by_x, by_y),
        width,
        height,
    )
    alpha = (OPACITY * share)[..., None]
    # A colour map whose lightness grows evenly, so that it tells the same to every eye.
    colours = cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    drawn = np.ascontiguousarray(np.rint(pixels * (1 - alpha) + colours * alpha).astype(np.uint8))
    for box in boxes:
        x, y, w, h = (round(value) for value in _scaled(box, by_x, by_y))
        cv2.rectangle(drawn, (x, y, max(1, w), max(1, h)), LINE_COLOUR, thickness=max(1, width // 400))
    return drawn


def _spread(activation: NDArray[np.floating], window: Window, width: int, height: int) -> NDArray[np.float32]:
    """Returns the map's share of its peak for each pixel, float32 [height, width]; 0 outside the window."""
    peak = float(activation.max())
    relative = (activation / peak if peak > 0 else activation).astype(np.float32)
    # Cell centres land where the window says, and what lies outside the image is cut off.
    by_x, by_y = window.width / activation.shape[1], window.height / activation.shape[0]
    placing = np.array(
        [[by_x, 0, window.x + by_x / 2 - 0.5], [0, by_y, window.y + by_y / 2 - 0.5]], np.float64
    )
    spread = cv2.warpAffine(
        relative, placing, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    inside = np.zeros((height, width), np.float32)
    left, top = max(0, round(window.x)), max(0, round(window.y))
    inside[top : round(window.y + window.height), left : round(window.x + window.width)] = 1
    return np.asarray(spread * inside, np.float32)


def _scaled(window: Window, by_x: float, by_y: float) -> Window:
    return Window(window.x * by_x, window.y * by_y, window.width * by_x, window.height * by_y)
