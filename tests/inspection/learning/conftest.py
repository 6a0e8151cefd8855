"""Tests of the learning part run on one thread, and share one network that was trained on toy pictures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from inspection.learning.data import Example
from inspection.learning.training import Training, train
from tests.inspection.learning.toy import CLASSES, picture, profile


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """The address of a small Ray cluster on this machine; it takes some ten seconds to start."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield "auto"
    ray.shutdown()


def toy_examples(count: int, first_seed: int = 0) -> list[Example]:
    """Returns pictures that are in turn clean, of the first class, of the second, and of both."""
    found = []
    for n in range(count):
        labels = ((), CLASSES[:1], CLASSES[1:], CLASSES)[n % 4]
        pixels, boxes = picture(labels, first_seed + n)
        corners = [[b.x, b.y, b.x + b.width, b.y + b.height] for b in boxes]
        found.append(
            Example(
                pixels,
                np.array([name in labels for name in CLASSES], np.float32),
                np.array(corners, np.float32).reshape(-1, 4),
                np.array([CLASSES.index(b.defect_class) for b in boxes], np.int64),
                1.0,
                pixels.shape[:2],
            )
        )
    return found


@pytest.fixture(scope="session")
def training_examples() -> list[Example]:
    return toy_examples(64)


@pytest.fixture(scope="session")
def validation_examples() -> list[Example]:
    return toy_examples(32, first_seed=1000)


@pytest.fixture(scope="session")
def trained(
    one_thread: None, training_examples: list[Example], validation_examples: list[Example]
) -> Training:
    return train(training_examples, validation_examples, len(CLASSES), profile())
