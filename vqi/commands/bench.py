"""`vqi bench NAME`: one benchmark beside its reference."""

from __future__ import annotations

import importlib
import importlib.util
import json
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(bench)


def bench(
    name: Annotated[str, typer.Argument(help="Which benchmark, such as controls.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run one benchmark side by side with its reference."""
    from vqi.console import progress_bars

    if not name.isidentifier() or importlib.util.find_spec(f"bench.{name}") is None:
        raise typer.BadParameter(f"there is no benchmark called {name!r}")
    with progress_bars():
        result = importlib.import_module(f"bench.{name}").run()
    if as_json:
        print(json.dumps(result))
        return
    print(f"{result['name']} on {result['machine']}")
    for part in ("ratios", "measured"):
        for key, value in result[part].items():
            print(f"  {key:32} {value}")
