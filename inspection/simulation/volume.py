"""The plant's volume without its pictures: for measuring how the pipeline carries its load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import numpy as np

from inspection.errors import SettingsError
from inspection.ontology import load_ontology
from inspection.settings import Settings
from inspection.simulation.calibration import write_calibration
from inspection.simulation.flaws import Flaws
from inspection.simulation.people import Mark, annotate, annotation_table, result_table
from inspection.simulation.plant import AS_OF, PlantReport, load_sources, report, second_looks
from inspection.simulation.production import Production, plan_production
from inspection.simulation.view import Box
from inspection.simulation.vocabulary import vocabulary

IMAGES, ANNOTATIONS, ANNOTATED_IMAGES = 250_000, 38_000, 22_000
RESULTS, ORDERS = 1_000_000, 500_000
IMAGES_PER_DAY = 1_400
STAGES = 3
SIZE = (4096, 3072)


def simulate_volume(
    settings: Settings,
    scale: float = 1.0,
    *,
    seed: int = 7,
    as_of: datetime = AS_OF,
    progress: Callable[[int, int], None] | None = None,
) -> PlantReport:
    """Replaces the contents of the source databases by a plant's full volume, metadata only.

    Args:
        settings: gives databases, calibration folder and ontology.
        scale: 1 is the full volume (250,000 images, 38,000 annotations on 22,000 of them, 1,000,000
            results, 500,000 orders, and the bad rows on top); 2 is twice as much.
        seed: decides everything.
        as_of: time zone aware; the plant's history ends the midnight before.
        progress: called with (stages done, stages).

    Raises:
        SettingsError: the scale is too small to hold a plant.
        OntologyError: the taxonomy lacks a class that the plant draws.
        ServiceError: a database does not answer.
    """
    images = round(IMAGES * scale)
    if images < 1000:
        raise SettingsError(f"scale {scale} gives {images} images; use 0.004 or more")
    ontology = load_ontology(settings.ontology_file)
    words = vocabulary(ontology)
    told = progress or _silent
    planning, seeing, deciding, spoiling = (np.random.default_rng([seed, stage]) for stage in range(4))
    production = _plan(planning, images, round(ORDERS * scale), as_of)
    told(1, STAGES)
    marks = _marks(seeing, production, round(ANNOTATED_IMAGES * scale), round(ANNOTATIONS * scale))
    decided = np.concatenate([np.arange(images), second_looks(deciding, images)])
    results = result_table(deciding, production, decided, round(RESULTS * scale) - len(decided), words)
    annotations = annotation_table(seeing, production, marks, words)
    told(2, STAGES)
    flaws = Flaws(spoiling)
    write_calibration(settings.calibration, as_of, SIZE)
    rows = load_sources(settings, ontology, production, annotations, results, flaws)
    told(3, STAGES)
    return report(production, rows, flaws, 0, as_of)


def _plan(rng: np.random.Generator, images: int, orders: int, as_of: datetime) -> Production:
    days = max(30, round(images / IMAGES_PER_DAY)) if images < IMAGES else round(IMAGES / IMAGES_PER_DAY)
    state = rng.bit_generator.state
    with_images = len(plan_production(rng, images, as_of, days).order_ids)
    rng.bit_generator.state = state
    return plan_production(rng, images, as_of, days, older_orders=max(0, orders - with_images))


def _marks(rng: np.random.Generator, production: Production, images: int, wanted: int) -> list[Mark]:
    """Annotations of exactly `images` images; further annotators make up the number wanted."""
    chosen = rng.choice(len(production.image_ids), images, replace=False)
    truth = {int(image): _somewhere(rng, production.defects(int(image))) for image in chosen}
    counts = rng.choice([1, 2, 3], images, p=[0.2, 0.5, 0.3])
    marks = annotate(rng, production, truth, dict(zip(truth, counts.tolist(), strict=True)), SIZE)
    spare = _spare(rng, marks, len(marks) - wanted)
    return [mark for mark in marks if (mark.image, mark.annotator) not in spare]


def _spare(rng: np.random.Generator, marks: list[Mark], excess: int) -> set[tuple[int, str]]:
    """Annotators who have not looked at an image after all, `excess` marks together; the first one stays.

    One mark of several must not go alone: it would look as if the annotator had overlooked the defect.
    """
    sizes = Counter((mark.image, mark.annotator) for mark in marks)
    first = {image: (image, annotator) for image, annotator in reversed(sizes)}
    further = [key for key in sizes if first[key[0]] != key]
    spare = set()
    for place in rng.permutation(len(further)):
        if sizes[further[place]] <= excess:
            spare.add(further[place])
            excess -= sizes[further[place]]
    return spare


def _somewhere(rng: np.random.Generator, kinds: tuple[str, ...]) -> dict[str, Box]:
    places = rng.integers((800, 700, 40, 40), (3000, 2200, 500, 400), (len(kinds), 4))
    return {kind: Box(*map(int, place)) for kind, place in zip(kinds, places, strict=True)}


def _silent(done: int, total: int) -> None:
    """Tells nobody."""
