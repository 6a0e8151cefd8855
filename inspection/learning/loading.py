"""What an epoch shows, in which order, and how it is loaded."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from inspection.learning.data import Batch, FrameDataset, Item, collate
from inspection.learning.workers import ALONE, Workers


class Draw(NamedTuple):
    """Which example, the seed of its random changes, and whether it counts in the loss."""

    place: int
    seed: int
    counts: bool = True


class EpochBatches(Sampler[list[Draw]]):
    """The batches of an epoch, for one of the processes that train together.

    The order, and each example's seed with it, follows from seed and epoch alone: it is the same for any
    number of processes and of loaders, and after a restart. Each batch is dealt out to the processes. Of
    the last, incomplete one some may get nothing: they take part with an image that does not count, as
    all processes have to make each step.
    """

    def __init__(self, shown: Sequence[int], batch_size: int, seed: int, workers: Workers = ALONE) -> None:
        """Makes the sampler.

        Args:
            shown: indices of the examples, as often as an epoch shows each.
            batch_size: over all processes.
            seed: of the training.
            workers: which part to yield.
        """
        self.shown, self.batch_size, self.seed, self.workers = shown, batch_size, seed, workers
        self.epoch = 1

    def __len__(self) -> int:
        """Returns the number of batches, the same for each process."""
        return math.ceil(len(self.shown) / self.batch_size)

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yields this process's part of each batch of `epoch`."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.shown), generator=generator).tolist()
        seeds = torch.randint(2**62, (len(self.shown),), generator=generator).tolist()
        draws = [Draw(self.shown[place], seed) for place, seed in zip(order, seeds, strict=True)]
        for start in range(0, len(draws), self.batch_size):
            batch = draws[start : start + self.batch_size]
            yield list(self.workers.share(batch)) or [batch[0]._replace(counts=False)]

    def images(self, step: int) -> int:
        """Returns how many images a batch shows over all processes; the first is number 1."""
        return min(self.batch_size, len(self.shown) - (step - 1) * self.batch_size)


class SeededFrames(Dataset[Item]):
    """Frames whose random changes follow from the seed that comes with the index."""

    def __init__(self, frames: FrameDataset) -> None:
        self.frames = frames

    def __getitem__(self, draw: Draw) -> Item:
        """Returns an example, changed as its seed says."""
        with seeded(draw.seed):
            item = self.frames[draw.place]
        return item if draw.counts else item._replace(weight=0.0)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Has torch's random numbers on the processor follow from a seed within the block."""
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)


def training_loader(
    frames: FrameDataset, batches: EpochBatches, processes: int, pin: bool
) -> DataLoader[Batch]:
    """Returns what loads the batches of an epoch; set `batches.epoch` before each.

    Args:
        frames: what is shown.
        batches: in which order.
        processes: that load beside the loop, at most one for each core; 0 loads in it.
        pin: keep batches where a GPU can fetch them while it computes.
    """
    processes = min(processes, os.cpu_count() or 1)
    return DataLoader(
        SeededFrames(frames),  # type: ignore[arg-type]  # of items, of which collate makes batches
        batch_sampler=batches,
        num_workers=processes,
        persistent_workers=processes > 0,
        pin_memory=pin,
        # One of its own: how often it draws depends on whether its processes are new.
        generator=torch.Generator().manual_seed(batches.seed),
        collate_fn=collate,
    )


def frame_loader(frames: FrameDataset, batch_size: int) -> DataLoader[Batch]:
    """Returns what loads all frames in order."""
    return DataLoader(
        frames,  # type: ignore[arg-type]  # of items, of which collate makes batches
        batch_size=batch_size,
        collate_fn=collate,
    )
