"""Packs a judged model into the bundle that is approved and served, with its card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inspection.artifacts import get_file, get_record
from inspection.bundle import (
    CARD,
    GAUGE,
    MODEL,
    WEIGHTS,
    BundleManifest,
    Variant,
    variant_file,
    write_bundle,
)
from inspection.errors import BundleError
from inspection.gate import GateResult, judge_model
from inspection.learning import results
from inspection.learning.gauge import GaugeResult
from inspection.learning.report.of_bundle import note_report
from inspection.learning.results import EvaluationReport, ExportResult, TrainingResult, VariantsResult
from inspection.metrics import Rate
from inspection.ontology import Ontology
from inspection.store import ObjectStore


def make_bundle(
    store: ObjectStore, report_id: str, ontology: Ontology, variants_id: str | None = None
) -> tuple[str, GateResult]:
    """Judges a model by its test metrics and packs it; a model that fails is packed too.

    A person may still decide for it, and must then find it, with the gate's words inside.

    Args:
        store: holds the model's records and files; takes the bundle.
        report_id: of its `EvaluationReport`.
        ontology: that it was trained for.
        variants_id: of the `VariantsResult`; None packs none.

    Returns:
        Id of the bundle and what the gate says.

    Raises:
        BundleError: the ontology has other classes than the model, or the variants are of another one.
    """
    report = get_record(store, EvaluationReport, report_id)
    export = get_record(store, ExportResult, report.export)
    training = get_record(store, TrainingResult, report.training)
    if training.classes != ontology.defect_ids:
        raise BundleError(
            f"the model tells {', '.join(training.classes)}, the ontology {ontology.ontology} "
            f"{ontology.version} has {', '.join(ontology.defect_ids)}: train again"
        )
    variants = _variants(store, report_id, variants_id) if variants_id else ()
    gate = judge_model(report.metrics, training.profile.gate, ontology.safety_critical_ids)
    manifest = BundleManifest(
        classes=training.classes,
        thresholds=export.thresholds,
        temperature=dict(zip(training.classes, training.slopes, strict=True)),
        offset=dict(zip(training.classes, training.offsets, strict=True)),
        preprocessing=training.profile.preprocessing,
        metrics=report.metrics.model_dump(mode="json"),
        gate=gate.model_dump(mode="json"),
        variants={v.precision: Variant(offered=v.offered, reason=v.words) for v in variants},
        profile=training.profile.name,
        architecture=training.profile.model.architecture,
        data_fingerprint=training.data_fingerprint,
        split_release=training.split_release,
        code_revision=training.code_revision,
        seed=training.profile.training.seed,
        ontology=ontology,
        packages=training.packages,
        created_at=training.created_at,
    )
    gauge = None if export.gauge is None else get_record(store, GaugeResult, export.gauge)
    card = (*_card(training, export, report, gate, variants), *_gauge_card(gauge))
    files = {
        MODEL: get_file(store, export.model),
        WEIGHTS: get_file(store, training.weights),
        CARD: "\n".join(card).encode(),
    }
    files |= {variant_file(v.precision): get_file(store, v.model) for v in variants if v.offered}
    if gauge is not None and gauge.gauge is not None:
        files[GAUGE] = get_file(store, gauge.gauge)
    bundle = write_bundle(store, manifest, files)
    note_report(store, bundle, report_id)
    return bundle, gate


def _variants(store: ObjectStore, report_id: str, variants_id: str) -> tuple[results.Variant, ...]:
    found = get_record(store, VariantsResult, variants_id)
    if found.report != report_id:
        raise BundleError("the variants are of another report: materialize model_variants again")
    return found.variants


def _card(
    training: TrainingResult,
    export: ExportResult,
    report: EvaluationReport,
    gate: GateResult,
    variants: Sequence[results.Variant],
) -> Iterator[str]:
    """Yields the lines of the model card (Mitchell et al. 2019), in Markdown."""
    metrics, profile = report.metrics, training.profile
    yield f"# {profile.model.architecture}, trained {training.created_at:%Y-%m-%d %H:%M} UTC"
    yield ""
    yield f"Finds defects of the ontology {training.ontology} {training.ontology_version} on photographs of"
    yield f"parts, seen at {profile.preprocessing.width}x{profile.preprocessing.height} pixels"
    yield f"(crop: {profile.preprocessing.crop}). Gate: **{gate.verdict}**."
    yield ""
    yield from (f"- {reason}" for reason in gate.reasons)
    yield ""
    yield f"## Test set: {metrics.images} images, ONNX Runtime on original bytes"
    yield ""
    yield "| metric | value | 95 % | count |"
    yield "| --- | --- | --- | --- |"
    yield from (_row(name.replace("_", " "), rate) for name, rate in metrics.rates.items())
    for name, found in metrics.per_class.items():
        yield _row(f"precision of {name}, threshold {found.threshold:.3f}", found.precision)
        yield _row(f"recall of {name}", found.recall)
    yield ""
    yield f"Calibration error {metrics.ece:.4f} (before calibration {metrics.ece_uncalibrated:.4f}). Largest"
    yield f"difference between ONNX and torch {export.parity.max_difference:.1e} on {export.parity.images}"
    yield f"images, {export.parity.flips} verdicts differ."
    yield ""
    for variant in variants:
        yield f"In {variant.precision}: {'offered' if variant.offered else 'not offered'}; {variant.words}."
    yield ""
    yield "## Made from"
    yield ""
    yield f"- {training.images['train']} training and {training.images['validation']} validation images,"
    yield f"  split release {training.split_release}, data fingerprint {training.data_fingerprint}"
    yield f"- profile {profile.name}, seed {profile.training.seed}, epoch {training.best_epoch} of"
    yield f"  {len(training.history)}, {training.seconds:.0f} s, {training.parameters:,} parameters"
    yield f"- code {training.code_revision}; {', '.join(f'{k} {v}' for k, v in training.packages.items())}"
    yield ""
    yield "It has seen the cameras, part types and defects of its training set and no others; what it is not"
    yield "sure of belongs in front of a person."
    yield ""


def _gauge_card(gauge: GaugeResult | None) -> Iterator[str]:
    if gauge is None:
        return
    yield "## Dimension gauge"
    yield ""
    if gauge.fit is None:
        yield f"None, the network judges alone: {gauge.reason}."
        yield ""
        return
    yield f"Of {gauge.images} images {gauge.applicable} could be measured. For them the probability of a"
    yield "measured class is the gauge's; for the others it is the network's."
    yield ""
    yield from (f"- {count} images: {reason}" for reason, count in gauge.not_applicable.items())
    for name, fit in gauge.fit.classes.items():
        yield f"- {name}: calibrated on {fit.positives} validation images with it and {fit.negatives} without"
    yield from (f"- {camera} measures {mm:+.3f} mm: taken off" for camera, mm in gauge.fit.bias_mm.items())
    yield ""
    yield "| part type | dimension | repeatability (mm) |"
    yield "| --- | --- | --- |"
    for part, dimensions in sorted(gauge.fit.repeatability_mm.items()):
        yield from (f"| {part} | {name} | {mm:.3f} |" for name, mm in dimensions.items())
    yield ""


def _row(name: str, rate: Rate) -> str:
    if rate.value is None:
        return f"| {name} | not applicable | | 0 |"
    bounds = f"{rate.low:.4f} to {rate.high:.4f}"
    return f"| {name} | {rate.value:.4f} | {bounds} | {rate.successes}/{rate.total} |"
