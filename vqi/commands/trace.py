"""`vqi trace`: from a part back to what judged it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vqi.trace import Trace, TracedModel, TracedVerdict


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(trace)


def trace(
    part_serial: Annotated[str, typer.Argument(help="As the camera sent it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Follow a part back: verdicts, bundle, training run, data, split release."""
    from inspection.settings import get_settings
    from vqi.commands.models import find_registry
    from vqi.trace import trace as follow

    found = follow(get_settings(), find_registry(), part_serial)
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    for line in _lines(found):
        print(line)


def _lines(found: Trace) -> Iterator[str]:
    for verdict in found.verdicts:
        yield from _verdict(verdict)
    for model in found.models.values():
        yield from _model(model)


def _verdict(verdict: TracedVerdict) -> Iterator[str]:
    said = verdict.prediction or "not judged"
    sure = "" if verdict.overall_confidence is None else f", confidence {verdict.overall_confidence:.3f}"
    when = f"{verdict.predicted_at:%Y-%m-%d %H:%M:%S}"
    yield f"{when} {verdict.role}: {said}{sure} -> {verdict.recommended_action}"
    why = ", ".join(reason for reason in (verdict.route_reason, verdict.camera_fault) if reason)
    if why:
        yield f"  to a person for {why}"
    for defect in verdict.defects:
        threshold = (verdict.thresholds or {}).get(defect["class"])
        told = "" if threshold is None else f", told from {threshold:.3f}"
        yield f"  {defect['class']} {defect['severity']} {defect['confidence']:.3f}{told}"
    yield f"  inspection {verdict.inspection_id}, image {verdict.image_id} (SHA-256 {verdict.image_sha256})"
    yield (
        f"  camera {verdict.camera_id}, station {verdict.station_id or 'unknown'}, order "
        f"{verdict.production_order_id or 'unknown'}, ontology {verdict.ontology_version}"
    )
    if verdict.timings_ms:
        yield "  ms: " + ", ".join(f"{step} {took:g}" for step, took in verdict.timings_ms.items())
    for review in verdict.reviews:
        named = f" ({review['defect_class']})" if review["defect_class"] else ""
        who = review["inspector_id"] + (f" with key {review['key_name']}" if review["key_name"] else "")
        yield f"  {who} decided {review['decision']}{named} at {review['reviewed_at']}"
    yield f"  model {verdict.model_version}"


def _model(model: TracedModel) -> Iterator[str]:
    yield f"model {model.id}"
    for decision in model.decisions:
        yield f"  {decision.action} by {decision.actor}, {decision.at:%Y-%m-%d %H:%M}: {decision.reason}"
    facts = {
        "architecture": model.architecture,
        "ontology": model.ontology,
        "gate": model.gate,
        "test report": model.report,
        "trained": model.created_at and f"{model.created_at:%Y-%m-%d %H:%M}",
        "training": model.training,
        "Dagster run": model.run,
        "profile": model.profile,
        "seed": model.seed,
        "code revision": model.code_revision,
        "data fingerprint": model.data_fingerprint,
        "split release": model.split_release,
    }
    yield from (f"  {name:17} {fact}" for name, fact in facts.items() if fact is not None)
    if (split := model.split) is not None:
        sides = ", ".join(f"{count} {side}" for side, count in sorted((split.images or {}).items()))
        rule = f"as of {split.as_of:%Y-%m-%d}, {split.policy}, {split.window_days} days"
        yield f"    {rule}: {sides or 'no image'}"
    yield from (f"  unknown: {reason}" for reason in model.unknown)
