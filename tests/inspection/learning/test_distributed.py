"""Two processes that train together learn what one learns, also when one of them is lost on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
import ray
import torch
from torch import Tensor

from inspection.errors import SettingsError
from inspection.learning.checkpoints import Checkpoints
from inspection.learning.data import Example
from inspection.learning.distributed import check_room
from inspection.learning.training import Training, train
from inspection.learning.workers import ALONE, Workers
from inspection.profiles import Profile
from inspection.progress import listening
from inspection.store import LocalStore
from tests.inspection.learning.toy import CLASSES, profile

# Ray's own code uses names that Ray has given up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*")

IMAGES = 61  # of eight batches the last is incomplete and cannot be halved


def together(workers: int) -> Profile:
    """A network without batch normalisation, which would see other images in each process."""
    return profile(
        model={"architecture": "test_convnext"},
        training={"epochs": 6, "workers": workers, "ema_decay": 0.8, "learning_rate": 0.003},
        augmentation={"flip": 0.5, "rotation_degrees": 10},
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=2**28, log_to_driver=False)
    yield
    ray.shutdown()


class Killer:
    """Kills one of the workers as soon as the second epoch is heard of."""

    def __init__(self) -> None:
        self.killed: list[int] = []
        self.steps: list[int] = []
        self.lock = threading.Lock()

    def __call__(self, task: str, done: int, total: int, note: str) -> None:
        with self.lock:
            self.steps.append(done)
            if note.startswith("epoch 2") and not self.killed:
                process = max(workers_of_ray(), key=lambda found: found.pid)
                process.kill()
                self.killed.append(process.pid)


def workers_of_ray() -> list[psutil.Process]:
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if process.status() != psutil.STATUS_ZOMBIE and "RayTrainWorker" in " ".join(process.cmdline())
    ]


@pytest.mark.slow
def test_a_lost_worker_changes_nothing_and_two_learn_what_one_learns(
    cluster: None,
    tmp_path: Path,
    training_examples: list[Example],
    validation_examples: list[Example],
) -> None:
    examples, checkpoints, killer = (
        training_examples[:IMAGES],
        Checkpoints(LocalStore(tmp_path), "a"),
        Killer(),
    )
    with listening(killer):
        found = train(examples, validation_examples, len(CLASSES), together(2), checkpoints)
    alone = train(examples, validation_examples, len(CLASSES), together(1))

    assert len(killer.killed) == 1
    assert 1 <= found.resumed_from < 6
    assert killer.steps[-1] == 6 * 8
    assert [record.epoch for record in found.history] == [1, 2, 3, 4, 5, 6]
    assert losses(found)[:2] == pytest.approx(losses(alone)[:2], rel=1e-5)  # of the first epoch
    assert losses(found) == pytest.approx(losses(alone), rel=1e-3)
    assert found.best_epoch == alone.best_epoch
    assert all(
        torch.allclose(value, alone.model.state_dict()[name], atol=1e-2)
        for name, value in found.model.state_dict().items()
    )
    assert not found.model.training
    checkpoints.clear()
    assert checkpoints.store.list() == []


def losses(training: Training) -> list[float]:
    return [part for record in training.history for part in (record.train_loss, record.validation_loss)]


@pytest.mark.slow
def test_a_cluster_without_room_is_told_at_once(
    cluster: None, tmp_path: Path, training_examples: list[Example], validation_examples: list[Example]
) -> None:
    many = profile(training={"workers": 3})
    with pytest.raises(
        SettingsError, match=r"3 workers of 1 CPU each.*room for 2 \(1 machines, 2 CPU in all\)"
    ):
        train(
            training_examples, validation_examples, len(CLASSES), many, Checkpoints(LocalStore(tmp_path), "a")
        )


SMALL = {"CPU": 4.0, "GPU": 1.0, "memory": 40e9}


@pytest.mark.parametrize(
    ("machines", "room"),
    [
        ([], 0),
        ([SMALL], 1),
        ([SMALL] * 4, None),
        ([{"CPU": 16.0, "GPU": 4.0, "memory": 128e9}], None),
        ([{"CPU": 64.0, "memory": 512e9}], 0),  # no GPU at all
        ([{"CPU": 16.0, "GPU": 4.0, "memory": 100e9}], 3),
        ([{"CPU": 2.0, "GPU": 1.0, "memory": 64e9}] * 8, 0),  # enough in all, but a worker fits nowhere
    ],
)
def test_room_is_counted_by_machine(machines: list[Mapping[str, float]], room: int | None) -> None:
    wanted = profile(
        training={
            "workers": 4,
            "device": "cuda",
            "worker_cpus": 4,
            "worker_gpus": 1,
            "worker_memory_gb": 32,
        }
    ).training
    if room is None:
        check_room(wanted, machines)
    else:
        message = rf"4 workers of 4 CPU, 1 GPU, 32 GB each.*room for {room} .*training\.workers.*RAY_ADDRESS"
        with pytest.raises(SettingsError, match=message):
            check_room(wanted, machines)


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_alone_nothing_is_exchanged(count: int) -> None:
    rows: Tensor = torch.arange(count * 2.0).view(count, 2)
    assert torch.equal(ALONE.gathered(rows, count), rows)
    assert ALONE.total(rows) is rows
    assert ALONE.share(range(count)) == range(count)
    model = torch.nn.BatchNorm2d(2)
    assert ALONE.parallel(model) is model
    assert [list(Workers(rank, 3).share(range(7))) for rank in range(3)] == [[0, 3, 6], [1, 4], [2, 5]]
