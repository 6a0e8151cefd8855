"""The steps from a training dataset to a judged model; each reads and writes the object store.

train_model -> TrainingResult -> export_model -> ExportResult -> evaluate_model -> EvaluationReport
                                                             -> evaluate_variants -> VariantsResult
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save

from inspection.artifacts import get_file, get_record, put_file, put_record
from inspection.balance import check_floor
from inspection.cache import Unreadable, read_cache
from inspection.dataset import Sample, Split, TrainingData, check_classes
from inspection.errors import InsufficientDataError, OntologyError
from inspection.gate import judge_model
from inspection.imaging import Pixels, Preprocessing, resized
from inspection.learning import plots
from inspection.learning.calibration import (
    Calibration,
    calibrate,
    check_costs,
    check_counts,
    choose_thresholds,
)
from inspection.learning.checkpoints import Checkpoints, run_key
from inspection.learning.data import Example, make_examples
from inspection.learning.evaluation import (
    Predictions,
    load_originals,
    measure,
    predict_cached,
    predict_originals,
    target_matrix,
)
from inspection.learning.export import CalibratedNet, compare, export_onnx, in_torch
from inspection.learning.gauge import second_judge
from inspection.learning.model import DefectNet, untrained
from inspection.learning.report.beside import ALONE, Beside
from inspection.learning.report.details import Judged
from inspection.learning.report.make import make_report
from inspection.learning.results import (
    EvaluationReport,
    ExportResult,
    TrainingResult,
    Variant,
    VariantsResult,
)
from inspection.learning.training import Training, predict_logits, train
from inspection.learning.variants import TOLERANCES, make_variant
from inspection.metrics import TestMetrics
from inspection.ontology import Ontology
from inspection.packages import code_revision, package_versions
from inspection.profiles import Profile
from inspection.progress import report
from inspection.runtime import OnnxModel
from inspection.store import ObjectStore

PARITY_IMAGES = 200
RANGE_IMAGES = 64
"""Training images from which the ranges of 8-bit activations are taken."""


def train_model(
    store: ObjectStore,
    data: TrainingData,
    ontology: Ontology,
    profile: Profile,
    ray_address: str | None = None,
) -> str:
    """Trains on the cache and calibrates on its validation side; returns the id of a `TrainingResult`.

    A training that was cut off goes on from its newest checkpoint; see `inspection.learning.checkpoints`.

    Args:
        store: holds the cache, and gets checkpoints and result.
        data: what to train on.
        ontology: tells the classes.
        profile: everything else.
        ray_address: of a Ray cluster to train on, see `inspection.learning.training.train`.

    Raises:
        InsufficientDataError: too few images to train or to calibrate on, or a dataset that was balanced
            for another profile.
        SettingsError: the profile gives costs to a class that can have none.
        OntologyError: a label is of a class that the ontology does not have.
    """
    classes = ontology.defect_ids
    # Of all sides: with a test set that cannot be judged the training would be for nothing.
    check_classes(data.samples, classes, ontology.clean_class.id)
    check_costs(profile.thresholds.costs, classes, ontology.safety_critical_ids)
    check_floor(data, ontology.clean_class.id, profile.training.minimum_per_class)
    training, validation = cached_examples(store, data, classes, profile)
    targets = np.stack([e.targets for e in validation]) if validation else np.zeros((0, len(classes)))
    check_counts(targets, classes, profile.calibration)
    checkpoints = Checkpoints(store, run_key(profile, data.fingerprint, classes))
    trained = train(training, validation, len(classes), profile, checkpoints, ray_address)
    logits = predict_logits(trained.model, validation, profile.preprocessing)
    calibration = calibrate(logits, targets, np.array([example.weight for example in validation]))
    weights = save({name: value.contiguous() for name, value in trained.model.state_dict().items()})
    result = TrainingResult(
        weights=put_file(store, "weights", ".safetensors", weights),
        curve=put_file(store, "plots", ".png", plots.training_curves(trained.history, trained.best_epoch)),
        profile=profile,
        classes=classes,
        slopes=calibration.slopes,
        offsets=calibration.offsets,
        history=trained.history,
        best_epoch=trained.best_epoch,
        seconds=trained.seconds,
        images={"train": len(training), "validation": len(validation)},
        parameters=_size(trained),
        threads=torch.get_num_threads(),
        data_fingerprint=data.fingerprint,
        split_release=data.split_release,
        ontology=ontology.ontology,
        ontology_version=ontology.version,
        code_revision=code_revision(),
        packages=package_versions(),
        created_at=datetime.now(UTC),
        resumed_from=trained.resumed_from,
        damaged_checkpoints=trained.passed_over,
    )
    record = put_record(store, result)
    checkpoints.clear()
    return record


def export_model(
    store: ObjectStore,
    training_id: str,
    data: TrainingData,
    ontology: Ontology,
    image_root: Path,
    gauge_id: str | None = None,
) -> str:
    """Exports a trained model, chooses its thresholds, compares it; returns the id of an `ExportResult`.

    Thresholds come from the exported model, and the gauge beside it, on the original files of the
    validation side.

    Args:
        store: holds the training.
        training_id: of its `TrainingResult`.
        data: what it was trained on.
        ontology: tells which classes are safety-critical.
        image_root: folder of the originals.
        gauge_id: of the `GaugeResult` of the same data; None judges by the network alone.

    Raises:
        InsufficientDataError: the data are not those of the training or of the gauge, or too few can be
            read.
        OntologyError: the ontology has other classes than the model.
    """
    training = get_record(store, TrainingResult, training_id)
    _same_basis(training, data, ontology)
    profile = training.profile
    model = CalibratedNet(load_model(store, training), Calibration(training.slopes, training.offsets)).eval()
    onnx = export_onnx(model, profile.preprocessing, training.classes)
    exported = OnnxModel(onnx)
    found = predict_originals(
        exported, data.side("validation"), image_root, profile.preprocessing, "thresholds"
    )
    if gauge := second_judge(store, gauge_id, data):
        found = gauge.beside(found, training.classes)
    targets = target_matrix(found.samples, training.classes)
    check_counts(targets, training.classes, profile.calibration)
    thresholds = choose_thresholds(
        found.probabilities,
        targets,
        training.classes,
        ontology.safety_critical_ids,
        profile.gate.safety_critical_recall,
        profile.gate.false_reject_rate,
        profile.thresholds.costs,
        np.array([sample.sample_weight for sample in found.samples]),
    )
    frames = _frames(data.side("test")[:PARITY_IMAGES], image_root, profile.preprocessing)
    limits = [thresholds[name] for name in training.classes]
    parity = compare(in_torch(model), exported.run, frames, profile.preprocessing, limits)
    result = ExportResult(
        training=training_id,
        model=put_file(store, "onnx", ".onnx", onnx),
        thresholds=thresholds,
        parity=parity,
        gauge=gauge_id,
    )
    return put_record(store, result)


def evaluate_model(
    store: ObjectStore,
    export_id: str,
    data: TrainingData,
    ontology: Ontology,
    image_root: Path,
    beside: Beside = ALONE,
) -> str:
    """Judges an exported model on the originals of the test side; returns the id of an `EvaluationReport`.

    Args:
        store: holds the export.
        export_id: of its `ExportResult`.
        data: what it was trained on.
        ontology: tells which classes are safety-critical.
        image_root: folder of the originals.
        beside: what the report compares the model with.

    Raises:
        InsufficientDataError: the data are not those of the training or of a baseline, or no test image can
            be read.
        OntologyError: the ontology has other classes than the model.
        BundleError: the production model that it is compared with must not be served.
    """
    export = get_record(store, ExportResult, export_id)
    training = get_record(store, TrainingResult, export.training)
    _same_basis(training, data, ontology)
    model = OnnxModel(get_file(store, export.model))
    found, metrics = _measured(store, model, export, training, data, ontology, image_root)
    judged = Judged.of(found, {name: export.thresholds[name] for name in training.classes})
    return make_report(
        store, export_id, export, training, model, judged, metrics, data, ontology, image_root, beside
    )


def evaluate_variants(
    store: ObjectStore, report_id: str, data: TrainingData, ontology: Ontology, image_root: Path
) -> str:
    """Makes the exported model in other precisions and judges each; returns the id of a `VariantsResult`.

    Args:
        store: holds the model's records and files.
        report_id: of its `EvaluationReport`.
        data: what it was trained on.
        ontology: tells which classes are safety-critical.
        image_root: folder of the originals.

    Raises:
        InsufficientDataError: the data are not those of the training, or no test image can be read.
        OntologyError: the ontology has other classes than the model.
    """
    evaluated = get_record(store, EvaluationReport, report_id)
    export = get_record(store, ExportResult, evaluated.export)
    training = get_record(store, TrainingResult, evaluated.training)
    _same_basis(training, data, ontology)
    preprocessing, profile = training.profile.preprocessing, training.profile
    model = get_file(store, export.model)
    limits = [export.thresholds[name] for name in training.classes]
    seen = read_cache(store, data.side("train")[:RANGE_IMAGES], profile.cached_preprocessing)
    variants: list[Variant] = []
    for precision, tolerance in TOLERANCES.items():
        shown = (resized(i.pixels(), preprocessing.height, preprocessing.width) for i in seen.values())
        made = make_variant(model, precision, shown, preprocessing)
        runtime = OnnxModel(made)
        frames = _frames(data.side("test")[:PARITY_IMAGES], image_root, preprocessing, precision)
        parity = compare(OnnxModel(model).run, runtime.run, frames, preprocessing, limits, tolerance)
        metrics = _measured(store, runtime, export, training, data, ontology, image_root)[1]
        gate = judge_model(metrics, profile.gate, ontology.safety_critical_ids)
        key = put_file(store, "onnx", ".onnx", made)
        variants.append(Variant(precision=precision, model=key, parity=parity, gate=gate))
    return put_record(store, VariantsResult(report=report_id, variants=tuple(variants)))


def load_model(store: ObjectStore, training: TrainingResult) -> DefectNet:
    """Builds the trained network again, on the CPU, in evaluation mode."""
    model = untrained(training.profile.model, len(training.classes))
    model.load_state_dict(load(get_file(store, training.weights)))
    return model.eval()


def cached_examples(
    store: ObjectStore, data: TrainingData, classes: Sequence[str], profile: Profile
) -> tuple[list[Example], list[Example]]:
    """Returns the training and the validation side from the cache."""
    wanted = (*data.side("train"), *data.side("validation"))
    cached = read_cache(store, wanted, profile.cached_preprocessing)
    in_memory = profile.training.frames_in_memory

    def examples(split: Split) -> list[Example]:
        return make_examples(data.side(split), cached, classes, profile.preprocessing, in_memory)

    return examples("train"), examples("validation")


def _measured(
    store: ObjectStore,
    model: OnnxModel,
    export: ExportResult,
    training: TrainingResult,
    data: TrainingData,
    ontology: Ontology,
    image_root: Path,
) -> tuple[Predictions, TestMetrics]:
    """Judges the originals of the test side; the cache only tells how many verdicts hang on it."""
    preprocessing = training.profile.preprocessing
    found = predict_originals(model, data.side("test"), image_root, preprocessing)
    frames = read_cache(store, found.samples, training.profile.cached_preprocessing)
    cached = predict_cached(model, found.samples, frames, preprocessing, len(training.classes))
    calibration = Calibration(training.slopes, training.offsets)
    if gauge := second_judge(store, export.gauge, data):
        found = gauge.beside(found, training.classes)
        cached = gauge.judge(found.samples, cached, training.classes)
        calibration = gauge.without_measured(calibration, training.classes)
    metrics = measure(
        found,
        cached,
        export.thresholds,
        calibration,
        ontology,
        training.profile.confidence_threshold,
    )
    return found, metrics


def _frames(
    samples: Sequence[Sample], root: Path, preprocessing: Preprocessing, task: str = "parity"
) -> Iterator[Pixels]:
    for number, (_, frame) in enumerate(load_originals(samples, root, preprocessing), start=1):
        if not isinstance(frame, Unreadable):
            yield frame.pixels
        report(task, number, len(samples))


def _same_basis(training: TrainingResult, data: TrainingData, ontology: Ontology) -> None:
    if training.classes != ontology.defect_ids:  # by position, a class would get another's numbers
        raise OntologyError(
            f"the model tells {', '.join(training.classes)}, the ontology {ontology.ontology} "
            f"{ontology.version} has {', '.join(ontology.defect_ids)}: train again"
        )
    if training.data_fingerprint != data.fingerprint:
        raise InsufficientDataError(
            "the training dataset has changed since the model was trained: train again, so that no test "
            "image of now was a training image then"
        )


def _size(trained: Training) -> int:
    return sum(parameter.numel() for parameter in trained.model.parameters())
