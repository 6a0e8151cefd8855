"""`vqi approve`, `rollback`, `resume`: a person's decisions about models, kept in the audit log."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from inspection.registry import ModelRegistry

Reason = Annotated[str, typer.Option(help="Why; it is kept in the audit log.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (approve, rollback, resume):
        app.command()(command)


def approve(
    model: Annotated[str, typer.Argument(help="Id of the bundle, or the beginning of it.")], reason: Reason
) -> None:
    """Make a model the production model; of the shadow, its comparison is kept with the decision."""
    import psycopg2

    from inspection.errors import SettingsError
    from inspection.settings import get_settings
    from inspection.shadow_report import keep_report

    registry = find_registry()
    evidence = None
    if registry.find(model) == registry.shadow():
        try:
            evidence = keep_report(get_settings(), registry)
        except (psycopg2.Error, SettingsError) as error:  # a person may decide without the warehouse
            reasons = " ".join(str(error).split())
            print(f"the shadow's comparison is not kept with the decision: {reasons}", file=sys.stderr)
    decision = registry.approve(model, actor=actor(), reason=reason, evidence=evidence)
    print(f"approved: {decision.model} is in production")


def rollback(
    reason: Reason,
    to: Annotated[str | None, typer.Option(help="Model to go back to; else the one before.")] = None,
) -> None:
    """Go back to an earlier production model."""
    decision = find_registry().rollback(to, actor=actor(), reason=reason)
    print(f"rolled back: {decision.model} is in production")


def resume(reason: Reason) -> None:
    """Let parts pass again without a person, after an alert has stopped that."""
    find_registry().resume(actor=actor(), reason=reason)
    print("auto-pass resumed")


def find_registry() -> ModelRegistry:
    """Returns the registry of this installation."""
    from inspection.registry import ModelRegistry
    from inspection.settings import get_settings
    from inspection.store import open_store

    return ModelRegistry(open_store(get_settings().artifacts_url))


def actor() -> str:
    """Returns who decides: the user of this process."""
    import pwd
    from os import getuid

    return pwd.getpwuid(getuid()).pw_name
