"""`vqi keys`: who may ask the service what. A running service follows within a second."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

app = typer.Typer(no_args_is_help=True, help="Create, list or revoke API keys.")

Name = Annotated[str, typer.Argument(help="What the key is called, in lists and in the audit log.")]
# As `serving.keys.KeyRole`, which is not imported before it is needed; `create_key` is checked against it.
Role = Annotated[Literal["line", "inspector", "engineer", "viewer"], typer.Option(help="What it may do.")]


@app.command()
def create(name: Name, role: Role) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    from inspection.settings import get_settings
    from serving.keys import create_key

    file = get_settings().keys_file
    secret = create_key(file, name, role)
    print(secret)
    print(f"key {name!r} of role {role} is in {file}; it is not shown again", file=sys.stderr)


@app.command(name="list")
def list_keys() -> None:
    """List the keys, without their secrets."""
    from inspection.settings import get_settings
    from serving.keys import load_keys

    settings = get_settings()
    keys = load_keys(settings.keys_file, required=settings.has_keys).keys
    if keys is None:
        print("no keys are set up, so the service answers this machine only (`vqi keys create`)")
        return
    for key in keys:
        created = key.created_at.isoformat(timespec="minutes") if key.created_at else "at an unknown time"
        print(f"{key.name:30} {key.role:10} {created}")
    if not keys:
        print("no key is left, so the service answers nobody (`vqi keys create`)")


@app.command()
def revoke(name: Name) -> None:
    """Revoke a key; revoking the last one does not open the service, it shuts it."""
    from inspection.settings import get_settings
    from serving.keys import revoke_key

    left = revoke_key(get_settings().keys_file, name)
    print(f"revoked {name!r}" + ("" if left else "; it was the last key, so the service answers nobody now"))
