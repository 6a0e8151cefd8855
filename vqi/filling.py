"""Fills the embedded source databases, with a simulated plant or with an imported data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from inspection.errors import InspectionError
from inspection.progress import report
from inspection.settings import Settings
from vqi.origin import IMPORTED, SIMULATED, check_refill, filled_by, mark_filled

if TYPE_CHECKING:
    from inspection.importers.importing import ImportOptions, ImportReport

IMAGES = 2000
SEED = 7
DIFFICULTY = "normal"


def fill_simulated(
    settings: Settings,
    *,
    volume: int | None = None,
    images: int = IMAGES,
    seed: int = SEED,
    difficulty: str = DIFFICULTY,
    replace: bool = False,
) -> Mapping[str, int]:
    """Fills the source databases with a simulated plant.

    Args:
        settings: gives the databases and folders; the databases must be the embedded ones.
        volume: how many times the full volume, without images; None renders a small plant.
        images: how many to render, for the small plant.
        seed: decides everything.
        difficulty: name of a difficulty of the simulator, for the small plant.
        replace: overwrite what an import has filled.

    Returns:
        Rows by ``schema.table``.

    Raises:
        InspectionError: the databases are one's own, or hold an imported data set.
    """
    from inspection.simulation.plant import simulate_plant
    from inspection.simulation.rendering import DIFFICULTIES
    from inspection.simulation.volume import simulate_volume
    from vqi.publication import publish_ontology

    if difficulty not in DIFFICULTIES:
        raise InspectionError(f"no difficulty called {difficulty!r}; there are {', '.join(DIFFICULTIES)}")
    check_refill(settings, SIMULATED, replace=replace)
    if filled_by(settings) not in (None, SIMULATED):
        settings.published_ontology.unlink(missing_ok=True)  # of the import, whose rows go
        publish_ontology(settings, settings.ontology_file, replaces_labels=True)
    if volume is not None:
        done = simulate_volume(settings, volume, seed=seed, progress=bar("simulate"))
    else:
        done = simulate_plant(
            settings, images=images, seed=seed, difficulty=difficulty, progress=bar("render")
        )
    mark_filled(settings, SIMULATED, {})
    return done.rows


def fill_imported(
    settings: Settings,
    format_name: str,
    folder: Path,
    options: ImportOptions,
    *,
    ontology: Path | None = None,
    replace: bool = False,
) -> ImportReport:
    """Fills the source databases with a labelled data set; see `inspection.importers.importing`.

    Args:
        settings: gives the databases, which must be the embedded ones, and folders.
        format_name: one of `inspection.importers.labelled.FORMATS`.
        folder: of the data set.
        options: what the caller says of it.
        ontology: taxonomy file of the categories; None derives one from them.
        replace: overwrite what something else has filled.

    Raises:
        InspectionError: the databases are one's own, or hold other rows.
        ImportDataError: the data set cannot be loaded as it stands.
        OntologyError: another taxonomy has been published under the name and version of this one.
    """
    from inspection.importers.importing import import_set
    from inspection.importers.readers import read_labelled
    from inspection.ontology import load_ontology
    from vqi.publication import publish_ontology

    folder = folder.expanduser()
    kind = f"import:{folder.resolve().name}"
    check_refill(settings, kind, replace=replace)
    taxonomy = load_ontology(ontology) if ontology is not None else None
    data = read_labelled(format_name, folder, options.group)
    done = import_set(settings, data, options, taxonomy)
    mark_filled(settings, kind, IMPORTED)
    publish_ontology(settings, settings.ontology_file, replaces_labels=True)
    return done


def bar(task: str) -> Callable[[int, int], None]:
    """Returns a callback (done, total) that reports the progress of a task."""
    return lambda done, total: report(task, done, total)
