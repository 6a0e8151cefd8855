"""A training in a process of its own, which stops in the middle of an epoch and waits to be killed.

python -m tests.inspection.learning.cut_off STORE STEP
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import torch

from inspection.learning.checkpoints import Checkpoints
from inspection.learning.training import train
from inspection.progress import listening
from inspection.store import LocalStore
from tests.inspection.learning.conftest import toy_examples
from tests.inspection.learning.toy import CLASSES, profile

KEY = "toy"
PROFILE = profile(
    training={"epochs": 5, "window": (48, 64), "ema_decay": 0.9, "loader_workers": 1},
    augmentation={"flip": 0.5, "rotation_degrees": 10, "brightness": 0.1, "noise": 0.02},
    model={"drop_rate": 0.2},
)


def main(store: str, last_step: int) -> None:
    """Trains until a step."""
    torch.set_num_threads(1)

    def wait(task: str, done: int, total: int, note: str) -> None:
        if done == last_step:
            print("here", flush=True)
            signal.pause()

    with listening(wait):
        train(
            toy_examples(64),
            toy_examples(32, first_seed=1000),
            len(CLASSES),
            PROFILE,
            Checkpoints(LocalStore(Path(store)), KEY),
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
