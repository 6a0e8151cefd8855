"""`vqi ontology`: checks a taxonomy and puts it in force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Check or publish a taxonomy.")

File = Annotated[Path, typer.Argument(help="Taxonomy file (JSON).")]


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


@app.command()
def publish(file: File) -> None:
    """Put a taxonomy in force."""
    from inspection.settings import get_settings
    from vqi.publication import publish_ontology

    publication = publish_ontology(get_settings(), file)
    place = "files and warehouse" if publication.in_warehouse else "files; the warehouse is not running"
    print(f"published {publication.ontology} {publication.version} ({place})")
