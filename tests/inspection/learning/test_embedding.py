"""Embedding: what timm's own network says of the same pixels, whatever the batch, and never other weights."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from inspection.cache import build_cache, encode_frame, read_cache
from inspection.embeddings import read_embeddings, read_manifest
from inspection.errors import SettingsError
from inspection.imaging import Pixels
from inspection.learning.embedding import Embedder, cache_and_embed, embed_images
from inspection.profiles import EmbeddingProfile
from inspection.progress import listening
from inspection.store import LocalStore
from tests.inspection.learning.toy import COLUMNS, ROWS, picture, plant, profile, save_picture

TINY = EmbeddingProfile(
    architecture="resnet10t", pretrained="none", height=ROWS, width=COLUMNS, seed=3, batch_size=4
)


def png(folder: Path, pixels: Pixels) -> bytes:
    save_picture(folder / "a.png", pixels)
    return (folder / "a.png").read_bytes()


def network(seed: int = 3) -> torch.nn.Module:
    torch.manual_seed(seed)
    return timm.create_model("resnet10t", num_classes=0).eval()


def test_a_vector_is_the_mean_of_the_last_features(tmp_path: Path) -> None:
    pixels, _ = picture(("RUST",), seed=1)

    found = Embedder(TINY)([png(tmp_path, pixels)])

    # By hand: timm's mean and deviation of ImageNet, and the mean over the cells of the last features.
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    image = ((torch.from_numpy(pixels) / 255 - mean) / std).permute(2, 0, 1)[None]
    with torch.inference_mode():
        features = network().forward_features(image)
    assert (found.shape, found.dtype) == ((1, 512), np.float32)
    np.testing.assert_allclose(found, features.mean((2, 3)).numpy(), rtol=1e-4, atol=1e-5)


def test_a_larger_frame_comes_down_by_area(tmp_path: Path) -> None:
    pixels, _ = picture(("DENT",), seed=2)
    twice = pixels.repeat(2, axis=0).repeat(2, axis=1)  # by area, the one is exactly the other
    embedder = Embedder(TINY)
    np.testing.assert_allclose(embedder([png(tmp_path, twice)]), embedder([png(tmp_path, pixels)]), atol=1e-6)


def test_the_seed_decides_random_weights_and_nothing_else_is_disturbed() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first, second, other = (Embedder(TINY.model_copy(update={"seed": seed})).backbone for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first == second
    assert first.weights_sha256 != other.weights_sha256
    assert (first.weights, other.weights) == ("random, seed 3", "random, seed 4")
    assert (first.architecture, first.height, first.width, first.dimensions) == ("resnet10t", 64, 96, 512)


def test_weights_of_a_file_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(network(seed=9).state_dict(), file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    wanted = {"pretrained": "file", "weights_file": file, "weights_sha256": sha256}
    found = Embedder(TINY.model_copy(update=wanted)).backbone
    random = Embedder(TINY.model_copy(update={"seed": 9})).backbone
    assert found.weights == f"file, SHA-256 {sha256}"
    assert found.weights_sha256 == random.weights_sha256

    with pytest.raises(SettingsError, match="the profile says"):
        Embedder(TINY.model_copy(update={**wanted, "weights_sha256": "0" * 64}))


def test_without_imagenet_weights_there_are_no_random_embeddings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SettingsError, match=r"resnet50 cannot be fetched.*embedding\.pretrained: file"):
        Embedder(EmbeddingProfile())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"architecture": "nonsense"}, "timm knows no model 'nonsense'"),
        ({"architecture": "vit_tiny_patch16_224"}, r"takes no images of 64x96 pixels .*embedding\.height"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as refusal:
        Embedder(TINY.model_copy(update=changes))
    assert "\n" not in str(refusal.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_an_error() -> None:
    with pytest.raises(SettingsError, match="set it to cpu"):
        Embedder(TINY.model_copy(update={"device": "cuda"}))


def test_each_cached_image_gets_its_own_vector(tmp_path: Path) -> None:
    data = plant(tmp_path / "images", {"train": 7, "test": 4})  # two days, six and five of them
    (tmp_path / "images" / data.samples[4].image_path).unlink()
    wanted, store = profile(embedding=TINY.model_dump()), LocalStore(tmp_path / "store")
    build_cache(store, data.samples, wanted.cached_preprocessing, tmp_path / "images")

    report = embed_images(store, data.samples, wanted)

    assert (report.images, report.added, report.shards) == (10, 10, 2)
    found = read_embeddings(store, data.samples, report.digest)
    readable = [s.image_id for n, s in enumerate(data.samples) if n != 4]
    assert found.image_ids == tuple(readable)
    embedder, cached = Embedder(TINY), read_cache(store, data.samples, wanted.cached_preprocessing)
    alone = np.concatenate([embedder([cached[image].frame]) for image in readable])
    np.testing.assert_allclose(found.vectors, alone, rtol=1e-4, atol=1e-5)
    assert read_manifest(store, report.digest).backbone == embedder.backbone
    again = embed_images(store, data.samples, wanted)
    assert (again.added, again.images) == (0, 10)


def test_in_one_pass_come_the_same_shards(tmp_path: Path) -> None:
    root, wanted = tmp_path / "images", profile(embedding=TINY.model_dump())
    data = plant(root, {"train": 7, "test": 4})
    (root / data.samples[4].image_path).unlink()
    apart, together = LocalStore(tmp_path / "apart"), LocalStore(tmp_path / "together")
    cached = build_cache(apart, data.samples, wanted.cached_preprocessing, root)
    embedded = embed_images(apart, data.samples, wanted)
    told: list[str] = []

    with listening(lambda task, done, total, note: told.append(task)):
        both = cache_and_embed(together, data.samples, wanted, root)

    assert set(told) == {"image cache", "embeddings"}
    assert both[0] == cached
    assert replace(both[1], seconds=0) == replace(embedded, seconds=0)
    assert {key: together.get(key) for key in together.list()} == {
        key: apart.get(key) for key in apart.list()
    }
    again = cache_and_embed(together, data.samples, wanted, root)
    assert (again[0].added, again[1].added) == (0, 0)


def test_a_frame_that_grows_is_resized_too(tmp_path: Path) -> None:
    frame = encode_frame(picture((), seed=0)[0][:20, :30])
    assert Embedder(TINY).prepare([frame, frame]).shape == (2, 3, ROWS, COLUMNS)
