"""The light head: what scikit-learn's own pipeline says, on embeddings whose classes are planted."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from inspection.artifacts import get_record
from inspection.dataset import TrainingData, by_day
from inspection.embeddings import Backbone, Order, Row, embedding_digest, update_embeddings
from inspection.errors import InsufficientDataError, OntologyError
from inspection.learning.baselines import BaselineResult, read_baseline_predictions
from inspection.learning.light_head import STRENGTHS, LightHead, Side, fit_light_head, train_light_head
from inspection.store import LocalStore
from tests.inspection.bundles import ONTOLOGY
from tests.inspection.learning.toy import CLASSES, profile, sample

WIDTH = 12


def side(count: int, seed: int, shift: float = 2.0) -> Side:
    """Returns noise in which each class moves one coordinate."""
    rng = np.random.default_rng(seed)
    targets = (rng.random((count, len(CLASSES))) < 0.3).astype(np.float32)
    vectors = rng.normal(size=(count, WIDTH)).astype(np.float32) * 3 + 7
    vectors[:, : len(CLASSES)] += 3 * shift * targets
    return Side(tuple(f"{seed}-{n:03}" for n in range(count)), vectors, targets)


def reference(training: Side, strength: float, vectors: np.ndarray) -> np.ndarray:
    regression = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
    model = make_pipeline(StandardScaler(), OneVsRestClassifier(regression))
    return model.fit(training.vectors, training.targets).predict_proba(vectors)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_probabilities_are_those_of_scikit_learn(strength: float) -> None:
    training, test = side(150, seed=0), side(60, seed=1)
    found = LightHead(training, strength).predict(test.vectors)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference(training, strength, test.vectors), atol=1e-5)


def test_validation_chooses_the_strength() -> None:
    training, validation = side(60, seed=0, shift=0.4), side(200, seed=1, shift=0.4)
    reached = [
        roc_auc_score(validation.targets, reference(training, c, validation.vectors), average="macro")
        for c in STRENGTHS
    ]
    assert fit_light_head(training, validation).strength == STRENGTHS[int(np.argmax(reached))]


def test_without_validation_the_strongest_regularisation_is_taken() -> None:
    nothing = Side((), np.zeros((0, WIDTH), np.float32), np.zeros((0, len(CLASSES)), np.float32))
    assert fit_light_head(side(60, seed=0), nothing).strength == STRENGTHS[0]


@pytest.mark.parametrize("shown", [0.0, 1.0])
def test_a_class_of_one_value_gets_its_share(shown: float) -> None:
    training = side(60, seed=0)
    training.targets[:, 1] = shown
    head = LightHead(training, STRENGTHS[1])
    assert head.untold == (1,)
    assert (head.predict(training.vectors)[:, 1] == shown).all()
    assert head.predict(training.vectors[:0]).shape == (0, len(CLASSES))


def stored(store: LocalStore, sides: dict[str, int]) -> TrainingData:
    """Stores planted embeddings; returns what the warehouse would tell of them."""
    samples, vectors = [], {}
    for seed, (name, count) in enumerate(sides.items()):
        made = side(count, seed)
        for image_id, vector, target in zip(*made, strict=True):
            labels = [c for c, value in zip(CLASSES, target, strict=True) if value]
            samples.append(sample(image_id, labels, split=name, fold_id=None if name == "test" else 1))
            vectors[image_id] = vector
    samples.append(sample("unread", split="test", fold_id=None))

    def embed(orders: Iterable[Order]) -> list[Row]:
        return [Row(order.day, i, "hash", vectors[i]) for order in orders for i in order.image_ids]

    backbone = Backbone(
        architecture="planted", weights="by hand", weights_sha256="aa", height=1, width=1, dimensions=WIDTH
    )
    digest = embedding_digest(profile())
    days = [
        (day, {s.image_id: "hash" for s in found if s.image_id in vectors})
        for day, found in by_day(samples).items()
    ]
    update_embeddings(store, days, len(samples), digest, backbone, "cache", embed)
    return TrainingData("release-1", tuple(samples))


def test_the_record_tells_the_test_side(tmp_path: Path) -> None:
    data = stored(store := LocalStore(tmp_path), {"train": 150, "validation": 60, "test": 80})

    result = get_record(store, BaselineResult, train_light_head(store, data, ONTOLOGY, profile()))

    ids, found = read_baseline_predictions(store, result)
    test = side(80, seed=2)
    assert ids == test.image_ids
    assert result.classes == CLASSES
    assert result.macro_auroc == pytest.approx(roc_auc_score(test.targets, found, average="macro"))
    assert result.macro_auroc > 0.85  # planted: two deviations apart are 0.92
    assert "12 frozen features of planted (by hand)" in result.description
    assert "do not tell" not in result.description


def test_too_little_is_refused(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    data = TrainingData("r", (sample("a"),))
    with pytest.raises(InsufficientDataError, match="materialize image_embeddings first"):
        train_light_head(store, data, ONTOLOGY, profile())
    data = stored(store, {"test": 5})
    with pytest.raises(InsufficientDataError, match="no training image has an embedding"):
        train_light_head(store, data, ONTOLOGY, profile())
    strange = TrainingData("r", (sample("a", ("SPLINTER",)),))
    with pytest.raises(OntologyError, match="SPLINTER"):
        train_light_head(store, strange, ONTOLOGY, profile())
