"""The cache on real files: what cannot be read is written down, held against a limit, and forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from psycopg2.extras import execute_values

from assets import features
from inspection.cache import Unreadable
from inspection.settings import Settings
from inspection.store import open_store
from inspection.warehouse import transaction
from resources.artifacts import Artifacts
from tests.inspection.learning.toy import picture, save_picture
from tests.inspection.test_dataset import MARTS
from tests.s3 import aws, connect, s3_server

RESOURCES = {"artifacts": Artifacts()}
COUNT = 60  # of which one may be unreadable, and not two


@pytest.fixture
def plant(settings: Settings) -> Settings:
    """A training dataset with a picture for each row."""
    names = [f"{n:02}" for n in range(COUNT)]
    for n, name in enumerate(names):
        save_picture(settings.images / f"{name}.png", picture((), n)[0])
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(MARTS)
        execute_values(
            warehouse,
            "insert into marts.training_dataset values %s",
            [
                (name, "r", f"{name}.png", "shaft", "c1", "l1", "o1", "2026-03-01", "FINE", [], "train", 1, 1)
                for name in names
            ],
            template="(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::text[], %s, %s, %s)",
        )
    return settings


def materialize(check: dg.AssetChecksDefinition) -> dg.ExecuteInProcessResult:
    """Makes the cache and runs one check on it."""
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [features.image_features, check],
            selection=dg.AssetSelection.assets("image_cache"),
            instance=instance,
            resources=RESOURCES,
            raise_on_error=False,
        )


@pytest.fixture
def make(
    plant: Settings, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], tuple[Mapping[str, Any], dg.AssetCheckEvaluation]]:
    """Materializes the cache; returns its metadata as plain values, and what the check says."""
    monkeypatch.setattr(features, "get_settings", lambda: plant)

    def run() -> tuple[Mapping[str, Any], dg.AssetCheckEvaluation]:
        result = materialize(features.mostly_readable)
        (event,) = result.asset_materializations_for_node("image_features")
        (check,) = result.get_asset_check_evaluations()
        assert check.check_name == "mostly_readable"
        return {name: value.value for name, value in event.metadata.items()}, check

    return run


def unreadable(settings: Settings) -> dict[str, tuple[str, str]]:
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute("select image_id, image_path, reason from features.unreadable_images")
        return {image: (path, reason) for image, path, reason in warehouse.fetchall()}


def damage(root: Path, *names: str) -> None:
    for name in names:
        file = root / f"{name}.png"
        file.write_bytes(file.read_bytes()[:-200])


def test_all_images_are_readable(plant: Settings, make: Callable[[], Any]) -> None:
    told, check = make()
    assert (told["images"], told["added"], told["unreadable"]) == (COUNT, COUNT, 0)
    assert check.passed
    assert unreadable(plant) == {}
    assert told["frame"] == "416 x 832 pixels"  # of the demo's profile
    (camera,) = told["quality by camera"].records
    assert (camera.data["camera"], camera.data["images"]) == ("c1", COUNT)
    # The toy's background is 100 to 140 grey, even numbers as likely as odd ones; nothing is clipped.
    assert 115 < camera.data["brightness 5 %"] <= camera.data["brightness 95 %"] < 125
    assert camera.data["black_share 95 %"] == camera.data["white_share 95 %"] == 0
    assert make()[0]["added"] == 0


def test_the_cache_lies_in_s3(
    plant: Settings, make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        features, "get_settings", lambda: plant.model_copy(update={"artifacts": "s3://plant/north"})
    )
    with s3_server() as url:
        for name, value in aws(url).items():
            monkeypatch.setenv(name, value)
        connect(url).create_bucket(Bucket="plant")
        told, check = make()
        assert (told["images"], told["added"], make()[0]["added"]) == (COUNT, COUNT, 0)
        folder = told["folder"].removeprefix("s3://plant/north/")
        assert open_store("s3://plant/north").list() == [
            f"{folder}/2026-03-01.parquet",
            f"{folder}/manifest.json",
        ]
    assert check.passed


def test_what_cannot_be_read_is_recorded_until_it_is_repaired(
    plant: Settings, make: Callable[[], Any]
) -> None:
    damage(plant.images, "07")
    told, check = make()
    assert (told["images"], told["unreadable"]) == (COUNT - 1, 1)
    assert check.passed  # one of sixty may
    (path, reason) = unreadable(plant)["07"]
    assert path == "07.png"
    assert "truncated" in reason

    (plant.images / "07.png").unlink()
    make()
    assert unreadable(plant) == {"07": ("07.png", "there is no such file")}

    save_picture(plant.images / "07.png", picture((), 7)[0])
    told, check = make()
    assert (told["images"], told["added"], told["unreadable"]) == (COUNT, 1, 0)
    assert check.passed
    assert unreadable(plant) == {}


def test_too_many_unreadable_images_fail_the_check_which_stops_the_run(
    plant: Settings, make: Callable[[], Any]
) -> None:
    damage(plant.images, "07", "23")
    told, check = make()
    assert told["unreadable"] == 2
    assert (check.passed, check.blocking) == (False, True)
    assert check.description == "2 of 60 images cannot be read"
    assert check.metadata["value"].value == pytest.approx(2 / 60)
    assert check.metadata["threshold"].value == features.MAX_UNREADABLE_SHARE


def test_an_image_that_is_no_longer_in_the_dataset_does_not_count(
    plant: Settings, make: Callable[[], Any]
) -> None:
    gone = tuple(Unreadable(f"gone-{n}", "gone.png", "there is no such file") for n in range(9))
    features.record_unreadable(plant.dsn("warehouse"), gone)
    assert len(unreadable(plant)) == 9
    _, check = make()
    assert check.passed
    assert unreadable(plant) == {}


def test_a_copy_of_a_training_image_in_the_test_set_stops_the_run(
    plant: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "get_settings", lambda: plant)
    with transaction(plant.dsn("warehouse")) as warehouse:
        warehouse.execute(
            "update marts.training_dataset set split = 'test', fold_id = null where image_id >= '50'"
        )

    def check() -> dg.AssetCheckEvaluation:
        (found,) = materialize(features.no_file_on_two_sides).get_asset_check_evaluations()
        return found

    assert check().passed
    save_picture(plant.images / "50.png", picture((), 7)[0])  # the cache has the picture of before
    assert check().passed
    (plant.images / "60.png").write_bytes((plant.images / "07.png").read_bytes())
    with transaction(plant.dsn("warehouse")) as warehouse:
        warehouse.execute(
            "update marts.training_dataset set image_id = '60', image_path = '60.png' where image_id = '50'"
        )
    found = check()
    assert (found.passed, found.blocking) == (False, True)
    assert found.description == (
        "1 contents on two sides or in two folds, 0 twice in one fold; 60 of 60 files read"
    )
    (row,) = found.metadata["evidence"].records  # type: ignore[union-attr]
    assert (row.data["sides"], row.data["files"]) == ("test, train", "07.png, 60.png")
