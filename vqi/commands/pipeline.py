"""`vqi demo` and `vqi materialize`: the whole line, or a run of assets on the Dagster instance."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from vqi.filling import IMAGES


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (demo, materialize):
        app.command()(command)


def demo(
    source: Annotated[
        str, typer.Option(help="simulated, or coco:DIR for a labelled folder of one's own.")
    ] = "simulated",
    images: Annotated[int, typer.Option(min=60, help="Images that the simulated plant has.")] = IMAGES,
) -> None:
    """Run the whole line: plant, labels, model, gate, service, people, alerts."""
    from vqi.console import page
    from vqi.demo import run_demo

    if source != "simulated" and not source.startswith("coco:"):
        raise typer.BadParameter(f"--source wants simulated or coco:DIR, not {source!r}")
    run_demo(source, images, page())


def materialize(
    selection: Annotated[str, typer.Argument(help="Asset selection, as in the Dagster UI: 'group:labels'.")],
    as_of: Annotated[
        datetime | None, typer.Option(help="For the split release: nothing captured later takes part.")
    ] = None,
) -> None:
    """Make assets, in a run that the Dagster UI shows."""
    from inspection.settings import get_settings
    from vqi.console import progress_bars
    from vqi.materialize import materialize as run
    from vqi.materialize import split_config

    with progress_bars():
        result = run(get_settings(), selection, split_config(as_of) if as_of else None)
    print(f"run {result.run_id} succeeded")
