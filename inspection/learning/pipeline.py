"""The three steps from a training dataset to a judged model; each reads and writes the object store.

train_model -> TrainingResult -> export_model -> ExportResult -> evaluate_model -> EvaluationReport
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
from inspection.imaging import Pixels, Preprocessing
from inspection.learning import plots
from inspection.learning.calibration import (
    Calibration,
    calibrate,
    check_costs,
    check_counts,
    choose_thresholds,
)
from inspection.learning.data import Example, make_examples
from inspection.learning.evaluation import (
    load_originals,
    measure,
    predict_cached,
    predict_originals,
    target_matrix,
)
from inspection.learning.export import CalibratedNet, compare, export_onnx
from inspection.learning.gauge import second_judge
from inspection.learning.model import DefectNet
from inspection.learning.report.beside import ALONE, Beside
from inspection.learning.report.details import Judged
from inspection.learning.report.make import make_report
from inspection.learning.results import ExportResult, TrainingResult
from inspection.learning.training import Training, predict_logits, train
from inspection.ontology import Ontology
from inspection.packages import code_revision, package_versions
from inspection.profiles import Profile
from inspection.progress import report
from inspection.runtime import OnnxModel
from inspection.store import ObjectStore

PARITY_IMAGES = 200


def train_model(store: ObjectStore, data: TrainingData, ontology: Ontology, profile: Profile) -> str:
    """Trains on the cache and calibrates on its validation side; returns the id of a `TrainingResult`.

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
    trained = train(training, validation, len(classes), profile)
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
    )
    return put_record(store, result)


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
    onnx = export_onnx(model, profile.preprocessing)
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
    parity = compare(
        model, exported, frames, profile.preprocessing, [thresholds[c] for c in training.classes]
    )
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
    preprocessing = training.profile.preprocessing
    model = OnnxModel(get_file(store, export.model))
    found = predict_originals(model, data.side("test"), image_root, preprocessing)
    frames = read_cache(store, found.samples, preprocessing)
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
    judged = Judged.of(found, {name: export.thresholds[name] for name in training.classes})
    return make_report(
        store, export_id, export, training, model, judged, metrics, data, ontology, image_root, beside
    )


def load_model(store: ObjectStore, training: TrainingResult) -> DefectNet:
    """Builds the trained network again, on the CPU, in evaluation mode."""
    # The first weights are replaced at once: none need to be fetched.
    architecture = training.profile.model.model_copy(
        update={"pretrained": "none", "weights_file": None, "weights_sha256": None}
    )
    model = DefectNet(architecture, len(training.classes))
    model.load_state_dict(load(get_file(store, training.weights)))
    return model.eval()


def cached_examples(
    store: ObjectStore, data: TrainingData, classes: Sequence[str], profile: Profile
) -> tuple[list[Example], list[Example]]:
    """Returns the training and the validation side from the cache."""
    wanted = (*data.side("train"), *data.side("validation"))
    cached = read_cache(store, wanted, profile.preprocessing)
    in_memory = profile.training.frames_in_memory

    def examples(split: Split) -> list[Example]:
        return make_examples(data.side(split), cached, classes, profile.preprocessing, in_memory)

    return examples("train"), examples("validation")


def _frames(samples: Sequence[Sample], root: Path, preprocessing: Preprocessing) -> Iterator[Pixels]:
    for number, (_, frame) in enumerate(load_originals(samples, root, preprocessing), start=1):
        if not isinstance(frame, Unreadable):
            yield frame.pixels
        report("parity", number, len(samples))


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
