"""`vqi materialize`: a run of assets on the Dagster instance."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(materialize)


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
