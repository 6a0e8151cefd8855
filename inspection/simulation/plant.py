"""Fills the three source databases with a consistent plant: rendered images or volume alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inspection.errors import SettingsError
from inspection.ontology import Ontology, load_ontology
from inspection.settings import Settings
from inspection.simulation.calibration import write_calibration
from inspection.simulation.cameras import CAMERAS, REFERENCE_WIDTH
from inspection.simulation.flaws import Flaws
from inspection.simulation.people import ANNOTATORS_PER_PLANT, annotate, annotation_table, result_table
from inspection.simulation.production import (
    Longs,
    Production,
    equipment_table,
    image_table,
    order_table,
    plan_production,
    spec_table,
)
from inspection.simulation.rendering import DIFFICULTIES, ImageSpec, photograph_all
from inspection.simulation.tables import instants, load, taxonomy_table
from inspection.simulation.view import Box
from inspection.simulation.vocabulary import CLASS_OF_KIND, vocabulary

AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
TRUTH_FILE = "plant_truth.parquet"
DAYS = 150
LEAST_IMAGES = 60
ANNOTATED_SHARE = 0.93
ANNOTATOR_SHARES = (0.55, 0.27, 0.18)
SECOND_LOOK_SHARE = 0.10
BLIND_RESULTS_SHARE = 0.05


@dataclass(frozen=True)
class PlantReport:
    """What a simulation wrote.

    Attributes:
        rows: by ``schema.table``.
        bad_rows: by ``table: kind``; they are among `rows`.
        images_rendered: files written under the image root.
        defects: truly defective images by class; an image may count in several.
        defective: truly defective images.
        as_of: all times lie before this, but for the clocks that are wrong on purpose.
    """

    rows: Mapping[str, int]
    bad_rows: Mapping[str, int]
    images_rendered: int
    defects: Mapping[str, int]
    defective: int
    as_of: datetime


def simulate_plant(
    settings: Settings,
    *,
    images: int = 2600,
    seed: int = 7,
    as_of: datetime = AS_OF,
    difficulty: float | str = "normal",
    width: int = REFERENCE_WIDTH,
    height: int = 768,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PlantReport:
    """Renders a plant's images and replaces the contents of the source databases and calibration files.

    Args:
        settings: gives databases, image root, calibration folder and ontology.
        images: to render, at least 60.
        seed: decides everything.
        as_of: time zone aware; the plant's history ends the midnight before.
        difficulty: 0 to 1, or a name of `DIFFICULTIES`.
        width: of the images in pixels.
        height: of the images in pixels.
        workers: rendering processes; default one per core.
        progress: called with (images done, images).

    Raises:
        SettingsError: too few images.
        OntologyError: the taxonomy lacks a class that the plant draws.
        ServiceError: a database does not answer.
    """
    if images < LEAST_IMAGES:
        raise SettingsError(f"a plant of {images} images is too small: ask for {LEAST_IMAGES} or more")
    ontology = load_ontology(settings.ontology_file)
    words = vocabulary(ontology)
    planning, seeing, deciding, spoiling = (np.random.default_rng([seed, stage]) for stage in range(4))
    production = plan_production(planning, images, as_of, DAYS)
    level = DIFFICULTIES[difficulty] if isinstance(difficulty, str) else difficulty
    specs = [
        ImageSpec(
            seed=seed,
            index=image,
            part_type=production.part_type(image),
            camera_id=CAMERAS[int(production.camera[image])].camera_id,
            defects=production.defects(image),
            difficulty=level,
            width=width,
            height=height,
        )
        for image in range(images)
    ]
    truth = _render(settings, production, specs, workers or os.cpu_count() or 1, progress)
    _write_truth(settings, production, truth)
    write_calibration(settings.calibration, as_of, (width, height))
    looked_at = seeing.random(images) < ANNOTATED_SHARE
    counts = seeing.choice(np.arange(1, ANNOTATORS_PER_PLANT + 1), images, p=ANNOTATOR_SHARES)
    marks = annotate(
        seeing,
        production,
        truth,
        {int(i): int(counts[i]) for i in np.flatnonzero(looked_at)},
        (width, height),
    )
    decided = np.concatenate([np.arange(images), second_looks(deciding, images)])
    results = result_table(deciding, production, decided, round(BLIND_RESULTS_SHARE * images), words)
    flaws = Flaws(spoiling)
    annotations = annotation_table(seeing, production, marks, words)
    rows = load_sources(settings, ontology, production, annotations, results, flaws)
    return report(production, rows, flaws, images, as_of)


def second_looks(rng: np.random.Generator, images: int) -> Longs:
    """Returns the images that are decided on twice, by another inspector or by the same one again, [n].

    They make it measurable how far inspectors agree with themselves and with each other.
    """
    return np.flatnonzero(rng.random(images) < SECOND_LOOK_SHARE)


def load_sources(
    settings: Settings,
    ontology: Ontology,
    production: Production,
    annotations: pa.Table,
    results: pa.Table,
    flaws: Flaws,
) -> dict[str, int]:
    """Adds the bad rows and replaces the contents of all source tables; returns rows by table."""
    rows = load(
        settings,
        "quality_vision",
        {
            "image_metadata": flaws.images(image_table(production)),
            "defect_annotations": flaws.annotations(annotations),
        },
    )
    taxonomy = taxonomy_table(ontology)
    rows |= load(settings, "qms", {"inspection_results": flaws.results(results), "defect_taxonomy": taxonomy})
    return rows | load(
        settings,
        "erp",
        {
            "production_orders": flaws.orders(order_table(production)),
            "product_specs": spec_table(),
            "equipment_registry": equipment_table(),
        },
    )


def _render(
    settings: Settings,
    production: Production,
    specs: list[ImageSpec],
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> dict[int, dict[str, Box]]:
    """Writes the image files; returns box by kind of defect, by image."""
    truth = {}
    for photo in photograph_all(specs, workers=workers, progress=progress):
        path = settings.images / production.paths[photo.spec.index]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo.jpeg)
        truth[photo.spec.index] = {defect.kind: defect.box for defect in photo.defects}
    return truth


def _write_truth(settings: Settings, production: Production, truth: Mapping[int, Mapping[str, Box]]) -> None:
    """Keeps what is really on each image for simulated inspectors and tests; no asset reads it."""
    images = range(len(production.image_ids))
    table = pa.table(
        {
            "image_id": production.image_ids,
            "image_path": production.paths,
            "part_serial": production.serials,
            "part_type": [production.part_type(image) for image in images],
            "camera_id": [CAMERAS[int(camera)].camera_id for camera in production.camera],
            "capture_timestamp": instants(production.captured),
            "defect_classes": pa.array(
                [[CLASS_OF_KIND[kind] for kind in truth[image]] for image in images], pa.list_(pa.string())
            ),
            "boxes": pa.array(
                [[list(box) for box in truth[image].values()] for image in images],
                pa.list_(pa.list_(pa.int32())),
            ),
        }
    )
    settings.root.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, settings.root / TRUTH_FILE)


def report(
    production: Production, rows: Mapping[str, int], flaws: Flaws, rendered: int, as_of: datetime
) -> PlantReport:
    """Sums up what was written."""
    per_class = production.kinds.sum(axis=0)
    return PlantReport(
        rows=dict(rows),
        bad_rows=dict(flaws.counts),
        images_rendered=rendered,
        defects={name: int(n) for name, n in zip(CLASS_OF_KIND.values(), per_class, strict=True)},
        defective=int(production.kinds.any(axis=1).sum()),
        as_of=as_of,
    )
