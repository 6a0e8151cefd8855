"""A part is followed back to the data that its model was made from; a shadow is told on the terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from inspection.artifacts import get_record
from inspection.learning.packaging import make_bundle
from inspection.learning.results import EvaluationReport
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.store import open_store
from inspection.warehouse import transaction
from resources.records import RecordIds
from tests.inspection.bundles import ONTOLOGY, add_bundle
from tests.inspection.judged import put_report
from tests.line import NOON, inspect, review
from vqi.dagster_home import instance
from vqi.main import main

SERIAL = "SN-7"


@pytest.fixture(autouse=True)
def at_home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inspection.settings.get_settings", lambda: settings)


@pytest.fixture
def registry(settings: Settings) -> ModelRegistry:
    return ModelRegistry(open_store(settings.artifacts_url))


def judged(settings: Settings, model: str, camera: str = "A/1", **more: str) -> list[str]:
    ids = inspect(settings.dsn("warehouse"), at=NOON, model=model, camera=camera, **more)  # type: ignore[arg-type]
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(
            "update inference.predictions set part_serial = %s where inspection_id::text = any(%s)",
            (SERIAL, ids),
        )
    return ids


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_unknown_serial_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "nothing"]) == 1
    assert "no verdict on a part 'nothing'" in capsys.readouterr().err


def test_a_part_is_followed_back_to_run_data_and_split(
    settings: Settings, registry: ModelRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    report = put_report(registry.store)
    model, _ = make_bundle(registry.store, report, ONTOLOGY)
    registry.approve(model, actor="ada", reason="a first trial")
    training = get_record(registry.store, EvaluationReport, report).training
    runs = [train(settings, record) for record in ("another", training, "a later one")]
    release = release_of(registry, model)
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(
            "insert into releases.split_releases values (%s, '2026-11-01', 'chronological', 180)", (release,)
        )
        warehouse.execute(
            "insert into releases.split_assignments values"
            " (%s, 'a', 'o', 'train', 1), (%s, 'b', 'p', 'test', null)",
            (release, release),
        )
    first = judged(settings, model, action="REWORK")
    judged(settings, model, camera="B/2")
    review(settings.dsn("warehouse"), first, "FAIL", at=NOON, defect_class="RUST")
    with transaction(settings.dsn("warehouse")) as warehouse:
        timings = '{"of a later version": 5, "infer": 2.5, "decode": 3, "wait": 1}'
        warehouse.execute("update inference.predictions set timings_ms = %s", (timings,))

    found = told(capsys, "trace", SERIAL)

    assert {verdict["camera_id"] for verdict in found["verdicts"]} == {"A/1", "B/2"}
    reviewed = [v["reviews"] for v in found["verdicts"] if v["inspection_id"] == first[0]]
    assert reviewed[0][0]["defect_class"] == "RUST"
    (traced,) = found["models"].values()
    assert (traced["id"], traced["report"], traced["training"]) == (model, report, training)
    assert traced["run"] == runs[1]
    assert (traced["split"]["images"], traced["split"]["window_days"]) == ({"train": 1, "test": 1}, 180)
    assert traced["unknown"] == []
    assert [decision["actor"] for decision in traced["decisions"]] == ["ada"]

    assert main(["trace", SERIAL]) == 0
    page = capsys.readouterr().out
    decided = "inspector-1 with key station-1 decided FAIL (RUST)"
    steps = "ms: wait 1, decode 3, infer 2.5, of a later version 5"
    for word in (model, training, runs[1], release, "ada", decided, steps, "1 test, 1 train"):
        assert word in page


def release_of(registry: ModelRegistry, model: str) -> str:
    return str(json.loads(registry.store.get(f"models/{model}/bundle.json"))["split_release"])


def train(settings: Settings, record: str) -> str:
    """Has Dagster note a training; returns the run."""

    @dg.asset(io_manager_key="record_ids")
    def trained_model() -> str:
        return record

    with instance(settings) as home:
        done = dg.materialize([trained_model], instance=home, resources={"record_ids": RecordIds()})
    return done.run_id


def test_what_cannot_be_told_is_said(
    settings: Settings, registry: ModelRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    lone = add_bundle(registry.store)
    judged(settings, lone)
    judged(settings, "f" * 64)
    found = told(capsys, "trace", SERIAL)["models"]
    assert found[lone]["seed"] == 7
    assert "no split release r1" in found[lone]["unknown"][0]
    assert "no test report" in found[lone]["unknown"][1]
    assert "no complete bundle" in found["f" * 64]["unknown"][0]
    assert found["f" * 64]["architecture"] is None


def test_a_run_that_dagster_does_not_know_is_said(
    settings: Settings, registry: ModelRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    model, _ = make_bundle(registry.store, put_report(registry.store), ONTOLOGY)
    judged(settings, model)
    (traced,) = told(capsys, "trace", SERIAL)["models"].values()
    assert traced["run"] is None
    assert "Dagster has no run" in traced["unknown"][-1]


def test_a_shadow_is_started_told_and_approved_with_its_comparison(
    settings: Settings, registry: ModelRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    production, candidate = (add_bundle(registry.store, seed=seed) for seed in (1, 2))
    registry.approve(production, actor="ada", reason="trial")
    assert main(["shadow"]) == 1
    assert "no shadow is running" in capsys.readouterr().err
    assert main(["shadow", candidate[:12]]) == 2
    assert "--reason" in capsys.readouterr().err
    assert main(["shadow", candidate[:12], "--reason", "trial"]) == 0
    now = datetime.now(UTC)
    ids = inspect(settings.dsn("warehouse"), 4, at=now, model=production)
    inspect(settings.dsn("warehouse"), ids=ids, at=now, model=candidate, role="shadow")
    review(settings.dsn("warehouse"), ids[:3], "PASS", at=now)
    found = told(capsys, "shadow")
    assert (found["shadow"], found["trial"]["parts"], found["promotion"]["verdict"]) == (candidate, 4, "wait")
    assert main(["shadow"]) == 0
    page = capsys.readouterr().out
    for word in ("4 parts judged by both", "same verdict 100.00 %", "3 of them decided", "rule: wait"):
        assert word in page
    assert main(["approve", candidate[:12], "--reason", "as good"]) == 0
    decision = registry.history()[-1]
    assert decision.evidence is not None
    kept = json.loads(registry.store.get(f"records/ShadowReport/{decision.evidence}.json"))
    assert kept["trial"]["parts"] == 4


def test_a_person_may_approve_without_the_warehouse(
    settings: Settings,
    registry: ModelRegistry,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    away = settings.model_copy(update={"warehouse_dsn": "postgresql://127.0.0.1:1/none?connect_timeout=1"})
    monkeypatch.setattr("inspection.settings.get_settings", lambda: away)
    registry.approve(add_bundle(registry.store, seed=1), actor="ada", reason="trial")
    candidate = add_bundle(registry.store, seed=2)
    registry.start_shadow(candidate, actor="ada", reason="trial")
    assert main(["approve", candidate, "--reason", "as good"]) == 0
    assert "is not kept" in capsys.readouterr().err
    assert (registry.production(), registry.history()[-1].evidence) == (candidate, None)
