"""What training minimises: the image's labels, and where on the maps they come from."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from inspection.learning.model import pool
from inspection.learning.workers import ALONE
from inspection.profiles import LossProfile

CROSS_ENTROPY = LossProfile()
LEAST = 1e-8
"""Smallest base of a power: the slope of a power below 1 is infinite at 0."""

Total = Callable[[Tensor], Tensor]
"""Adds a number up over the processes that train together."""


def label_loss(
    maps: Tensor,
    targets: Tensor,
    known: Tensor,
    weights: Tensor,
    profile: LossProfile = CROSS_ENTROPY,
    positive_weights: Tensor | None = None,
    total: Total = ALONE.total,
) -> Tensor:
    """Returns the weighted mean of the loss over images and classes.

    Args:
        maps: cell logits, float [N, C, h, w].
        targets: 0 or 1, float [N, C].
        known: 0 where the target is not known, float [N, C].
        weights: of the images, float [N].
        profile: shape of the loss.
        positive_weights: of each class's positives, float [C].
        total: where several processes share a batch, the mean is over all of it, and what is returned is
            this process's part of it.
    """
    losses = _each(pool(maps), targets, profile, positive_weights)
    return _mean(losses, known * weights[:, None], total)


def box_loss(maps: Tensor, cells: Tensor, weights: Tensor, total: Total = ALONE.total) -> Tensor:
    """Ties activation maps to annotated boxes.

    Minus the logarithm of the share of a map's softmax that lies on the cells that a box of the class
    touches, which is the pooled logit less the logit pooled over those cells alone. It says where a
    defect is and leaves how sure to be to the label; a class without a box adds nothing.

    Args:
        maps: cell logits, float [N, C, h, w].
        cells: 1 where a box of the class lies, float [N, C, h, w].
        weights: of the images, float [N].
        total: as in `label_loss`.
    """
    located = cells.amax((2, 3))
    inside = pool(maps.masked_fill((cells == 0) & (located > 0)[:, :, None, None], -torch.inf))
    return _mean(pool(maps) - inside, located * weights[:, None], total)


def positive_weights(targets: Tensor, power: float) -> Tensor | None:
    """Returns what the positives of each class weigh, float [C]; None where nothing is weighted.

    Args:
        targets: of all that an epoch shows, 0 or 1, float [N, C].
        power: of the number of negatives for each positive.
    """
    if not power:
        return None
    positives = targets.sum(0)
    return ((len(targets) - positives) / positives.clamp(min=1)).clamp(min=1) ** power


def _each(logits: Tensor, targets: Tensor, profile: LossProfile, positive_weights: Tensor | None) -> Tensor:
    """The loss of each image and class, [N, C]: of Ridnik et al. 2021, equations 4 to 7."""
    if not (profile.gamma_positive or profile.gamma_negative or profile.clip):
        return functional.binary_cross_entropy_with_logits(
            logits, targets, pos_weight=positive_weights, reduction="none"
        )
    positive, negative = -functional.logsigmoid(logits), -functional.logsigmoid(-logits)
    found = torch.sigmoid(logits)
    if profile.clip:
        found = (found - profile.clip).clamp(min=0)
        negative = -torch.log1p(-found)
    if profile.gamma_positive:
        positive = positive * torch.sigmoid(-logits).clamp(min=LEAST) ** profile.gamma_positive
    if profile.gamma_negative:
        negative = negative * found.clamp(min=LEAST) ** profile.gamma_negative
    if positive_weights is not None:
        positive = positive * positive_weights
    return targets * positive + (1 - targets) * negative


def _mean(losses: Tensor, where: Tensor, total: Total) -> Tensor:
    return (losses * where).sum() / total(where.sum()).clamp(min=1)
