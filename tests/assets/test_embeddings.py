"""From cached pictures to vectors and the light head, as Dagster runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from psycopg2.extras import execute_values

from assets import evaluation, features
from inspection.artifacts import get_record
from inspection.learning.baselines import BaselineResult, read_baseline_predictions
from inspection.settings import Settings
from inspection.store import open_store
from inspection.warehouse import transaction
from resources.artifacts import Artifacts
from resources.records import RecordIds
from tests.inspection.bundles import ONTOLOGY
from tests.inspection.learning.toy import CLASSES, plant, profile
from tests.inspection.test_dataset import MARTS


@pytest.fixture
def toy(settings: Settings, tmp_path: Path) -> Settings:
    """A plant of toy pictures with its own ontology and profile."""
    ontology, own = tmp_path / "ontology.json", tmp_path / "toy.yaml"
    ontology.write_text(ONTOLOGY.model_dump_json(exclude_defaults=True), encoding="utf-8")
    tiny = {"architecture": "resnet10t", "pretrained": "none", "height": 64, "width": 96}
    document = profile(embedding=tiny).model_dump(mode="json")
    own.write_text(yaml.safe_dump(document), encoding="utf-8")
    data = plant(settings.images, {"train": 30, "validation": 12, "test": 12})
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(MARTS)
        execute_values(
            warehouse,
            """
            insert into marts.training_dataset (
                image_id, release_id, image_path, part_type, camera_id, line_id, production_order_id,
                capture_timestamp, label, labels, split, fold_id, sample_weight
            ) values %s
            """,
            [
                (s.image_id, "r", s.image_path, s.part_type, s.camera_id, s.line_id, s.production_order_id,
                 s.captured_at, s.label, list(s.labels), s.split, s.fold_id, s.sample_weight)
                for s in data.samples
            ],
            template="(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::text[], %s, %s, %s)",
        )  # fmt: skip
    return settings.model_copy(update={"ontology": ontology, "profile": str(own)})


def materialize(*chosen: str) -> dg.ExecuteInProcessResult:
    """Materializes assets, as those who choose them in the UI do."""
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [features.image_features, evaluation.light_head],
            selection=dg.AssetSelection.assets(*chosen),
            instance=instance,
            resources={"artifacts": Artifacts(), "record_ids": RecordIds()},
        )


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (found,) = [
        event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(asset)
    ]
    return {name: value.value for name, value in found.metadata.items()}


def test_the_cache_the_vectors_and_the_baseline(toy: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (features, evaluation):
        monkeypatch.setattr(module, "get_settings", lambda: toy)

    result = materialize("image_cache", "image_embeddings", "light_head")

    told = metadata(result, "image_embeddings")
    store = open_store(toy.artifacts_url)
    assert (told["images"], told["added"], told["without"], told["shards written"]) == (54, 54, 0, 2)
    assert (told["backbone"], told["weights"], told["dimensions"]) == ("resnet10t", "random, seed 0", 512)
    assert told["folder"] == f"{store.url}/embeddings/{told['digest']}"
    assert len(store.list(f"embeddings/{told['digest']}/")) == 3

    told = metadata(result, "light_head")
    record = get_record(store, BaselineResult, told["record"])
    ids, found = read_baseline_predictions(store, record)
    assert ids == tuple(f"test-{n:03}" for n in range(12))
    assert found.shape == (12, len(CLASSES))
    assert told["macro AUROC"] == record.macro_auroc
    assert record.macro_auroc is not None
    assert record.macro_auroc > 0.8  # the marks are coloured: random features see them


def test_each_can_be_made_without_the_other(toy: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "get_settings", lambda: toy)
    store = open_store(toy.artifacts_url)

    assert metadata(materialize("image_cache"), "image_cache")["added"] == 54
    assert store.list("embeddings/") == []
    apart = materialize("image_embeddings")
    assert metadata(apart, "image_embeddings")["added"] == 54
    assert len(apart.get_asset_materialization_events()) == 1
    again = materialize("image_cache", "image_embeddings")
    assert [metadata(again, name)["added"] for name in ("image_cache", "image_embeddings")] == [0, 0]
