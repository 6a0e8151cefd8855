"""Labels that are in doubt: what a light head, which has not seen the image, says against its label.

Confident learning (Northcutt, Jiang and Chuang 2021) by cleanlab: of each class, how many labels are wrong is
estimated from the out-of-fold probabilities and each class's own mean of them, so that these need not be
calibrated; as many of the least likely labels are candidates. A class that the head does not tell better than
chance has no say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from psycopg2.extras import execute_values
from scipy import stats

from inspection.dataset import Sample, TrainingData, check_classes
from inspection.embeddings import Embeddings, embedding_digest, read_embeddings
from inspection.learning.light_head import LightHead, Side
from inspection.metrics import auroc
from inspection.ontology import Ontology
from inspection.profiles import Profile
from inspection.progress import report
from inspection.store import ObjectStore
from inspection.warehouse import transaction

TASK = "label errors"
STRENGTH = 1e-3
"""Inverse regularisation of the head: a weaker one learns the wrong labels by heart."""
CONFIDENCE = 0.95
"""That no class is taken as told by chance, over all classes together (Bonferroni)."""
FEWEST = 5
"""Images with a class, and without it, below which nothing is said of it: one in each fold."""

Floats = NDArray[np.floating[Any]]
Direction = Literal["missing", "extra"]


@dataclass(frozen=True)
class Candidate:
    """A label in doubt.

    Attributes:
        labels: as given.
        defect_class: the class in doubt.
        probability: that the image shows it, out of fold; of a head with balanced classes, so no share.
        score: probability of the label as it is given, 0 to 1; the lowest are the most doubtful.
        direction: ``missing`` if the head sees a class that is not given, ``extra`` if it does not see one
            that is.
    """

    image_id: str
    labels: tuple[str, ...]
    defect_class: str
    probability: float
    score: float
    direction: Direction


@dataclass(frozen=True)
class Told:
    """How well the out-of-fold head tells a class.

    Attributes:
        positives: images with the class; likewise `negatives`.
        auroc: area under the ROC curve; None with too few images, as is `low`.
        low: its lower bound (Hanley and McNeil 1982), one-sided, `CONFIDENCE` over all classes.
    """

    defect_class: str
    positives: int
    negatives: int
    auroc: float | None
    low: float | None

    @property
    def better_than_chance(self) -> bool:
        """Whether the class has a say."""
        return self.low is not None and self.low > 0.5


@dataclass(frozen=True)
class LabelErrors:
    """What was found.

    Attributes:
        images: that were looked at: of the five folds, with an embedding.
        told: each class; when none is told better than chance, there is nothing to go by.
        candidates: the most doubtful first.
    """

    images: int
    told: tuple[Told, ...]
    candidates: tuple[Candidate, ...]

    @property
    def applicable(self) -> bool:
        """Whether any class is told better than chance."""
        return any(one.better_than_chance for one in self.told)


def find_label_errors(
    store: ObjectStore, data: TrainingData, ontology: Ontology, profile: Profile
) -> LabelErrors:
    """Looks for label errors by the embeddings that the profile names; the test side is left out.

    Raises:
        InsufficientDataError: there are no embeddings.
        OntologyError: a label is of a class that the ontology does not have.
    """
    check_classes(data.samples, ontology.defect_ids, ontology.clean_class.id)
    samples = [sample for sample in data.samples if sample.fold_id is not None]
    digest = embedding_digest(profile)
    return judge_labels(samples, read_embeddings(store, samples, digest), ontology.defect_ids)


def judge_labels(samples: Sequence[Sample], embeddings: Embeddings, classes: Sequence[str]) -> LabelErrors:
    """Looks for label errors among images of several folds.

    Args:
        samples: with their folds; those without an embedding are left out.
        embeddings: of the samples.
        classes: defect classes.
    """
    by_id = {sample.image_id: sample for sample in samples}
    known = [by_id[image_id] for image_id in embeddings.image_ids]
    shape = len(known), len(classes)
    targets = np.array([[c in s.labels for c in classes] for s in known], np.float32).reshape(shape)
    folds = np.array([s.fold_id for s in known], np.int64)
    probabilities = out_of_fold(embeddings.vectors, targets, folds)
    told = tuple(
        _tell(name, probabilities[:, column], targets[:, column], len(classes))
        for column, name in enumerate(classes)
    )
    usable = [column for column, one in enumerate(told) if one.better_than_chance]
    found = [
        _candidate(known[row], classes[column], float(probabilities[row, column]))
        for row, column in _issues(targets, probabilities, usable)
    ]
    found.sort(key=lambda candidate: (candidate.score, candidate.image_id, candidate.defect_class))
    return LabelErrors(len(known), told, tuple(found))


def out_of_fold(vectors: Floats, targets: Floats, folds: NDArray[np.int64]) -> NDArray[np.float32]:
    """Returns probabilities of each image by a head that has learnt from the other folds.

    Args:
        vectors: [N, D].
        targets: 0 or 1, [N, C].
        folds: [N], of two folds at least; with one there is nothing to learn from, and all is 0.5.

    Returns:
        float32 [N, C].
    """
    found = np.full(targets.shape, 0.5, np.float32)
    numbers = np.unique(folds)
    for done, fold in enumerate(numbers if len(numbers) > 1 else (), start=1):
        held = folds == fold
        training = Side((), vectors[~held].astype(np.float32), targets[~held].astype(np.float32))
        found[held] = LightHead(training, STRENGTH).predict(vectors[held].astype(np.float32))
        report(TASK, done, len(numbers))
    return found


def record_candidates(dsn: str, found: LabelErrors, data_fingerprint: str) -> None:
    """Makes ``features.label_error_candidates`` hold exactly what was found.

    Args:
        dsn: libpq URI of the warehouse.
        found: the candidates.
        data_fingerprint: of the data that they were found in.
    """
    with transaction(dsn) as warehouse:
        warehouse.execute("delete from features.label_error_candidates")
        execute_values(
            warehouse,
            """
            insert into features.label_error_candidates (
                image_id, labels, defect_class, probability, score, direction, data_fingerprint
            ) values %s
            """,
            [
                (c.image_id, list(c.labels), c.defect_class, c.probability, c.score, c.direction,
                 data_fingerprint)
                for c in found.candidates
            ],
            template="(%s, %s::text[], %s, %s, %s, %s, %s)",
        )  # fmt: skip


def suggested(candidate: Candidate) -> tuple[str, ...]:
    """Returns the labels as they would be if the doubt is right."""
    if candidate.direction == "extra":
        return tuple(name for name in candidate.labels if name != candidate.defect_class)
    return (*candidate.labels, candidate.defect_class)


def rows_of(candidates: Sequence[Candidate], clean: str) -> list[dict[str, object]]:
    """Returns candidates as rows for a person; a part without defects is called by the clean class's id."""
    return [
        {
            "image_id": c.image_id,
            "given": ", ".join(c.labels) or clean,
            "suggested": ", ".join(suggested(c)) or clean,
            "direction": c.direction,
            "class": c.defect_class,
            "probability": round(c.probability, 3),
            "score": round(c.score, 3),
        }
        for c in candidates
    ]


def _issues(targets: Floats, probabilities: Floats, usable: Sequence[int]) -> list[tuple[int, int]]:
    """Returns (row, column) of each doubtful label in the usable columns."""
    if not usable:
        return []
    from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class

    given = [list(np.flatnonzero(row)) for row in targets[:, usable]]
    doubtful = find_multilabel_issues_per_class(given, probabilities[:, usable].astype(np.float64), n_jobs=1)
    return [(int(row), usable[int(column)]) for row, column in np.argwhere(doubtful)]


def _candidate(sample: Sample, name: str, probability: float) -> Candidate:
    given = name in sample.labels
    score = probability if given else 1 - probability
    direction: Direction = "extra" if given else "missing"
    return Candidate(sample.image_id, sample.labels, name, probability, score, direction)


def _tell(name: str, scores: Floats, truth: Floats, classes: int) -> Told:
    positives = int(truth.sum())
    negatives = len(truth) - positives
    area = auroc(scores, truth) if min(positives, negatives) >= FEWEST else None
    low = None if area is None else _lower_bound(area, positives, negatives, 1 - (1 - CONFIDENCE) / classes)
    return Told(name, positives, negatives, area, low)


def _lower_bound(area: float, positives: int, negatives: int, confidence: float) -> float:
    """Returns the one-sided lower bound of an AUROC (Hanley and McNeil 1982, equations 2)."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    square = area * (1 - area) + (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2)
    return float(area - stats.norm.ppf(confidence) * np.sqrt(square / (positives * negatives)))
