"""Cache, embeddings and what follows from them, on real files: copies stop the run, doubts are shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import dagster as dg
import numpy as np
import pytest
import yaml
from psycopg2.extras import execute_values

from assets import features, neighbours
from inspection.near_duplicates import CHECK
from inspection.settings import Settings
from inspection.warehouse import transaction
from resources.artifacts import Artifacts
from tests.conftest import fresh_settings
from tests.inspection.bundles import ONTOLOGY
from tests.inspection.learning.toy import picture, profile, save_picture
from tests.inspection.simulation.copies import brighter
from tests.inspection.test_dataset import MARTS

COUNT = 60
EMBEDDING = {"architecture": "resnet10t", "pretrained": "none", "height": 64, "width": 96}
ASSETS = [
    features.image_features,
    neighbours.no_near_duplicates_across_splits,
    neighbours.label_error_candidates,
    neighbours.embedding_index,
]
Row = tuple[str, list[str], str, int | None]


def row(number: int) -> Row:
    """Image id, labels, split and fold; every sixth is test."""
    labels = [["DENT"], []][number % 2]
    return f"{number:02}", labels, *(("test", None) if number % 6 == 0 else ("train", number % 5 + 1))


def write(settings: Settings, rows: list[Row]) -> None:
    with transaction(settings.dsn("warehouse")) as warehouse:
        execute_values(
            warehouse,
            "insert into marts.training_dataset values %s",
            [
                (name, "r", f"{name}.png", "shaft", "c1", "l1", "o1", "2026-03-01",
                 labels[0] if labels else "FINE", labels, split, fold, 1)
                for name, labels, split, fold in rows
            ],
            template="(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::text[], %s, %s, %s)",
        )  # fmt: skip


@pytest.fixture(scope="module")
def plant(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Pictures with and without a dent; of one the label is wrong."""
    home = tmp_path_factory.mktemp("neighbours")
    document = profile(embedding=EMBEDDING).model_dump(mode="json")
    (home / "toy.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    (home / "ontology.json").write_text(json.dumps(ONTOLOGY.model_dump(mode="json")), encoding="utf-8")
    settings = fresh_settings(
        postgres,
        home,
        profile=str(home / "toy.yaml"),
        ontology=home / "ontology.json",
        artifacts=str(home / "a"),
    )
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(MARTS)
    rows = [row(number) for number in range(COUNT)]
    for number, (name, labels, *_) in enumerate(rows):
        save_picture(settings.images / f"{name}.png", picture(labels, number)[0])
    write(settings, [(n, ["DENT"] if n == "13" else labels, *rest) for n, labels, *rest in rows])
    return settings


def make(settings: Settings) -> tuple[dict[str, Mapping[str, Any]], dg.AssetCheckEvaluation]:
    """Materializes; returns the metadata of each asset that was made, and what the check says."""
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        for module in (features, neighbours):
            patch.setattr(module, "get_settings", lambda: settings)
        result = dg.materialize(
            ASSETS, instance=instance, resources={"artifacts": Artifacts()}, raise_on_error=False
        )
    (check,) = (c for c in result.get_asset_check_evaluations() if c.check_name == CHECK)
    events = result.get_asset_materialization_events()
    made = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in events
        if event.asset_key is not None
    }
    return {name: {n: v.value for n, v in metadata.items()} for name, metadata in made.items()}, check


def drawn(markdown: str) -> tuple[int, int]:
    """Rows and columns of a picture in the metadata."""
    data = base64.b64decode(markdown.partition("base64,")[2].removesuffix(")"))
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape[:2]


def test_a_wrong_label_is_a_candidate_and_a_copy_stops_what_follows(plant: Settings, tmp_path: Path) -> None:
    told, check = make(plant)
    assert check.passed
    assert check.description is not None
    assert check.description.startswith("0 pairs of copies on two sides or in two folds")
    assert check.description.endswith("60 of 60 images compared")

    doubts = told["label_error_candidates"]
    assert doubts["status"] == "found"
    assert doubts["images"] == 50  # without the test side
    assert doubts["backbone"] == "resnet10t (random, seed 0)"
    first = doubts["most doubtful"].records[0].data
    assert (first["image_id"], first["given"], first["suggested"]) == ("13", "DENT", "FINE")
    assert min(drawn(doubts["thumbnails"])) > 100
    with transaction(plant.dsn("warehouse")) as warehouse:
        warehouse.execute(
            "select direction, labels from features.label_error_candidates where image_id = '13'"
        )
        assert warehouse.fetchall() == [("extra", ["DENT"])]
        warehouse.execute("select count(*) from features.image_embeddings")
        assert warehouse.fetchall() == [(60,)]
    assert (told["embedding_index"]["images"], told["embedding_index"]["written"]) == (60, 60)

    # Image 07 comes in once more, brighter, on the test side.
    copy = brighter(picture(row(7)[1], 7)[0], 1.2)
    save_picture(plant.images / "99.png", copy)
    write(plant, [("99", [], "test", None)])
    told, check = make(plant)
    assert (check.passed, check.blocking) == (False, True)
    (pair,) = (record.data for record in check.metadata["evidence"].records)  # type: ignore[union-attr]
    assert (pair["first"], pair["first_side"], pair["second"], pair["second_side"]) == (
        "07", "train 3", "99", "test",
    )  # fmt: skip
    assert min(drawn(str(check.metadata["pairs"].value))) > 100
    assert set(told) == {"image_cache", "image_embeddings"}


def test_training_waits_for_the_check() -> None:
    from assets.training import trained_model

    assert features.image_embeddings.key in trained_model.asset_deps[trained_model.key]
