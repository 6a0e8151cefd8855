"""`vqi import`: labelled data sets as if a plant had made them, a command per format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vqi.commands.options import (
    Clean,
    GroupDuplicates,
    OntologyFile,
    PathGroup,
    Replace,
    UnannotatedIsClean,
)

if TYPE_CHECKING:
    from inspection.importers.importing import ImportOptions

app = typer.Typer(no_args_is_help=True, help="Load a labelled data set as if a plant had made it.")


@app.command()
def coco(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Holds annotations.json and the images that it names.")
    ],
    ontology: OntologyFile = None,
    group: Annotated[str, typer.Option(help="Image field that becomes the production order.")] = "group",
    clean: Clean = None,
    unannotated_is_clean: UnannotatedIsClean = False,
    group_duplicates: GroupDuplicates = False,
    replace: Replace = False,
) -> None:
    """Load a data set with COCO annotations."""
    options = import_options(group, clean, unannotated_is_clean, group_duplicates)
    _run("coco", folder, options, ontology, replace)


@app.command()
def voc(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds XML files and images.")],
    ontology: OntologyFile = None,
    group: PathGroup = None,
    clean: Clean = None,
    unannotated_is_clean: UnannotatedIsClean = False,
    group_duplicates: GroupDuplicates = False,
    replace: Replace = False,
) -> None:
    """Load a data set with Pascal VOC annotations: an XML file per image."""
    options = import_options(group, clean, unannotated_is_clean, group_duplicates)
    _run("voc", folder, options, ontology, replace)


@app.command()
def yolo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds data.yaml, images and labels.")],
    ontology: OntologyFile = None,
    group: PathGroup = None,
    clean: Clean = None,
    unannotated_is_clean: UnannotatedIsClean = False,
    group_duplicates: GroupDuplicates = False,
    replace: Replace = False,
) -> None:
    """Load a data set with YOLO labels: boxes or polygons in a text file per image."""
    options = import_options(group, clean, unannotated_is_clean, group_duplicates)
    _run("yolo", folder, options, ontology, replace)


@app.command("folder")
def class_folders(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Holds a folder per class, also below train, test, ...")
    ],
    ontology: OntologyFile = None,
    group: PathGroup = None,
    clean: Clean = None,
    unannotated_is_clean: UnannotatedIsClean = False,
    group_duplicates: GroupDuplicates = False,
    replace: Replace = False,
) -> None:
    """Load images that lie in a folder of their class; masks in ground_truth become boxes."""
    options = import_options(group, clean, unannotated_is_clean, group_duplicates)
    _run("folder", folder, options, ontology, replace)


def import_options(
    group: str | None, clean: list[str] | None, unannotated_is_clean: bool, group_duplicates: bool
) -> ImportOptions:
    """Returns what a command line says of a data set."""
    from inspection.importers.importing import ImportOptions

    return ImportOptions(group, tuple(clean or ()), unannotated_is_clean, group_duplicates)


def _run(
    format_name: str, folder: Path, options: ImportOptions, ontology: Path | None, replace: bool
) -> None:
    from inspection.settings import get_settings
    from vqi.console import progress_bars
    from vqi.filling import fill_imported
    from vqi.import_report import lines

    with progress_bars():
        report = fill_imported(
            get_settings(), format_name, folder, options, ontology=ontology, replace=replace
        )
    for line in lines(report):
        print(line)
