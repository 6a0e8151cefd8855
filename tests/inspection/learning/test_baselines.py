"""Records of baselines: what is stored is read again, and judged as scikit-learn judges it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from inspection.artifacts import get_record
from inspection.dataset import TrainingData
from inspection.errors import StoreError
from inspection.learning.baselines import BaselineResult, put_baseline, read_baseline_predictions
from inspection.store import LocalStore
from tests.inspection.learning.toy import CLASSES, sample

DATA = TrainingData(
    "release-7",
    tuple(
        sample(f"i{n}", CLASSES[n % 2 : n % 2 + (n % 3 > 0)], split="test", fold_id=None) for n in range(9)
    ),
)
IDS = tuple(s.image_id for s in DATA.samples)


def put(store: LocalStore, ids: tuple[str, ...] = IDS) -> tuple[BaselineResult, np.ndarray]:
    scores = np.random.default_rng(0).random((len(ids), len(CLASSES)), np.float32)
    key = put_baseline(
        store,
        DATA,
        name="dice",
        description="throws dice",
        classes=CLASSES,
        image_ids=ids,
        probabilities=scores,
        seconds=1.5,
    )
    return get_record(store, BaselineResult, key), scores


def test_what_is_stored_is_read_again(tmp_path: Path) -> None:
    result, scores = put(store := LocalStore(tmp_path))

    ids, found = read_baseline_predictions(store, result)

    assert ids == IDS
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, scores)
    assert (result.classes, result.split_release) == (CLASSES, "release-7")
    assert result.data_fingerprint == DATA.fingerprint
    truth = np.array([[name in s.labels for name in CLASSES] for s in DATA.samples])
    assert result.macro_auroc == pytest.approx(roc_auc_score(truth, scores, average="macro"))


def test_without_images_there_is_no_auroc(tmp_path: Path) -> None:
    result, _ = put(store := LocalStore(tmp_path), ())
    ids, found = read_baseline_predictions(store, result)
    assert (ids, found.shape, result.macro_auroc) == ((), (0, len(CLASSES)), None)


def test_predictions_of_other_classes_are_refused(tmp_path: Path) -> None:
    result, _ = put(store := LocalStore(tmp_path))
    turned = result.model_copy(update={"classes": CLASSES[::-1]})
    with pytest.raises(StoreError, match="other columns"):
        read_baseline_predictions(store, turned)
