"""What helps a network that begins with random weights to see small defects: one change at a time.

Takes the home's own training dataset and profile (`make demo` first, with any source), and trains the profile
as it is and with each change, in turn. Judged on the test side from cached frames: the area under the ROC
curve with DeLong's bounds, and precision and recall at the threshold with the best F1 on validation. As many
trainings as trials: most of an hour for a thousand images on two cores. What each has found is kept in the
home (``trials.json``), so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.ingest import machine
from inspection.cache import build_cache, read_cache
from inspection.dataset import TrainingData, read_training_data
from inspection.delong import auroc_estimate
from inspection.errors import InsufficientDataError
from inspection.imaging import Pixels
from inspection.ontology import load_ontology
from inspection.profiles import Profile, load_profile
from inspection.progress import report
from inspection.settings import get_settings
from inspection.store import LocalStore

if TYPE_CHECKING:
    from inspection.learning.data import Example

Floats = NDArray[np.floating[Any]]
Result = dict[str, Any]
Side = Literal["train", "validation", "test"]
Sides = dict[Side, "list[Example]"]

SIDES: tuple[Side, ...] = ("train", "validation", "test")
SEED = 0
WARM_UP_EPOCHS = 8


@dataclass(frozen=True)
class Trial:
    """One change to the profile.

    Attributes:
        name: of it, in the result.
        profile: changes the profile.
        examples: changes what is learnt from.
        warm_up: the backbone learns to find pasted patches first.
    """

    name: str
    profile: Callable[[Profile], Profile] = lambda profile: profile
    examples: Callable[[list[Example]], list[Example]] = lambda examples: examples
    warm_up: bool = False


def run() -> Result:
    """Trains and judges each trial.

    Raises:
        InsufficientDataError: there are no images yet (run `make demo` first), or none to judge by.
    """
    settings = get_settings()
    data, base = read_training_data(settings.dsn("warehouse")), load_profile(settings.profile)
    classes = load_ontology(settings.ontology_file).defect_ids
    if not data.side("test"):
        raise InsufficientDataError("there is no training dataset: run `make demo` first")
    kept = Kept(settings.root / "trials.json", f"{data.fingerprint} {base.model_dump_json()}")
    for number, trial in enumerate(TRIALS):
        report("trials", number, len(TRIALS), trial.name)
        if trial.name not in kept.found:
            with tempfile.TemporaryDirectory(prefix="vqi-bench-") as folder:
                kept.add(trial.name, _run(trial, data, base, classes, settings.images, Path(folder)))
    report("trials", len(TRIALS), len(TRIALS))
    measured: Result = {f"{side}_images": len(data.side(side)) for side in SIDES}
    for trial in TRIALS:
        measured |= {f"{trial.name}: {key}": value for key, value in kept.found[trial.name].items()}
    first = measured["as it is: macro auroc"]
    return {
        "name": "trials",
        "machine": machine(),
        "ratios": {
            f"{trial.name} over as it is": measured[f"{trial.name}: macro auroc"] / first for trial in TRIALS
        },
        "measured": measured,
    }


class Kept:
    """What trials on the same images and profile have found so far."""

    def __init__(self, file: Path, trained_on: str) -> None:
        self._file, self._trained_on = file, trained_on
        self.found: dict[str, dict[str, float]] = {}
        if file.exists():
            known = json.loads(file.read_text(encoding="utf-8"))
            self.found = known["found"] if known["trained_on"] == trained_on else {}

    def add(self, name: str, found: dict[str, float]) -> None:
        """Keeps what a trial has found."""
        self.found[name] = found
        text = json.dumps({"trained_on": self._trained_on, "found": self.found}, indent=1)
        self._file.write_text(text, encoding="utf-8")


def sized(factor: float) -> Callable[[Profile], Profile]:
    """Returns what makes the network's input so many times as high and wide, in steps of 16 pixels."""

    def change(profile: Profile) -> Profile:
        seen = profile.preprocessing
        height, width = (round(factor * length / 16) * 16 for length in (seen.height, seen.width))
        return profile.model_copy(
            update={
                "preprocessing": seen.model_copy(update={"height": height, "width": width}),
                "cache": profile.cache.model_copy(update={"short_side": min(height, width)}),
            }
        )

    return change


def section(name: str, **values: object) -> Callable[[Profile], Profile]:
    """Returns what changes values of one section of a profile."""
    return lambda profile: profile.model_copy(update={name: getattr(profile, name).model_copy(update=values)})


def windowed(profile: Profile) -> Profile:
    """Has a step see half the height and width of a frame, around a defect where there is one."""
    seen = profile.preprocessing
    return section("training", window=(seen.height // 32 * 16, seen.width // 32 * 16))(profile)


def with_pieces(examples: list[Example]) -> list[Example]:
    """Adds, for each box, the piece around it at twice the size; and as many pieces of clean images."""
    from inspection.learning.augmentation import cropped, moved, seen

    rng = np.random.default_rng(SEED)
    located = [(example, box) for example in examples for box in example.boxes]
    clean = [example for example in examples if not example.targets.any()]
    drawn = rng.permutation(len(clean))[: len(located)]
    found = list(examples)
    for example, box in [*located, *((clean[place], None) for place in drawn)]:
        rows, columns = example.size
        middle = rng.uniform((0, 0), (columns, rows)) if box is None else (box[:2] + box[2:]) / 2
        left, top = np.clip(middle - (columns / 4, rows / 4), 0, (columns / 2, rows / 2))
        place = cropped(float(left), float(top), columns / 2, rows / 2, example.size)
        boxes = np.clip(moved(example.boxes, place), 0, [columns, rows, columns, rows]).astype(np.float32)
        kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        targets = np.zeros_like(example.targets)
        targets[example.box_classes[kept]] = 1
        pixels = seen(example.pixels(), place, example.size)
        found.append(
            replace(
                example,
                frame=pixels,
                targets=targets,
                boxes=boxes[kept],
                box_classes=example.box_classes[kept],
            )
        )
    return found


def pasted(examples: Sequence[Example]) -> list[Example]:
    """Makes a task without labels: each image as it is, and with a patch of itself pasted somewhere else.

    CutPaste (Li, Sohn, Yoon and Pfister 2021), its patches and thin scars, smaller as the defects are.
    """
    rng, found = np.random.default_rng(SEED), []
    nothing = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    for example in examples:
        boxes, box_classes = nothing
        plain = replace(example, targets=np.zeros(1, np.float32), boxes=boxes, box_classes=box_classes)
        pixels, box = _paste(example.pixels(), rng)
        found += [
            plain,
            replace(
                plain,
                frame=pixels,
                targets=np.ones(1, np.float32),
                boxes=np.array([box], np.float32),
                box_classes=np.zeros(1, np.int64),
            ),
        ]
    return found


def _paste(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, tuple[int, int, int, int]]:
    """Pastes one patch; returns the picture and left, top, right, bottom of the patch."""
    rows, columns = pixels.shape[:2]
    area = rng.uniform(0.0005, 0.01) * rows * columns
    shape = float(np.exp(rng.uniform(np.log(0.1), np.log(10))))
    height = int(np.clip(round((area * shape) ** 0.5), 3, rows // 2))
    width = int(np.clip(round((area / shape) ** 0.5), 3, columns // 2))
    (top, to_top), (left, to_left) = (
        rng.integers(0, length - size + 1, 2) for length, size in ((rows, height), (columns, width))
    )
    patch = pixels[top : top + height, left : left + width].astype(np.float32)
    patch = np.clip(patch * rng.uniform(0.7, 1.3), 0, 255)
    found = pixels.copy()
    found[to_top : to_top + height, to_left : to_left + width] = patch.astype(np.uint8)
    return found, (int(to_left), int(to_top), int(to_left) + width, int(to_top) + height)


TRIALS = (
    Trial("as it is"),
    Trial("self-supervised warm-up", warm_up=True),
    Trial("windows around boxes", windowed),
    Trial("pieces around boxes added", examples=with_pieces),
    Trial("boxes not used", section("loss", box_weight=0.0)),
    Trial("input 1.4 times as large", sized(1.4)),
    Trial("weighted positives", section("loss", positive_power=0.5)),
    Trial("asymmetric loss", section("loss", gamma_negative=2.0, clip=0.05)),
    Trial("boxes weigh 3 times", section("loss", box_weight=3.0)),
    Trial("input 0.7 times as large", sized(0.7)),
)


def _run(
    trial: Trial, data: TrainingData, base: Profile, classes: Sequence[str], images: Path, folder: Path
) -> dict[str, float]:
    from inspection.learning.training import predict_logits, train

    profile = trial.profile(base)
    sides = _sides(data, profile, classes, images, folder)
    learnt = trial.examples(sides["train"])
    if trial.warm_up:
        profile = warmed_up(sides, profile, folder)
    training = train(learnt, sides["validation"], len(classes), profile)
    judged = {side: sides[side] for side in SIDES[1:]}
    scores = {side: predict_logits(training.model, judged[side], profile.preprocessing) for side in judged}
    truth = {side: np.stack([example.targets for example in judged[side]]) for side in judged}
    found = {"seconds": round(training.seconds), "epochs": len(training.history)}
    return found | _judged(scores, truth, classes)


def _sides(data: TrainingData, profile: Profile, classes: Sequence[str], images: Path, folder: Path) -> Sides:
    from inspection.learning.data import make_examples

    store, kept = LocalStore(folder), profile.cached_preprocessing
    build_cache(store, data.samples, kept, images)
    cached = read_cache(store, data.samples, kept)
    return {
        side: make_examples(data.side(side), cached, classes, profile.preprocessing, in_memory=True)
        for side in SIDES
    }


def warmed_up(sides: Sides, profile: Profile, folder: Path) -> Profile:
    """Trains the backbone on pasted patches; returns the profile that begins with its weights."""
    from safetensors.torch import save_file

    from inspection.learning.training import train

    shorter = profile.training.model_copy(update={"epochs": WARM_UP_EPOCHS})
    first = profile.model_copy(update={"training": shorter})
    learnt = train(pasted(sides["train"]), pasted(sides["validation"]), 1, first)
    file = folder / "backbone.safetensors"
    weights = {name: tensor.contiguous() for name, tensor in learnt.model.backbone.state_dict().items()}
    save_file(weights, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return section("model", pretrained="file", weights_file=file, weights_sha256=digest)(profile)


def _judged(
    scores: Mapping[Side, Floats], truth: Mapping[Side, Floats], classes: Sequence[str]
) -> dict[str, float]:
    from inspection.learning.calibration import best_f1_threshold

    found: dict[str, float] = {}
    areas: list[float] = []
    for number, name in enumerate(classes):
        validation, test = scores["validation"][:, number], scores["test"][:, number]
        actual = truth["test"][:, number] > 0
        if not truth["validation"][:, number].any() or not actual.any() or actual.all():
            continue
        area = auroc_estimate(test, truth["test"][:, number])
        told_of_area = {"auroc": area.value, "auroc low": area.low, "auroc high": area.high}
        probability = 1 / (1 + np.exp(-validation.astype(np.float64)))
        threshold = best_f1_threshold(probability, truth["validation"][:, number])
        told = 1 / (1 + np.exp(-test.astype(np.float64))) >= threshold
        hits = int((told & actual).sum())
        found |= {
            # Where no mistake was made, there are no bounds to tell.
            **{f"{name} {key}": round(value, 3) for key, value in told_of_area.items() if value is not None},
            f"{name} recall": round(hits / int(actual.sum()), 3),
            f"{name} precision": round(hits / max(int(told.sum()), 1), 3),
            f"{name} positives": int(actual.sum()),
        }
        areas += [] if area.value is None else [area.value]
    if not areas:
        raise InsufficientDataError("no class has images with and without it on validation and test")
    return {"macro auroc": round(float(np.mean(areas)), 4), **found}
