"""`vqi report`: the test report of a model as a page to read and to print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(report)


def report(
    model: Annotated[
        str | None,
        typer.Argument(help="Id of a model or a report, or its beginning; else the newest."),
    ] = None,
    open_path: Annotated[
        Path | None, typer.Option(help="File to write; else reports/<id>.html of the home.")
    ] = None,
) -> None:
    """Write the test report of a model as one HTML file."""
    from inspection.settings import get_settings
    from inspection.store import open_store
    from vqi.report_page import find_report, write_page

    settings = get_settings()
    store = open_store(settings.artifacts_url)
    print(write_page(settings, store, find_report(settings, store, model), open_path))
