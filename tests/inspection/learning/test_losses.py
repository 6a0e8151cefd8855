"""Losses against torch's plain formulas."""

from __future__ import annotations

import pytest
import torch
from timm.loss import AsymmetricLossMultiLabel  # type: ignore[attr-defined]
from torch import Tensor
from torch.nn import functional

from inspection.learning.losses import box_loss, label_loss, positive_weights
from inspection.profiles import LossProfile

IMAGES, CLASSES, GRID = 3, 2, (4, 5)


def maps(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(IMAGES, CLASSES, *GRID, generator=generator) * 3


def ones() -> Tensor:
    return torch.ones(IMAGES, CLASSES)


TARGETS = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])


def test_label_loss_of_known_labels_is_torchs() -> None:
    logits = torch.log(torch.exp(maps()).sum((2, 3)))
    expected = functional.binary_cross_entropy_with_logits(logits, TARGETS)
    assert torch.isclose(label_loss(maps(), TARGETS, ones(), torch.ones(IMAGES)), expected)


def test_label_loss_is_weighted_by_image() -> None:
    weights = torch.tensor([1.0, 4.0, 2.5])
    logits = torch.logsumexp(maps().flatten(2), 2)
    each = functional.binary_cross_entropy_with_logits(logits, TARGETS, reduction="none").mean(1)
    expected = (each * weights).sum() / weights.sum()
    assert torch.isclose(label_loss(maps(), TARGETS, ones(), weights), expected)


def test_an_unknown_label_says_nothing() -> None:
    known = ones()
    known[0, 1] = known[2, 0] = 0
    changed = TARGETS.clone()
    changed[0, 1], changed[2, 0] = 1, 0
    weights = torch.tensor([1.0, 2.0, 3.0])
    losses = [label_loss(maps(), targets, known, weights) for targets in (TARGETS, changed)]
    assert torch.equal(losses[0], losses[1])
    assert not torch.isclose(losses[0], label_loss(maps(), changed, ones(), weights))


@pytest.mark.parametrize(
    ("gamma_positive", "gamma_negative", "clip"),
    [(0, 0, 0), (1, 4, 0.05), (0, 2, 0), (2, 0, 0), (0, 0, 0.1), (1.5, 2.5, 0.2)],
)
def test_the_asymmetric_loss_is_timms(gamma_positive: float, gamma_negative: float, clip: float) -> None:
    logits = (torch.randn(40, CLASSES, generator=torch.Generator().manual_seed(1)) * 3).requires_grad_()
    targets = (torch.rand(40, CLASSES, generator=torch.Generator().manual_seed(2)) < 0.3).float()
    shape = LossProfile(gamma_positive=gamma_positive, gamma_negative=gamma_negative, clip=clip)
    reference = AsymmetricLossMultiLabel(gamma_negative, gamma_positive, clip, reduction="mean")
    expected = reference(logits, targets)
    known, weights = torch.ones(40, CLASSES), torch.ones(40)
    found = label_loss(logits[:, :, None, None], targets, known, weights, shape)
    assert torch.isclose(found, expected, rtol=1e-5)
    slopes = [torch.autograd.grad(loss, logits)[0] for loss in (found, expected)]
    assert torch.allclose(*slopes, atol=1e-6)


@pytest.mark.parametrize("gammas", [{}, {"gamma_positive": 1.0, "gamma_negative": 4.0, "clip": 0.05}])
def test_positives_weigh_as_told(gammas: dict[str, float]) -> None:
    logits, shape = maps().flatten(2).logsumexp(2), LossProfile(**gammas)
    bent = torch.tensor([3.0, 1.5])
    reference = AsymmetricLossMultiLabel(
        shape.gamma_negative, shape.gamma_positive, shape.clip, reduction="mean", pos_weight=bent
    )
    found = label_loss(maps(), TARGETS, ones(), torch.ones(IMAGES), shape, bent)
    assert torch.isclose(found, reference(logits, TARGETS), rtol=1e-4)


def test_weights_of_positives_by_hand() -> None:
    targets = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]])
    assert positive_weights(targets, 0) is None
    whole, root = positive_weights(targets, 1), positive_weights(targets, 0.5)
    assert whole is not None
    assert root is not None
    assert whole.tolist() == [4, 1, 5]  # 4 to 1; 1 to 4 weighs no less than one; none counts as one
    assert root.tolist() == pytest.approx([2, 1, 5**0.5])


def test_parts_of_a_batch_add_up_to_its_loss() -> None:
    weights, cells = torch.tensor([1.0, 4.0, 2.5]), (maps(1) > 2).float()
    whole = label_loss(maps(), TARGETS, ones(), weights), box_loss(maps(), cells, weights)

    def parts(part: slice) -> list[Tensor]:
        # What `Workers.total` would find: the sums over both parts.
        labels, boxes = (ones() * weights[:, None]).sum(), (cells.amax((2, 3)) * weights[:, None]).sum()
        return [
            label_loss(maps()[part], TARGETS[part], ones()[part], weights[part], total=lambda _: labels),
            box_loss(maps()[part], cells[part], weights[part], total=lambda _: boxes),
        ]

    for expected, first, second in zip(whole, parts(slice(0, 2)), parts(slice(2, 3)), strict=True):
        assert torch.isclose(first + second, expected)


@pytest.mark.parametrize(
    "shape",
    [
        LossProfile(),
        LossProfile(gamma_positive=0.5, gamma_negative=4, clip=0.05),
        LossProfile(gamma_negative=0.5),
    ],
)
def test_each_shape_of_far_logits_stays_finite(shape: LossProfile) -> None:
    far = (maps() * 1000).requires_grad_()
    loss = label_loss(far, TARGETS, ones(), torch.ones(IMAGES), shape)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert far.grad is not None
    assert torch.isfinite(far.grad).all()


@pytest.mark.parametrize("known", [0.0, 1.0])
def test_losses_of_far_logits_stay_finite(known: float) -> None:
    far = (maps() * 1000).requires_grad_()
    cells = torch.zeros_like(far)
    cells[0, 0, 1, 1] = 1
    loss = label_loss(far, TARGETS, ones() * known, torch.ones(IMAGES)) + box_loss(
        far, cells, torch.ones(IMAGES)
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert far.grad is not None
    assert torch.isfinite(far.grad).all()


def test_nothing_known_is_no_loss() -> None:
    assert label_loss(maps(), TARGETS, ones() * 0, torch.ones(IMAGES)) == 0


def test_box_loss_is_minus_the_log_of_the_share_in_the_box() -> None:
    cells = torch.zeros(IMAGES, CLASSES, *GRID)
    cells[0, 0, 1:3, 2:4] = 1
    cells[2, 1, 0, 0] = 1
    weights = torch.tensor([2.0, 7.0, 1.0])
    share = functional.softmax(maps().flatten(2), 2).view_as(cells)
    first = -torch.log((share * cells)[0, 0].sum())
    second = -torch.log((share * cells)[2, 1].sum())
    expected = (2 * first + 1 * second) / 3
    assert torch.isclose(box_loss(maps(), cells, weights), expected)


@pytest.mark.parametrize("rows", [slice(1, 2), slice(0, 4)])
def test_box_loss_is_zero_when_all_mass_lies_in_the_box(rows: slice) -> None:
    cells = torch.zeros(1, 1, *GRID)
    cells[0, 0, rows] = 1
    inside = torch.where(cells > 0, 5.0, -200.0)
    assert box_loss(inside, cells, torch.ones(1)).abs() < 1e-6
    if rows != slice(0, 4):
        assert box_loss(-inside, cells, torch.ones(1)) > 100


@pytest.mark.parametrize("images", [0, 1, 3])
def test_without_boxes_there_is_no_box_loss(images: int) -> None:
    empty = maps()[:images].requires_grad_()
    loss = box_loss(empty, torch.zeros(images, CLASSES, *GRID), torch.ones(images))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss == 0
    assert empty.grad is not None
    assert not empty.grad.any()


def test_the_box_says_where_and_not_how_sure() -> None:
    cells = torch.zeros(IMAGES, CLASSES, *GRID)
    cells[:, :, 1, 1] = 1
    weights = torch.ones(IMAGES)
    assert torch.isclose(box_loss(maps(), cells, weights), box_loss(maps() - 7, cells, weights), atol=1e-5)


def test_box_loss_moves_the_peak_into_the_box() -> None:
    free = torch.zeros(1, 1, *GRID, requires_grad=True)
    cells = torch.zeros(1, 1, *GRID)
    cells[0, 0, 2, 3] = 1
    box_loss(free, cells, torch.ones(1)).backward()  # type: ignore[no-untyped-call]
    assert free.grad is not None
    assert free.grad.argmin() == 2 * GRID[1] + 3  # the only cell that is to grow
    assert (free.grad < 0).sum() == 1
