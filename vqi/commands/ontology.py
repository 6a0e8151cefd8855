"""`vqi ontology`: checks a taxonomy and puts it in force."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from inspection.publication import Publication
    from inspection.taxonomy_changes import AliasChange

app = typer.Typer(no_args_is_help=True, help="Show, check or publish a taxonomy.")

File = Annotated[Path, typer.Argument(help="Taxonomy file (JSON).")]

# Without the split release: what was test stays test until the next training.
LABELS = "group:labels and not key:split_release+"


@app.command()
def show() -> None:
    """Print the file in force, to be edited."""
    from inspection.ontology import load_ontology
    from inspection.settings import get_settings

    file = get_settings().ontology_file
    load_ontology(file)
    print(file.read_text(encoding="utf-8"), end="")


@app.command()
def validate(file: File) -> None:
    """Check a taxonomy file."""
    from inspection.ontology import load_ontology

    found = load_ontology(file)
    critical = ", ".join(found.safety_critical_ids) or "none"
    print(
        f"{found.ontology} {found.version}: {len(found.defect_classes)} defect classes, "
        f"clean class {found.clean_class.id}, safety-critical: {critical}"
    )
    for each in found.classes:
        print(f"  {each.id}: {', '.join(each.aliases) or 'no alias'}")


@app.command()
def publish(file: File) -> None:
    """Put a taxonomy in force, and say what that does to the labels."""
    from inspection.settings import get_settings
    from vqi.publication import publish_ontology

    done = publish_ontology(get_settings(), file)
    name = f"{done.ontology.ontology} {done.ontology.version}"
    if done.in_warehouse is None:
        print(f"published {name} (files; there is no warehouse yet)")
        return
    if not done.in_warehouse.new:
        print(f"{name} is in force already")
        return
    print(f"published {name} (files and warehouse)")
    for line in _effects(done.in_warehouse):
        print(f"  {line}")
    if done.model:
        print(f"  the production model {done.model[:12]} names a removed class until another is approved")


@app.command()
def history() -> None:
    """List what has been published, and what the newest publication has moved from quarantine."""
    from inspection.errors import ServiceError
    from inspection.publication import publications
    from inspection.quarantine import freed_rows, tell_moved
    from inspection.settings import get_settings
    from vqi.publication import find_warehouse

    if (dsn := find_warehouse(get_settings())) is None:
        raise ServiceError("there is no warehouse yet: run `vqi up`")
    for each in publications(dsn):
        print(f"{each.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC  {each.ontology} {each.version}")
    print(tell_moved(freed_rows(dsn)))


def _effects(publication: Publication) -> Iterator[str]:
    changes = publication.changes
    yield from (f"new class {name}" for name in changes.new_classes)
    yield from (f"removed class {name}" for name in changes.removed_classes)
    yield from (_alias(change) for change in changes.aliases)
    freed = " and ".join(f"{rows:,} of {table}" for table, rows in publication.freed.items())
    if freed:
        yield f"rows in quarantine that have a class now: {freed}"
        yield f"the next build of the labels moves them: vqi materialize '{LABELS}'"


def _alias(change: AliasChange) -> str:
    from inspection.taxonomy_changes import tell_counts

    uses = tell_counts(change.uses) or "unused so far"
    if change.before is None:
        return f"new alias {change.alias!r} of {change.after}: {uses}"
    if change.after is None:
        return f"dropped alias {change.alias!r} of {change.before}, unknown from now on: {uses}"
    return f"alias {change.alias!r} moved from {change.before} to {change.after}: {uses}"
