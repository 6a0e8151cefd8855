"""The network: pixels into channels, a timm backbone, one activation map per class, pooled to a logit."""

from __future__ import annotations

import hashlib
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

import inspection.learning.backbones  # noqa: F401  # registers our own networks
from inspection.errors import SettingsError
from inspection.profiles import BackboneProfile, ModelProfile

PRIOR_LOGIT = -8.0
"""First bias of each cell: defects are rare, and training should not begin by learning that. Some hundred
cells of it pool to an image logit of about -2."""


def pool(maps: Tensor) -> Tensor:
    """Pools the cells of each map by log-sum-exp (Pinheiro and Collobert 2015), without the mean.

    One strong cell decides, as one defect does; weak cells add little, and each gets some gradient.

    Args:
        maps: cell logits, float [N, C, h, w].

    Returns:
        Image logits, float [N, C]; not below the largest cell, above it by log(h * w) at most.
    """
    return maps.flatten(2).logsumexp(2)


class DefectNet(nn.Module):
    """Tells for each defect class whether and where it is.

    Call it with normalised images, float32 [N, 3, H, W]; it returns cell logits [N, C, h, w], of which
    `pool` makes image logits.
    """

    def __init__(self, profile: ModelProfile, classes: int) -> None:
        """Builds the network and loads its first weights as the profile says.

        Raises:
            SettingsError: the architecture is unknown, or its weights cannot be had.
        """
        super().__init__()
        self.factor = profile.space_to_depth
        self.backbone: Any = _backbone(profile)
        self.dropout = nn.Dropout2d(profile.drop_rate)
        features: int = self.backbone.num_features
        self.head = nn.Conv2d(features, classes, kernel_size=1)
        nn.init.constant_(self.head.bias, PRIOR_LOGIT)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Returns cell logits, float [N, C, h, w]."""
        if self.factor > 1:
            images = functional.pixel_unshuffle(images, self.factor)
        features = self.backbone.forward_features(images)
        maps: Tensor = self.head(self.dropout(features))
        return maps


def untrained(profile: ModelProfile, classes: int) -> DefectNet:
    """Builds a network whose weights will be replaced at once: none are fetched."""
    random = {"pretrained": "none", "weights_file": None, "weights_sha256": None}
    return DefectNet(profile.model_copy(update=random), classes)


def grid_size(model: nn.Module, height: int, width: int) -> tuple[int, int]:
    """Returns rows and columns of the activation maps for images of a size."""
    training = model.training
    device = next(model.parameters()).device
    with torch.no_grad():
        rows, columns = model.eval()(torch.zeros(1, 3, height, width, device=device)).shape[2:]
    model.train(training)
    return int(rows), int(columns)


def build_backbone(profile: BackboneProfile, section: str, **options: Any) -> Any:  # noqa: ANN401  # timm's
    """Builds a network of timm with the weights that a profile asks for; never with others.

    Args:
        profile: names architecture and weights.
        section: of the profile, for what a person is told.
        options: of `timm.create_model`.

    Raises:
        SettingsError: the architecture is unknown, or its weights cannot be had.
    """
    name = profile.architecture
    if not timm.is_model(name):
        raise SettingsError(f"timm knows no model {name!r}: see timm.list_models()")
    try:
        backbone = timm.create_model(name, pretrained=profile.pretrained == "imagenet", **options)
    except (TypeError, AssertionError, NotImplementedError) as error:  # timm's ways to refuse an option
        asked = ", ".join(f"{option} {value!r}" for option, value in options.items())
        raise SettingsError(f"timm does not build {name} with {asked}: change section {section}") from error
    except (OSError, RuntimeError) as error:
        if profile.pretrained != "imagenet":
            raise
        raise SettingsError(
            f"the ImageNet weights of {name} cannot be fetched ({' '.join(str(error).split())}): bring a "
            f"safetensors file and set {section}.pretrained: file, weights_file and weights_sha256 in the "
            "profile"
        ) from error
    if profile.pretrained == "file":
        _load_weights(backbone, profile)
    return backbone


def _backbone(profile: ModelProfile) -> Any:  # noqa: ANN401  # timm's
    options: dict[str, Any] = {
        "in_chans": 3 * profile.space_to_depth**2,
        "num_classes": 0,
        "global_pool": "",
    }
    if profile.drop_path_rate:
        options["drop_path_rate"] = profile.drop_path_rate
    if profile.output_stride != 32:
        options["output_stride"] = profile.output_stride
    return build_backbone(profile, "model", **options)


def _load_weights(backbone: nn.Module, profile: BackboneProfile) -> None:
    path = profile.weights_file
    assert path is not None  # noqa: S101  # the profile checked it
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read the weights {path}: {error.strerror}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != profile.weights_sha256:
        raise SettingsError(f"{path} has SHA-256 {found}, the profile says {profile.weights_sha256}")
    try:
        outcome = backbone.load_state_dict(load(data), strict=False)
    except (SafetensorError, RuntimeError) as error:  # no safetensors file, or tensors of other shapes
        reason = " ".join(str(error).split())
        raise SettingsError(f"{path} holds no weights of {profile.architecture}: {reason}") from error
    if outcome.missing_keys:
        raise SettingsError(f"{path} lacks weights of {profile.architecture}: {outcome.missing_keys[:3]} ...")
