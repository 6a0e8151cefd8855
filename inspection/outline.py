"""Finding the part in the frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

WORKING_WIDTH = 256
MIN_SHARE, MAX_SHARE = 0.01, 0.95
MIN_CONTRAST = 10  # grey levels; sensor noise alone parts into classes of less than one


def part_outline(pixels: NDArray[np.uint8]) -> tuple[int, int, int, int] | None:
    """Returns the bounding box of the part against a plain backdrop.

    The frame is shrunk, split into two brightness classes (Otsu 1979), and the class that touches the
    frame's border less is taken for the part; its largest connected region is the outline.

    Args:
        pixels: uint8 RGB, [h, w, 3].

    Returns:
        (x, y, width, height) in pixels of `pixels`, or None when nothing like a part stands out:
        the two classes differ by less than 10 of 255 in the mean, or the region covers less than
        1 % or more than 95 % of the frame.
    """
    rows, columns = pixels.shape[:2]
    factor = min(1.0, WORKING_WIDTH / columns)
    size = max(1, round(columns * factor)), max(1, round(rows * factor))
    grey = cv2.cvtColor(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    grey = cv2.GaussianBlur(grey, (5, 5), 0)
    _, mask = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    dark, bright = grey[mask == 0], grey[mask == 1]
    if not dark.size or not bright.size or bright.mean() - dark.mean() < MIN_CONTRAST:
        return None
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    if border.mean() > 0.5:
        mask = 1 - mask
    count, _, regions, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return None
    x, y, width, height, area = regions[1:][np.argmax(regions[1:, cv2.CC_STAT_AREA])]
    if not MIN_SHARE <= area / mask.size <= MAX_SHARE:
        return None
    by_x, by_y = columns / size[0], rows / size[1]
    return round(x * by_x), round(y * by_y), round(width * by_x), round(height * by_y)


def part_window(pixels: NDArray[np.uint8], width: int, height: int) -> tuple[tuple[int, int], bool]:
    """Places a window of fixed size on the middle of the part, kept inside the frame.

    Args:
        pixels: uint8 RGB, [h, w, 3].
        width: of the window, at most w.
        height: of the window, at most h.

    Returns:
        The window's upper left corner (x, y), and whether a part was found. Without one the window
        stands in the frame's middle.
    """
    rows, columns = pixels.shape[:2]
    outline = part_outline(pixels)
    x, y, w, h = outline or (0, 0, columns, rows)
    left = int(np.clip(round(x + w / 2 - width / 2), 0, columns - width))
    top = int(np.clip(round(y + h / 2 - height / 2), 0, rows - height))
    return (left, top), outline is not None
