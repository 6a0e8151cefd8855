"""The shadow beside production as the warehouse tells it, what the rule says of it, and what follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from inspection.artifacts import put_record
from inspection.bundle import read_manifest
from inspection.errors import RegistryError
from inspection.promotion import Promotion, PromotionLimits, judge_shadow
from inspection.registry import Decision, ModelRegistry
from inspection.settings import Settings
from inspection.shadowing import Opinion, Pair, Trial, Truth, compare_models
from inspection.warehouse import transaction

RULE = "shadow_promotion"

LAST_REVIEW = """
    select distinct on (inspection_id) inspection_id, decision, defect_class
    from inference.reviews
    order by inspection_id, reviewed_at desc, review_id desc
"""
_PAIRS = f"""
with last_review as ({LAST_REVIEW})
select
    production.inspection_id::text,
    production.prediction, production.defects, production.overall_confidence, production.inference_time_ms,
    shadow.prediction, shadow.defects, shadow.overall_confidence, shadow.inference_time_ms,
    last_review.decision, last_review.defect_class, 1 / nullif(production.review_probability, 0)
from inference.predictions as production
inner join inference.predictions as shadow
    on shadow.inspection_id = production.inspection_id and shadow.role = 'shadow'
left join last_review on last_review.inspection_id = production.inspection_id
where production.role = 'production' and production.prediction is not null
    and production.model_version = %s and shadow.model_version = %s
    and production.predicted_at > %s and production.predicted_at <= %s
order by production.predicted_at, production.inspection_id
"""


class ShadowReport(BaseModel):
    """A shadow after some time.

    Attributes:
        production: id of the model; likewise `shadow`.
        begun_at: when the shadow began; parts since `since` are compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    production: str
    shadow: str
    begun_at: datetime
    since: datetime
    until: datetime
    trial: Trial
    promotion: Promotion


def report_shadow(settings: Settings, registry: ModelRegistry, now: datetime | None = None) -> ShadowReport:
    """Compares the registry's shadow with production over the last `settings.shadow_hours`.

    Raises:
        RegistryError: there is no shadow.
        BundleError: its bundle is damaged.
    """
    now = now or datetime.now(UTC)
    begun, production = registry.shadow_begun(), registry.production()
    if begun is None or begun.model is None or production is None:
        raise RegistryError(
            "no shadow is running: a model that the gate lets pass becomes one, and so does MODEL of "
            "`vqi shadow MODEL --reason ...`"
        )
    since = max(begun.at, now - timedelta(hours=settings.shadow_hours))
    pairs = read_pairs(settings.dsn("warehouse"), production, begun.model, since, now)
    critical = read_manifest(registry.store, begun.model).ontology.safety_critical_ids
    trial = compare_models(pairs, critical)
    return ShadowReport(
        production=production,
        shadow=begun.model,
        begun_at=begun.at,
        since=since,
        until=now,
        trial=trial,
        promotion=judge_shadow(trial, now - begun.at, limits(settings)),
    )


def limits(settings: Settings) -> PromotionLimits:
    """Returns what a shadow is held to."""
    return PromotionLimits(
        hours=settings.shadow_hours,
        parts=settings.shadow_parts,
        tolerance=settings.shadow_tolerance,
        latency_p99_ms=settings.alerts.latency_p99_ms,
    )


def promote(registry: ModelRegistry, report: ShadowReport) -> Decision | None:
    """Lets a shadow take over if the rule says so; returns the decision, with its evidence, or None."""
    if report.promotion.verdict != "promote" or registry.shadow() != report.shadow:
        return None
    return registry.approve(
        report.shadow,
        actor=f"rule:{RULE}",
        reason="; ".join(report.promotion.reasons),
        evidence=put_record(registry.store, report),
    )


def keep_report(settings: Settings, registry: ModelRegistry) -> str:
    """Compares the shadow and stores the report for the audit log; returns its id; raises as `report_shadow`.

    Raises:
        psycopg2.Error: the warehouse does not answer.
    """
    return put_record(registry.store, report_shadow(settings, registry))


def read_pairs(dsn: str, production: str, shadow: str, since: datetime, until: datetime) -> list[Pair]:
    """Reads the parts that both models have judged in a time, oldest first."""
    with transaction(dsn) as warehouse:
        warehouse.execute(_PAIRS, (production, shadow, since, until))
        return [
            Pair(row[0], opinion(*row[1:5]), opinion(*row[5:9]), truth(*row[9:]))
            for row in warehouse.fetchall()
        ]


def opinion(prediction: Any, defects: list[dict[str, Any]], confidence: float, ms: float) -> Opinion:  # noqa: ANN401
    """Returns what a row of ``inference.predictions`` says."""
    return Opinion(prediction, frozenset(defect["class"] for defect in defects), confidence, ms)


def truth(decision: str | None, defect_class: str | None, weight: float | None) -> Truth | None:
    """Returns what a row of ``inference.reviews`` says; None where there is none, or no weight is known."""
    return None if decision is None or weight is None else Truth(decision != "PASS", defect_class, weight)
