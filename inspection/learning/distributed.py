"""Training by several processes of a Ray cluster: the same loop in each, on its part of every batch.

They hand on their work by the checkpoints in the object store: a worker that is lost is replaced and all go
on from the newest one, and the caller takes the result from the last one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from threading import Thread
from typing import Any

import ray
import ray.train
import torch
from ray.exceptions import RayError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.util.queue import Queue

from inspection.errors import InspectionError, ServiceError, SettingsError
from inspection.learning.checkpoints import Checkpoints
from inspection.learning.data import Example
from inspection.learning.model import untrained
from inspection.learning.training import Training, best_weights, check_device, run_epochs
from inspection.learning.workers import Workers
from inspection.profiles import Profile, TrainingProfile
from inspection.progress import listening, report
from inspection.store import open_store

LOSSES = 3
"""Lost workers that a training survives."""
SECONDS_BETWEEN_REPORTS = 0.2
GIGABYTE = 10**9


@dataclass(frozen=True)
class _Job:
    """What each worker gets; `data` refers to training and validation examples in Ray's own store."""

    data: Any
    classes: int
    profile: Profile
    store: str
    key: str
    progress: Queue


def train_on_ray(
    training: Sequence[Example],
    validation: Sequence[Example],
    classes: int,
    profile: Profile,
    checkpoints: Checkpoints,
    address: str | None,
) -> Training:
    """Trains on a Ray cluster; see `inspection.learning.training.train`.

    Args:
        training: images to learn from.
        validation: images to stop by.
        classes: number of outputs.
        profile: everything else.
        checkpoints: in a store that all machines of the cluster reach.
        address: of the cluster; None starts one on this machine for the time of the training.

    Raises:
        SettingsError: the cluster has no room for the workers, or as the loop itself.
        ServiceError: workers were lost more often than a training survives.
    """
    with _cluster(address):
        check_room(profile.training, [node["Resources"] for node in ray.nodes() if node["Alive"]])  # type: ignore[no-untyped-call]
        data = ray.put((training, validation))
        with _relayed_progress() as progress:
            job = _Job(data, classes, _absolute(profile), checkpoints.store.url, checkpoints.key, progress)
            resumed_from, passed_over = _fit(job)
    last = checkpoints.newest().checkpoint
    if last is None:
        raise ServiceError(
            f"the workers left no checkpoint in {checkpoints.store.url}: set VQI_ARTIFACTS to a store that "
            "all machines of the cluster reach"
        )
    model = untrained(profile.model, classes)
    model.load_state_dict(best_weights(last.tensors))
    state = last.state
    return Training(model.eval(), state.history, state.best_epoch, state.seconds, resumed_from, passed_over)


def check_room(training: TrainingProfile, machines: Sequence[Mapping[str, float]]) -> None:
    """Refuses workers for which a cluster has no room, so that nobody waits for what will not come.

    Args:
        training: how many workers, and what each needs.
        machines: resources of each, as Ray names them.

    Raises:
        SettingsError: says what is missing and what to do.
    """
    needed = _resources(training)
    room = sum(
        int(min(found.get(name, 0) // amount for name, amount in needed.items())) for found in machines
    )
    if room >= training.workers:
        return
    each = ", ".join(_told(name, amount) for name, amount in needed.items())
    in_all = ", ".join(_told(name, sum(has.get(name, 0) for has in machines)) for name in needed)
    raise SettingsError(
        f"the profile asks for {training.workers} workers of {each} each, and the Ray cluster has room for "
        f"{room} ({len(machines)} machines, {in_all} in all): set training.workers in a profile of your own "
        "(1 trains in this process), or RAY_ADDRESS to a larger cluster"
    )


def _fit(job: _Job) -> tuple[int, tuple[str, ...]]:
    settings = job.profile.training
    trainer = TorchTrainer(
        _work,  # type: ignore[arg-type]  # Ray gives back what it returns, and its types do not say so
        train_loop_config={"job": job},
        scaling_config=ScalingConfig(
            num_workers=settings.workers,
            use_gpu=settings.device == "cuda",
            resources_per_worker=_resources(settings),
        ),
        run_config=RunConfig(
            name="ray",  # Ray's own notes lie with the checkpoints and go with them
            storage_path=f"{job.store}/checkpoints/{job.key}",
            failure_config=FailureConfig(max_failures=LOSSES),
        ),
        torch_config=TorchConfig(backend="nccl" if settings.device == "cuda" else "gloo"),
    )
    try:
        outcome = trainer.fit().return_value  # type: ignore[attr-defined]  # likewise
    except ray.train.TrainingFailedError as error:
        reason = " ".join(str(error).split())[-500:]
        raise ServiceError(
            f"workers of the training were lost or failed more than {LOSSES} times, at last: {reason}"
        ) from error
    if isinstance(outcome, InspectionError):
        raise outcome
    resumed_from, passed_over = outcome
    return resumed_from, passed_over


def _work(config: dict[str, _Job]) -> tuple[int, tuple[str, ...]] | InspectionError:
    """Trains in one worker; returns how it began, or an error that another attempt would meet again."""
    job, context = config["job"], ray.train.get_context()
    workers = Workers(context.get_world_rank(), context.get_world_size())
    if job.profile.training.device == "cuda":
        torch.cuda.set_device(get_device())
    training, validation = ray.get(job.data)
    checkpoints = Checkpoints(open_store(job.store), job.key)
    try:
        check_device(job.profile)
        with listening(_Sender(job.progress) if workers.rank == 0 else _silent):
            done = run_epochs(training, validation, job.classes, job.profile, checkpoints, workers)
    except InspectionError as error:
        return error
    return done.resumed_from, done.passed_over


class _Sender:
    """Sends progress to the process that waits for the training, not more often than a person reads."""

    def __init__(self, queue: Queue) -> None:
        self.queue, self.sent = queue, 0.0

    def __call__(self, task: str, done: int, total: int, note: str) -> None:
        if done == total or time.monotonic() - self.sent > SECONDS_BETWEEN_REPORTS:
            self.sent = time.monotonic()
            self.queue.put((task, done, total, note))


def _silent(task: str, done: int, total: int, note: str) -> None:
    """The others say nothing: they are as far as the first."""


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    if ray.is_initialized():  # by the caller, whose it stays
        yield
        return
    try:
        ray.init(
            address or "local",
            include_dashboard=None if address else False,
            logging_level=logging.WARNING,
            log_to_driver=False,
        )
    except ConnectionError as error:
        raise SettingsError(
            f"there is no Ray cluster at {address}: set RAY_ADDRESS to one that runs"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _relayed_progress() -> Iterator[Queue]:
    """Yields a queue; what is put into it is reported here."""
    queue = Queue(actor_options={"num_cpus": 0})
    thread = Thread(target=copy_context().run, args=(_relay, queue), daemon=True)
    thread.start()
    try:
        yield queue
    finally:
        queue.put(None)
        thread.join()
        queue.shutdown()


def _relay(queue: Queue) -> None:
    try:
        while (event := queue.get()) is not None:
            report(*event)
    except RayError:  # the cluster is gone, which the training itself will tell
        return


def _resources(training: TrainingProfile) -> dict[str, float]:
    asked = {
        "CPU": training.worker_cpus,
        "GPU": training.worker_gpus,
        "memory": training.worker_memory_gb * GIGABYTE,
    }
    return {name: amount for name, amount in asked.items() if amount}


def _told(name: str, amount: float) -> str:
    return f"{amount / GIGABYTE:.3g} GB" if name == "memory" else f"{amount:g} {name}"


def _absolute(profile: Profile) -> Profile:
    # Workers run in another folder.
    model, file = profile.model, profile.model.weights_file
    if file is None:
        return profile
    return profile.model_copy(update={"model": model.model_copy(update={"weights_file": file.resolve()})})
