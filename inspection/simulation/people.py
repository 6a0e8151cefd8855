"""The people of the simulated plants: annotators who draw boxes and inspectors who decide."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inspection.simulation.cameras import CAMERAS
from inspection.simulation.production import HOUR_MS, Longs, Production
from inspection.simulation.tables import instants, text_array, uuids
from inspection.simulation.view import Box
from inspection.simulation.vocabulary import KINDS, PLANTS, Vocabulary

ANNOTATORS_PER_PLANT = 3
INSPECTORS_PER_PLANT = 4
SKILL = (0.7, 1.0, 1.3)
"""Factor on an annotator's errors, one for each annotator of a plant."""
OVERLOOKED = {"scratch": 0.032, "burr": 0.028, "pit": 0.028, "crack": 0.004, "dimension": 0.034}
CONFUSED = {
    "scratch": (("pit", 0.036), ("crack", 0.006)),
    "pit": (("scratch", 0.036),),
    "crack": (("scratch", 0.004),),
}
"""How often a kind is taken for another."""
IMAGINED = 0.021
MISSED_BY_INSPECTORS = 0.15
REJECTED_BY_INSPECTORS = 0.08
UNDECIDABLE_SHARE = 0.012


@dataclass(frozen=True)
class Mark:
    """One row of an annotator; kind "" and no box is "nothing wrong"."""

    image: int
    annotator: str
    plant: str
    kind: str
    box: Box | None
    confidence: int


def annotate(
    rng: np.random.Generator,
    production: Production,
    truth: Mapping[int, Mapping[str, Box]],
    annotators: Mapping[int, int],
    size: tuple[int, int],
) -> list[Mark]:
    """Lets annotators of the image's plant mark what they see.

    Args:
        rng: source of randomness.
        production: the images.
        truth: box by kind of defect, by image.
        annotators: how many people look at an image, 1 to `ANNOTATORS_PER_PLANT`, by image.
        size: (width, height) of the images in pixels.
    """
    marks: list[Mark] = []
    for image, count in annotators.items():
        plant = production.plant(image)
        unsure = rng.random() < UNDECIDABLE_SHARE
        for person in rng.permutation(ANNOTATORS_PER_PLANT)[:count]:
            name = f"ann-{plant}-{person + 1:02d}"
            seen = _look(rng, truth[image], SKILL[person], size)
            for kind, box, sure in seen or [("", None, True)]:
                marks.append(Mark(image, name, plant, kind, box, _confidence(rng, sure=sure, unsure=unsure)))
    return marks


def annotation_table(
    rng: np.random.Generator, production: Production, marks: Sequence[Mark], words: Vocabulary
) -> pa.Table:
    """Returns the rows of ``inspection.defect_annotations``."""
    return pa.table(
        {
            "annotation_id": uuids(rng, len(marks)),
            "image_id": [production.image_ids[mark.image] for mark in marks],
            "defect_type": [words.typed(rng, mark.plant, mark.kind) for mark in marks],
            "bounding_box": pa.array([_json(mark.box) for mark in marks], pa.string()),
            "annotator_id": [mark.annotator for mark in marks],
            "confidence": pa.array([mark.confidence for mark in marks], pa.int16()),
        }
    )


def result_table(
    rng: np.random.Generator, production: Production, images: Longs, blind: int, words: Vocabulary
) -> pa.Table:
    """Returns the rows of ``qms.inspection_results``.

    Args:
        rng: source of randomness.
        production: the images.
        images: index of the image of each decision, [n]; an image may stand there twice.
        blind: further decisions on clean or bad parts that no camera saw, one to two years old.
        words: the plants' codes.
    """
    truth = np.vstack(
        [production.kinds[images], production.kinds[rng.integers(0, len(production.kinds), blind)]]
    )
    plant = np.array([PLANTS.index(camera.plant_id) for camera in CAMERAS])[production.camera[images]]
    plant = np.concatenate([plant, rng.integers(0, len(PLANTS), blind)])
    seen = truth & (rng.random(truth.shape) >= MISSED_BY_INSPECTORS)
    rejected = ~truth.any(axis=1) & (rng.random(len(truth)) < REJECTED_BY_INSPECTORS)
    seen[rejected, rng.integers(0, len(KINDS), int(rejected.sum()))] = True
    pattern = seen @ (1 << np.arange(len(KINDS)))
    codes, decisions = _sentences(words)
    old = int(production.order_start.min()) - rng.integers(0, 365 * 24, blind) * HOUR_MS
    decided = np.concatenate([production.captured[images] + rng.integers(20_000, 600_000, len(images)), old])
    person = rng.integers(1, INSPECTORS_PER_PLANT + 1, len(truth))
    return pa.table(
        {
            "result_id": uuids(rng, len(truth)),
            "image_id": pa.array([production.image_ids[i] for i in images] + [None] * blind, pa.string()),
            "inspector_id": [f"insp-{PLANTS[p]}-{n:02d}" for p, n in zip(plant, person, strict=True)],
            "decision": decisions[pattern],
            "defect_codes": codes[plant, pattern],
            "decided_at": instants(decided),
        }
    )


def _look(
    rng: np.random.Generator, truth: Mapping[str, Box], errors: float, size: tuple[int, int]
) -> list[tuple[str, Box | None, bool]]:
    """What one annotator sees: (kind, box, whether it is right)."""
    seen: dict[str, tuple[Box, bool]] = {}
    for kind, box in truth.items():
        chance = rng.random() - OVERLOOKED[kind] * errors
        if chance < 0:
            continue
        called = kind
        for other, share in CONFUSED.get(kind, ()):
            chance -= share * errors
            if chance < 0:
                called = other
                break
        seen.setdefault(called, (_by_hand(rng, box, size), called == kind))
    if not truth and rng.random() < IMAGINED * errors:
        corner = rng.integers((size[0] // 4, size[1] // 4), (size[0] // 2, size[1] // 2))
        extent = rng.integers(size[0] // 80, size[0] // 12, 2)
        box = Box(int(corner[0]), int(corner[1]), int(extent[0]), int(extent[1]))
        # Nobody takes dust for a crack here: the safety-critical kind is looked at twice.
        seen[str(rng.choice(["scratch", "pit", "burr"]))] = (box, False)
    return [(kind, box, right) for kind, (box, right) in seen.items()]


def _by_hand(rng: np.random.Generator, box: Box, size: tuple[int, int]) -> Box:
    """A box as drawn by hand: each side a little off, inside the image."""
    left, top, right, bottom = np.rint(
        np.array([box.x, box.y, box.x + box.width, box.y + box.height]) + rng.normal(0, size[0] / 600, 4)
    ).astype(int)
    left, top = int(np.clip(left, 0, size[0] - 2)), int(np.clip(top, 0, size[1] - 2))
    return Box(
        left, top, int(np.clip(right - left, 2, size[0] - left)), int(np.clip(bottom - top, 2, size[1] - top))
    )


def _confidence(rng: np.random.Generator, *, sure: bool, unsure: bool) -> int:
    if unsure:
        return int(rng.integers(1, 3))
    return int(rng.choice([2, 3, 4, 5], p=[0.01, 0.17, 0.40, 0.42] if sure else [0.05, 0.45, 0.35, 0.15]))


def _sentences(words: Vocabulary) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Codes by (plant, pattern of kinds) as array literals, and the decision by pattern."""
    patterns = [bits[::-1] for bits in product((0, 1), repeat=len(KINDS))]
    chosen = [[kind for kind, bit in zip(KINDS, bits, strict=True) if bit] for bits in patterns]
    codes = [
        [text_array([words.code(plant, kind) for kind in kinds]) for kinds in chosen] for plant in PLANTS
    ]
    scrap = {"crack", "dimension"}
    decisions = ["PASS" if not kinds else "FAIL" if scrap & set(kinds) else "REWORK" for kinds in chosen]
    return np.array(codes), np.array(decisions)


def _json(box: Box | None) -> str | None:
    return None if box is None else json.dumps(box._asdict())
