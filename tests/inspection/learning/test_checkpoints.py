"""A training that was cut off ends like one that was not."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from inspection.errors import StoreError
from inspection.learning import checkpoints as module
from inspection.learning.checkpoints import Checkpoints, State, run_key
from inspection.learning.data import Example
from inspection.learning.training import Training, train
from inspection.profiles import Profile
from inspection.store import LocalStore
from tests.inspection.learning.cut_off import KEY, PROFILE
from tests.inspection.learning.toy import CLASSES, profile

SHORT = profile(training={"epochs": 2})
STATE = State(epoch=1, history=(), best_epoch=1, seconds=1.5)
TENSORS = {"model/a": torch.arange(4.0), "optimizer/0/step": torch.tensor(3.0)}


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def names(store: LocalStore) -> list[str]:
    return [key.rsplit("/", 1)[-1] for key in store.list("checkpoints/")]


def outcome(training: Training) -> list[tuple[float, float, float | None]]:
    return [(r.train_loss, r.validation_loss, r.validation_auroc) for r in training.history]


def assert_same(first: Training, second: Training) -> None:
    assert outcome(first) == outcome(second)
    assert first.best_epoch == second.best_epoch
    state = second.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in first.model.state_dict().items())


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose training was killed after 20 of 40 steps, in the middle of epoch 3."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-m", "tests.inspection.learning.cut_off", str(folder), "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.kill()
    assert process.returncode == -9
    return folder


@pytest.fixture(scope="module")
def whole(one_thread: None, training_examples: list[Example], validation_examples: list[Example]) -> Training:
    return train(training_examples, validation_examples, len(CLASSES), PROFILE)


def copied(folder: Path, target: Path) -> LocalStore:
    """Returns a copy of a store, to damage."""
    store = LocalStore(target)
    for key in LocalStore(folder).list():
        store.put(key, LocalStore(folder).get(key))
    return store


def resumed(store: LocalStore, training: list[Example], validation: list[Example]) -> Training:
    return train(training, validation, len(CLASSES), PROFILE, Checkpoints(store, KEY))


def test_after_a_kill_the_rest_is_as_if_nothing_had_happened(
    killed: Path,
    whole: Training,
    tmp_path: Path,
    training_examples: list[Example],
    validation_examples: list[Example],
) -> None:
    store = copied(killed, tmp_path)
    assert names(store)[-1] == "epoch-002.safetensors"
    found = resumed(store, training_examples, validation_examples)
    assert (found.resumed_from, found.passed_over) == (2, ())
    assert_same(found, whole)
    assert names(store) == [
        f"epoch-{epoch:03}.{suffix}" for epoch in (4, 5) for suffix in ("json", "safetensors")
    ]
    again = resumed(store, training_examples, validation_examples)  # nothing is left to do
    assert again.resumed_from == 5
    assert_same(again, whole)


def damage(store: LocalStore, kind: str) -> None:
    """Spoils the checkpoint of epoch 2."""
    folder = f"checkpoints/{KEY}/epoch-002"
    tensors = store.get(f"{folder}.safetensors")
    if kind == "half":
        store.put(f"{folder}.safetensors", tensors[: len(tensors) // 2])
    elif kind == "flipped":
        store.put(f"{folder}.safetensors", tensors[:-1] + bytes([tensors[-1] ^ 1]))
    elif kind == "no tensors":
        store.delete(f"{folder}.safetensors")
    elif kind == "no state":
        store.delete(f"{folder}.json")
    else:
        store.put(f"{folder}.json", store.get(f"{folder}.json")[:-9])


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("half", "its tensors are not those that were written"),
        ("flipped", "its tensors are not those that were written"),
        ("no tensors", "it was not written to its end"),
        ("no state", "it was not written to its end"),
        ("half a state", "its state is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over_and_told(
    kind: str, reason: str, killed: Path, tmp_path: Path
) -> None:
    store = copied(killed, tmp_path)
    damage(store, kind)
    found = Checkpoints(store, KEY).newest()
    assert found.passed_over == (f"epoch 2: {reason}",)
    assert found.checkpoint is not None
    assert found.checkpoint.state.epoch == 1


def test_a_training_goes_on_from_the_checkpoint_before_a_damaged_one(
    killed: Path,
    whole: Training,
    tmp_path: Path,
    training_examples: list[Example],
    validation_examples: list[Example],
) -> None:
    store = copied(killed, tmp_path)
    damage(store, "half")
    found = resumed(store, training_examples, validation_examples)
    assert (found.resumed_from, len(found.passed_over)) == (1, 1)
    assert_same(found, whole)


def test_early_stopping_counts_on(
    store: LocalStore, training_examples: list[Example], validation_examples: list[Example]
) -> None:
    wrong = [replace(example, targets=1 - example.targets) for example in validation_examples]
    patient = profile(training={"epochs": 8, "patience": 2})
    whole = train(training_examples, wrong, len(CLASSES), patient, Checkpoints(store, "a"))
    assert len(whole.history) < 8
    last = f"checkpoints/a/epoch-{len(whole.history):03}"
    store.delete(f"{last}.json")
    found = train(training_examples, wrong, len(CLASSES), patient, Checkpoints(store, "a"))
    assert found.resumed_from == len(whole.history) - 1
    assert_same(found, whole)


def test_the_key_tells_trainings_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    key = run_key(SHORT, "f" * 64, CLASSES)
    assert key == run_key(Profile.model_validate_json(SHORT.model_dump_json()), "f" * 64, CLASSES)
    others = [
        run_key(profile(training={"epochs": 3}), "f" * 64, CLASSES),
        run_key(SHORT, "e" * 64, CLASSES),
        run_key(SHORT, "f" * 64, CLASSES[::-1]),
    ]
    monkeypatch.setattr(module, "code_revision", lambda: "another")
    others.append(run_key(SHORT, "f" * 64, CLASSES))
    assert len({key, *others}) == 5


def test_what_was_saved_is_read_and_the_newest_two_are_kept(store: LocalStore) -> None:
    checkpoints = Checkpoints(store, "a")
    assert checkpoints.newest().checkpoint is None
    for epoch in (1, 2, 3):
        checkpoints.save(STATE.model_copy(update={"epoch": epoch}), TENSORS)
    found = checkpoints.newest().checkpoint
    assert found is not None
    assert (found.state.epoch, found.state.seconds) == (3, 1.5)
    assert found.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(found.tensors[name], value) for name, value in TENSORS.items())
    assert sorted({name[:9] for name in names(store)}) == ["epoch-002", "epoch-003"]
    assert Checkpoints(store, "b").newest().checkpoint is None
    checkpoints.clear()
    assert names(store) == []


def test_a_state_of_another_form_is_damaged(store: LocalStore) -> None:
    checkpoints = Checkpoints(store, "a")
    checkpoints.save(STATE, TENSORS)
    state = json.loads(store.get("checkpoints/a/epoch-001.json"))
    store.put("checkpoints/a/epoch-001.json", json.dumps({**state, "more": 1}).encode())
    assert checkpoints.newest().passed_over == ("epoch 1: its state is damaged",)


def test_a_store_that_refuses_is_no_damaged_checkpoint(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = Checkpoints(store, "a")
    checkpoints.save(STATE, TENSORS)

    def refuse(key: str) -> bytes:
        raise StoreError("the network is down")

    monkeypatch.setattr(store, "get", refuse)
    with pytest.raises(StoreError, match="network"):
        checkpoints.newest()
