"""A worn tool: for the last weeks one line of the simulated plant makes more of one kind of defect.

It is there so that a rising defect rate of one line can be found. The defects are exchanged with clean parts
of that line, not added: how many parts of each kind the plant makes stays as it is, and so does when.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspection.simulation.vocabulary import KINDS

LINE = "line-b"
KIND = "burr"
DAYS = 28
MOVED_SHARE = 0.5
"""Share of the other lines' parts with the defect that the worn line makes instead."""

Longs = NDArray[np.int64]


def wear_tool(
    kinds: NDArray[np.bool_], on_line: NDArray[np.bool_], captured: Longs, until: int
) -> NDArray[np.bool_]:
    """Moves defects of the last days to the worn line.

    Nothing is drawn at random: by time, every second of those parts changes with a clean one.

    Args:
        kinds: true defects, bool [images, kinds].
        on_line: which images the worn line took, bool [images].
        captured: when, in milliseconds since 1970, [images].
        until: the end of the plant's history, likewise.

    Returns:
        True defects with the tool worn; as many parts have each combination of kinds as before.
    """
    recent = captured >= until - DAYS * 86_400_000
    elsewhere = np.flatnonzero(recent & ~on_line & kinds[:, KINDS.index(KIND)])
    clean = np.flatnonzero(recent & on_line & ~kinds.any(axis=1))
    elsewhere, clean = (places[np.argsort(captured[places], kind="stable")] for places in (elsewhere, clean))
    count = min(round(MOVED_SHARE * len(elsewhere)), len(clean))
    # Spread evenly over both, so that neither the first nor the last parts alone change.
    given, taken = (places[np.arange(count) * len(places) // max(count, 1)] for places in (elsewhere, clean))
    worn = kinds.copy()
    worn[given], worn[taken] = kinds[taken], kinds[given]
    return worn
