"""`vqi demo` and `vqi materialize`: the whole line, or a run of assets on the Dagster instance."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from vqi.commands.importing import import_options
from vqi.commands.options import Clean, GroupDuplicates, OntologyFile, UnannotatedIsClean
from vqi.filling import DIFFICULTY, IMAGES


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (demo, materialize):
        app.command()(command)


def demo(
    source: Annotated[
        str, typer.Option(help="simulated, or coco:DIR, voc:DIR, yolo:DIR, folder:DIR: labelled images.")
    ] = "simulated",
    images: Annotated[int, typer.Option(min=60, help="Images that the simulated plant has.")] = IMAGES,
    difficulty: Annotated[
        str, typer.Option(help="Of the simulated plant: easy, normal or hard.")
    ] = DIFFICULTY,
    ontology: OntologyFile = None,
    group: Annotated[
        str | None, typer.Option(help="What becomes the production order, as of `vqi import`.")
    ] = None,
    clean: Clean = None,
    unannotated_is_clean: UnannotatedIsClean = False,
    group_duplicates: GroupDuplicates = False,
) -> None:
    """Run the whole line: plant, labels, model, gate, service, people, alerts.

    The options from --ontology on are those of `vqi import`, for labelled images.
    """
    from vqi.console import page
    from vqi.demo import run_demo
    from vqi.demo_source import DemoSource

    options = import_options(group, clean, unannotated_is_clean, group_duplicates)
    try:
        chosen = DemoSource.parse(source, options, ontology, images, difficulty)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    run_demo(chosen, page())


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
