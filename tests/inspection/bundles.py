"""A small complete bundle, for tests of what is done with bundles."""

from __future__ import annotations

from datetime import UTC, datetime

from inspection.bundle import BundleManifest, write_bundle
from inspection.imaging import Preprocessing
from inspection.ontology import Ontology
from inspection.store import ObjectStore

FILES = {"model.onnx": b"graph", "weights.safetensors": b"weights", "model_card.md": b"# card"}
ONTOLOGY = Ontology.model_validate(
    {
        "ontology": "test",
        "version": "1",
        "classes": [
            {"id": "FINE", "label": "Fine", "clean": True},
            {"id": "DENT", "label": "Dent", "severity_levels": ["minor"]},
            {"id": "RUST", "label": "Rust", "severity_levels": ["minor"], "safety_critical": True},
        ],
    }
)


def manifest(**changes: object) -> BundleManifest:
    """Returns a manifest for `ONTOLOGY`; `changes` replace its fields."""
    fields: dict[str, object] = {
        "classes": ("DENT", "RUST"),
        "thresholds": {"DENT": 0.5, "RUST": 0.2},
        "temperature": {"DENT": 1.1, "RUST": 0.9},
        "offset": {"DENT": 0.0, "RUST": -0.1},
        "preprocessing": Preprocessing(height=32, width=48),
        "metrics": {"recall": 0.9},
        "gate": {"verdict": "passed"},
        "profile": "demo",
        "architecture": "test",
        "data_fingerprint": "f" * 16,
        "split_release": "r1",
        "code_revision": "unknown",
        "seed": 7,
        "ontology": ONTOLOGY,
        "packages": {"numpy": "2"},
        "created_at": datetime(2026, 11, 1, tzinfo=UTC),
    }
    return BundleManifest.model_validate({**fields, **changes})


def add_bundle(store: ObjectStore, seed: int = 7) -> str:
    """Stores a bundle and returns its id; another seed makes another bundle."""
    return write_bundle(store, manifest(seed=seed), FILES)
