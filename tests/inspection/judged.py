"""A judged model whose every number is written by hand, for tests of what follows from the numbers."""

from __future__ import annotations

from datetime import UTC, datetime

from inspection.artifacts import put_file, put_record
from inspection.learning.results import EpochRecord, EvaluationReport, ExportResult, Parity, TrainingResult
from inspection.metrics import ClassMetrics, Rate, TestMetrics
from inspection.statistics import clopper_pearson_lower
from inspection.store import ObjectStore
from tests.inspection.bundles import ONTOLOGY
from tests.inspection.learning.toy import profile
from tests.serving.examples import tiny_model

Count = tuple[int, int]

GOOD: dict[str, Count] = {
    "precision": (96, 100),
    "recall": (94, 100),
    "false_reject_rate": (4, 100),
    "rust": (299, 299),
}
WEIGHTS = b"the weights"
EPOCH = EpochRecord(
    epoch=1,
    train_loss=0.5,
    validation_loss=0.4,
    validation_auroc=0.9,
    learning_rate=0.01,
    images_per_second=10.0,
    seconds=1.0,
)


def one_class(hits: int, positives: int) -> ClassMetrics:
    return ClassMetrics(
        threshold=0.5,
        precision=Rate.of(1, 1),
        recall=Rate.of(hits, positives),
        recall_bound=clopper_pearson_lower(hits, positives) if positives else None,
        f1=None,
        auroc=None,
        pointing=Rate.of(0, 0),
    )


def metrics(precision: Count, recall: Count, false_reject_rate: Count, rust: Count) -> TestMetrics:
    """Returns test metrics of the classes of `ONTOLOGY`."""
    nothing = Rate.of(0, 0)
    return TestMetrics(
        images=100,
        accuracy=nothing,
        precision=Rate.of(*precision),
        recall=Rate.of(*recall),
        f1=None,
        false_reject_rate=Rate.of(*false_reject_rate),
        escape_rate=nothing,
        to_people=nothing,
        automatic_error=nothing,
        ece=0.0,
        ece_uncalibrated=0.0,
        cache_flips=nothing,
        macro_auroc=None,
        per_class={"DENT": one_class(1, 2), "RUST": one_class(*rust)},
        labels=("DENT", "RUST", "FINE"),
        confusion=(),
    )


def parity(**changes: float) -> Parity:
    """Returns the comparison of a model that was exported well; `changes` replace its fields."""
    fields = {
        "images": 18,
        "max_difference": 1e-7,
        "max_cell_difference": 2e-7,
        "flips": 0,
        "tolerance": 1e-4,
    }
    return Parity.model_validate({**fields, **changes})


def put_training(store: ObjectStore, seed: int = 7) -> str:
    """Stores a `TrainingResult` with its files and returns its id; another seed makes another model."""
    record = TrainingResult(
        weights=put_file(store, "weights", ".safetensors", WEIGHTS),
        curve=put_file(store, "plots", ".png", b"a picture"),
        profile=profile(training={"seed": seed}),
        classes=ONTOLOGY.defect_ids,
        slopes=(1.5, 0.5),
        offsets=(0.25, -0.25),
        history=(EPOCH,),
        best_epoch=1,
        seconds=12.0,
        images={"train": 400, "validation": 90},
        parameters=1234567,
        threads=1,
        data_fingerprint="f" * 64,
        split_release="release-1",
        ontology=ONTOLOGY.ontology,
        ontology_version=ONTOLOGY.version,
        code_revision="abc123",
        packages={"torch": "2"},
        created_at=datetime(2026, 3, 1, 8, tzinfo=UTC),
    )
    return put_record(store, record)


def put_export(store: ObjectStore, training: str, found: Parity | None = None) -> str:
    """Stores an `ExportResult` with its model and returns its id."""
    record = ExportResult(
        training=training,
        model=put_file(store, "onnx", ".onnx", tiny_model(classes=2)),
        thresholds={"DENT": 0.4, "RUST": 0.2},
        parity=found or parity(),
    )
    return put_record(store, record)


def put_report(store: ObjectStore, seed: int = 7, **counts: Count) -> str:
    """Stores a judged model and returns the id of its `EvaluationReport`.

    The toy profile's gate wants 5 positives of the safety-critical class; `counts` replace those of `GOOD`.
    """
    training = put_training(store, seed)
    record = EvaluationReport(
        training=training,
        export=put_export(store, training),
        metrics=metrics(**{**GOOD, **counts}),
        plots={},
        unreadable=0,
        predictions="predictions/none.parquet",
        details="0" * 64,
        page=put_file(store, "reports", ".html", b"<p>a page</p>"),
    )
    return put_record(store, record)
