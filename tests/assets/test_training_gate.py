"""A failed check stops training that is launched as a run of its own: the real jobs on the real instance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import dagster as dg
import pytest

from assets import class_balance, features, label_checks, labels, marts, taxonomy_checks, training
from assets.training_gate import failed_label_tests, hold_training
from inspection.errors import CheckFailedError, ServiceError
from inspection.settings import Settings
from inspection.warehouse import transaction
from tests.conftest import fresh_settings
from tests.dbt.plant import START, RawPlant, dbt, query
from vqi.materialize import check_states, instance, materialize, run_job

pytestmark = [
    # dagster-dbt reads the context by names that dagster has replaced.
    pytest.mark.filterwarnings(r"ignore:AssetExecutionContext\.\w+ is deprecated"),
    pytest.mark.slow,
]

# The label job without what it loads.
LABEL_JOB = " or ".join(f'key:"{key.to_user_string()}"' for key in marts.label_models.keys)
DATASET = 'key:"marts/training_dataset"'


@pytest.fixture(scope="module")
def plant(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A plant whose annotators agree on 2 images of 3, with its training set; the limits allow that."""
    home = tmp_path_factory.mktemp("gate")
    settings = fresh_settings(postgres, home, label_limits=home / "limits.yaml")
    raw = RawPlant()
    for order in range(12):
        name = f"PO-{order:02}"
        raw.order(name)
        for n in range(3):
            raw.image(f"{name}-{n}", name, at=START + timedelta(days=order, hours=n))
            raw.annotation(f"{name}-{n}", "ann", "burr", confidence=5)
            raw.annotation(f"{name}-{n}", "bob", "burr" if n else "good", confidence=3)
    raw.load(settings)
    limit(settings, above=0.5, stops=True)
    with pytest.MonkeyPatch.context() as patch:
        for module in (class_balance, features, label_checks, labels, marts, taxonomy_checks, training):
            patch.setattr(module, "get_settings", lambda: settings)
        materialize(settings, f"{LABEL_JOB} or key:split_release or {DATASET}")
        yield settings


def limit(settings: Settings, *, above: float, stops: bool) -> None:
    overall = {"above": above, "stops_training": stops}
    agreement = {"overall": overall, "safety_critical": 0.95, "clean": 0.9}
    settings.label_limits_file.write_text(json.dumps({"agreement": agreement, "minimum_rows": {"demo": 30}}))


def states(settings: Settings) -> dict[str, str]:
    return {each["name"]: each["state"] for each in check_states(settings)}


def made(settings: Settings, *assets: str) -> list[str]:
    with instance(settings) as home:
        return [
            asset for asset in assets if home.get_latest_materialization_event(dg.AssetKey(asset.split("/")))
        ]


def test_too_little_agreement_of_an_earlier_run(plant: Settings) -> None:
    limit(plant, above=0.9, stops=True)
    materialize(plant, 'key:"marts/label_agreement"')
    # The run that labels goes well: what its check finds stops nothing in it.
    assert states(plant)["agreement_overall"] == "failed"

    with pytest.raises(CheckFailedError) as caught:
        run_job(plant, "training")
    assert caught.value.checks == ("labels_ready",)
    assert made(plant, "image_cache", "trained_model") == []
    told = {each["name"]: each["description"] for each in check_states(plant)}
    assert told["labels_ready"] == "agreement_overall: overall: 66.7%, above 90% wanted"

    # Nor does it help to leave out what is checked.
    with pytest.raises(ServiceError, match=r"trained_model: .* agreement_overall \(overall: 66\.7%"):
        materialize(plant, "key:trained_model")
    assert made(plant, "trained_model") == []

    limit(plant, above=0.9, stops=False)
    materialize(plant, DATASET)
    assert states(plant)["labels_ready"] == "passed"
    with instance(plant) as home:
        hold_training(home, plant)

    limit(plant, above=0.5, stops=True)
    materialize(plant, DATASET)
    assert states(plant)["labels_ready"] == "passed"


def test_a_failed_dbt_test_of_an_earlier_run(plant: Settings) -> None:
    limit(plant, above=0.5, stops=True)
    two_clean_classes(plant)
    with pytest.raises(ServiceError, match="label_models"):
        materialize(plant, LABEL_JOB)

    with pytest.raises(CheckFailedError) as caught:
        materialize(plant, DATASET)
    assert caught.value.checks == ("labels_ready",)
    with pytest.raises(ServiceError, match=r"trained_model: .*\(a test of marts/dim_defect_class\)"):
        materialize(plant, "key:trained_model")

    with transaction(plant.dsn("warehouse")) as warehouse:
        warehouse.execute("delete from ontology.published where version = 'two clean classes'")
    materialize(plant, LABEL_JOB)
    materialize(plant, DATASET)
    assert states(plant)["labels_ready"] == "passed"


def two_clean_classes(settings: Settings) -> None:
    """Puts a taxonomy in force that publishing would have refused."""
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute("select document from ontology.published order by publication_id desc limit 1")
        ((document,),) = warehouse.fetchall()
        document["classes"].append({"id": "FINE_TOO", "label": "fine too", "clean": True})
        warehouse.execute(
            "insert into ontology.published (ontology, version, sha256, document) values (%s, %s, %s, %s)",
            ("broken", "two clean classes", "-", json.dumps(document)),
        )


def test_a_class_that_the_ontology_lost(plant: Settings) -> None:
    limit(plant, above=0.5, stops=True)
    with transaction(plant.dsn("warehouse")) as warehouse:
        warehouse.execute(
            "update marts.training_dataset set labels = labels || '{RUST}'::text[] where image_id = 'PO-00-0'"
        )
    with pytest.raises(
        ServiceError, match=r"trained_model: .*known_labels \(not in the ontology in force: RUST\)"
    ):
        materialize(plant, "key:trained_model")
    with dg.DagsterInstance.ephemeral() as home:
        result = dg.materialize(
            [stands_for_the_dataset, label_checks.known_labels, used], instance=home, raise_on_error=False
        )
    assert not result.success
    (told,) = result.get_asset_check_evaluations()
    assert (told.passed, told.blocking, told.description) == (
        False,
        True,
        "not in the ontology in force: RUST",
    )
    assert not result.asset_materializations_for_node("used")
    dbt(plant, "run", "--select", "training_dataset")
    assert query(plant, "select count(*) from marts.training_dataset where 'RUST' = any(labels)") == [(0,)]


@dg.asset(key=["marts", "training_dataset"])
def stands_for_the_dataset() -> None: ...


@dg.asset(deps=[["marts", "training_dataset"]])
def used() -> None: ...


KEY = min(marts.label_models.check_keys, key=dg.AssetCheckKey.to_user_string)


def say(home: dg.DagsterInstance, *, passed: bool, severity: str = "ERROR") -> None:
    home.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=KEY.asset_key,
            check_name=KEY.name,
            passed=passed,
            metadata={},
            severity=dg.AssetCheckSeverity[severity],
        )
    )


def plan(home: dg.DagsterInstance) -> None:
    """Leaves a run under way that has not come to the test."""
    from dagster._core.events import AssetCheckEvaluationPlanned, DagsterEvent, DagsterEventType

    run = home.create_run_for_job(dg.Definitions(assets=[used]).resolve_implicit_global_asset_job_def())
    planned = AssetCheckEvaluationPlanned(asset_key=KEY.asset_key, check_name=KEY.name)
    home.report_dagster_event(
        DagsterEvent(
            event_type_value=DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value,
            job_name=run.job_name,
            event_specific_data=planned,
        ),
        run.run_id,
    )


@pytest.mark.parametrize(
    ("said", "faults"),
    [
        ([], 0),
        ([(True, "ERROR")], 0),
        ([(False, "WARN")], 0),
        ([(False, "ERROR")], 1),
        ([(True, "ERROR"), (False, "ERROR")], 1),
        ([(False, "ERROR"), (True, "ERROR")], 0),
    ],
)
@pytest.mark.parametrize("under_way", [False, True])
def test_the_last_word_of_a_test_counts(said: list[tuple[bool, str]], faults: int, under_way: bool) -> None:
    with dg.DagsterInstance.ephemeral() as home:
        for passed, severity in said:
            say(home, passed=passed, severity=severity)
        if under_way:
            plan(home)
        found = failed_label_tests(home)
    assert [fault.check for fault in found] == [KEY.name] * faults
