"""Training: our loop beside its own steps without a loader, the cache beside originals, and timm's recipe.

The step is told for the plant's network, and for the demo's, which is so small that loading shows most.

Everything is made for the run: simulated photographs, a cache of them, networks with random weights. What is
compared takes turns, so that a busy machine slows both, and medians are told.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.ingest import machine
from inspection.cache import CachedImage, build_cache, read_cache, read_original
from inspection.dataset import Box, Sample
from inspection.imaging import Preprocessing, load_frame
from inspection.memory import keep_freed_memory
from inspection.profiles import CacheProfile, ModelProfile, Profile, load_profile
from inspection.progress import report
from inspection.simulation.cameras import CAMERAS
from inspection.simulation.defects import KINDS
from inspection.simulation.parts import PART_TYPES
from inspection.simulation.rendering import ImageSpec, photograph
from inspection.store import LocalStore

if TYPE_CHECKING:
    from inspection.learning.data import Example

IMAGES = 96
LARGE_IMAGES = 8
LARGE = (4096, 3072)
TIMES_CACHED = 10
EPOCHS = 4
"""Of the demo's training; a first one warms up."""
PLANT_IMAGES, PLANT_BATCH, PLANT_EPOCHS = 24, 4, 2
"""What a processor can do of the plant's training in half a minute."""
ROUNDS = 24
"""Of what takes turns; the first warm up."""
WARM_UP = 4
SEED = 0
TIMM_NETWORK = "resnet18"
TIMM_SIZE = 128
TIMM_BATCH = 16

Result = dict[str, Any]
Times = dict[str, list[float]]


def run() -> Result:
    """Measures all three; takes about two minutes on two cores."""
    keep_freed_memory()
    with tempfile.TemporaryDirectory(prefix="vqi-bench-") as folder:
        root = Path(folder)
        report("train", 0, 4, "photographs")
        samples = _photographs(root / "small", IMAGES, (1024, 768))
        large = _photographs(root / "large", LARGE_IMAGES, LARGE)
        report("train", 1, 4, "step with and without the loader")
        ratios, measured = _loader(root, samples)
        report("train", 2, 4, "from originals and from the cache")
        loading = _loading(root, large) | _production_loader(root, samples)
        report("train", 3, 4, f"beside timm's recipe, {TIMM_NETWORK}")
        recipe = _recipe(root, samples)
        report("train", 4, 4)
    ratios["originals_over_cache"] = loading["original_ms"] / loading["cached_ms"]
    ratios["ours_over_timm"] = recipe["ours_ms"] / recipe["timm_ms"]
    return {
        "name": "train",
        "machine": machine(),
        "ratios": ratios,
        "measured": {name: round(value, 2) for name, value in (measured | loading | recipe).items()},
    }


def _loader(root: Path, samples: Sequence[Sample]) -> tuple[dict[str, float], dict[str, float]]:
    """A step of training, as it loads and changes its images and on batches that lie ready."""
    plant, demo = _on_a_processor(load_profile("production"), PLANT_BATCH), load_profile("demo")
    runs = {
        "": (plant, samples[:PLANT_IMAGES], False, PLANT_EPOCHS),
        "demo_": (demo, samples, True, EPOCHS),
        "demo_decoding_": (demo, samples, False, EPOCHS),
    }
    found: dict[str, float] = {}
    for name, (profile, shown, in_memory, epochs) in runs.items():
        times = _steps(profile, _examples(root / "small", shown, profile, in_memory), epochs)
        memory, ours = (statistics.median(times[key]) for key in ("memory", "loader"))
        found |= {f"{name}step_memory_ms": memory, f"{name}step_loader_ms": ours}
        found[f"{name}step_with_loader_over_memory"] = ours / memory
    return {ratio: found.pop(ratio) for ratio in ["step_with_loader_over_memory"]}, found


def _on_a_processor(production: Profile, batch_size: int) -> Profile:
    """The plant's own numbers, but for what only its machines have."""
    settings = {
        "batch_size": batch_size, "device": "cpu", "precision": "float32", "loader_workers": 0, "workers": 1,
        "worker_gpus": 0,
    }  # fmt: skip
    training = production.training.model_copy(update=settings)
    model = production.model.model_copy(update={"pretrained": "none"})
    return production.model_copy(update={"training": training, "model": model})


def _steps(profile: Profile, examples: Sequence[Example], epochs: int) -> Times:
    from inspection.learning.loop import Loop

    loop = Loop(examples, len(KINDS), profile)
    loop.model.train()
    ready = list(loop.loader)
    times: Times = {"memory": [], "loader": []}
    for epoch in range(epochs + 1):
        loop.batches.epoch = epoch + 1
        loading = iter(loop.loader)
        for batch in ready:
            begun = time.perf_counter()
            loop.step(next(loading), 1)
            between = time.perf_counter()
            loop.step(batch, 1)
            if epoch:  # the first warms up
                times["loader"].append(1000 * (between - begun))
                times["memory"].append(1000 * (time.perf_counter() - between))
    return times


def _loading(root: Path, samples: Sequence[Sample]) -> dict[str, float]:
    """An image of 12 megapixels in an epoch of production, from its file and from the cache, and changed."""
    from inspection.learning.augmentation import geometric
    from inspection.learning.data import FrameDataset

    profile = load_profile("production")
    examples = _examples(root / "large", samples, profile)
    change = geometric(profile.augmentation, examples[0].size)

    def original() -> None:
        for sample, example in zip(samples, examples, strict=True):
            frame = load_frame(read_original(root / "large", sample.image_path), profile.preprocessing)
            FrameDataset([replace(example, frame=frame.pixels)], (12, 12), change=change)[0]

    def from_cache() -> None:
        for example in examples * TIMES_CACHED:  # an epoch does not begin anew after eight images
            FrameDataset([example], (12, 12), change=change)[0]

    times = _in_turns({"original": original, "cached": from_cache})
    images = {"original": len(samples), "cached": len(samples) * TIMES_CACHED}
    return {f"{name}_ms": statistics.median(found) / images[name] for name, found in times.items()}


def _production_loader(root: Path, samples: Sequence[Sample]) -> dict[str, float]:
    """What an image costs a process that loads for production: decode, rotate, crop, flip, make a tensor."""
    import torch

    from inspection.learning.augmentation import geometric
    from inspection.learning.data import FrameDataset
    from inspection.learning.loading import EpochBatches, training_loader

    profile = load_profile("production")
    size = (profile.preprocessing.height, profile.preprocessing.width)
    frames = FrameDataset(
        _examples(root / "small", samples, profile),
        (12, 12),
        change=geometric(profile.augmentation, size),
        minimum_visible=profile.augmentation.minimum_visible,
    )
    batches = EpochBatches(range(len(samples)), profile.training.batch_size, SEED)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in a process of a DataLoader
    begun = time.perf_counter()
    for _ in training_loader(frames, batches, processes=0, pin=False):
        pass
    seconds = time.perf_counter() - begun
    torch.set_num_threads(threads)
    return {"production_loading_ms": 1000 * seconds / len(samples)}


def _recipe(root: Path, samples: Sequence[Sample]) -> dict[str, float]:
    """A step of our loop and of timm's training script: same network, pictures, batch size and changes."""
    profile = _as_timm(load_profile("production"))
    examples = _examples(root / "small", samples, profile)
    ours, theirs = _our_steps(examples, profile), _timms_steps(root, samples, examples)
    times = _in_turns({"ours": lambda: next(ours), "timm": lambda: next(theirs)})
    return {f"{name}_ms": statistics.median(found) for name, found in times.items()}


def _as_timm(production: Profile) -> Profile:
    """The plant's own numbers, but for what a processor cannot do in a minute and what timm does not have."""
    production = _on_a_processor(production, TIMM_BATCH)
    changes = {"rotation_degrees": 0.0, "noise": 0.0}
    return production.model_copy(
        update={
            "model": ModelProfile(architecture=TIMM_NETWORK),
            "preprocessing": Preprocessing(height=TIMM_SIZE, width=TIMM_SIZE),
            "cache": CacheProfile(short_side=TIMM_SIZE),
            "augmentation": production.augmentation.model_copy(update=changes),
        }
    )


def _our_steps(examples: Sequence[Example], profile: Profile) -> Iterator[None]:
    from inspection.learning.loop import Loop

    loop = Loop(examples, len(KINDS), profile)
    loop.model.train()
    while True:
        loop.batches.epoch += 1
        for step, batch in enumerate(loop.loader, start=1):
            loop.step(batch, step)
            yield


def _timms_steps(root: Path, samples: Sequence[Sample], examples: Sequence[Example]) -> Iterator[None]:
    """The recipe of timm's train.py on a processor: its loader, loss, optimizer, schedule and clipping."""
    import timm
    import torch
    from timm.data import create_dataset, create_loader  # type: ignore[attr-defined]
    from timm.loss import BinaryCrossEntropy  # type: ignore[attr-defined]
    from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
    from timm.scheduler import create_scheduler_v2  # type: ignore[attr-defined]
    from timm.utils import AverageMeter, dispatch_clip_grad  # type: ignore[attr-defined]

    for sample, example in zip(samples, examples, strict=True):
        assert isinstance(example.frame, CachedImage)  # noqa: S101  # they were not decoded
        path = root / "timm" / sample.label / f"{sample.image_id}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(example.frame.frame)
    torch.manual_seed(SEED)
    model = timm.create_model(TIMM_NETWORK, num_classes=len(KINDS) + 1).to(memory_format=torch.channels_last)
    loader = create_loader(
        create_dataset("", root=str(root / "timm")),
        input_size=(3, TIMM_SIZE, TIMM_SIZE),
        batch_size=TIMM_BATCH,
        is_training=True,
        scale=(0.8, 1.0),
        hflip=0.5,
        vflip=0.5,
        color_jitter=0.2,
        num_workers=0,
        persistent_workers=False,
        use_prefetcher=False,
        device=torch.device("cpu"),
    )
    loss_of = BinaryCrossEntropy()
    optimizer = create_optimizer_v2(model, "adamw", lr=1e-3, weight_decay=0.01)
    schedule, _ = create_scheduler_v2(
        optimizer,
        "cosine",
        num_epochs=50,
        warmup_epochs=5,
        step_on_epochs=False,
        updates_per_epoch=len(loader),
    )

    model.train()
    while True:
        losses = AverageMeter()  # type: ignore[no-untyped-call]
        for step, (images, target) in enumerate(loader):
            images = images.contiguous(memory_format=torch.channels_last)
            loss = loss_of(model(images), target)
            optimizer.zero_grad()
            loss.backward()
            dispatch_clip_grad(model.parameters(), value=2.0)
            optimizer.step()
            losses.update(loss.item(), len(images))  # type: ignore[no-untyped-call]
            schedule.step_update(step)
            yield


def _in_turns(work: dict[str, Callable[[], None]]) -> Times:
    """Times each, in ms, in turns."""
    times: Times = {name: [] for name in work}
    for number in range(ROUNDS):
        for name, call in work.items():
            begun = time.perf_counter()
            call()
            if number >= WARM_UP:
                times[name].append(1000 * (time.perf_counter() - begun))
    return times


def _examples(
    folder: Path, samples: Sequence[Sample], profile: Profile, in_memory: bool = False
) -> list[Example]:
    """Caches the photographs of a folder as the profile says, and returns what training reads."""
    from inspection.learning.data import make_examples

    store, kept = LocalStore(folder / "store"), profile.cached_preprocessing
    build_cache(store, samples, kept, folder)
    cached = read_cache(store, samples, kept)
    return make_examples(samples, cached, KINDS, profile.preprocessing, in_memory)


def _photographs(folder: Path, count: int, size: tuple[int, int]) -> list[Sample]:
    """Writes simulated photographs below a folder, of each kind of defect and of good parts in turn."""
    folder.mkdir()
    return [_photograph(folder, index, size) for index in range(count)]


def _photograph(folder: Path, index: int, size: tuple[int, int]) -> Sample:
    kinds = (*KINDS, None)[index % (len(KINDS) + 1)]
    spec = ImageSpec(
        seed=SEED,
        index=index,
        part_type=PART_TYPES[index % len(PART_TYPES)].name,
        camera_id=CAMERAS[index % len(CAMERAS)].camera_id,
        defects=(kinds,) if kinds else (),
        width=size[0],
        height=size[1],
    )
    photo = photograph(spec)
    (folder / f"{index}.jpg").write_bytes(photo.jpeg)
    return Sample(
        image_id=str(index),
        image_path=f"{index}.jpg",
        part_type=spec.part_type,
        camera_id=spec.camera_id,
        line_id="",
        production_order_id="",
        captured_at=datetime(2026, 3, 1, tzinfo=UTC),
        label=kinds or "GOOD",
        labels=spec.defects,
        split="train",
        fold_id=1,
        sample_weight=1.0,
        boxes=tuple(Box(defect.kind, *defect.box) for defect in photo.defects),
    )
