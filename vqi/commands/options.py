"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Replace = Annotated[bool, typer.Option("--replace", help="Overwrite what something else has filled.")]
OntologyFile = Annotated[
    Path | None, typer.Option("--ontology", help="Taxonomy of the categories; else one is made from them.")
]
PathGroup = Annotated[
    str | None,
    typer.Option(
        "--group",
        help="Regular expression, matched anywhere in an image's path below DIR. Images with the same text "
        "at its named group become one production order: 'part_(?P<group>[0-9]+)'.",
    ),
]
Clean = Annotated[
    list[str] | None,
    typer.Option(
        "--clean", help="Category that means a clean part, beside good, ok, none, no defect. Repeatable."
    ),
]
UnannotatedIsClean = Annotated[
    bool, typer.Option("--unannotated-is-clean", help="An image without annotation is a clean part.")
]
GroupDuplicates = Annotated[
    bool, typer.Option("--group-duplicates", help="Files with equal content share a production order.")
]
