"""What `vqi simulate line` shows at its end, and what it writes as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from inspection.simulation.line_report import HostileFigures, Latency, LineFigures

BAR = 40  # columns of the longest bar


class LinePage(BaseModel):
    """A run of `vqi simulate line`: what was asked for, and what came of it."""

    url: str
    asked_rate: float
    asked_seconds: float
    asked_cameras: int
    hostile_share: float
    figures: LineFigures


def show(console: Console, page: LinePage) -> None:
    """Prints a run."""
    figures = page.figures
    console.print(
        f"{figures.answered} parts answered, {figures.to_human} without an answer, "
        f"{figures.retried} tried again, {figures.rate:.1f} a second ({page.asked_rate:g} asked for)"
    )
    for title, latency in (("from when it was due", figures.latency), ("of its request", figures.request)):
        console.print(f"P50 / P95 / P99 / max {title}: {spoken(latency)}")
    for line in bars(figures):
        console.print(line)
    for name in ("predictions", "actions", "route_reasons"):
        console.print(f"{name.replace('_', ' ')}: {counts(getattr(figures, name))}")
    console.print(_cameras(figures))
    if figures.hostile:
        console.print(_hostile(figures))


def bars(figures: LineFigures) -> Iterator[str]:
    """Yields the histogram, a line for each bin from the first that holds a part to the last."""
    full = [number for number, found in enumerate(figures.histogram) if found.parts]
    most = max((found.parts for found in figures.histogram), default=0)
    for found in figures.histogram[full[0] : full[-1] + 1] if full else ():
        edge = "above" if found.up_to_ms is None else f"{found.up_to_ms:g}"
        bar = "█" * -(-found.parts * BAR // most)
        yield f"{edge:>6} ms {found.parts:>6} {bar}".rstrip()


def wrong(figures: LineFigures) -> list[str]:
    """Returns the hostile kinds that got a wrong answer, with what they got."""
    return [f"{kind.kind} ({counts(kind.answers)})" for kind in figures.hostile if kind.wrong]


def spoken(latency: Latency) -> str:
    """Returns a latency as ``12 / 20 / 31 / 40 ms``."""
    values = latency.model_dump().values()
    return " / ".join("-" if value is None else f"{value:.0f}" for value in values) + " ms"


def counts(found: Mapping[str, int]) -> str:
    """Returns counts as ``PASS 10, FAIL 2``."""
    return ", ".join(f"{name} {count}" for name, count in found.items()) or "none"


def _cameras(figures: LineFigures) -> Table:
    table = Table("camera", "parts", "answered", "P50 / P95 / P99 / max", "actions", box=None)
    for camera in figures.cameras:
        told = (str(camera.parts), str(camera.answered), spoken(camera.latency), counts(camera.actions))
        table.add_row(camera.camera_id, *told)
    return table


def _hostile(figures: LineFigures) -> Table:
    table = Table("hostile", "sent", "right", "busy", "wrong", "answers", box=None)
    for kind in figures.hostile:
        table.add_row(
            kind.kind, *map(str, (kind.sent, kind.right, kind.busy, kind.wrong)), counts(kind.answers)
        )
    table.add_row("all", *map(str, totals(figures.hostile)), "")
    return table


def totals(kinds: tuple[HostileFigures, ...]) -> tuple[int, int, int, int]:
    """Returns how many were sent, right, busy and wrong."""
    return (
        sum(kind.sent for kind in kinds),
        sum(kind.right for kind in kinds),
        sum(kind.busy for kind in kinds),
        sum(kind.wrong for kind in kinds),
    )
