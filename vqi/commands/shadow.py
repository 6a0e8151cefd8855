"""`vqi shadow`, `replay`: a model beside production, now or on a past shift."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (shadow, replay):
        app.command()(command)


def shadow(
    model: Annotated[
        str | None, typer.Argument(help="Have this one run beside production: its id, or the beginning.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, with MODEL; it is kept in the audit log.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell how the shadow does beside production, and whether it may take over."""
    from inspection.settings import get_settings
    from inspection.shadow_report import report_shadow
    from vqi.commands.models import actor, find_registry
    from vqi.console import page
    from vqi.trial_page import shadow_page

    registry = find_registry()
    if model is not None:
        if reason is None:
            raise typer.BadParameter("a shadow is started with a reason: add --reason")
        decision = registry.start_shadow(model, actor=actor(), reason=reason)
        print(f"{decision.model} runs beside production")
        return
    report = report_shadow(get_settings(), registry)
    if as_json:
        print(report.model_dump_json(indent=2))
    else:
        page().print(shadow_page(report))


def replay(
    model: Annotated[str, typer.Argument(help="Id of the candidate, or the beginning of it.")],
    since: Annotated[datetime, typer.Option("--from", help="Beginning of the shift, UTC.")],
    until: Annotated[datetime, typer.Option("--to", help="Its end, UTC.")],
    as_json: AsJson = False,
) -> None:
    """Judge a past shift again with a candidate, from the stored images; nothing is written down."""
    from inspection.settings import get_settings
    from vqi.commands.models import find_registry
    from vqi.console import page, progress_bars
    from vqi.filling import bar
    from vqi.replay import replay as run
    from vqi.trial_page import replay_page

    begin, end = (moment.replace(tzinfo=UTC) for moment in (since, until))
    if begin >= end:
        raise typer.BadParameter("the shift must begin before it ends: --from, then --to")
    with progress_bars():
        report = run(get_settings(), find_registry(), model, begin, end, bar("replay"))
    if as_json:
        print(report.model_dump_json(indent=2))
    else:
        page().print(replay_page(report))
