"""A training from its first epoch, or from where it was cut off, to the weights that are kept."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inspection.errors import InsufficientDataError, SettingsError
from inspection.learning.checkpoints import Checkpoints, Found, State
from inspection.learning.data import Example
from inspection.learning.loop import Loop
from inspection.learning.model import DefectNet
from inspection.learning.prediction import predict_logits as predict_logits
from inspection.learning.results import EpochRecord
from inspection.learning.workers import ALONE, Workers
from inspection.memory import keep_freed_memory
from inspection.profiles import Profile


@dataclass(frozen=True)
class Training:
    """A trained network and how it went.

    Attributes:
        model: with the weights of `best_epoch`, in evaluation mode, on the CPU.
        resumed_from: the epoch after which an earlier training went on; 0 if this one began anew.
        passed_over: checkpoints that were damaged, with the reason.
    """

    model: DefectNet
    history: tuple[EpochRecord, ...]
    best_epoch: int
    seconds: float
    resumed_from: int = 0
    passed_over: tuple[str, ...] = ()


def train(
    training: Sequence[Example],
    validation: Sequence[Example],
    classes: int,
    profile: Profile,
    checkpoints: Checkpoints | None = None,
    ray_address: str | None = None,
) -> Training:
    """Trains a network; the weights with the lowest validation loss are kept.

    The same seed, data and number of threads give the same losses on a CPU, also when the training was
    cut off on the way and went on from a checkpoint.

    Args:
        training: images to learn from.
        validation: images to stop by.
        classes: number of outputs.
        profile: everything else.
        checkpoints: where a training that is cut off goes on from; the caller clears them in the end.
        ray_address: of a Ray cluster to train on; without it one is started when the profile asks for
            more than one worker.

    Raises:
        InsufficientDataError: fewer training images than the profile asks for, or no validation image.
        SettingsError: the profile's device or workers are not to be had, or its learning rate drives the
            loss away.
    """
    _check(training, validation, profile)
    if profile.training.workers > 1 or ray_address:
        if checkpoints is None:
            raise SettingsError("several workers hand on their work by checkpoints: give them a store")
        from inspection.learning.distributed import train_on_ray

        return train_on_ray(training, validation, classes, profile, checkpoints, ray_address)
    check_device(profile)
    return run_epochs(training, validation, classes, profile, checkpoints)


def run_epochs(
    training: Sequence[Example],
    validation: Sequence[Example],
    classes: int,
    profile: Profile,
    checkpoints: Checkpoints | None,
    workers: Workers = ALONE,
) -> Training:
    """Does the work of `train` in one of the processes that train together."""
    keep_freed_memory()
    begun = time.perf_counter()
    loop = Loop(training, classes, profile, workers)
    found = checkpoints.newest() if checkpoints else Found()
    history, best_epoch, kept = _taken_up(loop, found)
    earlier = found.checkpoint.state.seconds if found.checkpoint else 0.0
    while not _finished(history, best_epoch, profile):
        history.append(loop.epoch(len(history) + 1, validation))
        if not math.isfinite(history[-1].train_loss + history[-1].validation_loss):
            raise SettingsError("the loss is no number any more: lower training.learning_rate")
        if not best_epoch or history[-1].validation_loss < history[best_epoch - 1].validation_loss:
            best_epoch, kept = len(history), loop.snapshot()
        if checkpoints and workers.rank == 0:
            state = State(
                epoch=len(history),
                history=tuple(history),
                best_epoch=best_epoch,
                seconds=earlier + time.perf_counter() - begun,
                loss_scale=loop.loss_scale(),
            )
            checkpoints.save(state, {**loop.tensors(), **{f"{BEST}{name}": v for name, v in kept.items()}})
    model = loop.judged
    model.load_state_dict(kept)
    seconds = earlier + time.perf_counter() - begun
    resumed = found.checkpoint.state.epoch if found.checkpoint else 0
    return Training(model.cpu().eval(), tuple(history), best_epoch, seconds, resumed, found.passed_over)


BEST = "best/"


def best_weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights to keep from the tensors of a checkpoint."""
    return {name.removeprefix(BEST): value for name, value in tensors.items() if name.startswith(BEST)}


def check_device(profile: Profile) -> None:
    """Refuses a device or precision that this machine does not have.

    Raises:
        SettingsError: says which.
    """
    if profile.training.device != "cuda":
        return
    if not torch.cuda.is_available():
        raise SettingsError(
            "the profile trains on a GPU and there is none here: set training.device, or choose another "
            "profile (VQI_PROFILE)"
        )
    if profile.training.precision == "bfloat16" and not torch.cuda.is_bf16_supported(
        including_emulation=False
    ):
        raise SettingsError(
            f"{torch.cuda.get_device_name()} has no bfloat16: set training.precision to float16"
        )


def _taken_up(loop: Loop, found: Found) -> tuple[list[EpochRecord], int, dict[str, Tensor]]:
    if found.checkpoint is None:
        return [], 0, {}
    state, tensors = found.checkpoint.state, found.checkpoint.tensors
    loop.load(tensors, state.epoch, state.loss_scale)
    return list(state.history), state.best_epoch, best_weights(tensors)


def _finished(history: Sequence[EpochRecord], best_epoch: int, profile: Profile) -> bool:
    waited = len(history) - best_epoch
    return len(history) >= profile.training.epochs or waited >= profile.training.patience


def _check(training: Sequence[Example], validation: Sequence[Example], profile: Profile) -> None:
    settings = profile.training
    if len(training) < settings.minimum_rows:
        raise InsufficientDataError(
            f"{len(training)} training images; profile {profile.name} asks for {settings.minimum_rows}: "
            "label more, or lower training.minimum_rows"
        )
    if not validation:
        raise InsufficientDataError("no validation image: without one nothing tells when to stop")
