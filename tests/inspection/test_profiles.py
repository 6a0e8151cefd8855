"""Profiles: the shipped ones hold the numbers they were asked to hold, and mistakes are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from inspection.errors import SettingsError
from inspection.profiles import FOLDER, ModelProfile, Profile, load_profile
from tests.inspection.learning.toy import profile

SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SMALL: dict[str, Any] = {
    "name": "mine",
    "model": {"architecture": "resnet10t"},
    "preprocessing": {"height": 64, "width": 96},
    "training": {
        "epochs": 1,
        "batch_size": 1,
        "learning_rate": 0.1,
        "weight_decay": 0,
        "warmup_epochs": 0,
        "patience": 1,
        "minimum_rows": 1,
    },
    "calibration": {"minimum_positives": 1, "minimum_negatives": 1},
}


def written(path: Path, **changes: object) -> str:
    """Writes `SMALL`, changed, and returns the path; a value of None takes the key out."""
    document = {key: value for key, value in {**SMALL, **changes}.items() if value is not None}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return str(path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


def test_the_shipped_profiles_load_under_their_name() -> None:
    assert {"demo", "production"} <= set(SHIPPED)
    for name in SHIPPED:
        assert load_profile(name).name == name


def test_the_cache_keeps_what_the_network_sees_or_more() -> None:
    sizes = {
        name: (kept.height, kept.width)
        for name in SHIPPED
        for kept in [load_profile(name).cached_preprocessing]
    }
    assert sizes["demo"] == (416, 832)
    assert sizes["imported"] == (448, 1104)
    assert sizes["production"] == (456, 456)
    assert load_profile("demo").cached_preprocessing == load_profile("demo").preprocessing


@pytest.mark.parametrize(("name", "network"), [("production", "efficientnet_b4"), ("resnet50", "resnet50")])
def test_production_trains_with_the_plants_numbers(name: str, network: str) -> None:
    found = load_profile(name)
    assert found.model.architecture == network
    assert (found.preprocessing.height, found.preprocessing.width) == (380, 380)
    training = found.training
    assert (training.epochs, training.batch_size, training.learning_rate) == (50, 32, 0.001)
    assert (training.weight_decay, training.warmup_epochs, training.patience) == (0.01, 5, 10)
    assert (training.minimum_per_class, training.minimum_rows) == (3000, 30_000)
    assert (training.workers, training.worker_cpus, training.worker_gpus) == (4, 4, 1)
    assert training.worker_memory_gb == 32
    assert found.gate == load_profile("production").gate
    augmentation = found.augmentation
    assert (augmentation.rotation_degrees, augmentation.flip, augmentation.crop_scale) == (15, 0.5, 0.8)
    assert (augmentation.brightness, augmentation.contrast, augmentation.noise) == (0.2, 0.2, 0.02)
    assert found.confidence_threshold == 0.8


def test_the_gates_differ_in_the_evidence_alone() -> None:
    production, demo = load_profile("production").gate, load_profile("demo").gate
    assert (production.precision, production.recall, production.false_reject_rate) == (0.95, 0.93, 0.05)
    assert production.safety_critical_recall == 0.99
    assert (production.safety_critical_positives, production.hold_bound) == (299, True)
    assert (demo.safety_critical_positives, demo.hold_bound) == (20, False)
    evidence = {"safety_critical_positives": 20, "hold_bound": False}
    assert demo == production.model_copy(update=evidence)


def test_the_demo_runs_without_gpu_and_network() -> None:
    found = load_profile("demo")
    assert (found.training.device, found.model.pretrained) == ("cpu", "none")
    assert found.training.minimum_rows < load_profile("production").training.minimum_rows


def test_a_file_of_ones_own(file: Path) -> None:
    found = load_profile(written(file))
    assert found.name == "mine"
    assert found.gate.precision == 0.95  # a default
    with pytest.raises(ValidationError, match="frozen"):
        found.name = "other"


@pytest.mark.parametrize("name", ["nonsense", "missing.yaml"])
def test_an_unknown_profile_is_told_which_there_are(name: str) -> None:
    with pytest.raises(SettingsError, match=f"no profile '{name}': there are {', '.join(SHIPPED)}"):
        load_profile(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {**SMALL["training"], "epoch": 3}}, "training.epoch: Extra inputs"),
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"model": None}, "model: Field required"),
        ({"training": {**SMALL["training"], "epochs": 0}}, "training.epochs: Input should be greater"),
        ({"training": {**SMALL["training"], "window": [0, 8]}}, "training.window.0: "),
        ({"training": {**SMALL["training"], "window": [65, 96]}}, "window .65, 96. is larger than the frame"),
        ({"training": {**SMALL["training"], "window": [64, 97]}}, "window .64, 97. is larger than the frame"),
        ({"training": {**SMALL["training"], "workers": 2}}, "batch_size 1 is too small for 2 workers"),
        (
            {"training": {**SMALL["training"], "batch_size": 2, "workers": 2, "worker_gpus": 1}},
            "worker_gpus goes with device: cuda",
        ),
        ({"augmentation": {"flip": 1.5}}, "augmentation.flip: "),
        ({"model": {"architecture": "a", "output_stride": 5}}, "model.output_stride: "),
        ({"model": {"architecture": "a", "space_to_depth": 5}}, "multiples of model.space_to_depth, 5"),
        ({"model": {"architecture": "a", "pretrained": "file"}}, "model: pretrained: file goes with"),
    ],
)
def test_a_mistake_is_named_with_its_place(file: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as refusal:
        load_profile(written(file, **changes))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("data", [b"a: [", b"\xff\xfe\x00", b""])
def test_what_is_no_profile_at_all(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(SettingsError, match="mine") as refusal:
        load_profile(str(file))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("pretrained", "given", "sound"),
    [
        ("none", (), True),
        ("imagenet", (), True),
        ("file", ("weights_file", "weights_sha256"), True),
        ("file", (), False),
        ("file", ("weights_file",), False),
        ("file", ("weights_sha256",), False),
        ("none", ("weights_file", "weights_sha256"), False),
        ("imagenet", ("weights_file",), False),
        ("none", ("weights_sha256",), False),
    ],
)
def test_a_weights_file_goes_with_its_hash(pretrained: str, given: tuple[str, ...], sound: bool) -> None:
    document = {"architecture": "a", "pretrained": pretrained, **dict.fromkeys(given, "x")}
    if sound:
        assert ModelProfile.model_validate(document).pretrained == pretrained
    else:
        with pytest.raises(ValidationError, match="weights_sha256"):
            ModelProfile.model_validate(document)


def test_a_profile_survives_the_trip_through_json() -> None:
    for found in (*map(load_profile, SHIPPED), profile(training={"window": (32, 48)})):
        assert Profile.model_validate_json(found.model_dump_json()) == found
