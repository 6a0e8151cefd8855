"""Loading a COCO-annotated folder into the source databases.

Rules for what a COCO file does not tell:

- The data set's name is the folder's; it is the part type and the plant.
- The production order is the image's group field; an image without one is its own order.
- Machine and camera are one each, unless an image names its own (``machine_id``, ``camera_id``).
- A time without a zone is UTC. An image without a time follows the newest known one, a second apart and
  in the file's order; without any known time the sequence starts at the year 2000. Such a sequence is no
  history: use the grouped split policy.
- There is one annotator, with confidence 5, who types the category's name.
- An image without annotations gets the clean label only when declared clean: by the caller, or by the
  image's own ``no_defect_is_inferred``.
- Calibration: the cameras are taken as free of distortion, unless a calibration folder is configured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from inspection.importers.calibration import write_import_calibration
from inspection.importers.coco_file import read_coco
from inspection.importers.coco_tables import (
    ANNOTATION_SCHEMA,
    AnnotationRows,
    equipment_table,
    image_table,
    image_times,
    order_table,
)
from inspection.importers.files import place_images
from inspection.importers.taxonomy import derive_ontology
from inspection.ontology import Ontology
from inspection.settings import Settings
from inspection.simulation.tables import load, taxonomy_table


@dataclass(frozen=True)
class ImportReport:
    """What an import wrote.

    Attributes:
        name: of the data set.
        image_root: folder that the image paths are relative to.
        in_place: True when the files were left where they are.
        images: rows of image metadata; likewise `annotations` and `groups`.
        annotated_images: images with a defect.
        declared_clean: images without annotation that were declared clean.
        unlabelled: images without annotation that were not.
        without_time: images whose time follows the stated rule.
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
    declared_clean: int
    unlabelled: int
    without_time: int
    bad: Mapping[str, int]
    ontology: Ontology


def import_coco(
    settings: Settings,
    folder: Path,
    *,
    ontology: Ontology | None = None,
    group_field: str = "group",
    unannotated_is_clean: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Replaces the contents of the source databases by a COCO data set.

    Args:
        settings: gives databases and image root. Without a configured image root the files are linked
            into ``images/NAME`` below the local state; with one, the folder must lie in it.
        folder: holds ``annotations.json`` and the images that it names.
        ontology: taxonomy of the categories; None derives one from them. Either is published.
        group_field: image field that becomes the production order.
        unannotated_is_clean: declares every image without annotation clean.
        progress: called with (images done, images).

    Raises:
        ImportDataError: the folder or its annotations cannot be read, or a field of the annotations
            is not what COCO says.
        ServiceError: a database does not answer.
    """
    data = read_coco(folder, group_field)
    taxonomy = ontology or derive_ontology(data.name, data.categories.values())
    bad: Counter[str] = Counter(data.rejected)
    place = place_images(settings, data.folder, [image.file_name for image in data.images], progress)
    bad["missing image file"] += place.missing
    times = image_times(data.images)
    write_import_calibration(settings, data, min(times))
    rows = AnnotationRows(data, taxonomy, unannotated_is_clean, bad)
    for image in data.images:
        rows.add(image)
    tables = {
        "image_metadata": image_table(data, place.prefix, times),
        "defect_annotations": pa.Table.from_pylist(rows.rows, ANNOTATION_SCHEMA),
    }
    load(settings, "quality_vision", tables)
    load(settings, "qms", {"defect_taxonomy": taxonomy_table(taxonomy)})
    orders = order_table(data, times)
    load(settings, "erp", {"production_orders": orders, "equipment_registry": equipment_table(data)})
    settings.root.mkdir(parents=True, exist_ok=True)
    settings.published_ontology.write_text(taxonomy.model_dump_json(indent=2), encoding="utf-8")
    return ImportReport(
        name=data.name,
        image_root=settings.images,
        in_place=place.in_place,
        images=len(data.images),
        annotations=len(rows.rows),
        groups=orders.num_rows,
        annotated_images=rows.annotated,
        declared_clean=rows.declared_clean,
        unlabelled=rows.unlabelled,
        without_time=sum(image.captured is None for image in data.images),
        bad={reason: count for reason, count in bad.items() if count},
        ontology=taxonomy,
    )
