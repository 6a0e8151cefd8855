"""Loading a labelled data set into the source databases.

Rules for what a data set does not tell, whatever its format:

- The data set's name is the folder's; it is the part type and the plant.
- The production order is the image's group; an image without one is its own order. On demand, orders that
  share a file's content become one.
- Machine and camera are one each, unless an image names its own.
- A time without a zone is UTC. An image without a time follows the newest known one, a second apart and
  in the set's order; without any known time the sequence starts at the year 2000. Such a sequence is no
  history: use the grouped split policy. The set's own split (train, test) is part of the path, no more.
- There is one annotator, with confidence 5, who types the category's name. An annotation without a box
  labels its whole image.
- An image without annotations gets the clean label only when declared clean: by the caller, or by the
  image itself. One whose annotation cannot be read is never declared clean.
- Calibration: the cameras are taken as free of distortion, unless a calibration folder is configured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pyarrow as pa

from inspection.importers.calibration import write_import_calibration
from inspection.importers.files import place_images
from inspection.importers.grouping import (
    contradictions,
    find_repeats,
    repeats_across_orders,
    unite_repeats,
)
from inspection.importers.images import READABLE
from inspection.importers.labelled import LabelledSet
from inspection.importers.rows import (
    ANNOTATION_SCHEMA,
    AnnotationRows,
    equipment_table,
    image_table,
    image_times,
    order_table,
)
from inspection.importers.taxonomy import choose_ontology
from inspection.ontology import Ontology
from inspection.settings import Settings
from inspection.simulation.tables import load, taxonomy_table


@dataclass(frozen=True)
class ImportOptions:
    """What the caller says of a data set.

    Attributes:
        group: for COCO, the image field that becomes the production order; for the other formats a
            regular expression over the path, see `inspection.importers.grouping.group_by_path`.
        clean: categories that mean a clean part, beside those whose name says so.
        unannotated_is_clean: declares every image without annotation clean.
        group_duplicates: files with the same content get one production order.
    """

    group: str | None = None
    clean: tuple[str, ...] = ()
    unannotated_is_clean: bool = False
    group_duplicates: bool = False


@dataclass(frozen=True)
class ImportReport:
    """What an import wrote.

    Attributes:
        name: of the data set.
        image_root: folder that the image paths are relative to.
        in_place: True when the files were left where they are.
        images: rows of image metadata; likewise `annotations` and `groups`.
        annotated_images: images with a defect, or with a label that no class claims.
        annotated_clean: images whose annotations say clean.
        declared_clean: images without annotation that were declared clean.
        unlabelled: images without annotation that were not.
        without_time: images whose time follows the stated rule.
        repeats: files that repeat the content of another, of which they were not in one order.
        repeats_united: they have one order now.
        labels: annotations by the name that was typed.
        bad: entries by reason; all but those that no table can hold are loaded, for the quarantine.
        ontology: in force for the data set.
    """

    name: str
    image_root: Path
    in_place: bool
    images: int
    annotations: int
    groups: int
    annotated_images: int
    annotated_clean: int
    declared_clean: int
    unlabelled: int
    without_time: int
    repeats: int
    repeats_united: bool
    labels: Mapping[str, int]
    bad: Mapping[str, int]
    ontology: Ontology


def import_set(
    settings: Settings, data: LabelledSet, options: ImportOptions, ontology: Ontology | None = None
) -> ImportReport:
    """Replaces the contents of the source databases by a data set.

    Args:
        settings: gives databases and image root. Without a configured image root the files are linked
            into ``images/NAME`` below the local state; with one, the folder must lie in it.
        data: as a reader gave it, with its groups.
        options: what the caller says of it.
        ontology: taxonomy of the categories; None derives one from them. Either is published.

    Raises:
        ImportDataError: the categories make no taxonomy, a name cannot be stored, or the folder lies
            outside the image root.
        ServiceError: a database does not answer.
    """
    taxonomy = choose_ontology(data.name, data.categories, options.clean, ontology)
    bad: Counter[str] = Counter(data.bad)
    names = [image.file_name for image in data.images]
    repeats = find_repeats(data.folder, names)
    across = repeats_across_orders(data.images, repeats)
    if options.group_duplicates:
        data = replace(data, images=unite_repeats(data.images, repeats))
    times = image_times(data.images)
    rows = AnnotationRows(data, taxonomy, options.unannotated_is_clean, bad)
    for image in data.images:
        rows.add(image)
    place = place_images(settings, data.folder, names)
    bad["missing image file"] += place.missing
    bad["content under different labels"] += contradictions(data.images, repeats, taxonomy)
    bad["image twice"] += sum(bool(image.twin) for image in data.images)
    bad["neither JPEG nor PNG"] += sum(PurePosixPath(name).suffix.lower() not in READABLE for name in names)
    orders = order_table(data, times)
    _load(settings, data, place.prefix, times, rows, orders, taxonomy)
    return ImportReport(
        name=data.name,
        image_root=settings.images,
        in_place=place.in_place,
        images=len(data.images),
        annotations=len(rows.rows),
        groups=orders.num_rows,
        annotated_images=rows.annotated,
        annotated_clean=rows.annotated_clean,
        declared_clean=rows.declared_clean,
        unlabelled=rows.unlabelled,
        without_time=sum(image.captured is None for image in data.images),
        repeats=across,
        repeats_united=options.group_duplicates,
        labels=dict(rows.labels.most_common()),
        bad={reason: count for reason, count in bad.items() if count},
        ontology=taxonomy,
    )


def _load(
    settings: Settings,
    data: LabelledSet,
    prefix: str,
    times: list[int],
    rows: AnnotationRows,
    orders: pa.Table,
    taxonomy: Ontology,
) -> None:
    """Writes the rows, the calibration and the taxonomy."""
    write_import_calibration(settings, data, min(times))
    tables = {
        "image_metadata": image_table(data, prefix, times),
        "defect_annotations": pa.Table.from_pylist(rows.rows, ANNOTATION_SCHEMA),
    }
    load(settings, "quality_vision", tables)
    load(settings, "qms", {"defect_taxonomy": taxonomy_table(taxonomy)})
    load(settings, "erp", {"production_orders": orders, "equipment_registry": equipment_table(data)})
    settings.root.mkdir(parents=True, exist_ok=True)
    settings.published_ontology.write_text(taxonomy.model_dump_json(indent=2), encoding="utf-8")
