"""`vqi approve`, `rollback`, `resume`: a person's decisions about models, kept in the audit log."""

from __future__ import annotations

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
    """Make a model the production model."""
    decision = _registry().approve(model, actor=_actor(), reason=reason)
    print(f"approved: {decision.model} is in production")


def rollback(
    reason: Reason,
    to: Annotated[str | None, typer.Option(help="Model to go back to; else the one before.")] = None,
) -> None:
    """Go back to an earlier production model."""
    decision = _registry().rollback(to, actor=_actor(), reason=reason)
    print(f"rolled back: {decision.model} is in production")


def resume(reason: Reason) -> None:
    """Let parts pass again without a person, after an alert has stopped that."""
    _registry().resume(actor=_actor(), reason=reason)
    print("auto-pass resumed")


def _registry() -> ModelRegistry:
    from inspection.registry import ModelRegistry
    from inspection.settings import get_settings
    from inspection.store import open_store

    return ModelRegistry(open_store(get_settings().artifacts_url))


def _actor() -> str:
    import pwd
    from os import getuid

    return pwd.getpwuid(getuid()).pw_name
