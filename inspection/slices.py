"""Where a model is worse than elsewhere: by line, camera, part type and so on, and by size of the defect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import stats

from inspection.metrics import Rate

Bools = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]

SIGNIFICANT = 0.05
"""Chance to mark any slice at all when none differs (before Bonferroni's division)."""
SIZE_BINS = 4
NOT_TOLD = "not told"


class Compared(BaseModel):
    """A rate among some, held against the same rate among all others.

    Attributes:
        others: the rate of the rest.
        p: of Fisher's exact test (1935) that both are the same; None without anything on one side.
        marked: `p` is significant though all slices of the report were tested (Bonferroni).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: Rate
    others: Rate
    p: float | None
    marked: bool = False


class Slice(BaseModel):
    """Test parts that have something in common.

    Attributes:
        by: what: line, camera, ...; `value`: which one.
        missed: share of the defective parts that are called PASS.
        false_alarms: share of the good parts that are called FAIL.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: str
    value: str
    images: int
    missed: Compared
    false_alarms: Compared


class SizeBin(BaseModel):
    """Defects of about one size.

    Attributes:
        smallest: side of a square of the area of the annotated box, in pixels of the original image, from
            which on; `largest` likewise.
        model_pixels: median side in pixels of what the network sees.
        found: share of the defects whose class is told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    smallest: float
    largest: float
    model_pixels: float
    found: Compared


def compare_rate(hits: Bools, chosen: Bools, among: Bools | None = None) -> Compared:
    """Holds the rate of `hits` among the chosen against that among the others.

    Args:
        hits: what is counted, [N].
        chosen: the slice, [N].
        among: which count at all, [N]; None counts all.
    """
    among = np.ones_like(hits) if among is None else among
    rate, others = Rate.where(hits, chosen & among), Rate.where(hits, ~chosen & among)
    if not rate.total or not others.total:
        return Compared(rate=rate, others=others, p=None)
    table = [[r.successes, r.total - r.successes] for r in (rate, others)]
    return Compared(rate=rate, others=others, p=float(stats.fisher_exact(np.array(table)).pvalue))


def slices(traits: Mapping[str, Sequence[str | None]], failed: Bools, defective: Bools) -> tuple[Slice, ...]:
    """Slices the test parts by each trait; a slice per value, in order.

    Args:
        traits: by name, the value of each part, N; None where nobody told.
        failed: called FAIL, [N].
        defective: truly so, [N].
    """
    found: list[Slice] = []
    for by, values in traits.items():
        names = np.array([NOT_TOLD if value is None else value for value in values], dtype=object)
        for value in sorted(set(names)):
            chosen = np.asarray(names == value, bool)
            found.append(
                Slice(
                    by=by,
                    value=value,
                    images=int(chosen.sum()),
                    missed=compare_rate(~failed, chosen, defective),
                    false_alarms=compare_rate(failed, chosen, ~defective),
                )
            )
    return tuple(found)


def size_bins(sides: Floats, scales: Floats, told: Bools, bins: int = SIZE_BINS) -> tuple[SizeBin, ...]:
    """Deals defects into about equally many of each size, smallest first.

    Args:
        sides: of each defect, in pixels of the original, [D].
        scales: pixels of the network's input per pixel of the original, [D].
        told: whether its class is told, [D].
        bins: how many, at most.
    """
    if not len(sides):
        return ()
    edges = np.unique(np.quantile(sides, np.linspace(0, 1, bins + 1)))
    place = np.clip(np.searchsorted(edges, sides, side="right") - 1, 0, max(len(edges) - 2, 0))
    found: list[SizeBin] = []
    for number in np.unique(place):
        chosen = place == number
        found.append(
            SizeBin(
                smallest=float(sides[chosen].min()),
                largest=float(sides[chosen].max()),
                model_pixels=float(np.median(sides[chosen] * scales[chosen])),
                found=compare_rate(told, chosen),
            )
        )
    return tuple(found)


def marked(
    found: Sequence[Slice], sizes: Sequence[SizeBin], level: float = SIGNIFICANT
) -> tuple[tuple[Slice, ...], tuple[SizeBin, ...]]:
    """Marks what differs from the rest though so many were tested (Bonferroni; Dunn 1961)."""
    compared = [c for one in found for c in (one.missed, one.false_alarms)] + [one.found for one in sizes]
    tests = sum(c.p is not None for c in compared)

    def mark(one: Compared) -> Compared:
        return one.model_copy(update={"marked": one.p is not None and one.p * tests < level})

    return (
        tuple(
            one.model_copy(update={"missed": mark(one.missed), "false_alarms": mark(one.false_alarms)})
            for one in found
        ),
        tuple(one.model_copy(update={"found": mark(one.found)}) for one in sizes),
    )
