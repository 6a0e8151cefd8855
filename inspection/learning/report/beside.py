"""What stands beside our model in the report: the baselines, and the model in production."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspection.artifacts import get_record
from inspection.bundle import load_bundle
from inspection.cache import read_original
from inspection.comparison import compare_verdicts, unseen
from inspection.dataset import Sample
from inspection.delong import auroc_estimate
from inspection.errors import InsufficientDataError
from inspection.gauge.gauge import Gauge, combined
from inspection.gauge.reading import Reading
from inspection.label_noise import InspectorRates
from inspection.learning.baselines import BaselineResult, read_baseline_predictions
from inspection.learning.evaluation import predict_originals
from inspection.learning.report.details import BaselineScore, Judged, RivalResult
from inspection.metrics import mean_auroc
from inspection.rival import NO_RIVAL, Rival
from inspection.runtime import OnnxModel
from inspection.store import ObjectStore


@dataclass(frozen=True)
class Beside:
    """What a report compares with.

    Attributes:
        baselines: ids of `BaselineResult` records of the same data.
        rival: the model in production.
        inspectors: how they decide; None where nobody knows.
    """

    baselines: tuple[str, ...] = ()
    rival: Rival = NO_RIVAL
    inspectors: InspectorRates | None = None


ALONE = Beside()


def score_baseline(store: ObjectStore, record: str, judged: Judged, data_fingerprint: str) -> BaselineScore:
    """Holds a baseline's scores against ours, on the test images that both judged.

    Raises:
        InsufficientDataError: the baseline is of other data, or of other classes.
    """
    result = get_record(store, BaselineResult, record)
    if result.data_fingerprint != data_fingerprint or result.classes != judged.classes:
        raise InsufficientDataError(
            f"the baseline {result.name!r} was made of other data than the model: materialize it again"
        )
    image_ids, scores = read_baseline_predictions(store, result)
    row = {image_id: number for number, image_id in enumerate(image_ids)}
    ours = [number for number, sample in enumerate(judged.samples) if sample.image_id in row]
    theirs = scores[[row[judged.samples[number].image_id] for number in ours]]
    p, actual = judged.predictions.probabilities[ours], judged.actual[ours].astype(np.float32)
    defective = actual.max(1, initial=0)
    return BaselineScore(
        name=result.name,
        description=result.description,
        images=len(ours),
        macro_auroc=mean_auroc(theirs, actual),
        ours_macro=mean_auroc(p, actual),
        defective_auroc=auroc_estimate(theirs.max(1, initial=-np.inf), defective),
        ours_defective=auroc_estimate(p.max(1, initial=0), defective),
    )


def compare_with_production(
    store: ObjectStore, rival: Rival, judged: Judged, image_root: Path
) -> RivalResult:
    """Lets the production model judge the same originals, as it would on the line.

    Args:
        store: has its bundle.
        rival: who it is, and which orders it has learnt from.
        judged: our model's verdicts on the test side, none of which it has learnt from.
        image_root: folder of the originals.

    Raises:
        BundleError: the production model must not be served.
    """
    if rival.bundle is None:
        return RivalResult(bundle=None, verdicts=None, reason=rival.reason)
    samples = unseen(judged.samples, rival.learnt_orders)
    if not samples:
        reason = f"the production model has learnt from the orders of all {len(judged.samples)} test images"
        return RivalResult(bundle=rival.bundle, verdicts=None, reason=reason)
    failed = _verdicts(store, rival.bundle, samples, image_root)
    place = {sample.image_id: number for number, sample in enumerate(judged.samples)}
    ours = [place[sample.image_id] for sample in samples]
    return RivalResult(
        bundle=rival.bundle,
        verdicts=compare_verdicts(~judged.wrong[ours], failed == judged.defective[ours]),
        reason=None,
    )


def _verdicts(
    store: ObjectStore, bundle_id: str, samples: Sequence[Sample], image_root: Path
) -> NDArray[np.bool_]:
    """Returns which parts a bundle calls FAIL, [N]; all of them can be read, as we have judged them."""
    bundle = load_bundle(store, bundle_id)
    manifest = bundle.manifest
    found = predict_originals(
        OnnxModel(bundle.model), samples, image_root, manifest.preprocessing, "production model"
    )
    p = found.probabilities
    if bundle.gauge is not None:
        readings = [_read(bundle.gauge, sample, image_root) for sample in found.samples]
        p = combined(p, manifest.classes, readings, bundle.gauge.fit)
    return np.asarray((p >= np.array([manifest.thresholds[name] for name in manifest.classes])).any(1))


def _read(gauge: Gauge, sample: Sample, image_root: Path) -> Reading:
    return gauge.read(read_original(image_root, sample.image_path), sample.part_type, sample.camera_id)
