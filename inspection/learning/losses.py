"""What training minimises: the image's labels, and where on the maps they come from."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from inspection.learning.model import pool


def label_loss(maps: Tensor, targets: Tensor, known: Tensor, weights: Tensor) -> Tensor:
    """Returns the weighted mean of the binary cross-entropy over images and classes.

    Args:
        maps: cell logits, float [N, C, h, w].
        targets: 0 or 1, float [N, C].
        known: 0 where the target is not known, float [N, C].
        weights: of the images, float [N].
    """
    losses = functional.binary_cross_entropy_with_logits(pool(maps), targets, reduction="none")
    return _mean(losses, known * weights[:, None])


def box_loss(maps: Tensor, cells: Tensor, weights: Tensor) -> Tensor:
    """Ties activation maps to annotated boxes.

    Minus the logarithm of the share of a map's softmax that lies on the cells that a box of the class
    touches, which is the pooled logit less the logit pooled over those cells alone. It says where a
    defect is and leaves how sure to be to the label; a class without a box adds nothing.

    Args:
        maps: cell logits, float [N, C, h, w].
        cells: 1 where a box of the class lies, float [N, C, h, w].
        weights: of the images, float [N].
    """
    located = cells.amax((2, 3))
    inside = pool(maps.masked_fill((cells == 0) & (located > 0)[:, :, None, None], -torch.inf))
    return _mean(pool(maps) - inside, located * weights[:, None])


def _mean(losses: Tensor, where: Tensor) -> Tensor:
    return (losses * where).sum() / where.sum().clamp(min=1)
