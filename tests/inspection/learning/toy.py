"""A toy plant: small grey pictures with coloured marks, and what the warehouse would tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from inspection.dataset import Box, Sample, TrainingData
from inspection.imaging import Pixels, Preprocessing
from inspection.profiles import Profile
from tests.inspection.bundles import ONTOLOGY

ROWS, COLUMNS = 64, 96
CLASSES = ONTOLOGY.defect_ids
COLOURS = {"DENT": (20, 200, 20), "RUST": (220, 20, 20)}
FRAME = Preprocessing(height=ROWS, width=COLUMNS)
BEGIN = datetime(2026, 3, 1, 8, tzinfo=UTC)


def sample(image_id: str = "i1", labels: Sequence[str] = (), **changes: object) -> Sample:
    """Returns a labelled image; `changes` replace its fields."""
    fields: dict[str, Any] = {
        "image_id": image_id,
        "image_path": f"{image_id}.png",
        "part_type": "shaft",
        "camera_id": "c1",
        "line_id": "l1",
        "production_order_id": "o1",
        "captured_at": BEGIN,
        "label": labels[0] if labels else "FINE",
        "labels": tuple(labels),
        "split": "train",
        "fold_id": 1,
        "sample_weight": 1.0,
    }
    return Sample(**{**fields, **changes})


def picture(labels: Sequence[str], seed: int) -> tuple[Pixels, tuple[Box, ...]]:
    """Returns a grey picture, uint8 RGB [64, 96, 3], with a coloured mark of each class, and their boxes."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(100, 140, (ROWS, COLUMNS, 1), np.uint8).repeat(3, 2)
    boxes: list[Box] = []
    for name in labels:
        width, height = (int(n) for n in rng.integers(10, 18, 2))
        x, y = int(rng.integers(0, COLUMNS - width)), int(rng.integers(0, ROWS - height))
        pixels[y : y + height, x : x + width] = COLOURS[name]
        boxes.append(Box(name, x, y, width, height))
    return pixels, tuple(boxes)


def save_picture(path: Path, pixels: Pixels) -> None:
    """Writes a picture as the kind of file that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def plant(root: Path, sides: dict[str, int]) -> TrainingData:
    """Writes pictures below `root`; of each side the given number, in turn clean, DENT, RUST.

    Half are PNG, half JPEG; they were taken on two days.
    """
    samples: list[Sample] = []
    for side, count in sides.items():
        for n in range(count):
            labels = ((), ("DENT",), ("RUST",))[n % 3]
            pixels, boxes = picture(labels, seed=len(samples))
            path = f"{side}/{n:03}.{'png' if n % 2 else 'jpg'}"
            save_picture(root / path, pixels)
            samples.append(
                sample(
                    f"{side}-{n:03}",
                    labels,
                    image_path=path,
                    boxes=boxes,
                    split=side,
                    fold_id={"train": 1, "validation": 5, "test": None}[side],
                    captured_at=BEGIN + timedelta(days=n % 2),
                )
            )
    return TrainingData("release-1", tuple(sorted(samples, key=lambda s: s.image_id)))


def profile(**changes: dict[str, object]) -> Profile:
    """Returns a profile that learns the toy plant in seconds; `changes` replace keys of its sections."""
    sections: dict[str, Any] = {
        "model": {"architecture": "inspection_small"},
        "preprocessing": {"height": ROWS, "width": COLUMNS},
        "cache": {"short_side": ROWS},
        "training": {
            "epochs": 8,
            "batch_size": 8,
            "learning_rate": 0.01,
            "weight_decay": 0.01,
            "warmup_epochs": 1,
            "patience": 8,
            "minimum_rows": 10,
            "frames_in_memory": True,
        },
        "calibration": {"minimum_positives": 3, "minimum_negatives": 3},
        "gate": {"safety_critical_positives": 5, "hold_bound": False},
    }
    for section, values in changes.items():
        sections[section] = {**sections.get(section, {}), **values}
    return Profile.model_validate({"name": "toy", **sections})
