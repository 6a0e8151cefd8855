"""The light head: one logistic regression per class on frozen embeddings, the cheap baseline of a model."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspection.dataset import Sample, TrainingData, check_classes
from inspection.embeddings import embedding_digest, read_embeddings, read_manifest
from inspection.errors import InsufficientDataError
from inspection.learning.baselines import put_baseline
from inspection.metrics import mean_auroc
from inspection.ontology import Ontology
from inspection.profiles import Profile
from inspection.progress import report
from inspection.store import ObjectStore

Floats = NDArray[np.float32]

NAME = "light head"
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse regularisation, C: vectors are long and positives few, so that weaker ones only overfit."""


class Side(NamedTuple):
    """Images of one side: ids, vectors float32 [N, D], targets float32 [N, C]."""

    image_ids: tuple[str, ...]
    vectors: Floats
    targets: Floats


class LightHead:
    """Fitted regressions.

    Attributes:
        strength: the C of all of them.
        untold: index of each class that the training side shows on all images or on none: what can be
            said of it is that share.
    """

    def __init__(self, training: Side, strength: float) -> None:
        """Fits the regressions."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        self.strength = strength
        self._scaler = StandardScaler().fit(training.vectors)
        scaled = self._scaler.transform(training.vectors)
        self._shares = training.targets.mean(axis=0)
        self._models: dict[int, Any] = {}
        for index, truth in enumerate(training.targets.T):
            if 0 < self._shares[index] < 1:
                model = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
                self._models[index] = model.fit(scaled, truth)
        self.untold = tuple(i for i in range(len(self._shares)) if i not in self._models)

    def predict(self, vectors: Floats) -> Floats:
        """Returns probabilities, float32 [N, C]; balanced, so that they are no shares of the line."""
        found = np.tile(self._shares.astype(np.float32), (len(vectors), 1))
        if len(vectors):
            scaled = self._scaler.transform(vectors)
            for index, model in self._models.items():
                found[:, index] = model.predict_proba(scaled)[:, 1]
        return found


def fit_light_head(training: Side, validation: Side) -> LightHead:
    """Fits one head for each of `STRENGTHS` and returns the one with the best macro AUROC on validation.

    Where validation cannot tell, the strongest regularisation is taken.

    Raises:
        InsufficientDataError: there are no training images.
    """
    if not len(training.image_ids):
        raise InsufficientDataError("no training image has an embedding: materialize image_embeddings first")
    best, reached = LightHead(training, STRENGTHS[0]), -1.0
    for number, strength in enumerate(STRENGTHS, start=1):
        head = best if strength == best.strength else LightHead(training, strength)
        found = mean_auroc(head.predict(validation.vectors), validation.targets)
        if found is not None and found > reached:
            best, reached = head, found
        report(NAME, number, len(STRENGTHS))
    return best


def train_light_head(store: ObjectStore, data: TrainingData, ontology: Ontology, profile: Profile) -> str:
    """Trains on the embeddings of the training side; returns the id of a `BaselineResult`.

    Args:
        store: has the embeddings, takes the record.
        data: labels and sides; images without an embedding are left out.
        ontology: gives the classes.
        profile: names the embeddings.

    Raises:
        InsufficientDataError: there are no embeddings.
        OntologyError: a label is of a class that the ontology does not have.
    """
    begin = perf_counter()
    classes = ontology.defect_ids
    check_classes(data.samples, classes, ontology.clean_class.id)
    digest = embedding_digest(profile)
    samples = data.side("train"), data.side("validation"), data.side("test")
    training, validation, test = (read_side(store, side, classes, digest) for side in samples)
    head = fit_light_head(training, validation)
    backbone = read_manifest(store, digest).backbone
    untold = ", ".join(classes[index] for index in head.untold)
    return put_baseline(
        store,
        data,
        name=NAME,
        description=f"logistic regression per class on {backbone.dimensions} frozen features of "
        f"{backbone.architecture} ({backbone.weights}), C {head.strength:g}"
        + (f"; training images do not tell {untold}" if untold else ""),
        classes=classes,
        image_ids=test.image_ids,
        probabilities=head.predict(test.vectors),
        seconds=perf_counter() - begin,
    )


def read_side(store: ObjectStore, samples: Sequence[Sample], classes: Sequence[str], digest: str) -> Side:
    """Reads the embeddings of samples and what they show."""
    found = read_embeddings(store, samples, digest)
    shown = {sample.image_id: sample.labels for sample in samples}
    targets = [[name in shown[image_id] for name in classes] for image_id in found.image_ids]
    return Side(found.image_ids, found.vectors, np.array(targets, np.float32).reshape(-1, len(classes)))
