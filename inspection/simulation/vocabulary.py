"""How the simulated plants call what the renderer draws. Class names are data of the simulator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspection.errors import OntologyError
from inspection.ontology import Ontology
from inspection.simulation.cameras import CAMERAS

CLASS_OF_KIND = {
    "scratch": "SURFACE_SCRATCH",
    "burr": "BURR",
    "pit": "SURFACE_PIT",
    "crack": "CRACK",
    "dimension": "DIMENSIONAL_OOS",
}
KINDS = tuple(CLASS_OF_KIND)
PLANTS = tuple(sorted({camera.plant_id for camera in CAMERAS}))
UNKNOWN_LABELS = ("discolouration", "blob?", "see shift report", "kratzer", "n/a")


@dataclass(frozen=True)
class Vocabulary:
    """Words of each plant for each kind of defect and for a clean part.

    Attributes:
        words: by (plant, kind); kind "" is a clean part.
    """

    words: dict[tuple[str, str], tuple[str, ...]]

    def typed(self, rng: np.random.Generator, plant: str, kind: str) -> str:
        """Returns a word as somebody at that plant types it: case, blanks and joints vary."""
        choices = self.words[plant, kind]
        word = choices[int(rng.integers(len(choices)))]
        habit = rng.random()
        if habit < 0.12:
            return word.upper()
        if habit < 0.24:
            return word.replace("_", " ").capitalize()
        if habit < 0.30:
            return f" {word.replace(' ', '-')} "
        return word

    def code(self, plant: str, kind: str) -> str:
        """Returns the plant's fixed code for a kind of defect."""
        return self.words[plant, kind][0]


def vocabulary(ontology: Ontology) -> Vocabulary:
    """Deals each class's aliases out to the plants, so that each has words of its own.

    Raises:
        OntologyError: the taxonomy lacks a class that the renderer draws.
    """
    lacking = sorted(set(CLASS_OF_KIND.values()) - set(ontology.defect_ids))
    if lacking:
        raise OntologyError(
            f"the simulated plant makes machined parts and needs the classes {', '.join(lacking)}: "
            "use the default ontology, or import your own pictures with `vqi import`"
        )
    words = {}
    for kind, class_id in (("", ontology.clean_class.id), *CLASS_OF_KIND.items()):
        names = ontology[class_id].aliases or (class_id,)
        for number, plant in enumerate(PLANTS):
            words[plant, kind] = names[number :: len(PLANTS)] or names
    return Vocabulary(words)
