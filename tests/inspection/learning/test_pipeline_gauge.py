"""A network that has learnt next to nothing and a gauge: whose word the model's numbers are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inspection.artifacts import get_record
from inspection.bundle import load_bundle
from inspection.cache import build_cache
from inspection.dataset import TrainingData
from inspection.learning.evaluation import predict_originals
from inspection.learning.gauge import GaugeResult, fit_gauge, second_judge
from inspection.learning.packaging import make_bundle
from inspection.learning.pipeline import evaluate_model, export_model, train_model
from inspection.learning.results import EvaluationReport, ExportResult
from inspection.runtime import OnnxModel
from inspection.store import LocalStore
from tests.inspection.learning.test_gauge import INSTRUMENT, MEASURED, MINIMUM, stepped_plates
from tests.inspection.learning.toy import FRAME, profile

PROFILE = profile(training={"epochs": 1}, calibration={"minimum_positives": 1, "minimum_negatives": 1})


@pytest.fixture(scope="module")
def plant(
    tmp_path_factory: pytest.TempPathFactory, one_thread: None
) -> tuple[LocalStore, Path, TrainingData, str]:
    root = tmp_path_factory.mktemp("plant")
    data, store = stepped_plates(root, other="DENT"), LocalStore(root / "store")
    build_cache(store, data.samples, FRAME, root)
    return store, root, data, train_model(store, data, MEASURED, PROFILE)


def test_thresholds_metrics_and_bundle_are_of_gauge_and_network_together(
    plant: tuple[LocalStore, Path, TrainingData, str],
) -> None:
    store, root, data, training = plant
    gauge = fit_gauge(store, data, MEASURED, INSTRUMENT, MINIMUM, root)
    export = export_model(store, training, data, MEASURED, root, gauge)
    report = evaluate_model(store, export, data, MEASURED, root)

    metrics = get_record(store, EvaluationReport, report).metrics
    found = metrics.per_class["SIZE"]
    assert (found.auroc, found.recall.successes, found.recall.total) == (1.0, 3, 3)
    assert found.precision.value == 1.0
    assert found.pointing.total == 0  # no boxes were annotated
    # The threshold lies between what the gauge says of the good and of the bad parts of validation.
    judge = second_judge(store, gauge, data)
    assert judge is not None
    validation = data.side("validation")
    said = judge.judge(validation, np.zeros((len(validation), 2)), MEASURED.defect_ids)[:, 1]
    wrong = np.array(["SIZE" in sample.labels for sample in validation])
    assert (
        said[~wrong].max() < get_record(store, ExportResult, export).thresholds["SIZE"] <= said[wrong].min()
    )

    bundle = load_bundle(store, make_bundle(store, report, MEASURED)[0])
    assert bundle.gauge is not None
    assert bundle.gauge.fit == get_record(store, GaugeResult, gauge).fit
    card = store.get(f"models/{bundle.id}/model_card.md").decode()
    assert "- 1 images: no scale (px_per_mm) of the camera" in card
    assert "| stepped | bore | 0.0" in card

    # What is judged is what is served: the bundle's gauge on the bytes of a test image.
    network = OnnxModel(bundle.model, threads=1)
    raw = predict_originals(network, data.side("test"), root, FRAME)
    together = judge.beside(raw, MEASURED.defect_ids)
    for sample, row in zip(together.samples, together.probabilities, strict=True):
        reading = bundle.gauge.read(
            (root / sample.image_path).read_bytes(), sample.part_type, sample.camera_id
        )
        assert bundle.gauge.fit.probabilities(reading) == {"SIZE": pytest.approx(row[1])}


def test_without_a_gauge_the_network_judges_alone(
    plant: tuple[LocalStore, Path, TrainingData, str],
) -> None:
    store, root, data, training = plant
    too_many = MINIMUM.model_copy(update={"minimum_positives": 99})
    nothing = fit_gauge(store, data, MEASURED, INSTRUMENT, too_many, root)
    export = export_model(store, training, data, MEASURED, root, nothing)
    report = evaluate_model(store, export, data, MEASURED, root)
    bundle = load_bundle(store, make_bundle(store, report, MEASURED)[0])
    assert bundle.gauge is None
    card = store.get(f"models/{bundle.id}/model_card.md").decode()
    assert "the network judges alone: of the parts that could be measured, validation has 4 images" in card
