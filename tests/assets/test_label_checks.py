"""A leak stops the training: real models, real checks, one run."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import pytest

from assets import features, label_checks, marts
from inspection.label_quality import Agreement
from inspection.settings import Settings
from inspection.splits import newest_labelled, release_split
from inspection.warehouse import transaction
from resources.artifacts import Artifacts
from tests.dbt.plant import START, RawPlant, dbt

DEAL = "+int_split_deal +fct_image_boxes dim_defect_class"


@pytest.fixture
def plant(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A plant with labels and a released split, in which the files of the images do not matter."""
    raw = RawPlant()
    for order in range(12):
        name = f"PO-{order:02}"
        raw.order(name)
        for n in range(3):
            raw.image(f"{name}-{n}", name, at=START + timedelta(days=order, hours=n))
            raw.annotation(f"{name}-{n}", "ann", "good" if n else "burr")
    raw.load(settings)
    limits = settings.root / "limits.yaml"
    limits.write_text(
        "agreement: {overall: 0.9, safety_critical: 0.95, clean: 0.9}\nminimum_rows: {demo: 30}\n"
    )
    own = settings.model_copy(update={"label_limits": limits})
    dbt(own, "run", "--select", DEAL)
    dsn = own.dsn("warehouse")
    release_split(dsn, newest_labelled(dsn), "chronological", 180)
    for module in (marts, features, label_checks):
        monkeypatch.setattr(module, "get_settings", lambda: own)
    return own


def learn() -> tuple[bool, set[str], dict[str, bool]]:
    """Runs the training models, their checks and the cache; returns success, what was made, the checks."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [
                marts.training_models,
                label_checks.leakage,
                label_checks.enough_rows,
                features.image_features,
                features.unreadable_images,
            ],
            selection=dg.AssetSelection.all() - dg.AssetSelection.assets("image_embeddings"),
            instance=instance,
            resources={"artifacts": Artifacts()},
            raise_on_error=False,
        )
    made = {
        event.asset_key.to_user_string()
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }
    checks = {
        check.check_name: check.passed
        for check in result.get_asset_check_evaluations()
        if check.check_name in {*label_checks.LEAKS, "enough_rows"}
    }
    return result.success, made, checks


# dagster-dbt reads the context by names that dagster has replaced.
@pytest.mark.filterwarnings(r"ignore:AssetExecutionContext\.\w+ is deprecated")
@pytest.mark.slow
def test_a_leak_stops_what_follows_in_the_same_run(plant: Settings) -> None:
    passed = dict.fromkeys([*label_checks.LEAKS, "enough_rows"], True)

    before = place_one_image(plant, "test", None)
    success, made, checks = learn()
    assert not success
    assert checks == {**passed, "no_order_on_two_sides": False, "test_is_newest": False}
    assert "marts/training_dataset" in made
    assert "image_cache" not in made

    place_one_image(plant, *before)
    success, made, checks = learn()
    assert checks == passed
    assert {"marts/training_dataset", "image_cache"} <= made
    assert success


@pytest.mark.parametrize(
    ("found", "passed", "severity"),
    [
        ([], True, "WARN"),
        ([(None, True)], True, "WARN"),
        ([(0.95, True)], True, "WARN"),
        ([(0.85, False)], False, "WARN"),
        ([(0.85, True)], False, "ERROR"),
        ([(0.95, True), (0.85, False)], False, "WARN"),
        ([(0.85, True), (0.95, False)], False, "ERROR"),
    ],
)
def test_too_little_agreement_is_an_error_where_it_stops_training(
    found: list[tuple[float | None, bool]], passed: bool, severity: str
) -> None:
    scopes = [
        Agreement("clean", f"class:{n}", 0 if rate is None else 20, rate, None, None, None, 0.9, stops)
        for n, (rate, stops) in enumerate(found)
    ]
    told = label_checks.agreement_result("clean", scopes)
    assert (told.passed, told.severity) == (passed, dg.AssetCheckSeverity[severity])
    rates = [rate for rate, _ in found if rate is not None]
    if rates:
        assert f"{min(rates):.1%} of 20 pairs" in (told.description or "")
    else:
        assert (told.description or "").startswith("not applicable")


def place_one_image(settings: Settings, split: str, fold: int | None) -> tuple[str, int | None]:
    """Changes what must never change: side and fold of a released image. Returns those that it had."""
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(
            "select split, fold_id from releases.split_assignments where image_id = 'PO-00-0' for update"
        )
        ((split_before, fold_before),) = warehouse.fetchall()
        assert split_before != split
        warehouse.execute(
            "update releases.split_assignments set split = %s, fold_id = %s where image_id = 'PO-00-0'",
            (split, fold),
        )
    return split_before, fold_before
