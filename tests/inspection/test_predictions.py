"""Test predictions are read again as they were stored, and scikit-learn finds the metrics in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from inspection.artifacts import put_file
from inspection.errors import StoreError
from inspection.predictions import put_predictions, read_predictions
from inspection.store import LocalStore
from tests.inspection.learning.toy import CLASSES, sample

THRESHOLDS = {"DENT": 0.5, "RUST": 0.2}


def test_what_is_stored_is_read_again(tmp_path: Path) -> None:
    samples = [sample("a", sample_weight=2.5), sample("b", ("RUST", "DENT")), sample("c", ("DENT",))]
    p = np.array([[0.1, 0.1], [0.5, 0.1], [0.49999, 0.19]], np.float32)
    store = LocalStore(tmp_path)

    found = read_predictions(store, put_predictions(store, samples, p, THRESHOLDS, "release-1"))

    assert found.image_ids == ("a", "b", "c")
    assert found.label == ("FINE", "RUST", "DENT")
    assert found.labels == ((), ("RUST", "DENT"), ("DENT",))
    assert found.sample_weight.tolist() == [2.5, 1, 1]
    assert found.prediction == ("PASS", "FAIL", "PASS")
    assert (found.classes, found.thresholds, found.split_release) == (CLASSES, THRESHOLDS, "release-1")
    np.testing.assert_array_equal(found.probabilities, p)
    truth = np.array([[c in names for c in found.classes] for names in found.labels])
    told = found.probabilities >= list(found.thresholds.values())
    assert precision_score(truth, told, average="micro") == 1
    assert recall_score(truth, told, average="micro") == pytest.approx(1 / 3)


def test_another_file_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image_id": ["a"]}), tmp_path / "x.parquet")
    store = LocalStore(tmp_path / "store")
    key = put_file(store, "predictions", ".parquet", (tmp_path / "x.parquet").read_bytes())
    with pytest.raises(StoreError, match="no test predictions"):
        read_predictions(store, key)
