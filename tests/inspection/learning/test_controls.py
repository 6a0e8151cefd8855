"""The controls on a plant whose marks have colours: what each can learn, and what it must not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from inspection.artifacts import get_record
from inspection.cache import build_cache
from inspection.dataset import TrainingData
from inspection.errors import InsufficientDataError, OntologyError
from inspection.learning.baselines import BaselineResult, read_baseline_predictions
from inspection.learning.controls import shuffled, train_linear_control, train_shuffled_control
from inspection.metrics import mean_auroc
from inspection.store import LocalStore
from tests.inspection.bundles import ONTOLOGY
from tests.inspection.learning.toy import CLASSES, FRAME, plant, profile, sample

PROFILE = profile(controls={"shuffled_epochs": 2})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> tuple[LocalStore, TrainingData]:
    folder = tmp_path_factory.mktemp("plant")
    data = plant(folder / "images", {"train": 45, "validation": 15, "test": 30})
    lost = sample("test-lost", split="test", fold_id=None)
    data = replace(data, samples=(*data.samples, lost))
    store = LocalStore(folder / "store")
    build_cache(store, data.samples, FRAME, folder / "images")
    return store, data


def truth(data: TrainingData, ids: tuple[str, ...]) -> np.ndarray:
    shown = {s.image_id: s.labels for s in data.samples}
    return np.array([[name in shown[i] for name in CLASSES] for i in ids], float)


def test_the_linear_control_sees_colours(made: tuple[LocalStore, TrainingData]) -> None:
    store, data = made
    result = get_record(store, BaselineResult, train_linear_control(store, data, ONTOLOGY, PROFILE))
    ids, scores = read_baseline_predictions(store, result)
    assert ids == tuple(s.image_id for s in data.side("test") if s.image_id != "test-lost")
    assert ((scores >= 0) & (scores <= 1)).all()
    assert result.macro_auroc == pytest.approx(roc_auc_score(truth(data, ids), scores))
    assert result.macro_auroc is not None
    assert result.macro_auroc > 0.65  # marks are bright green and red on grey, anywhere in the frame


def test_the_shuffled_control_trains_the_network_for_so_many_epochs(
    made: tuple[LocalStore, TrainingData],
) -> None:
    store, data = made
    result = get_record(store, BaselineResult, train_shuffled_control(store, data, ONTOLOGY, PROFILE))
    ids, scores = read_baseline_predictions(store, result)
    assert result.description.startswith("our network, 2 epochs")
    assert len(ids) == 30
    assert np.isfinite(scores).all()
    assert result.macro_auroc == pytest.approx(mean_auroc(scores, truth(data, ids)))


def test_shuffling_deals_the_same_labels_to_other_images(made: tuple[LocalStore, TrainingData]) -> None:
    samples = made[1].side("train")
    dealt = shuffled(samples)
    assert [s.image_id for s in dealt] == [s.image_id for s in samples]
    assert Counter(s.labels for s in dealt) == Counter(s.labels for s in samples)
    assert sum(a.labels == b.labels for a, b in zip(dealt, samples, strict=True)) < 30
    assert all({b.defect_class for b in s.boxes} == set(s.labels) for s in dealt)
    assert shuffled([]) == []


@pytest.mark.parametrize("control", [train_linear_control, train_shuffled_control])
def test_without_images_or_with_unknown_labels_nothing_is_trained(
    made: tuple[LocalStore, TrainingData], tmp_path: Path, control: object
) -> None:
    store, data = made
    with pytest.raises(InsufficientDataError, match="0 training and 0 test images"):
        control(LocalStore(tmp_path), data, ONTOLOGY, PROFILE)  # type: ignore[operator]
    strange = replace(data, samples=(*data.samples, sample("x", ("TEAR",))))
    with pytest.raises(OntologyError, match="TEAR"):
        control(store, strange, ONTOLOGY, PROFILE)  # type: ignore[operator]
