"""The one look of all pictures: colours that anyone tells apart, and figures that no display knows of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

# Okabe and Ito's palette: told apart with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
STYLES = ("-", "--", "-.", ":")
LOOK: dict[RcKeyType, Any] = {
    "font.size": 9,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def style(number: int) -> dict[str, Any]:
    """Returns colour and line style of the series of a number, from 0; 32 are told apart.

    Neighbours differ in both, so that a print in black and white will do.
    """
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": STYLES[(number + number // len(COLOURS)) % len(STYLES)],
    }


@contextmanager
def figure_of(
    columns: int,
    size: tuple[float, float],
    rows: int = 1,
    *,
    share_x: bool = False,
    share_y: bool = False,
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Yields a figure of `size` inches and its axes, row by row."""
    with rc_context(LOOK):
        figure = Figure(figsize=size, layout="constrained", dpi=120)
        axes = figure.subplots(rows, columns, sharex=share_x, sharey=share_y)
        yield figure, list(np.atleast_1d(axes).ravel())


def png(figure: Figure) -> bytes:
    """Returns a figure as PNG."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
