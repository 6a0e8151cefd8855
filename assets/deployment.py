"""Deployment: the bundle, the gate before it may run, and the shadow."""

import dagster as dg

from assets.run_log import progress_in_log
from inspection.alert_rules import GATE_RULE
from inspection.alerts import raise_alert
from inspection.bundle import read_manifest
from inspection.gate import GateResult
from inspection.ontology import load_ontology
from inspection.registry import ModelRegistry
from inspection.settings import get_settings
from inspection.store import open_store

GROUP = "deployment"
OWNER = "team:learning"

GATE = GATE_RULE


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"onnx"},
    code_version="1",
    io_manager_key="record_ids",
    description="One model with all that a verdict depends on (models/ in the object store).",
)
def model_bundle(
    context: dg.AssetExecutionContext, test_report: str, model_variants: str
) -> dg.MaterializeResult[str]:
    """Judges the model by its test metrics and packs it, whatever the gate says."""
    from inspection.learning.packaging import make_bundle

    settings = get_settings()
    store = open_store(settings.artifacts_url)
    with progress_in_log(context):
        bundle, gate = make_bundle(store, test_report, load_ontology(settings.ontology_file), model_variants)
    if gate.verdict != "passed":
        tell_of_gate(settings.dsn("warehouse"), bundle, gate)
    return dg.MaterializeResult(
        value=bundle,
        metadata={
            "bundle": bundle,
            "split release": read_manifest(store, bundle).split_release,
            "gate": gate.verdict,
            "reasons": dg.MetadataValue.md("\n".join(f"- {reason}" for reason in gate.reasons)),
            "folder": f"{store.url}/models/{bundle}",
            "approve": f"vqi approve {bundle[:12]} --reason ...",
        },
    )


@dg.asset_check(
    name=GATE,
    asset=model_bundle,
    blocking=True,
    description="The test metrics reach every limit of the profile; if not, only a person may approve it.",
)
def deployment_gate(model_bundle: str) -> dg.AssetCheckResult:
    """Reads what the gate said when the bundle was made; it stands in the bundle."""
    gate = GateResult.model_validate(
        read_manifest(open_store(get_settings().artifacts_url), model_bundle).gate
    )
    return dg.AssetCheckResult(
        passed=gate.verdict == "passed",
        description=f"{gate.verdict}: {'; '.join(gate.reasons)}",
        metadata={"verdict": gate.verdict},
    )


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"python"},
    code_version="1",
    description="The model that runs beside the production model, if the gate let one through (audit/).",
)
def shadow_model(model_bundle: str) -> dg.MaterializeResult[None]:
    """Starts the shadow; a first model has nothing to run beside and waits for a person."""
    registry = ModelRegistry(open_store(get_settings().artifacts_url))
    production = registry.production()
    if production is not None and production != model_bundle:
        registry.start_shadow(model_bundle, actor=f"rule:{GATE}", reason="the gate let it pass")
    return dg.MaterializeResult(
        metadata={
            "production": production or f"none: vqi approve {model_bundle[:12]} --reason ...",
            "shadow": registry.shadow() or "none",
        }
    )


deployment_assets = [model_bundle, shadow_model]
deployment_checks = [deployment_gate]


def tell_of_gate(dsn: str, bundle: str, gate: GateResult) -> None:
    """Writes down that a model waits for a person; the alerts of the next look are told to people."""
    raise_alert(
        dsn,
        rule=GATE,
        scope=bundle[:12],
        severity="warning",
        message=f"{bundle[:12]}: {gate.verdict}: {'; '.join(gate.reasons)}",
        action="decide",
    )
