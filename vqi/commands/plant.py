"""`vqi simulate`: a made-up plant in the source databases, and cameras that post its parts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from inspection.errors import ServiceError
from vqi.commands.options import Replace
from vqi.filling import DIFFICULTY, IMAGES, SEED

CAMERAS = 8
PATIENCE_S = 10.0
"""How much longer than the service waits for a body a hostile client waits for its answer."""

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
    cameras: Annotated[int, typer.Option(min=1, help="That post at a time.")] = CAMERAS,
    hostile: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of hostile requests, on top of the parts.")
    ] = 0.0,
    images: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of JPEG and PNG files, else the plant's."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
    api_key_file: Annotated[Path | None, typer.Option(help="File with a key of the role line.")] = None,
) -> None:
    """Post parts to the service, as the cameras of a line do."""
    from inspection.settings import get_settings
    from inspection.simulation.line import run_line
    from inspection.tls import trust
    from vqi.console import page, progress_bars
    from vqi.filling import bar
    from vqi.line import newest_parts, parts_of
    from vqi.line_page import LinePage, show, wrong

    settings = get_settings()
    parts = parts_of(images, cameras) if images else newest_parts(settings, max(1, round(rate * seconds)))
    key = api_key_file.read_text(encoding="utf-8").strip() if api_key_file else None
    url = settings.service_url
    if json_file:
        json_file.parent.mkdir(parents=True, exist_ok=True)
    with progress_bars():
        report = run_line(
            url,
            parts,
            rate=rate,
            seconds=seconds,
            cameras=cameras,
            api_key=key,
            verify=trust(settings.tls_certificate),
            hostile_share=hostile,
            patience=settings.upload_seconds + PATIENCE_S,
            progress=bar("inspect"),
        )
    figures = report.figures()
    told = LinePage(
        url=url,
        asked_rate=rate,
        asked_seconds=seconds,
        asked_cameras=cameras,
        hostile_share=hostile,
        figures=figures,
    )
    show(page(), told)
    if json_file:
        json_file.write_text(told.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if not figures.answered:
        raise ServiceError(
            f"no part got an answer from {url}: run `vqi up`, and approve a model if there is none"
        )
    if kinds := wrong(figures):
        raise ServiceError(f"hostile requests got a wrong answer, see the service's log: {'; '.join(kinds)}")


def _volume(scale: str) -> int | None:
    """Returns how many times the full volume, or None for the demo."""
    if scale == "demo":
        return None
    if scale == "full":
        return 1
    if match := re.fullmatch(r"x([1-9][0-9]*)", scale):
        return int(match[1])
    raise typer.BadParameter(f"--scale wants demo, full or xN, not {scale!r}")
