"""Our own networks, registered with timm so that a profile names them as it names any other."""

from __future__ import annotations

from typing import Any

from timm.models import generate_default_cfgs, register_model
from timm.models._builder import build_model_with_cfg
from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg

default_cfgs = generate_default_cfgs(
    {"inspection_small.untrained": {"num_classes": 0, "first_conv": "stem.conv"}}
)


@register_model
def inspection_small(pretrained: bool = False, **kwargs: Any) -> ByobNet:  # noqa: ANN401  # timm's
    """A residual network that learns from random weights in minutes on a CPU.

    For inputs whose pixels were moved into channels (`ModelProfile.space_to_depth` 4): with an
    ``output_stride`` of 4 its features have a stride of 16 pixels, and the last stage is dilated
    instead of coarser, so that thin defects keep a cell of their own.
    """
    blocks = (ByoBlockCfg("basic", d=1, c=48, s=2), ByoBlockCfg("basic", d=1, c=64, s=2))
    config = ByoModelCfg(blocks=blocks, stem_type="3x3", stem_pool="", stem_chs=32)
    return build_model_with_cfg(ByobNet, "inspection_small", pretrained, model_cfg=config, **kwargs)
