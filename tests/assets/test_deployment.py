"""The gate between a judged model and the line, on models whose numbers are written by hand."""

from __future__ import annotations

import dagster as dg
import pytest

from assets import deployment
from inspection.artifacts import put_record
from inspection.bundle import load_bundle, read_manifest
from inspection.learning.results import VariantsResult
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import ObjectStore, open_store
from inspection.warehouse import transaction
from resources.records import RecordIds
from tests.inspection.bundles import ONTOLOGY, add_bundle
from tests.inspection.judged import Count, put_report

FAILED: dict[str, Count] = {"precision": (50, 100)}
TOO_LITTLE: dict[str, Count] = {"rust": (4, 4)}  # the toy profile's gate wants five

STAND_INS = ("test_report", "model_variants")


@pytest.fixture
def plant(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings under which the assets run, with the ontology of the models."""
    file = settings.root / "test-ontology.json"
    file.write_text(ONTOLOGY.model_dump_json(exclude_defaults=True), encoding="utf-8")
    own = settings.model_copy(update={"ontology": file})
    monkeypatch.setattr(deployment, "get_settings", lambda: own)
    return own


@pytest.fixture
def store(plant: Settings) -> ObjectStore:
    return open_store(plant.artifacts_url)


@pytest.fixture
def registry(store: ObjectStore) -> ModelRegistry:
    """The registry of a plant where no model runs yet."""
    return ModelRegistry(store)


def no_variants(report: str) -> VariantsResult:
    return VariantsResult(report=report, variants=())


def deploy(report: str) -> dg.ExecuteInProcessResult:
    """Runs what follows a report without variants, in one run."""
    none = put_record(open_store(deployment.get_settings().artifacts_url), no_variants(report))

    @dg.asset(key="test_report", io_manager_key="record_ids")
    def stands_for_it() -> dg.MaterializeResult[str]:
        return dg.MaterializeResult(value=report)

    @dg.asset(key="model_variants", io_manager_key="record_ids")
    def stands_for_them() -> dg.MaterializeResult[str]:
        return dg.MaterializeResult(value=none)

    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [stands_for_it, stands_for_them, *deployment.deployment_assets, *deployment.deployment_checks],
            instance=instance,
            resources={"record_ids": RecordIds()},
            raise_on_error=False,
        )


def made(result: dg.ExecuteInProcessResult) -> set[str]:
    return {
        event.asset_key.to_user_string()
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }


def alerts(settings: Settings) -> list[tuple[str, str, str, str]]:
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute("select rule, scope, action, message from monitoring.alerts")
        return [(rule, scope, action, message) for rule, scope, action, message in warehouse.fetchall()]


@pytest.mark.parametrize(
    ("counts", "verdict", "reason"),
    [
        (FAILED, "failed", "precision 0.5000 (50/100"),
        (TOO_LITTLE, "insufficient_evidence", "4 test images of RUST; 5 are needed"),
    ],
)
def test_a_model_that_does_not_pass_waits_for_a_person(
    plant: Settings,
    store: ObjectStore,
    registry: ModelRegistry,
    counts: dict[str, Count],
    verdict: str,
    reason: str,
) -> None:
    production = add_bundle(store)
    registry.approve(production, actor="ada", reason="trial")
    report = put_report(store, **counts)

    result = deploy(report)

    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.blocking) == ("deployment_gate", False, True)
    assert (check.description or "").startswith(f"{verdict}: ")
    assert reason in (check.description or "")
    assert not result.success
    assert made(result) == {*STAND_INS, "model_bundle"}
    assert registry.shadow() is None
    assert registry.production() == production

    (bundle,) = set(registry.models()) - {production}
    ((rule, scope, action, message),) = alerts(plant)
    assert (rule, scope, action) == ("deployment_gate", bundle[:12], "decide")
    assert verdict in message
    assert reason in message
    deploy(report)
    assert len(alerts(plant)) == 1  # the same model again: people have been told

    registry.approve(bundle[:12], actor="ada", reason="the line stands still without it")
    assert registry.production() == bundle
    assert load_bundle(store, bundle).manifest.gate["verdict"] == verdict


def test_a_model_that_passes_runs_beside_the_production_model(
    plant: Settings, store: ObjectStore, registry: ModelRegistry
) -> None:
    production = add_bundle(store)
    registry.approve(production, actor="ada", reason="trial")

    result = deploy(put_report(store))

    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert check.passed
    assert made(result) == {*STAND_INS, "model_bundle", "shadow_model"}
    decision = registry.history()[-1]
    assert (decision.action, decision.actor) == ("shadow", "rule:deployment_gate")
    assert (decision.model, decision.previous) == (registry.shadow(), production)
    assert read_manifest(store, registry.shadow() or "").gate["verdict"] == "passed"
    assert registry.production() == production
    assert alerts(plant) == []


def test_a_first_model_waits_though_it_passes(
    plant: Settings, store: ObjectStore, registry: ModelRegistry
) -> None:
    result = deploy(put_report(store))

    assert result.success
    assert made(result) == {*STAND_INS, "model_bundle", "shadow_model"}
    assert registry.history() == []
    (bundle,) = registry.models()
    (event,) = result.asset_materializations_for_node("shadow_model")
    assert f"vqi approve {bundle[:12]}" in str(event.metadata["production"].value)
    assert event.metadata["shadow"].value == "none"
    (packed,) = result.asset_materializations_for_node("model_bundle")
    assert packed.metadata["split release"].value == "release-1"

    registry.approve(bundle, actor="ada", reason="the first")
    deploy(put_report(store))  # the same model again does not shadow itself
    assert registry.shadow() is None
    deploy(put_report(store, seed=8))
    assert registry.shadow() not in (None, bundle)
