"""Pictures of the label profile: one look, labelled axes, the count behind every rate. Each is a PNG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from inspection.label_profile import CameraShare, LineTrend, LineWeek, MissingValues, PlantLabels
from inspection.plotting import COLOURS, figure_of, png, style

PANELS = 3
"""Panels in a row."""
FLAGGED = COLOURS[1]

Row = TypeVar("Row", LineWeek, LineTrend)


def labels_by_plant(rows: Sequence[PlantLabels]) -> bytes:
    """Draws the share of each label by plant, with its 95 % interval."""
    plants = sorted({row.plant_id: row.plant_images for row in rows}.items())
    classes = list(dict.fromkeys(row.defect_class for row in rows))
    width = 0.8 / max(len(classes), 1)
    with figure_of(1, (2.5 + 2 * max(len(plants), 1), 3.8)) as (figure, (axes,)):
        for number, name in enumerate(classes):
            found = {row.plant_id: row for row in rows if row.defect_class == name}
            shares = np.array([found[plant].share or 0 for plant, _ in plants])
            ends = np.array([[found[p].share_low or 0, found[p].share_high or 0] for p, _ in plants]).T
            places = np.arange(len(plants)) + (number - (len(classes) - 1) / 2) * width
            axes.bar(places, shares, width, color=style(number)["color"], label=name)
            axes.errorbar(places, shares, abs(ends - shares), fmt="none", ecolor="grey", elinewidth=1)
        axes.set_xticks(range(len(plants)), [f"{plant}\n(n={images:,})" for plant, images in plants])
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(visible=False, axis="x")
        axes.set(ylabel="share of labelled images", title="Primary label by plant (95 % interval)")
        if classes:
            figure.legend(loc="outside right upper", fontsize=7)
        return png(figure)


def rates_by_week(weeks: Sequence[LineWeek], trends: Sequence[LineTrend]) -> bytes:
    """Draws the weekly rate of each defect by line; a line that is elevated now stands out."""
    panels, lines = _by_class(weeks), sorted({row.line_id for row in weeks})
    flagged = {(row.line_id, row.defect_class) for row in trends if row.elevated}
    with _panels(len(panels), (4.2, 2.6), share_x=True) as (figure, every):
        for axes, (name, rows) in zip(every, panels, strict=True):
            for number, line in enumerate(lines):
                own = [row for row in rows if row.line_id == line]
                stands_out = (line, name) in flagged
                label = f"{line} (n={sum(row.images for row in own):,})"
                at, rate = [row.week for row in own], [row.rate for row in own]
                axes.plot(at, rate, **style(number), linewidth=2.2 if stands_out else 0.9, label=label)  # type: ignore[arg-type]
                sizes = [2 + row.images / 3 for row in own]
                axes.scatter(at, rate, s=sizes, color=style(number)["color"])  # type: ignore[arg-type]
            told = ", ".join(line for line, defect in sorted(flagged) if defect == name)
            axes.set_title(
                f"{name}: {told} elevated" if told else name, fontweight="bold" if told else "normal"
            )
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            locator = AutoDateLocator(minticks=3)  # type: ignore[no-untyped-call]
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
            axes.tick_params(labelbottom=True)
        figure.supylabel("share of labelled images of the week", fontsize=9)
        figure.supxlabel("week of capture (dot area: labelled images)", fontsize=9)
        handles, names = every[0].get_legend_handles_labels() if every else ([], [])
        figure.legend(handles, names, loc="outside right upper", fontsize=8)
        return png(figure)


def line_comparison(trends: Sequence[LineTrend]) -> bytes:
    """Draws the newest rate of each line with its 95 % interval, beside that of the others together."""
    panels, lines = _by_class(trends), sorted({row.line_id for row in trends})
    with _panels(len(panels), (3.6, 1.1 + 0.32 * len(lines))) as (figure, every):
        for axes, (name, rows) in zip(every, panels, strict=True):
            for row in rows:
                place, colour = lines.index(row.line_id), FLAGGED if row.elevated else COLOURS[0]
                rate = row.recent_rate or 0
                low, high = row.recent_rate_low or 0, row.recent_rate_high or 0
                axes.errorbar(rate, place, xerr=[[rate - low], [high - rate]], fmt="o", color=colour)
                if row.other_images:
                    others = row.other_defective / row.other_images
                    axes.plot(others, place, "|", color="black", markersize=12)
                text = f"{row.recent_defective}/{row.recent_images}"
                axes.annotate(
                    text, (rate, place), (0, 4), textcoords="offset points", fontsize=7, ha="center"
                )
            axes.set_yticks(range(len(lines)), lines)
            axes.set_ylim(len(lines) - 0.4, -0.8)
            axes.set_xlim(left=0)
            axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            axes.set_title(name)
        figure.supxlabel(
            "share of labelled images of the newest days, 95 % interval; bar: the other lines; "
            "orange: elevated beyond chance",
            fontsize=9,
        )
        return png(figure)


def camera_shares(rows: Sequence[CameraShare]) -> bytes:
    """Draws the share of each camera among all images and among the labelled ones."""
    places = np.arange(len(rows))
    with figure_of(1, (6.4, 1.4 + 0.42 * len(rows))) as (figure, (axes,)):
        for shift, share, count, label, colour in (
            (-0.2, "image_share", "images", "all usable images", COLOURS[0]),
            (0.2, "labelled_share", "labelled_images", "labelled images", COLOURS[4]),
        ):
            bars = axes.barh(
                places + shift, [getattr(row, share) or 0 for row in rows], 0.38, color=colour, label=label
            )
            axes.bar_label(bars, [f"{getattr(row, count):,}" for row in rows], fontsize=7, padding=2)
        axes.set_yticks(places, [row.camera_id for row in rows])
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(visible=False, axis="y")
        axes.set(xlabel="share (number: images)", title="Shares of the cameras")
        figure.legend(loc="outside lower center", ncols=2, fontsize=8)
        return png(figure)


def missing_values(rows: Sequence[MissingValues]) -> bytes:
    """Draws the columns in which values are missing."""
    found = [row for row in rows if row.missing]
    title = f"Missing values: {len(found)} of {len(rows)} columns"
    with figure_of(1, (7.2, 1.3 + 0.3 * max(len(found), 1))) as (figure, (axes,)):
        bars = axes.barh(
            [f"{row.table_name.removeprefix('stg_')}.{row.column_name}" for row in found],
            [row.missing_share or 0 for row in found],
            color=COLOURS[0],
        )
        axes.bar_label(
            bars, [f"{row.missing:,} of {row.row_count:,}" for row in found], fontsize=7, padding=2
        )
        axes.invert_yaxis()
        axes.set_xlim(0, 1.15)
        axes.set_xticks(np.linspace(0, 1, 6))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(visible=False, axis="y")
        axes.set(xlabel="share of rows", title=title)
        return png(figure)


def _by_class(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    return [(name, list(own)) for name, own in groupby(rows, key=lambda row: row.defect_class)]


@contextmanager
def _panels(
    count: int, size: tuple[float, float], *, share_x: bool = False
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Yields a figure with a panel of `size` inches for each of `count`; y is the same in all."""
    columns = max(1, min(count, PANELS))
    rows = max(1, -(-count // columns))
    whole = (1 + size[0] * columns, 0.6 + size[1] * rows)
    with figure_of(columns, whole, rows, share_x=share_x, share_y=True) as (figure, every):
        for spare in every[count:]:
            spare.set_visible(False)
        yield figure, every[:count]
