"""Monitoring: the alert rules, held against what the line did."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from inspection.alert_rules import rules
from inspection.alert_states import AlertState
from inspection.monitoring import look
from inspection.registry import ModelRegistry
from inspection.settings import get_settings
from inspection.shadow_report import promote, report_shadow
from inspection.store import open_store

GROUP = "monitoring"


@dg.asset(
    group_name=GROUP,
    owners=["team:quality"],
    kinds={"python", "postgres"},
    code_version="1",
    deps=[["marts", "fct_predictions"], ["marts", "fct_reviews"], ["marts", "quality_metrics"]],
    description=(
        "One row per rule and scope each time its condition comes up (monitoring.alerts). "
        "The critical rules pause auto-pass until a person resumes it."
    ),
)
def alerts() -> dg.MaterializeResult[None]:
    """Evaluates the alert rules and acts on them."""
    settings = get_settings()
    registry = ModelRegistry(open_store(settings.artifacts_url))
    seen = look(
        settings.dsn("warehouse"), registry, settings.notify, rules(settings.alerts), datetime.now(UTC)
    )
    paused = registry.auto_pass_paused()
    return dg.MaterializeResult(
        metadata={
            "rules": rule_table(seen.states),
            "fired": len(seen.fired),
            "auto-pass": f"paused by {paused.actor}: {paused.reason}" if paused else "on",
            "notifications": seen.delivery.summary,
            "notifications failed": len(seen.delivery.failures),
        }
    )


@dg.asset(
    group_name=GROUP,
    owners=["team:learning"],
    kinds={"python", "postgres"},
    code_version="1",
    deps=[["inference", "predictions"], ["inference", "reviews"]],
    description=(
        "The shadow model beside production over VQI_SHADOW_HOURS, and what the promotion rule says of it. "
        "With VQI_PROMOTE_BY_RULE a shadow that passes takes over."
    ),
)
def shadow_comparison() -> dg.MaterializeResult[None]:
    """Compares, and promotes where that is left to the rule."""
    settings = get_settings()
    registry = ModelRegistry(open_store(settings.artifacts_url))
    if registry.shadow() is None:
        return dg.MaterializeResult(metadata={"shadow": "none"})
    report = report_shadow(settings, registry)
    promoted = promote(registry, report) if settings.promote_by_rule else None
    trial = report.trial
    return dg.MaterializeResult(
        metadata={
            "shadow": report.shadow,
            "production": report.production,
            "verdict": report.promotion.verdict,
            "reasons": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in report.promotion.reasons)),
            "promoted": promoted is not None,
            "parts": trial.parts,
            "parts decided by people": trial.outcome.parts,
            "agreement": trial.agreement.value if trial.parts else "nothing compared",
            "comparison": dg.MetadataValue.json(report.model_dump(mode="json")),
        }
    )


# The service writes these, part by part, through its outbox.
predictions, reviews = (
    dg.AssetSpec(
        ["inference", table],
        group_name=GROUP,
        owners=["team:quality"],
        kinds={"bentoml", "postgres"},
        description=description,
    )
    for table, description in (
        ("predictions", "One row per inspection and role of the model: what the service answered."),
        ("reviews", "One row per decision of a person on a part, agreeing ones included."),
    )
)

monitoring_assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
    alerts,
    shadow_comparison,
    predictions,
    reviews,
]


def rule_table(states: Sequence[AlertState]) -> dg.TableMetadataValue:
    """Returns the rules with what was measured, as the Dagster UI shows them."""
    return dg.MetadataValue.table(
        records=[
            dg.TableRecord(
                {
                    "rule": state.rule.name,
                    "scope": state.measured.scope,
                    "value": state.measured.value,
                    "bound": state.measured.bound,
                    "n": state.measured.count,
                    "limit": state.rule.limit,
                    "state": _state(state),
                }
            )
            for state in states
        ],
        schema=dg.TableSchema(
            columns=[
                dg.TableColumn("rule"),
                dg.TableColumn("scope"),
                dg.TableColumn("value", "float"),
                dg.TableColumn("bound", "float", "one-sided 95 % lower bound of a rate"),
                dg.TableColumn("n", "int", "what the value rests on: reviews, predictions or minutes"),
                dg.TableColumn("limit", "float"),
                dg.TableColumn("state"),
            ]
        ),
    )


def _state(state: AlertState) -> str:
    if state.measured.value is None:
        return "nothing measured"
    return "firing" if state.firing else "quiet"
