"""What an epoch shows: each example once, in an order that nothing but seed and epoch decides."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inspection.learning.augmentation import geometric
from inspection.learning.data import Batch, Example, FrameDataset
from inspection.learning.loading import Draw, EpochBatches, SeededFrames, seeded, training_loader
from inspection.learning.workers import Workers
from inspection.profiles import Augmentation


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 40), size=st.integers(1, 4), batch_size=st.integers(4, 12), epoch=st.integers(1, 3)
)
def test_over_all_workers_each_example_comes_once(count: int, size: int, batch_size: int, epoch: int) -> None:
    shown = [*range(count), 0, 0]  # the first stands there three times
    alone = EpochBatches(shown, batch_size, seed=7)
    parts = [EpochBatches(shown, batch_size, 7, Workers(rank, size)) for rank in range(size)]
    for sampler in (alone, *parts):
        sampler.epoch = epoch

    dealt = [list(part) for part in parts]

    assert {len(batches) for batches in dealt} == {len(alone)}
    for step, whole in enumerate(alone, start=1):
        together = [draw for batches in dealt for draw in batches[step - 1] if draw.counts]
        assert sorted(together) == sorted(whole)
        assert len(whole) == alone.images(step) <= batch_size
        assert all(batches[step - 1] for batches in dealt)  # all make the step
    told = Counter(draw.place for batches in dealt for batch in batches for draw in batch if draw.counts)
    assert told == Counter(shown)


def test_orders_follow_from_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[list[Draw]]:
        sampler = EpochBatches(range(20), 6, seed)
        sampler.epoch = epoch
        return list(sampler)

    assert order(0, 1) == order(0, 1)
    found = [order(0, 1), order(0, 2), order(1, 1)]
    assert len({str([[draw.place for draw in batch] for batch in batches]) for batches in found}) == 3
    assert len({draw.seed for batches in found for batch in batches for draw in batch}) == 60


def test_a_seed_decides_within_its_block_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(2).tolist()
    torch.manual_seed(0)
    outside = [float(torch.rand(()))]
    with seeded(5):
        inside = torch.rand(3)
    outside.append(float(torch.rand(())))
    assert outside == expected
    with seeded(5):
        assert torch.equal(inside, torch.rand(3))


def test_what_does_not_count_weighs_nothing(training_examples: list[Example]) -> None:
    frames = SeededFrames(FrameDataset(training_examples, (4, 6)))
    assert [frames[Draw(1, 0, counts)].weight for counts in (True, False)] == [1.0, 0.0]


@pytest.mark.parametrize("processes", [1, 2])
def test_random_changes_are_the_same_for_any_number_of_loading_processes(
    processes: int, training_examples: list[Example]
) -> None:
    frames = FrameDataset(
        training_examples,
        (3, 4),
        window=(48, 64),
        change=geometric(Augmentation(flip=0.5, rotation_degrees=9), (48, 64)),
    )

    def epochs(processes: int) -> list[Batch]:
        batches = EpochBatches(range(64), 24, seed=3)
        loader = training_loader(frames, batches, processes, pin=False)
        found = list(loader)
        batches.epoch = 2
        return found + list(loader)

    alone, beside = epochs(0), epochs(processes)
    assert [len(batch.images) for batch in alone] == [24, 24, 16] * 2
    assert not np.array_equal(alone[0].images, alone[3].images)
    for first, second in zip(alone, beside, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
