"""What each step of making a model hands to the next: plain records, kept in the object store as JSON."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from inspection.bundle import Precision
from inspection.gate import GateResult
from inspection.metrics import TestMetrics
from inspection.profiles import Profile


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EpochRecord(_Record):
    """One epoch: losses, mean AUROC over classes (None when validation lacks a class), speed."""

    epoch: int
    train_loss: float
    validation_loss: float
    validation_auroc: float | None
    learning_rate: float
    images_per_second: float
    seconds: float


class TrainingResult(_Record):
    """A trained network.

    Attributes:
        weights: key of the safetensors file, named by its hash; likewise `curve`, a picture.
        classes: model outputs in order.
        slopes: calibration by class, probability = sigmoid(slope * logit + offset); likewise `offsets`.
        images: by side, those that took part.
        threads: of torch; the last digits of the weights depend on it.
        resumed_from: the epoch after which a training that was cut off went on; 0 if none was.
        damaged_checkpoints: those that were passed over then, with the reason.
    """

    weights: str
    curve: str
    profile: Profile
    classes: tuple[str, ...]
    slopes: tuple[float, ...]
    offsets: tuple[float, ...]
    history: tuple[EpochRecord, ...]
    best_epoch: int
    seconds: float
    images: dict[str, int]
    parameters: int
    threads: int
    data_fingerprint: str
    split_release: str
    ontology: str
    ontology_version: str
    code_revision: str
    packages: dict[str, str]
    created_at: datetime
    resumed_from: int = 0
    damaged_checkpoints: tuple[str, ...] = ()


class Parity(_Record):
    """The exported model against the trained one, from file bytes.

    Attributes:
        max_difference: largest absolute difference of a probability.
        max_cell_difference: likewise of a cell of an activation map, from which boxes are drawn.
        flips: images whose verdict (any class over its threshold) differs.
    """

    images: int
    max_difference: float
    max_cell_difference: float
    flips: int
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the exported model may stand for the trained one."""
        largest = max(self.max_difference, self.max_cell_difference)
        return self.images > 0 and self.flips == 0 and largest <= self.tolerance


class ExportResult(_Record):
    """An exported model.

    Attributes:
        training: id of the `TrainingResult`.
        model: key of the ONNX file, named by its hash.
        thresholds: probability from which a class is reported, chosen on validation originals.
        gauge: id of the `GaugeResult` whose word counts for measured classes; None without.
    """

    training: str
    model: str
    thresholds: dict[str, float]
    parity: Parity
    gauge: str | None = None


class EvaluationReport(_Record):
    """How good an exported model is on the test set.

    Attributes:
        export: id of the `ExportResult`.
        metrics: of record: from the ONNX file, on original bytes.
        plots: key of each picture by name.
        predictions: key of the test predictions, see `inspection.predictions`.
        details: id of the `EvaluationDetails`; what the page tells beside the metrics.
        page: key of the HTML page.
    """

    training: str
    export: str
    metrics: TestMetrics
    plots: dict[str, str]
    unreadable: int
    predictions: str
    details: str
    page: str


class Variant(_Record):
    """The exported model in another precision.

    Attributes:
        model: key of the ONNX file, named by its hash.
        parity: against the exported model, on test images.
        gate: what it says of the variant's own test metrics.
    """

    precision: Precision
    model: str
    parity: Parity
    gate: GateResult

    @property
    def offered(self) -> bool:
        """Whether it may serve: it gives the exported model's verdicts, and passes the gate by itself."""
        return self.parity.passed and self.gate.verdict == "passed"

    @property
    def words(self) -> str:
        """What was found, in one line for a person."""
        parity = self.parity
        largest = max(parity.max_difference, parity.max_cell_difference)
        return (
            f"{parity.flips} of {parity.images} verdicts differ from the model's, largest difference "
            f"{largest:.1e} (allowed: none, {parity.tolerance:.0e}); the gate says {self.gate.verdict}"
        )


class VariantsResult(_Record):
    """The variants of an exported model.

    Attributes:
        report: id of the model's `EvaluationReport`.
    """

    report: str
    variants: tuple[Variant, ...]
