"""`vqi similar` on a small plant: by image id, by file, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from inspection.cache import build_cache
from inspection.embedding_index import update_index
from inspection.embeddings import read_embeddings
from inspection.learning.embedding import embed_images
from inspection.profiles import load_profile
from inspection.settings import Settings, get_settings
from inspection.store import open_store
from inspection.warehouse import transaction
from tests.conftest import fresh_settings
from tests.inspection.learning.toy import plant, profile
from tests.inspection.test_dataset import MARTS
from vqi.main import main

EMBEDDING = {"architecture": "resnet10t", "pretrained": "none", "height": 64, "width": 96}


@pytest.fixture(scope="module")
def indexed(postgres: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Twelve images in the index; the training dataset tells of one of them."""
    home = tmp_path_factory.mktemp("similar")
    (home / "toy.yaml").write_text(yaml.safe_dump(profile(embedding=EMBEDDING).model_dump(mode="json")))
    settings = fresh_settings(postgres, home, profile=str(home / "toy.yaml"))
    data, store = plant(settings.images, {"train": 9, "test": 3}), open_store(settings.artifacts_url)
    toy = load_profile(settings.profile)
    build_cache(store, data.samples, toy.cached_preprocessing, settings.images)
    report = embed_images(store, data.samples, toy)
    with transaction(settings.dsn("warehouse")) as warehouse:
        warehouse.execute(MARTS)
        warehouse.execute(
            """
            insert into marts.training_dataset values
            ('train-004', 'r', 'train/004.jpg', 'shaft', 'c7', 'l1', 'o1', '2026-03-01 08:00+00', 'DENT',
             '{DENT}', 'train', 1, 1)
            """
        )
    update_index(
        settings.dsn("warehouse"), read_embeddings(store, data.samples, report.digest), report.digest
    )
    return settings


@pytest.fixture(autouse=True)
def at_home(indexed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQI_HOME", str(indexed.home))
    monkeypatch.setenv("VQI_WAREHOUSE_DSN", indexed.dsn("warehouse"))
    monkeypatch.setenv("VQI_PROFILE", indexed.profile)
    get_settings.cache_clear()
    monkeypatch.setattr("inspection.settings.get_settings", lambda: Settings())


def lines(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_the_neighbours_of_an_image(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["similar", "train-003", "--count", "11"]) == 0
    head, *rows = lines(capsys)
    assert head == ["rank", "image_id", "similarity", "label", "split", "camera", "captured", "path"]
    assert [row[0] for row in rows] == [str(n) for n in range(1, 12)]
    assert "train-003" not in {row[1] for row in rows}
    similarities = [float(row[2]) for row in rows]
    assert similarities == sorted(similarities, reverse=True)
    (known,) = (row for row in rows if row[1] == "train-004")
    assert known[3:] == ["DENT", "train", "c7", "2026-03-01", "08:00", "train/004.jpg"]


def test_a_file_of_the_plant_is_nearest_to_itself(
    indexed: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["similar", str(indexed.images / "train" / "005.png"), "--count", "2"]) == 0
    _, first, _ = lines(capsys)
    assert first[1] == "train-005"
    assert float(first[2]) == pytest.approx(1, abs=1e-4)


def test_what_cannot_be_looked_up_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def complaint(image: str) -> str:
        assert main(["similar", image]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "'nowhere' is no image id in the index of embeddings and no file" in complaint("nowhere")
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    assert "no JPEG and no PNG" in complaint(str(text))
    monkeypatch.setenv("VQI_PROFILE", "demo")
    assert "holds the embeddings of another profile: run `vqi materialize embedding_index`" in complaint(
        "train-003"
    )
