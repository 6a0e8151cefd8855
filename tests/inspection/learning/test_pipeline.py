"""From a small plant's pictures to a judged model: once, end to end, on real files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inspection.artifacts import get_file, get_record
from inspection.cache import build_cache
from inspection.dataset import TrainingData
from inspection.errors import InsufficientDataError, OntologyError, StoreError
from inspection.gate import judge_model
from inspection.learning import pipeline
from inspection.learning.calibration import Calibration
from inspection.learning.evaluation import predict_originals
from inspection.learning.export import CalibratedNet
from inspection.learning.pipeline import (
    cached_examples,
    evaluate_model,
    evaluate_variants,
    export_model,
    load_model,
    train_model,
)
from inspection.learning.results import EvaluationReport, ExportResult, TrainingResult, VariantsResult
from inspection.learning.training import predict_logits
from inspection.progress import listening
from inspection.runtime import OnnxModel
from inspection.store import LocalStore
from tests.inspection.bundles import ONTOLOGY
from tests.inspection.learning.toy import BEGIN, CLASSES, FRAME, plant, profile, sample

PROFILE = profile(training={"epochs": 6}, augmentation={"flip": 0.5, "brightness": 0.1})


@dataclass(frozen=True)
class Run:
    """What one run of the three steps made, and what it told on the way."""

    store: LocalStore
    root: Path
    data: TrainingData
    ids: tuple[str, str, str]
    training: TrainingResult
    export: ExportResult
    report: EvaluationReport
    tasks: set[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Run:
    folder = tmp_path_factory.mktemp("plant")
    root, store = folder / "images", LocalStore(folder / "store")
    data = plant(root, {"train": 45, "validation": 15, "test": 18})
    lost = sample("test-lost", split="test", fold_id=None, captured_at=BEGIN)
    data = replace(data, samples=(*data.samples, lost))
    assert build_cache(store, data.samples, FRAME, root).images == 78
    told: list[str] = []
    with listening(lambda task, *_: told.append(task)):
        training = train_model(store, data, ONTOLOGY, PROFILE)
        export = export_model(store, training, data, ONTOLOGY, root)
        report = evaluate_model(store, export, data, ONTOLOGY, root)
    return Run(
        store,
        root,
        data,
        (training, export, report),
        get_record(store, TrainingResult, training),
        get_record(store, ExportResult, export),
        get_record(store, EvaluationReport, report),
        set(told),
    )


def test_the_records_fit_together(run: Run) -> None:
    training, export, report = run.training, run.export, run.report
    assert (export.training, report.training, report.export) == (run.ids[0], run.ids[0], run.ids[1])
    assert training.classes == CLASSES == tuple(export.thresholds)
    assert training.profile == PROFILE
    assert training.images == {"train": 45, "validation": 15}
    assert training.data_fingerprint == run.data.fingerprint
    assert (training.split_release, training.ontology, training.ontology_version) == (
        "release-1",
        "test",
        "1",
    )
    assert len(training.history) == 6
    assert len(training.slopes) == len(training.offsets) == 2
    assert {"torch", "timm", "onnx"} <= set(training.packages)
    assert (report.metrics.images, report.unreadable) == (18, 1)
    assert run.tasks == {"training", "thresholds", "parity", "evaluation"}


def test_a_training_that_ended_well_leaves_no_checkpoints(run: Run) -> None:
    assert run.store.list("checkpoints/") == []
    assert (run.training.resumed_from, run.training.damaged_checkpoints) == (0, ())


def test_a_training_that_was_cut_off_goes_on_and_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise StoreError("the store is full")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "calibrate", lost)  # after the training, before its record
        with pytest.raises(StoreError, match="full"):
            train_model(run.store, run.data, ONTOLOGY, PROFILE)
    assert len(run.store.list("checkpoints/")) == 4
    again = get_record(run.store, TrainingResult, train_model(run.store, run.data, ONTOLOGY, PROFILE))
    assert again.resumed_from == 6
    assert again.weights == run.training.weights
    assert run.store.list("checkpoints/") == []


def test_the_model_has_learnt_what_the_marks_mean(run: Run) -> None:
    metrics = run.report.metrics
    assert metrics.accuracy.successes >= 16
    assert metrics.cache_flips.successes <= 1
    assert metrics.per_class["RUST"].pointing.total == 6
    assert all(0 < threshold <= 1 for threshold in run.export.thresholds.values())
    assert np.sum(metrics.confusion) == 18
    reasons = judge_model(metrics, PROFILE.gate, ONTOLOGY.safety_critical_ids).reasons
    assert "6 test images of RUST; 5 are needed" in reasons


def test_the_exported_model_is_the_trained_one(run: Run) -> None:
    assert run.export.parity.passed
    assert run.export.parity.images == 18
    network = CalibratedNet(
        load_model(run.store, run.training), Calibration(run.training.slopes, run.training.offsets)
    ).eval()
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network(images)[0].numpy()
    found = OnnxModel(get_file(run.store, run.export.model), threads=1).run(images.numpy())[0]
    assert np.abs(found - expected).max() < 1e-5
    assert run.training.parameters == sum(p.numel() for p in network.model.parameters())


def test_the_loaded_model_has_the_validation_loss_of_its_best_epoch(run: Run) -> None:
    _, validation = cached_examples(run.store, run.data, CLASSES, PROFILE)
    logits = predict_logits(load_model(run.store, run.training), validation, FRAME)
    targets = np.stack([example.targets for example in validation])
    loss = np.logaddexp(0, np.where(targets > 0, -logits, logits)).mean()
    best = run.training.history[run.training.best_epoch - 1].validation_loss
    assert loss == pytest.approx(best, rel=1e-4)


def test_thresholds_were_chosen_on_the_originals_of_validation(run: Run) -> None:
    model = OnnxModel(get_file(run.store, run.export.model), threads=1)
    found = predict_originals(model, run.data.side("validation"), run.root, FRAME)
    rust = np.array([s.label == "RUST" for s in found.samples])
    # Five images: a recall of 0.99 asks for all of them.
    lowest = found.probabilities[rust, CLASSES.index("RUST")].min()
    assert run.export.thresholds["RUST"] == pytest.approx(float(lowest), rel=1e-4)


def test_the_pictures_are_there(run: Run) -> None:
    keys = {"curve": run.training.curve, **run.report.plots}
    assert set(keys) == {"curve", "confusion", "reliability", "precision_recall", "risk_coverage"}
    for key in keys.values():
        assert get_file(run.store, key).startswith(b"\x89PNG")


def test_changed_data_are_refused(run: Run) -> None:
    first, *rest = run.data.samples
    changed = replace(run.data, samples=(replace(first, sample_weight=2.0), *rest))
    with pytest.raises(InsufficientDataError, match="changed since"):
        export_model(run.store, run.ids[0], changed, ONTOLOGY, run.root)
    with pytest.raises(InsufficientDataError, match="changed since"):
        evaluate_model(run.store, run.ids[1], changed, ONTOLOGY, run.root)


def test_an_ontology_of_other_classes_is_refused(run: Run) -> None:
    fine, dent, rust = ONTOLOGY.classes
    other = ONTOLOGY.model_copy(update={"classes": (fine, rust, dent)})
    with pytest.raises(OntologyError, match=r"DENT, RUST.*RUST, DENT"):
        export_model(run.store, run.ids[0], run.data, other, run.root)
    with pytest.raises(OntologyError, match="train again"):
        evaluate_model(run.store, run.ids[1], run.data, other, run.root)


def test_changed_weights_are_refused(run: Run) -> None:
    sound = run.store.get(run.training.weights)
    run.store.put(run.training.weights, sound[:-4] + b"\0\0\0\0")
    try:
        with pytest.raises(StoreError, match="was changed"):
            load_model(run.store, run.training)
    finally:
        run.store.put(run.training.weights, sound)


def test_an_empty_cache_is_refused_before_anything_is_trained(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InsufficientDataError, match="validation has 0 images with DENT"):
        train_model(LocalStore(tmp_path), run.data, ONTOLOGY, PROFILE)


def test_too_few_positives_are_refused_before_anything_is_trained(run: Run) -> None:
    strict = profile(calibration={"minimum_positives": 6})
    with pytest.raises(InsufficientDataError, match="5 images with DENT and 10 without; at least 6"):
        train_model(run.store, run.data, ONTOLOGY, strict)


def test_labels_that_the_ontology_does_not_have_are_named_before_anything_is_trained(run: Run) -> None:
    for change in ({"label": "TEAR", "labels": ("TEAR",)}, {"label": "GOOD"}):
        samples = tuple(
            replace(s, **change) if s.image_id == "test-000" else s  # the test side is used last
            for s in run.data.samples
        )
        with pytest.raises(OntologyError, match=rf"{change['label']} \(1 images\).*publish an ontology"):
            train_model(run.store, replace(run.data, samples=samples), ONTOLOGY, PROFILE)


def test_each_variant_is_judged_by_itself(run: Run) -> None:
    found = get_record(
        run.store, VariantsResult, evaluate_variants(run.store, run.ids[2], run.data, ONTOLOGY, run.root)
    )

    assert found.report == run.ids[2]
    assert [variant.precision for variant in found.variants] == ["fp16", "int8"]
    limits = np.array([run.export.thresholds[name] for name in CLASSES])
    for variant in found.variants:
        p = predict_originals(
            OnnxModel(get_file(run.store, variant.model)), run.data.side("test"), run.root, FRAME
        )
        whole = predict_originals(
            OnnxModel(get_file(run.store, run.export.model)), run.data.side("test"), run.root, FRAME
        )
        told = [(one.probabilities >= limits).any(1) for one in (p, whole)]
        assert variant.parity.images == 18
        assert variant.parity.flips == (told[0] != told[1]).sum()
        assert variant.parity.max_difference == pytest.approx(
            np.abs(p.probabilities - whole.probabilities).max(), abs=1e-6
        )
        truth = np.array([[name in s.labels for name in CLASSES] for s in p.samples])
        hits = ((p.probabilities >= limits) & truth).sum()
        assert any(f"({hits}/{truth.sum()}, " in reason for reason in variant.gate.reasons)
        assert variant.offered == (variant.parity.passed and variant.gate.verdict == "passed")
