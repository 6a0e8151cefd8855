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
    """A residual network that learns thin defects from random weights in minutes on a CPU.

    Its features have a stride of 16 pixels. The pool behind the first convolution matters: a hair-thin
    line is the same line wherever it crosses the grid, which a network that begins by moving pixels into
    channels has to learn for each place anew.
    """
    blocks = (ByoBlockCfg("basic", d=1, c=48, s=2), ByoBlockCfg("basic", d=1, c=80, s=2))
    config = ByoModelCfg(blocks=blocks, stem_type="3x3", stem_pool="maxpool", stem_chs=16)
    return build_model_with_cfg(ByobNet, "inspection_small", pretrained, model_cfg=config, **kwargs)
