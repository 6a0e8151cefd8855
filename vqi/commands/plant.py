"""`vqi simulate`: a made-up plant in the source databases, and cameras that post its parts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from inspection.errors import ServiceError
from vqi.commands.options import Replace
from vqi.filling import DIFFICULTY, IMAGES, SEED

simulate = typer.Typer(no_args_is_help=True, help="Simulate a plant or its line.")


@simulate.command()
def plant(
    scale: Annotated[str, typer.Option(help="demo (with images), full, or xN: N times full.")] = "demo",
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = SEED,
    difficulty: Annotated[str, typer.Option(help="For the demo scale: easy, normal or hard.")] = DIFFICULTY,
    images: Annotated[int, typer.Option(min=60, help="For the demo scale: images to render.")] = IMAGES,
    replace: Replace = False,
) -> None:
    """Fill the source databases with a made-up plant."""
    volume = _volume(scale)
    from inspection.settings import get_settings
    from vqi.console import progress_bars
    from vqi.filling import fill_simulated

    with progress_bars():
        rows = fill_simulated(
            get_settings(), volume=volume, seed=seed, difficulty=difficulty, images=images, replace=replace
        )
    for table, count in rows.items():
        print(f"{table:36} {count:>10,}")


@simulate.command()
def line(
    rate: Annotated[float, typer.Option(min=0.01, help="Parts a second, all cameras together.")] = 2.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long.")] = 30.0,
    api_key_file: Annotated[Path | None, typer.Option(help="File with a key of the role line.")] = None,
) -> None:
    """Post parts to the service, as the cameras of a line do."""
    from inspection.settings import get_settings
    from inspection.simulation.line import run_line
    from inspection.tls import trust
    from vqi.console import progress_bars
    from vqi.filling import bar
    from vqi.line import newest_parts

    settings = get_settings()
    parts = newest_parts(settings, max(1, round(rate * seconds)))
    key = api_key_file.read_text(encoding="utf-8").strip() if api_key_file else None
    url = settings.service_url
    with progress_bars():
        report = run_line(
            url,
            parts,
            rate=rate,
            seconds=seconds,
            api_key=key,
            verify=trust(settings.tls_certificate),
            progress=bar("inspect"),
        )
    print(
        f"{report.answered} parts answered, {report.to_human} without an answer, {report.rate:.1f} a second"
    )
    if report.p50_ms is not None:
        print(f"P50 / P95 / P99: {report.p50_ms:.0f} / {report.p95_ms:.0f} / {report.p99_ms:.0f} ms")
    for action, count in report.actions.items():
        print(f"  {action:20} {count}")
    if not report.answered:
        raise ServiceError(
            f"no part got an answer from {url}: run `vqi up`, and approve a model if there is none"
        )


def _volume(scale: str) -> int | None:
    """Returns how many times the full volume, or None for the demo."""
    if scale == "demo":
        return None
    if scale == "full":
        return 1
    if match := re.fullmatch(r"x([1-9][0-9]*)", scale):
        return int(match[1])
    raise typer.BadParameter(f"--scale wants demo, full or xN, not {scale!r}")
