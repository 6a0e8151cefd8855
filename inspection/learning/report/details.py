"""What the test report tells beside the metrics of record: counted from the test predictions alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from inspection.bootstrap import Estimate, ratio
from inspection.boxes import BoxQuality, Rectangle, best_iou, box_quality
from inspection.comparison import PairedVerdicts
from inspection.dataset import Sample
from inspection.label_noise import LabelCap
from inspection.learning.evaluation import Predictions, target_matrix
from inspection.metrics import Rate, overall_confidence
from inspection.risk import RiskCoverage, risk_coverage
from inspection.slices import SizeBin, Slice, marked, size_bins, slices

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]

CLASS_SIZE_BINS = 3


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BaselineScore(_Record):
    """A cheap model beside ours, on the test images that both judged.

    Attributes:
        macro_auroc: mean over the classes; 0.5 is chance. None where the images are of one kind.
        ours_macro: of our model on the same images.
        defective_auroc: of telling defective parts from good ones by the highest score, with DeLong's bounds;
            likewise of our model in `ours_defective`.
    """

    name: str
    description: str
    images: int
    macro_auroc: float | None
    ours_macro: float | None
    defective_auroc: Estimate
    ours_defective: Estimate


class RivalResult(_Record):
    """Our model against the one in production, or why not.

    Attributes:
        bundle: id of the model in production.
        verdicts: `first` is our model: right means that PASS or FAIL fits the label.
        reason: why there is no comparison.
    """

    bundle: str | None
    verdicts: PairedVerdicts | None
    reason: str | None


class Mistake(_Record):
    """A wrong verdict, with its picture.

    Attributes:
        labels: what the part shows, by its labels; empty for a good one.
        told: the classes that reached their threshold.
        shown: the class whose activation map is drawn.
        confidence: of the wrong verdict, 0 to 1.
        picture: key of a JPEG.
    """

    image_id: str
    camera_id: str
    labels: tuple[str, ...]
    told: tuple[str, ...]
    shown: str
    confidence: float
    picture: str


class EvaluationDetails(_Record):
    """All of it.

    Attributes:
        confidence_threshold: below which a person looks.
        f1: micro over the decisions of all classes; likewise by class in `f1_per_class`.
        precision_at_line: precision at the line's own mix of good and defective parts, where each image
            stands for `sample_weight` parts.
        line_images: what the test images stand for at the line's own mix.
        sizes: defects by size, of all classes; `sizes_per_class` not tested for significance.
        boxes: of the defects that are told and have an annotated box; `pointing` of those with one.
        tests: how many slices and sizes were tested for a difference.
        cap: what wrong labels cap; None with a `cap_reason`.
    """

    confidence_threshold: float
    f1: Estimate
    f1_per_class: dict[str, Estimate]
    precision_at_line: Estimate
    line_images: float
    risk: RiskCoverage
    slices: tuple[Slice, ...]
    sizes: tuple[SizeBin, ...]
    sizes_per_class: dict[str, tuple[SizeBin, ...]]
    tests: int
    boxes: BoxQuality
    boxes_per_class: dict[str, BoxQuality]
    pointing: Rate
    cap: LabelCap | None
    cap_reason: str | None
    rival: RivalResult
    baselines: tuple[BaselineScore, ...]
    mistakes: tuple[Mistake, ...]


@dataclass(frozen=True)
class Judged:
    """Test predictions with the decisions that follow from them.

    Attributes:
        thresholds: by class, in order.
        told: which classes reach their threshold, [N, C]; `actual` which are there.
        confidence: of each verdict, [N].
    """

    predictions: Predictions
    thresholds: dict[str, float]
    told: Bools
    actual: Bools
    confidence: Floats

    @classmethod
    def of(cls, predictions: Predictions, thresholds: Mapping[str, float]) -> Judged:
        """Decides; `thresholds` are in the order of the classes."""
        p, limit = predictions.probabilities, np.array(list(thresholds.values()))
        actual = target_matrix(predictions.samples, tuple(thresholds)) > 0
        return cls(predictions, dict(thresholds), p >= limit, actual, overall_confidence(p, limit))

    @property
    def classes(self) -> tuple[str, ...]:
        """Outputs of the model in order, C."""
        return tuple(self.thresholds)

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The images, N."""
        return self.predictions.samples

    @property
    def weights(self) -> Floats:
        """Parts of the line that each image stands for, [N]."""
        return np.array([sample.sample_weight for sample in self.samples])

    @property
    def failed(self) -> Bools:
        """Which parts are called FAIL, [N]."""
        return np.asarray(self.told.any(1))

    @property
    def defective(self) -> Bools:
        """Which parts are so, [N]."""
        return np.asarray(self.actual.any(1))

    @property
    def wrong(self) -> Bools:
        """Which verdicts, PASS or FAIL, do not fit the label, [N]."""
        return np.asarray(self.failed != self.defective)


@dataclass(frozen=True)
class Defects:
    """Each class of each image that has an annotated box: D of them.

    Attributes:
        class_index: of the class; `told` whether it is.
        side: of a square of the largest box's area, in pixels of the original; `scale` pixels that the
            network sees per pixel of the original.
        iou: of the drawn box with the annotated one that fits best.
    """

    class_index: NDArray[np.int64]
    told: Bools
    side: Floats
    scale: Floats
    iou: Floats

    def of_class(self, index: int) -> Defects:
        """Returns those of one class."""
        own = self.class_index == index
        return Defects(*(column[own] for column in vars(self).values()))

    @property
    def box_quality(self) -> BoxQuality:
        """How well the boxes of the told ones are drawn."""
        return box_quality(self.iou[self.told].tolist())


def boxed_defects(judged: Judged) -> Defects:
    """Gathers the defects whose place and size is annotated."""
    rows: list[tuple[int, bool, float, float, float]] = []
    found = judged.predictions
    for n, sample in enumerate(judged.samples):
        for c, name in enumerate(judged.classes):
            boxes = [Rectangle(b.x, b.y, b.width, b.height) for b in sample.boxes if b.defect_class == name]
            if boxes:
                side = max(box.width * box.height for box in boxes) ** 0.5
                fit = best_iou(Rectangle(*found.boxes[n, c]), boxes)
                rows.append((c, bool(judged.told[n, c]), side, float(found.scales[n]), fit))
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    kinds = (np.int64, np.bool_, np.float64, np.float64, np.float64)
    return Defects(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))


def traits(samples: Sequence[Sample]) -> dict[str, list[str | None]]:
    """Returns by what the test parts are sliced."""
    return {
        "line": [s.line_id for s in samples],
        "camera": [s.camera_id for s in samples],
        "part type": [s.part_type for s in samples],
        "plant": [s.plant_id for s in samples],
        "labels by": [s.label_source for s in samples],
    }


def make_details(
    judged: Judged,
    pointing: Rate,
    confidence_threshold: float,
    cap: LabelCap | None,
    cap_reason: str | None,
    rival: RivalResult,
    baselines: Sequence[BaselineScore],
    mistakes: Sequence[Mistake],
) -> EvaluationDetails:
    """Counts everything; what needs more than the predictions is given, see `EvaluationDetails`."""
    defects, weights = boxed_defects(judged), judged.weights
    hits, told, actual = (
        np.asarray(m, float) for m in (judged.told & judged.actual, judged.told, judged.actual)
    )
    all_slices = slices(traits(judged.samples), judged.failed, judged.defective)
    found, sizes = marked(all_slices, size_bins(defects.side, defects.scale, defects.told))
    compared = [c for one in found for c in (one.missed, one.false_alarms)] + [one.found for one in sizes]
    by_class = {name: defects.of_class(c) for c, name in enumerate(judged.classes)}
    return EvaluationDetails(
        confidence_threshold=confidence_threshold,
        f1=ratio(2 * hits.sum(1), (told + actual).sum(1)),
        f1_per_class={
            name: ratio(2 * hits[:, c], (told + actual)[:, c]) for c, name in enumerate(judged.classes)
        },
        precision_at_line=ratio(weights * hits.sum(1), weights * told.sum(1)),
        line_images=float(weights.sum()),
        risk=risk_coverage(judged.confidence, judged.wrong),
        slices=found,
        sizes=sizes,
        sizes_per_class={
            name: size_bins(own.side, own.scale, own.told, CLASS_SIZE_BINS) for name, own in by_class.items()
        },
        tests=sum(one.p is not None for one in compared),
        boxes=defects.box_quality,
        boxes_per_class={name: own.box_quality for name, own in by_class.items()},
        pointing=pointing,
        cap=cap,
        cap_reason=cap_reason,
        rival=rival,
        baselines=tuple(baselines),
        mistakes=tuple(mistakes),
    )
