"""Small pictures of photographs side by side, each with what there is to say of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inspection.imaging import Pixels
from inspection.plotting import figure_of, png


class Thumbnail(NamedTuple):
    """A frame, uint8 RGB [h, w, 3], and the lines above it."""

    frame: Pixels
    caption: str


def gallery(thumbnails: Sequence[Thumbnail], columns: int) -> bytes:
    """Draws thumbnails row by row; returns a PNG.

    Args:
        thumbnails: one at least.
        columns: of the picture, at least one.
    """
    rows = -(-len(thumbnails) // columns)
    with figure_of(columns, (4.5 * columns, 3.2 * rows), rows) as (figure, axes):
        for place in axes:
            place.set_axis_off()
        for place, thumbnail in zip(axes, thumbnails, strict=False):
            place.imshow(thumbnail.frame)
            place.set_title(thumbnail.caption, fontsize=7)
        return png(figure)
