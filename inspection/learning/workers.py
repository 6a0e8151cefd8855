"""The processes that train one network together; where there is only one, nothing is exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


@dataclass(frozen=True)
class Workers:
    """Which of how many processes this one is.

    With more than one, ``torch.distributed`` must have been started.

    Attributes:
        rank: 0 to `size` - 1; 0 writes checkpoints and tells progress.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """Returns the items of this process; over all processes each item comes once."""
        return items[self.rank :: self.size]

    def total(self, value: Tensor) -> Tensor:
        """Returns the sum of a number over all processes, without its gradient when there are several."""
        if self.size == 1:
            return value
        summed = value.detach().clone()
        distributed.all_reduce(summed)
        return summed

    def gathered(self, rows: Tensor, count: int) -> Tensor:
        """Puts the rows that each process has for its `share` together again.

        Args:
            rows: of this process, [n, ...].
            count: of the items that were shared.

        Returns:
            [count, ...], in the order of the items.
        """
        if self.size == 1:
            return rows
        longest = -(-count // self.size)
        padded = rows.new_zeros(longest, *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        distributed.all_gather(parts, padded)
        return torch.stack(parts, dim=1).flatten(0, 1)[:count]

    def parallel(self, model: nn.Module) -> nn.Module:
        """Returns the model so wrapped that gradients are the mean over all processes."""
        # Some of timm's networks have parameters that no map depends on; in each step the same ones.
        return model if self.size == 1 else DistributedDataParallel(model, static_graph=True)

    def same_buffers(self, model: nn.Module) -> None:
        """Gives all processes the buffers of the first: each saw other images of a batch."""
        if self.size > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)


ALONE = Workers()
