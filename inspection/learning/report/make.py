"""Puts the test report together: details, pictures, page; all of it goes to the object store."""

from __future__ import annotations

from pathlib import Path

from inspection.artifacts import get_file, put_file, put_record
from inspection.dataset import TrainingData
from inspection.gate import judge_model
from inspection.label_noise import LabelCap, cap_of
from inspection.learning import plots
from inspection.learning.evaluation import target_matrix
from inspection.learning.report.beside import Beside, compare_with_production, score_baseline
from inspection.learning.report.details import Judged, make_details
from inspection.learning.report.mistakes import draw_mistakes
from inspection.learning.report.page import PageFacts, render_page
from inspection.learning.results import EvaluationReport, ExportResult, TrainingResult
from inspection.metrics import Rate, TestMetrics
from inspection.ontology import Ontology
from inspection.predictions import put_predictions
from inspection.risk import risk_coverage
from inspection.runtime import OnnxModel
from inspection.store import ObjectStore

PLOTS = "plots"


def make_report(
    store: ObjectStore,
    export_id: str,
    export: ExportResult,
    training: TrainingResult,
    model: OnnxModel,
    judged: Judged,
    metrics: TestMetrics,
    data: TrainingData,
    ontology: Ontology,
    image_root: Path,
    beside: Beside,
) -> str:
    """Tells all that is known of a judged model; returns the id of an `EvaluationReport`.

    Args:
        store: takes records, pictures and page.
        export_id: of the `ExportResult` that was judged; `export` and its `training`.
        export: see above.
        training: see above.
        model: that was exported.
        judged: its verdicts on the test side.
        metrics: of record, from the same verdicts.
        data: what it was made from.
        ontology: gives the names of the classes, and which are safety-critical.
        image_root: folder of the originals.
        beside: what it is compared with.

    Raises:
        InsufficientDataError: a baseline is of other data.
        BundleError: the production model must not be served.
    """
    profile = training.profile
    pictures = draw_plots(judged, metrics, profile.confidence_threshold)
    cap, cap_reason = _cap(beside, data)
    details = make_details(
        judged,
        pointing=_pointing(metrics),
        confidence_threshold=profile.confidence_threshold,
        cap=cap,
        cap_reason=cap_reason,
        rival=compare_with_production(store, beside.rival, judged, image_root),
        baselines=[score_baseline(store, one, judged, data.fingerprint) for one in beside.baselines],
        mistakes=draw_mistakes(store, model, judged, image_root, profile.preprocessing),
    )
    p, release = judged.predictions.probabilities, data.split_release
    facts = PageFacts(
        export_id=export_id,
        training=training,
        export=export,
        metrics=metrics,
        gate=judge_model(metrics, profile.gate, ontology.safety_critical_ids),
        details=details,
        ontology=ontology,
        plots=pictures,
        pictures={one.picture: get_file(store, one.picture) for one in details.mistakes},
        predictions=put_predictions(store, judged.samples, p, judged.thresholds, release),
        unreadable=len(judged.predictions.unreadable),
    )
    return put_record(store, _record(store, facts, pictures))


def draw_plots(judged: Judged, metrics: TestMetrics, confidence_threshold: float) -> dict[str, bytes]:
    """Draws the plots of the report; each is a PNG."""
    p, targets = judged.predictions.probabilities, target_matrix(judged.samples, judged.classes)
    curve = risk_coverage(judged.confidence, judged.wrong)
    return {
        "confusion": plots.confusion(metrics),
        "reliability": plots.reliability(p, targets, judged.weights, judged.classes, metrics.ece),
        "precision_recall": plots.precision_recall(p, targets, metrics),
        "risk_coverage": plots.risk_coverage(curve, confidence_threshold, len(p)),
    }


def _record(store: ObjectStore, facts: PageFacts, pictures: dict[str, bytes]) -> EvaluationReport:
    return EvaluationReport(
        training=facts.export.training,
        export=facts.export_id,
        metrics=facts.metrics,
        plots={name: put_file(store, PLOTS, ".png", picture) for name, picture in pictures.items()},
        unreadable=facts.unreadable,
        predictions=facts.predictions,
        details=put_record(store, facts.details),
        page=put_file(store, "reports", ".html", render_page(facts).encode()),
    )


def _pointing(metrics: TestMetrics) -> Rate:
    found = [one.pointing for one in metrics.per_class.values()]
    return Rate.of(sum(one.successes for one in found), sum(one.total for one in found))


def _cap(beside: Beside, data: TrainingData) -> tuple[LabelCap | None, str | None]:
    if beside.inspectors is None:
        return None, "no decision of an inspector has been compared with an annotators' consensus"
    cap = cap_of(beside.inspectors, data.samples, data.side("test"))
    return cap, None if cap else "the inspectors decide no better than chance, so that nothing follows"
