"""A bundle is what its name says, or it is not loaded."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from inspection.bundle import list_bundles, load_bundle, load_bundle_folder, read_manifest, write_bundle
from inspection.errors import BundleError
from inspection.store import LocalStore
from tests.inspection.bundles import FILES, add_bundle, manifest


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def folder(store: LocalStore, bundle_id: str) -> Path:
    return store.root / "models" / bundle_id


def rename_to_its_hash(store: LocalStore, bundle_id: str, change: Callable[[dict[str, Any]], object]) -> str:
    """Changes bundle.json and gives the folder the name that then fits: only the contents are wrong."""
    path = folder(store, bundle_id) / "bundle.json"
    document = json.loads(path.read_text())
    change(document)
    text = json.dumps(document).encode()
    path.write_bytes(text)
    renamed = hashlib.sha256(text).hexdigest()
    path.parent.rename(path.parent.parent / renamed)
    return renamed


def test_round_trip(store: LocalStore) -> None:
    bundle_id = add_bundle(store)
    bundle = load_bundle(store, bundle_id)
    assert bundle.id == bundle_id
    assert bundle.model == FILES["model.onnx"]
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    assert bundle.manifest == manifest(sha256=hashes)
    assert read_manifest(store, bundle_id) == bundle.manifest
    assert load_bundle_folder(folder(store, bundle_id)) == bundle


def test_the_name_is_the_hash_of_everything(store: LocalStore) -> None:
    bundle_id = add_bundle(store)
    text = store.get(f"models/{bundle_id}/bundle.json")
    assert bundle_id == hashlib.sha256(text).hexdigest()
    assert add_bundle(store) == bundle_id
    others = {
        add_bundle(store, seed=8),
        write_bundle(store, manifest(), {**FILES, "model.onnx": b"other"}),
        write_bundle(store, manifest(thresholds={"DENT": 0.5, "RUST": 0.3}), FILES),
    }
    assert len(others) == 3
    assert list_bundles(store) == sorted({bundle_id, *others})


@pytest.mark.parametrize("name", [*FILES, "bundle.json"])
def test_a_flipped_byte_is_found(store: LocalStore, name: str) -> None:
    bundle_id = add_bundle(store)
    path = folder(store, bundle_id) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=rf"{bundle_id[:12]}: {name} is not"):
        load_bundle(store, bundle_id)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(store: LocalStore, name: str) -> None:
    bundle_id = add_bundle(store)
    (folder(store, bundle_id) / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        load_bundle(store, bundle_id)


def test_without_bundle_json_it_is_no_bundle(store: LocalStore) -> None:
    bundle_id = add_bundle(store)
    (folder(store, bundle_id) / "bundle.json").unlink()
    assert list_bundles(store) == []
    with pytest.raises(BundleError, match="no complete bundle"):
        load_bundle(store, bundle_id)
    with pytest.raises(BundleError, match="no complete bundle"):
        load_bundle_folder(folder(store, bundle_id))


def test_a_wrong_name_is_refused(store: LocalStore) -> None:
    bundle_id = add_bundle(store)
    wrong = "0" * 64
    shutil.copytree(folder(store, bundle_id), folder(store, wrong))
    for load in (lambda: load_bundle(store, wrong), lambda: load_bundle_folder(folder(store, wrong))):
        with pytest.raises(BundleError, match=r"bundle\.json is not what its name promises"):
            load()


def swap_classes(document: dict[str, Any]) -> None:
    document["classes"].reverse()


def drop_threshold(document: dict[str, Any]) -> None:
    del document["thresholds"]["RUST"]


def leave_the_store(document: dict[str, Any]) -> None:
    document["sha256"]["../../secret"] = "0" * 64


def forget_the_model(document: dict[str, Any]) -> None:
    del document["sha256"]["model.onnx"]


def add_a_field(document: dict[str, Any]) -> None:
    document["promoted"] = True


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swap_classes, "are not the ontology's"),
        (drop_threshold, "thresholds must name each class"),
        (leave_the_store, "secret is missing"),
        (forget_the_model, r"model\.onnx is missing"),
        (add_a_field, "promoted"),
    ],
)
def test_contents_that_do_not_fit(
    store: LocalStore, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    bundle_id = rename_to_its_hash(store, add_bundle(store), change)
    with pytest.raises(BundleError, match=message):
        load_bundle(store, bundle_id)


@pytest.mark.parametrize("missing", FILES)
def test_writing_needs_every_file(store: LocalStore, missing: str) -> None:
    files = {name: data for name, data in FILES.items() if name != missing}
    with pytest.raises(BundleError, match=missing):
        write_bundle(store, manifest(), files)
    assert store.list() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ("RUST", "DENT")},
        {"classes": ("DENT",)},
        {"thresholds": {"DENT": 0.5, "RUST": 0.0}},
        {"thresholds": {"DENT": 0.5, "RUST": 1.1}},
        {"temperature": {"DENT": 1.0}},
        {"offset": {"DENT": 1.0, "RUST": 0.0, "FINE": 0.0}},
        {"box_threshold": 0},
    ],
)
def test_a_manifest_that_contradicts_itself_cannot_be_made(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        manifest(**changes)
