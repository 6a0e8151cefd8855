"""Network, optimizer and schedule of one training, and its epochs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from timm.scheduler.cosine_lr import CosineLRScheduler
from timm.utils import ModelEmaV3  # type: ignore[attr-defined]
from torch import Tensor

from inspection.learning.augmentation import geometric, photometric
from inspection.learning.data import Batch, Example, FrameDataset
from inspection.learning.loading import EpochBatches, training_loader
from inspection.learning.losses import box_loss, label_loss, positive_weights
from inspection.learning.model import DefectNet, grid_size
from inspection.learning.prediction import predict_logits
from inspection.learning.results import EpochRecord
from inspection.learning.workers import ALONE, Workers
from inspection.metrics import mean_auroc
from inspection.profiles import Profile
from inspection.progress import report

Floats = NDArray[np.float32]

STEPS_BETWEEN_READINGS = {"cpu": 1, "cuda": 20}
"""A loss that is read makes the processor wait for the GPU, which then waits for its next work."""

PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


class Loop:
    """One training, epoch by epoch."""

    def __init__(
        self, examples: Sequence[Example], classes: int, profile: Profile, workers: Workers = ALONE
    ) -> None:
        """Builds the network from the profile's seed.

        Args:
            examples: to learn from.
            classes: number of outputs.
            profile: everything else.
            workers: the processes that train together, each of which makes a loop of its own.
        """
        self.profile, self.workers = profile, workers
        settings = profile.training
        torch.manual_seed(settings.seed)
        self.device = torch.device(settings.device)
        self.model = DefectNet(profile.model, classes).to(self.device)
        self.model = self.model.to(memory_format=torch.channels_last)
        self.average = (
            ModelEmaV3(self.model, settings.ema_decay, use_warmup=True) if settings.ema_decay else None
        )
        shown = [index for index, example in enumerate(examples) for _ in range(example.repeats)]
        self.batches = EpochBatches(shown, settings.batch_size, settings.seed, workers)
        self.steps = len(self.batches)
        self.loader = training_loader(
            _frames(examples, self.model, profile),
            self.batches,
            settings.loader_workers,
            pin=self.device.type == "cuda",
        )
        targets = torch.from_numpy(np.stack([examples[index].targets for index in shown]))
        weights = positive_weights(targets, profile.loss.positive_power)
        self.positive_weights = None if weights is None else weights.to(self.device)
        self.optimizer = create_optimizer_v2(
            self.model, "adamw", lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.schedule = _schedule(self.optimizer, profile, self.steps)
        self.scaler = torch.amp.GradScaler(settings.device, enabled=settings.precision == "float16")
        forward = workers.parallel(self.model)
        self.forward: Callable[[Tensor], Tensor] = torch.compile(forward) if settings.compile else forward

    @property
    def judged(self) -> DefectNet:
        """The network that is validated and kept: the average of the weights where there is one."""
        return self.model if self.average is None else self.average.module

    def epoch(self, number: int, validation: Sequence[Example]) -> EpochRecord:
        """Trains for one epoch, of which the first is number 1, and validates."""
        begun, images = time.perf_counter(), 0
        losses = torch.zeros((), dtype=torch.float64, device=self.device)
        # All random numbers follow from seed, epoch and rank, so that a training that goes on after a
        # crash draws the same.
        torch.manual_seed((self.profile.training.seed * 1_000_003 + number) * 1_009 + self.workers.rank)
        self.batches.epoch = number
        self.model.train()
        for step, batch in enumerate(self.loader, start=1):
            done, shown = (number - 1) * self.steps + step, self.batches.images(step)
            losses += self.step(batch, done) * shown
            images += shown
            if step % STEPS_BETWEEN_READINGS[self.device.type] and step < self.steps:
                continue
            loss, speed = float(losses) / images, images / (time.perf_counter() - begun)
            note = f"epoch {number} loss {loss:.4f} lr {self._rate():.1e} {speed:.0f} images/s"
            report("training", done, self.profile.training.epochs * self.steps, note)
        self.workers.same_buffers(self.model)
        self.workers.same_buffers(self.judged)
        logits = predict_logits(self.judged, validation, self.profile.preprocessing, self.workers)
        targets = np.stack([example.targets for example in validation])
        return EpochRecord(
            epoch=number,
            train_loss=loss,
            validation_loss=self._validation_loss(logits, targets, [e.weight for e in validation]),
            validation_auroc=mean_auroc(logits, targets),
            learning_rate=self._rate(),
            images_per_second=speed,
            seconds=time.perf_counter() - begun,
        )

    def snapshot(self) -> dict[str, Tensor]:
        """Returns a copy of the weights that are judged."""
        return {name: value.detach().cpu().clone() for name, value in self.judged.state_dict().items()}

    def tensors(self) -> dict[str, Tensor]:
        """Returns the tensors that an epoch leaves behind, by name."""
        found = _prefixed("model", self.model.state_dict())
        if self.average is not None:
            found |= _prefixed("average", self.average.module.state_dict())
        for place, values in self.optimizer.state_dict()["state"].items():
            found |= _prefixed(f"optimizer/{place}", values)
        return found

    def load(self, tensors: Mapping[str, Tensor], epoch: int, loss_scale: dict[str, float] | None) -> None:
        """Takes up what `tensors` returned after an epoch."""
        self.model.load_state_dict(_part("model", tensors))
        if self.average is not None:
            self.average.module.load_state_dict(_part("average", tensors))
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for place, parameter in enumerate(parameters):
            self.optimizer.state[parameter] = {
                name: _like(parameter, value) if value.shape == parameter.shape else value.clone()
                for name, value in _part(f"optimizer/{place}", tensors).items()
            }
        if loss_scale is not None:
            self.scaler.load_state_dict(loss_scale)
        self.schedule.step_update(epoch * self.steps)

    def loss_scale(self) -> dict[str, float] | None:
        """Returns the state of the loss scaler; None where the loss is not scaled."""
        return self.scaler.state_dict() or None

    def step(self, batch: Batch, done: int) -> Tensor:
        """Takes a step on a batch, after which `done` have been taken; returns its loss, of all workers."""
        loss = self._loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        # Gradients are the mean over the workers, and each has its part of the mean over the batch.
        self.scaler.scale(loss * self.workers.size).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.profile.training.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update(self.model, step=done)
        self.schedule.step_update(done)
        return self.workers.total(loss.detach())

    def _loss(self, batch: Batch) -> Tensor:
        images, targets, known, cells, weights = (part.to(self.device, non_blocking=True) for part in batch)
        images = photometric(images, self.profile.augmentation, self.profile.preprocessing)
        half = PRECISIONS.get(self.profile.training.precision)
        with torch.autocast(self.device.type, half, enabled=half is not None):
            maps = self.forward(images)
        maps, shape, total = maps.float(), self.profile.loss, self.workers.total
        loss = label_loss(maps, targets, known, weights, shape, self.positive_weights, total)
        if shape.box_weight:
            loss = loss + shape.box_weight * box_loss(maps, cells, weights, total)
        return loss

    def _validation_loss(self, logits: Floats, targets: Floats, weights: Sequence[float]) -> float:
        # Of the same shape and weighted like the training loss, so that both speak of the same thing.
        maps, truth = torch.from_numpy(logits).double()[:, :, None, None], torch.from_numpy(targets).double()
        bent = None if self.positive_weights is None else self.positive_weights.cpu()
        known, of_images = torch.ones_like(truth), torch.tensor(weights, dtype=torch.float64)
        return float(label_loss(maps, truth, known, of_images, self.profile.loss, bent))

    def _rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])


def _frames(examples: Sequence[Example], model: DefectNet, profile: Profile) -> FrameDataset:
    size = (profile.preprocessing.height, profile.preprocessing.width)
    shown = profile.training.window or size
    return FrameDataset(
        examples,
        grid_size(model, *shown),
        change=geometric(profile.augmentation, shown),
        window=profile.training.window,
        minimum_visible=profile.augmentation.minimum_visible,
    )


def _schedule(optimizer: torch.optim.Optimizer, profile: Profile, steps: int) -> CosineLRScheduler:
    settings = profile.training
    warmup = round(settings.warmup_epochs * steps)
    schedule = CosineLRScheduler(
        optimizer,
        t_initial=max(1, settings.epochs * steps - warmup),
        warmup_t=warmup,
        warmup_lr_init=settings.learning_rate / 100,
        warmup_prefix=True,
        t_in_epochs=False,
    )
    schedule.step_update(0)
    return schedule


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": value for name, value in values.items()}


def _part(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """Puts a value where, and laid out in memory as, the parameter is."""
    return torch.empty_like(parameter, requires_grad=False).copy_(value)
