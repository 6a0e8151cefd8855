"""The network: its shapes, its pooling, and where its first weights come from."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import save_file

from inspection.errors import SettingsError
from inspection.learning.model import PRIOR_LOGIT, DefectNet, grid_size, pool
from inspection.profiles import ModelProfile

SMALL = ModelProfile(architecture="inspection_small")


def test_pooling_is_log_sum_exp() -> None:
    maps = torch.tensor([[[[0.0, math.log(2)], [math.log(3), math.log(4)]]]])
    assert pool(maps).tolist() == [[pytest.approx(math.log(1 + 2 + 3 + 4))]]


@pytest.mark.parametrize("scale", [0.0, 1.0, 300.0])
def test_a_pooled_logit_lies_between_the_largest_cell_and_a_little_more(scale: float) -> None:
    torch.manual_seed(0)
    maps = torch.randn(4, 3, 5, 7) * scale
    largest = maps.amax((2, 3))
    pooled = pool(maps)
    assert torch.allclose(pooled, torch.logsumexp(maps, (2, 3)), atol=1e-4)
    assert (pooled >= largest).all()
    assert (pooled <= largest + math.log(35) + 1e-4).all()


@pytest.mark.parametrize(
    ("profile", "stride"),
    [
        (SMALL, 16),
        (SMALL.model_copy(update={"space_to_depth": 2}), 32),
        (ModelProfile(architecture="resnet10t"), 32),
        (ModelProfile(architecture="resnet10t", output_stride=16, drop_path_rate=0.1), 16),
        (ModelProfile(architecture="mobilenetv3_small_050", drop_rate=0.2), 32),
    ],
)
def test_a_network_of_timm_gives_a_map_per_class(profile: ModelProfile, stride: int) -> None:
    model = DefectNet(profile, classes=3).eval()
    assert grid_size(model, 64, 96) == (64 // stride, 96 // stride)
    with torch.inference_mode():
        assert model(torch.zeros(2, 3, 64, 96)).shape == (2, 3, 64 // stride, 96 // stride)


@pytest.mark.parametrize("training", [True, False])
def test_asking_for_the_grid_changes_nothing(training: bool) -> None:
    model = DefectNet(SMALL, classes=1).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    grid_size(model, 32, 32)
    assert model.training is training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_untrained_network_expects_few_defects() -> None:
    torch.manual_seed(0)
    model = DefectNet(SMALL, classes=2)
    assert model.head.bias is not None
    assert (model.head.bias == PRIOR_LOGIT).all()
    with torch.inference_mode():
        assert torch.sigmoid(model.eval()(torch.randn(4, 3, 64, 96))).mean() < 0.1


@pytest.mark.parametrize("name", ["nonsense", "", "hf_hub:timm/nonsense"])
def test_an_unknown_architecture_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="timm knows no model"):
        DefectNet(ModelProfile(architecture=name), classes=1)


def test_an_option_that_the_architecture_lacks_is_refused() -> None:
    wanted = ModelProfile(architecture="mobilenetv3_small_050", output_stride=16)
    with pytest.raises(SettingsError, match=r"mobilenetv3_small_050 with .*output_stride 16"):
        DefectNet(wanted, classes=1)


def backbone_file(path: Path, profile: ModelProfile = SMALL) -> DefectNet:
    """Writes the weights of a random backbone and returns its network."""
    torch.manual_seed(7)
    model = DefectNet(profile, classes=2)
    save_file(model.backbone.state_dict(), path)
    return model


def from_file(path: Path, sha256: str | None = None, profile: ModelProfile = SMALL) -> ModelProfile:
    sha256 = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
    return profile.model_copy(update={"pretrained": "file", "weights_file": path, "weights_sha256": sha256})


def test_weights_of_the_right_file_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "backbone.safetensors"
    source = backbone_file(path)
    torch.manual_seed(0)
    found = DefectNet(from_file(path), classes=2)
    images = torch.rand(1, 3, 32, 48)
    with torch.inference_mode():
        expected = source.eval().backbone(images)
        assert torch.equal(found.eval().backbone(images), expected)
        assert not torch.equal(DefectNet(SMALL, 2).eval().backbone(images), expected)


def test_another_file_than_the_profile_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "backbone.safetensors"
    backbone_file(path)
    with pytest.raises(SettingsError, match=f"the profile says {'0' * 64}"):
        DefectNet(from_file(path, "0" * 64), classes=2)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read the weights .*No such file"):
        DefectNet(from_file(tmp_path / "missing.safetensors", "0" * 64), classes=2)


@pytest.mark.parametrize(
    "other",
    [
        ModelProfile(architecture="resnet10t"),  # other names
        SMALL.model_copy(update={"space_to_depth": 2}),  # other shapes
    ],
)
def test_weights_of_another_network_are_refused(tmp_path: Path, other: ModelProfile) -> None:
    path = tmp_path / "backbone.safetensors"
    backbone_file(path, other)
    with pytest.raises(SettingsError, match="weights of inspection_small") as refusal:
        DefectNet(from_file(path), classes=2)
    assert "\n" not in str(refusal.value)


def test_a_file_that_holds_no_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "backbone.safetensors"
    path.write_bytes(b"no tensors at all")
    with pytest.raises(SettingsError, match="holds no weights"):
        DefectNet(from_file(path), classes=2)


@pytest.mark.parametrize("architecture", ["resnet10t", "inspection_small"])
def test_without_imagenet_weights_there_is_no_quiet_random_start(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SettingsError, match=f"weights of {architecture} cannot be fetched") as refusal:
        DefectNet(ModelProfile(architecture=architecture, pretrained="imagenet"), classes=2)
    assert "weights_sha256" in str(refusal.value)
    assert "\n" not in str(refusal.value)
