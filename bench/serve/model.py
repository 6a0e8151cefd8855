"""A bundle of the plant's network with random weights, and 12-megapixel photographs for it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from inspection.bundle import CARD, MODEL, PREFIX, WEIGHTS, BundleManifest, write_bundle
from inspection.ontology import DEFAULT_ONTOLOGY, load_ontology
from inspection.profiles import load_profile
from inspection.registry import ModelRegistry
from inspection.settings import Settings
from inspection.simulation.cameras import CAMERAS
from inspection.simulation.defects import KINDS
from inspection.simulation.parts import PART_TYPES
from inspection.simulation.rendering import ImageSpec, photograph
from inspection.store import LocalStore

SEED = 0
LARGE = (4096, 3072)
PHOTOGRAPHS = 6
SURE = -6.0  # log-odds, to which those of random weights add little


def store_model(settings: Settings, seed: int = SEED, profile: str = "production") -> str:
    """Packs a profile's network with random weights, an EfficientNet-B4 at 380 pixels; returns its id.

    What it says of a part means nothing. Its calibration has it find no defect and be sure of that, so that
    parts go the way that most go on a line, past the people.
    """
    import torch

    from inspection.learning.calibration import Calibration
    from inspection.learning.export import CalibratedNet, export_onnx
    from inspection.learning.model import untrained

    chosen, ontology = load_profile(profile), load_ontology(DEFAULT_ONTOLOGY)
    classes = ontology.defect_ids
    torch.manual_seed(seed)
    network = untrained(chosen.model, len(classes))
    calibration = Calibration(slopes=(1.0,) * len(classes), offsets=(SURE,) * len(classes))
    model = export_onnx(CalibratedNet(network, calibration), chosen.preprocessing, classes)
    manifest = BundleManifest(
        classes=classes,
        thresholds=dict.fromkeys(classes, 0.5),
        temperature=dict.fromkeys(classes, 1.0),
        offset=dict.fromkeys(classes, SURE),
        preprocessing=chosen.preprocessing,
        metrics={},
        gate={"verdict": "insufficient_evidence"},
        profile=chosen.name,
        architecture=chosen.model.architecture,
        data_fingerprint="none",
        split_release="none",
        code_revision="none",
        seed=seed,
        ontology=ontology,
        packages={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    store = LocalStore(Path(settings.artifacts_url))
    return write_bundle(store, manifest, {MODEL: model, WEIGHTS: b"", CARD: b""})


def bundle_folder(settings: Settings, bundle_id: str) -> Path:
    """Returns where a stored bundle lies."""
    return Path(settings.artifacts_url) / PREFIX / bundle_id


def approve(settings: Settings, bundle_id: str) -> None:
    """Puts a bundle into production."""
    registry = ModelRegistry(LocalStore(Path(settings.artifacts_url)))
    registry.approve(bundle_id, actor="bench", reason="it is measured")


def photographs(count: int = PHOTOGRAPHS) -> list[bytes]:
    """Renders JPEG photographs of 12 megapixels, good and defective parts in turn."""
    return [
        photograph(
            ImageSpec(
                seed=SEED,
                index=index,
                part_type=PART_TYPES[index % len(PART_TYPES)].name,
                camera_id=CAMERAS[index % len(CAMERAS)].camera_id,
                defects=(KINDS[index % len(KINDS)],) if index % 2 else (),
                width=LARGE[0],
                height=LARGE[1],
            )
        ).jpeg
        for index in range(count)
    ]
