"""Where a training stands after each epoch, in the object store, so that it goes on after a crash.

    checkpoints/<run key>/epoch-003.safetensors     weights, averages, the optimizer's tensors, best weights
    checkpoints/<run key>/epoch-003.json            the rest, and the hash of that file; written last

There is nothing in them that could be run when they are read. The run key is a hash of all that must be
equal for a training to be the same one. Random numbers need no keeping: they follow from the seed and the
number of the epoch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import load, save
from torch import Tensor

from inspection.learning.results import EpochRecord
from inspection.packages import code_digest, code_revision, package_versions
from inspection.profiles import Profile
from inspection.store import ObjectStore

KEPT = 2
"""Checkpoints of one training; should the newest be damaged, the one before still holds."""

_NAME = re.compile(r"epoch-(\d+)\.(json|safetensors)")


class State(BaseModel):
    """The plain part of a checkpoint.

    Attributes:
        epoch: the last one that is done.
        history: of all epochs so far.
        best_epoch: whose weights are the best so far.
        seconds: of training so far.
        loss_scale: state of the scaler of ``float16``, None without one.
        tensors: SHA-256 of the file of tensors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epoch: int
    history: tuple[EpochRecord, ...]
    best_epoch: int
    seconds: float
    loss_scale: dict[str, float] | None = None
    tensors: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stands: `State` and tensors by name, on the CPU."""

    state: State
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True)
class Found:
    """What there is to go on from: the newest sound checkpoint, and what was passed over, with the reason."""

    checkpoint: Checkpoint | None = None
    passed_over: tuple[str, ...] = ()


def run_key(profile: Profile, data_fingerprint: str, classes: Sequence[str]) -> str:
    """Returns the name of a training: 32 hex digits of the hash of all that makes it what it is."""
    parts = [
        profile.model_dump(mode="json"),
        data_fingerprint,
        list(classes),
        code_revision(),
        code_digest(),
        package_versions(),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


class Checkpoints:
    """The checkpoints of one training."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        """Opens them.

        Args:
            store: keeps them; processes on several machines must all reach it.
            key: from `run_key`.
        """
        self.store, self.key = store, key

    def save(self, state: State, tensors: Mapping[str, Tensor]) -> None:
        """Writes a checkpoint and removes all but the newest `KEPT`."""
        data = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
        whole = state.model_copy(update={"tensors": hashlib.sha256(data).hexdigest()})
        self.store.put(self._path(state.epoch, "safetensors"), data)
        self.store.put(self._path(state.epoch, "json"), whole.model_dump_json(indent=2).encode())
        kept = sorted(self._epochs())[-KEPT:]
        self._remove(lambda epoch: epoch not in kept)

    def newest(self) -> Found:
        """Reads the newest checkpoint that is whole; a damaged or unfinished one is passed over and told."""
        passed_over: list[str] = []
        for epoch in sorted(self._epochs(), reverse=True):
            found = self._read(epoch)
            if isinstance(found, Checkpoint):
                return Found(found, tuple(passed_over))
            passed_over.append(f"epoch {epoch}: {found}")
        return Found(None, tuple(passed_over))

    def clear(self) -> None:
        """Removes all, and what else lies with them: the training has ended well."""
        self._remove(lambda epoch: True)
        for key in self.store.list(f"checkpoints/{self.key}/"):
            self.store.delete(key)

    def _read(self, epoch: int) -> Checkpoint | str:
        state_path, tensors_path = self._path(epoch, "json"), self._path(epoch, "safetensors")
        if not self.store.exists(state_path) or not self.store.exists(tensors_path):
            return "it was not written to its end"
        try:
            state = State.model_validate_json(self.store.get(state_path))
        except ValidationError:
            return "its state is damaged"
        data = self.store.get(tensors_path)
        if hashlib.sha256(data).hexdigest() != state.tensors:
            return "its tensors are not those that were written"
        return Checkpoint(state, load(data))

    def _epochs(self) -> set[int]:
        return {epoch for epoch, _ in self._files()}

    def _files(self) -> list[tuple[int, str]]:
        keys = self.store.list(f"checkpoints/{self.key}/")
        named = [(_NAME.fullmatch(key.rsplit("/", 1)[-1]), key) for key in keys]
        return [(int(match[1]), key) for match, key in named if match]

    def _remove(self, unwanted: Callable[[int], bool]) -> None:
        # The state first: tensors without it are an unfinished checkpoint, never a wrong one.
        for epoch, key in self._files():  # sorted: json before safetensors
            if unwanted(epoch):
                self.store.delete(key)

    def _path(self, epoch: int, suffix: str) -> str:
        return f"checkpoints/{self.key}/epoch-{epoch:03}.{suffix}"
