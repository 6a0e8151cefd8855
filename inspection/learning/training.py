"""The training loop."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from timm.scheduler.cosine_lr import CosineLRScheduler
from torch import Tensor
from torch.utils.data import DataLoader, SubsetRandomSampler

from inspection.errors import InsufficientDataError, SettingsError
from inspection.imaging import Preprocessing
from inspection.learning.augmentation import geometric, photometric, turning_room
from inspection.learning.data import Batch, Example, FrameDataset, collate
from inspection.learning.losses import box_loss, label_loss
from inspection.learning.model import DefectNet, grid_size, pool
from inspection.learning.results import EpochRecord
from inspection.memory import keep_freed_memory
from inspection.metrics import mean_auroc
from inspection.profiles import Profile
from inspection.progress import report

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Training:
    """A trained network and how it went.

    Attributes:
        model: with the weights of `best_epoch`, in evaluation mode, on the CPU.
    """

    model: DefectNet
    history: tuple[EpochRecord, ...]
    best_epoch: int
    seconds: float


def train(
    training: Sequence[Example], validation: Sequence[Example], classes: int, profile: Profile
) -> Training:
    """Trains a network; the weights with the lowest validation loss are kept.

    The same seed, data and number of threads give the same losses on a CPU.

    Args:
        training: images to learn from.
        validation: images to stop by.
        classes: number of outputs.
        profile: everything else.

    Raises:
        InsufficientDataError: fewer training images than the profile asks for, or no validation image.
        SettingsError: the profile's device is not to be had, or its learning rate drives the loss away.
    """
    _check(training, validation, profile)
    keep_freed_memory()
    begun = time.perf_counter()
    loop = _Loop(training, classes, profile)
    history: list[EpochRecord] = []
    best, kept = math.inf, loop.snapshot()
    for epoch in range(1, profile.training.epochs + 1):
        history.append(loop.epoch(epoch, validation))
        if not math.isfinite(history[-1].train_loss + history[-1].validation_loss):
            raise SettingsError("the loss is no number any more: lower training.learning_rate")
        if history[-1].validation_loss < best:
            best, best_epoch, kept = history[-1].validation_loss, epoch, loop.snapshot()
        if epoch - best_epoch >= profile.training.patience:
            break
    loop.model.load_state_dict(kept)
    return Training(loop.model.cpu().eval(), tuple(history), best_epoch, time.perf_counter() - begun)


def predict_logits(model: DefectNet, examples: Sequence[Example], preprocessing: Preprocessing) -> Floats:
    """Returns image logits, float32 [N, C], in order, without changes to the images."""
    device = next(model.parameters()).device
    # A few at a time on a processor: feature maps of more whole frames leave its caches, at twice the time.
    batch_size = 32 if device.type == "cuda" else 4
    model.eval()
    found: list[Tensor] = []
    with torch.inference_mode():
        for batch in _loader(FrameDataset(examples, (1, 1)), preprocessing, batch_size):
            found.append(pool(model(batch.images.to(device)).float()).cpu())
    return np.asarray(torch.cat(found).numpy(), np.float32)


class _Loop:
    """Network, optimizer and schedule of one training."""

    def __init__(self, examples: Sequence[Example], classes: int, profile: Profile) -> None:
        self.profile, self.examples = profile, examples
        settings, size = profile.training, (profile.preprocessing.height, profile.preprocessing.width)
        shown = settings.window or size
        room = turning_room(shown, profile.augmentation.rotation_degrees, size)
        torch.manual_seed(settings.seed)
        self.device = torch.device(settings.device)
        self.model = DefectNet(profile.model, classes).to(self.device)
        self.model = self.model.to(memory_format=torch.channels_last)
        self.dataset = FrameDataset(
            examples,
            grid_size(self.model, *shown),
            change=geometric(profile.augmentation, room),
            flip=profile.augmentation.flip,
            window=settings.window,
            room=room if settings.window else None,
            minimum_visible=profile.augmentation.minimum_visible,
        )
        self.shown = [index for index, example in enumerate(examples) for _ in range(example.repeats)]
        self.steps = math.ceil(len(self.shown) / settings.batch_size)
        self.optimizer = create_optimizer_v2(
            self.model, "adamw", lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        warmup = round(settings.warmup_epochs * self.steps)
        self.schedule = CosineLRScheduler(
            self.optimizer,
            t_initial=max(1, settings.epochs * self.steps - warmup),
            warmup_t=warmup,
            warmup_lr_init=settings.learning_rate / 100,
            warmup_prefix=True,
            t_in_epochs=False,
        )
        self.schedule.step_update(0)

    def epoch(self, number: int, validation: Sequence[Example]) -> EpochRecord:
        """Trains for one epoch and validates."""
        begun, losses, images = time.perf_counter(), 0.0, 0
        self.model.train()
        for step, batch in enumerate(self._batches(number), start=1):
            done = (number - 1) * self.steps + step
            losses += self._step(batch) * len(batch.images)
            self.schedule.step_update(done)
            images += len(batch.images)
            speed = images / (time.perf_counter() - begun)
            note = f"epoch {number} loss {losses / images:.4f} lr {self._rate():.1e} {speed:.0f} images/s"
            report("training", done, self.profile.training.epochs * self.steps, note)
        logits = predict_logits(self.model, validation, self.profile.preprocessing)
        targets = np.stack([example.targets for example in validation])
        return EpochRecord(
            epoch=number,
            train_loss=losses / images,
            validation_loss=_validation_loss(logits, targets, [e.weight for e in validation]),
            validation_auroc=mean_auroc(logits, targets),
            learning_rate=self._rate(),
            images_per_second=speed,
            seconds=time.perf_counter() - begun,
        )

    def snapshot(self) -> dict[str, Tensor]:
        """Returns a copy of the weights."""
        return {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()}

    def _batches(self, number: int) -> Iterator[Batch]:
        settings = self.profile.training
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + number)
        sampler = SubsetRandomSampler(self.shown, generator=generator)
        yield from _loader(
            self.dataset, self.profile.preprocessing, settings.batch_size, sampler, settings.loader_workers
        )

    def _step(self, batch: Batch) -> float:
        settings, augmentation = self.profile.training, self.profile.augmentation
        images, targets, known, cells, weights = (part.to(self.device, non_blocking=True) for part in batch)
        images = photometric(images, augmentation, self.profile.preprocessing)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
            maps = self.model(images)
        maps = maps.float()
        loss = label_loss(maps, targets, known, weights)
        if self.profile.loss.box_weight:
            loss = loss + self.profile.loss.box_weight * box_loss(maps, cells, weights)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        self.optimizer.step()
        return float(loss.detach())

    def _rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])


def _loader(
    dataset: FrameDataset,
    preprocessing: Preprocessing,
    batch_size: int,
    sampler: SubsetRandomSampler | None = None,
    workers: int = 0,
) -> DataLoader[Batch]:
    return DataLoader(
        dataset,  # type: ignore[arg-type]  # of items, of which collate makes batches
        batch_size=batch_size,
        sampler=sampler,
        num_workers=min(workers, os.cpu_count() or 1),
        collate_fn=partial(collate, preprocessing=preprocessing),
    )


def _validation_loss(logits: Floats, targets: Floats, weights: Sequence[float]) -> float:
    # Weighted like the training loss, so that both speak of the line's own mix.
    with np.errstate(invalid="ignore"):  # the caller refuses a loss that is no number
        losses = np.logaddexp(0, np.where(targets > 0, -logits, logits)).mean(1)
    return float(np.average(losses, weights=weights))


def _check(training: Sequence[Example], validation: Sequence[Example], profile: Profile) -> None:
    settings = profile.training
    if len(training) < settings.minimum_rows:
        raise InsufficientDataError(
            f"{len(training)} training images; profile {profile.name} asks for {settings.minimum_rows}: "
            "label more, or lower training.minimum_rows"
        )
    if not validation:
        raise InsufficientDataError("no validation image: without one nothing tells when to stop")
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            "the profile trains on a GPU and there is none here: set training.device, or choose another "
            "profile (VQI_PROFILE)"
        )
