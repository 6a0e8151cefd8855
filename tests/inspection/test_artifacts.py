"""Files and records under the hash of their contents."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from inspection.artifacts import get_file, get_record, put_file, put_record
from inspection.errors import StoreError
from inspection.store import LocalStore


class Recipe(BaseModel):
    """A kind of record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    steps: tuple[float, ...]


class Menu(BaseModel):
    """Another kind."""

    name: str


RECIPE = Recipe(name="soup ö", steps=(0.1, 1e-9, 3.0))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.mark.parametrize("data", [b"", b"one", bytes(range(256)) * 1000])
def test_a_file_comes_back_under_its_hash(store: LocalStore, data: bytes) -> None:
    key = put_file(store, "weights", ".safetensors", data)
    assert key == f"weights/{hashlib.sha256(data).hexdigest()}.safetensors"
    assert get_file(store, key) == data
    assert put_file(store, "weights", ".safetensors", data) == key
    assert store.list() == [key]


def test_a_changed_file_is_refused(store: LocalStore) -> None:
    key = put_file(store, "a/b", ".bin", b"sound")
    store.put(key, b"changed")
    with pytest.raises(StoreError, match="was changed"):
        get_file(store, key)


def test_a_missing_file_is_refused(store: LocalStore) -> None:
    with pytest.raises(StoreError, match="no object"):
        get_file(store, f"weights/{'0' * 64}.bin")


def test_a_record_comes_back_under_its_id(store: LocalStore) -> None:
    record_id = put_record(store, RECIPE)
    assert get_record(store, Recipe, record_id) == RECIPE
    assert put_record(store, RECIPE) == record_id
    assert put_record(store, Recipe(name="soup", steps=())) != record_id
    assert record_id == hashlib.sha256(store.get(f"records/Recipe/{record_id}.json")).hexdigest()


def test_a_record_of_another_kind_is_refused(store: LocalStore) -> None:
    with pytest.raises(StoreError, match="no object"):
        get_record(store, Menu, put_record(store, RECIPE))


def test_a_changed_record_is_refused(store: LocalStore) -> None:
    record_id = put_record(store, RECIPE)
    key = f"records/Recipe/{record_id}.json"
    store.put(key, store.get(key).replace(b"soup", b"stew"))
    with pytest.raises(StoreError, match="was changed"):
        get_record(store, Recipe, record_id)


@pytest.mark.parametrize(
    ("text", "place"), [(b'{"name": "x", "steps": ["a"]}', "steps.0"), (b"{}", "name"), (b"no json", "")]
)
def test_a_record_that_does_not_fit_its_kind_is_refused_in_one_line(
    store: LocalStore, text: bytes, place: str
) -> None:
    key = put_file(store, "records/Recipe", ".json", text)
    with pytest.raises(StoreError, match=f"no Recipe of this version: {place}") as refusal:
        get_record(store, Recipe, Path(key).stem)
    assert "\n" not in str(refusal.value)
