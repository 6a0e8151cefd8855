"""From cached pictures to vectors and the light head, as Dagster runs it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml
from psycopg2.extras import execute_values

from assets import embeddings, features
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


def test_the_cache_the_vectors_and_the_baseline(toy: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (features, embeddings):
        monkeypatch.setattr(module, "get_settings", lambda: toy)

    with dg.DagsterInstance.ephemeral() as instance:
        made = [features.image_cache, *embeddings.embedding_assets]
        result = dg.materialize(
            made, instance=instance, resources={"artifacts": Artifacts(), "record_ids": RecordIds()}
        )

    (event,) = result.asset_materializations_for_node("image_embeddings")
    told = {name: value.value for name, value in event.metadata.items()}
    store = open_store(toy.artifacts_url)
    assert (told["images"], told["added"], told["without"], told["shards written"]) == (54, 54, 0, 2)
    assert (told["backbone"], told["weights"], told["dimensions"]) == ("resnet10t", "random, seed 0", 512)
    assert told["folder"] == f"{store.url}/embeddings/{told['digest']}"
    assert len(store.list(f"embeddings/{told['digest']}/")) == 3

    (event,) = result.asset_materializations_for_node("light_head")
    record = get_record(store, BaselineResult, str(event.metadata["record"].value))
    ids, found = read_baseline_predictions(store, record)
    assert ids == tuple(f"test-{n:03}" for n in range(12))
    assert found.shape == (12, len(CLASSES))
    assert event.metadata["macro AUROC"].value == record.macro_auroc
    assert record.macro_auroc is not None
    assert record.macro_auroc > 0.8  # the marks are coloured: random features see them
